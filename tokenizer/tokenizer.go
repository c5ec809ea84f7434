// Package tokenizer turns text into the ids of a checkpoint's tokenizer.json and
// ids back into text: byte pair encoding with byte fallback, as SentencePiece
// trains it and as tokenizers 0.22 computes it for Llama, Mistral and Idefics2.
// The rules and their examples are in the comments of the functions.
//
// Text that users write must not become control tokens, while the text of a chat
// template must. So there are three ways in: [Tokenizer.Encode] for text alone,
// where no added token is recognized; [Tokenizer.EncodeRaw] as the reference
// does it, where all are; and [Tokenizer.EncodePrompt] for a rendered template, in
// which [Tokenizer.Mark] has marked what came from users.
//
// A Tokenizer does not change after Parse and may be used by many goroutines at once.
package tokenizer

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// maxFile bounds a tokenizer.json in bytes. The largest in use have 35 MB.
const maxFile = 64 << 20

// Tokenizer is what a tokenizer.json says.
type Tokenizer struct {
	tokens  []string // by id
	ids     map[string]int32
	special []bool // by id: a control token, left out of decoded text

	added      matcher // tokens found in the text as it is
	normalized matcher // tokens found in the text after normalization
	marked     map[rune]bool

	normalizer []replacement
	metaspace  *metaspace
	raw        *bpe
	plain      *bpe // the same, and none of its results is special
	prefix     []int32
	suffix     []int32
	decoder    decoder

	scratch sync.Pool
}

// Load reads the file at path, of at most 64 MiB. Errors are those of Parse and of the file.
func Load(path string) (*Tokenizer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	defer f.Close()
	var data bytes.Buffer
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Size() <= maxFile {
		data.Grow(int(info.Size()) + bytes.MinRead)
	}
	if _, err := data.ReadFrom(io.LimitReader(f, maxFile+1)); err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	t, err := Parse(data.Bytes())
	if err != nil {
		return nil, fmt.Errorf("%w (in %s)", err, path)
	}
	return t, nil
}

// Size returns the number of ids: the highest id plus one.
func (t *Tokenizer) Size() int { return len(t.tokens) }

// ID returns the id of a token, which is spelled as in the file: ▁the, <0x0A>, <image>.
func (t *Tokenizer) ID(token string) (id int32, ok bool) {
	id, ok = t.ids[token]
	return id, ok
}

// Token returns the spelling of an id, and false outside the vocabulary.
func (t *Tokenizer) Token(id int32) (token string, ok bool) {
	if uint(id) >= uint(len(t.tokens)) {
		return "", false
	}
	return t.tokens[id], true
}

// IsSpecial reports whether id is a control token, such as <s> or <image>: one
// that Decode leaves out unless asked to keep it.
func (t *Tokenizer) IsSpecial(id int32) bool {
	return uint(id) < uint(len(t.special)) && t.special[id]
}

// Affixes returns the ids that every encoding begins and ends with, as the
// post-processor of the file says: for Mistral <s>, and nothing. A rendered chat
// that already begins with such a token gets it twice, as in the reference.
func (t *Tokenizer) Affixes() (before, after []int32) {
	return slices.Clone(t.prefix), slices.Clone(t.suffix)
}

// Encode returns the ids of text, in which no added token is recognized: <image> is
// seven characters. A special token can only come from Affixes, and, in a
// vocabulary without byte fallback, as the unknown token.
//
// Bytes that are not UTF-8 count as one U+FFFD each, in all three ways of encoding.
// Time is n log n in the worst case and in practice linear.
func (t *Tokenizer) Encode(text string) []int32 {
	return t.AppendEncode(nil, text)
}

// AppendEncode adds the ids of Encode to dst.
func (t *Tokenizer) AppendEncode(dst []int32, text string) []int32 {
	text = toValid(text)
	s := t.borrow()
	defer t.giveBack(s)
	dst = append(dst, t.prefix...)
	dst = t.segment(dst, text, true, t.plain, s)
	return append(dst, t.suffix...)
}

// EncodeRaw returns the ids that the reference gives: added tokens are found in the
// text, leftmost first and the longest of those that begin at one place, and
// the text between them is encoded piece by piece. So text can hold control
// tokens: this is for text that no stranger wrote.
func (t *Tokenizer) EncodeRaw(text string) []int32 {
	return t.encode(toValid(text), nil, t.raw)
}

// EncodePrompt returns the ids of a prompt in which users' text went through Mark
// before a template put it in its place. Added tokens are recognized as EncodeRaw
// does, except where one would hold a marked character, followed by its mark; the
// marks themselves are then dropped. An added token therefore never begins or ends
// in users' text.
func (t *Tokenizer) EncodePrompt(text string, mark rune) []int32 {
	clean, marks := unmark(toValid(text), mark)
	return t.encode(clean, marks, t.plain)
}

// encode splits text on added tokens. marks are the places in it behind marked characters.
func (t *Tokenizer) encode(text string, marks []int, b *bpe) []int32 {
	s := t.borrow()
	defer t.giveBack(s)
	dst := slices.Clone(t.prefix)
	s.spans = t.added.split(s.spans[:0], text, marks)
	for _, at := range s.spans {
		switch {
		case at.id != none:
			dst = append(dst, at.id)
		case t.normalized.empty():
			dst = t.segment(dst, text[at.from:at.to], at.from == 0, b, s)
		default:
			dst = t.normalizedSegment(dst, text[at.from:at.to], within(marks, at.from, at.to), at.from == 0, b, s)
		}
	}
	return append(dst, t.suffix...)
}

// segment encodes text without added tokens. first: the text begins here.
func (t *Tokenizer) segment(dst []int32, text string, first bool, b *bpe, s *scratch) []int32 {
	if text == "" {
		return dst
	}
	s.text = append(s.text[:0], text...)
	for _, r := range t.normalizer {
		s.text, s.other = r.append(s.other[:0], s.text), s.text
	}
	return t.words(dst, first, b, s)
}

// normalizedSegment does the same where the file has added tokens that are to be
// found after normalization. Rare, and not in a hurry.
func (t *Tokenizer) normalizedSegment(dst []int32, text string, marks []int, first bool, b *bpe, s *scratch) []int32 {
	for _, r := range t.normalizer {
		marks = r.move(marks, text)
		text = string(r.append(nil, []byte(text)))
	}
	s.inner = t.normalized.split(s.inner[:0], text, marks)
	for _, at := range s.inner {
		if at.id != none {
			dst = append(dst, at.id)
			continue
		}
		s.text = append(s.text[:0], text[at.from:at.to]...)
		dst = t.words(dst, first && at.from == 0, b, s)
	}
	return dst
}

// words encodes s.text, which is normalized.
func (t *Tokenizer) words(dst []int32, first bool, b *bpe, s *scratch) []int32 {
	if t.metaspace == nil {
		return b.append(dst, s.text, s)
	}
	s.text, s.other = t.metaspace.append(s.other[:0], s.text, first), s.text
	for rest := s.text; len(rest) > 0; {
		n := t.metaspace.word(rest)
		dst = b.append(dst, rest[:n], s)
		rest = rest[n:]
	}
	return dst
}

// maxKept is the size of scratch, in bytes or numbers, above which it is given to
// the garbage collector: one long text should not hold memory for ever.
const maxKept = 1 << 20

func (t *Tokenizer) borrow() *scratch {
	if s, ok := t.scratch.Get().(*scratch); ok {
		return s
	}
	return new(scratch)
}

func (t *Tokenizer) giveBack(s *scratch) {
	if max(cap(s.text), cap(s.other), cap(s.heap), cap(s.syms), cap(s.spans)) <= maxKept {
		t.scratch.Put(s)
	}
}

// toValid replaces each byte that is not part of a UTF-8 character by U+FFFD.
func toValid(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for _, r := range text { // range gives U+FFFD for each such byte
		b.WriteRune(r)
	}
	return b.String()
}
