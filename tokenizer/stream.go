package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// decoder is what the file's decoder does to a list of tokens. Ids outside the
// vocabulary, and special ones unless they are kept, are left out before.
type decoder struct {
	texts []string // by id: the token after all Replace steps
	bytes []int16  // by id: the byte it stands for, or none; nil without ByteFallback
	strip string   // a character that may be dropped at the very start
	times int      // and how often
	drop  string   // Metaspace: a character dropped from all of the first token
}

// Decode returns the text of ids. Special tokens are left out unless keepSpecial, ids
// outside the vocabulary always. ▁ becomes a space, and one space at the
// very start of the result is dropped. Consecutive byte tokens become characters if
// all of their bytes together are valid UTF-8, and else one U+FFFD per byte. What
// text a token has, which steps there are, and their order are the file's.
//
// Decode(Encode(x), false) is x, for the tokenizers of this family, unless x holds
// ▁ or is not valid UTF-8.
func (t *Tokenizer) Decode(ids []int32, keepSpecial bool) string {
	var b strings.Builder
	s := t.Stream(keepSpecial)
	for _, id := range ids {
		b.WriteString(s.Push(id))
	}
	b.WriteString(s.Flush())
	return b.String()
}

// Bytes returns what id adds to the text of a Stream that keeps no special tokens, before a space
// at the very start is dropped: "" for special ids and those outside the vocabulary. first says
// that it is the first id. Byte tokens give one byte, of a character perhaps a part.
func (t *Tokenizer) Bytes(id int32, first bool) string {
	d := &t.decoder
	switch {
	case uint(id) >= uint(len(d.texts)) || t.special[id]:
		return ""
	case d.bytes != nil && d.bytes[id] != none:
		return string([]byte{byte(d.bytes[id])})
	case first && d.drop != "":
		return strings.ReplaceAll(t.tokens[id], d.drop, "")
	}
	return d.texts[id]
}

// Stripped returns the character that a decoded text loses at its very start where it has it, and
// how often at most.
func (t *Tokenizer) Stripped() (character string, times int) {
	return t.decoder.strip, t.decoder.times
}

// Stream decodes ids as they arrive. What its methods return, joined, is exactly what
// Decode returns for all the ids, whatever they are. A Stream belongs to one goroutine.
//
// Text comes as early as that allows: with its own token, except that of byte
// tokens, which comes with the token that ends their run, or with Flush. No part
// of a run can come earlier, since a later byte may turn all of it into U+FFFD.
// In the Mistral vocabulary that concerns rare characters and newlines.
type Stream struct {
	t     *Tokenizer
	keep  bool
	run   []byte // of the byte tokens since the last other token
	begun bool   // a token has come
	strip int    // characters that may still be dropped
}

// Stream returns a decoder for one answer.
func (t *Tokenizer) Stream(keepSpecial bool) *Stream {
	return &Stream{t: t, keep: keepSpecial, strip: t.decoder.times}
}

// Push takes the next id and returns the text that is known by now: whole characters, or "".
func (s *Stream) Push(id int32) string {
	d := &s.t.decoder
	if uint(id) >= uint(len(d.texts)) || !s.keep && s.t.special[id] {
		return ""
	}
	first := !s.begun
	s.begun = true
	if d.bytes != nil && d.bytes[id] != none {
		s.run = append(s.run, byte(d.bytes[id]))
		return ""
	}
	text := d.texts[id]
	if first && d.drop != "" {
		text = strings.ReplaceAll(s.t.tokens[id], d.drop, "")
	}
	if len(s.run) > 0 {
		return s.Flush() + s.trim(text)
	}
	return s.trim(text)
}

// Flush ends the run of byte tokens at hand and returns its text. It is called when
// no more ids come. Ids pushed afterwards go on with the same text.
func (s *Stream) Flush() string {
	text := s.trim(s.runText())
	s.run = s.run[:0]
	return text
}

// Held returns what Flush would, and changes nothing. It is for looking for stop
// strings, which should not have to wait for the end of a run.
func (s *Stream) Held() string {
	peek := *s
	return peek.trim(s.runText())
}

func (s *Stream) runText() string {
	if utf8.Valid(s.run) {
		return string(s.run)
	}
	return strings.Repeat("\uFFFD", len(s.run))
}

// trim drops what the Strip step does from the start of the whole text.
func (s *Stream) trim(text string) string {
	for s.strip > 0 && strings.HasPrefix(text, s.t.decoder.strip) {
		text = text[len(s.t.decoder.strip):]
		s.strip--
	}
	if text != "" {
		s.strip = 0
	}
	return text
}
