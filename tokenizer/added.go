package tokenizer

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// addedToken is an entry of added_tokens.
type addedToken struct {
	id         int32
	content    string
	singleWord bool // only where no word character touches it
	lstrip     bool // swallows the white space before it
	rstrip     bool // and after it
	normalized bool // is looked for in the normalized text, after normalization itself
	special    bool // a control token
}

// maxAdded bounds the length of an added token in bytes, and with it the time to
// look for one at one place.
const maxAdded = 1024

// matcher finds added tokens in text: a trie over bytes.
type matcher struct {
	tokens []addedToken
	starts [256]bool
	edges  map[uint64]int32 // node<<8 | byte → node; the root is 0
	ends   []int32          // by node: index in tokens, or none
}

// add makes content stand for a token. Of two equal contents the first counts.
func (m *matcher) add(content string, token addedToken) {
	if m.edges == nil {
		m.edges = make(map[uint64]int32)
		m.ends = []int32{none}
	}
	m.starts[content[0]] = true
	node := int32(0)
	for _, c := range []byte(content) {
		edge := uint64(node)<<8 | uint64(c)
		child, ok := m.edges[edge]
		if !ok {
			child = int32(len(m.ends))
			m.edges[edge] = child
			m.ends = append(m.ends, none)
		}
		node = child
	}
	if m.ends[node] == none {
		m.ends[node] = int32(len(m.tokens))
		m.tokens = append(m.tokens, token)
	}
}

func (m *matcher) empty() bool { return len(m.tokens) == 0 }

// span is a part of a text: an added token, or what lies between two (id none).
type span struct {
	from, to int
	id       int32
}

// split cuts text into added tokens and the rest, as tokenizers'
// AddedVocabulary::find_matches does, and adds the parts to spans. No match holds a
// marked character: none of marks, rising places in text, lies behind its first
// byte and not behind its end.
func (m *matcher) split(spans []span, text string, marks []int) []span {
	done := 0 // text before it is in spans
	for at := 0; at < len(text); {
		token, end := m.match(text, at, marks)
		if token == nil {
			at++
			continue
		}
		from, to := at, end
		at = end // a match that is refused below still hides those that overlap it
		if token.singleWord && (touches(text[:from], utf8.DecodeLastRuneInString) || touches(text[to:], utf8.DecodeRuneInString)) {
			continue
		}
		if token.lstrip { // as far as the previous token has not taken the space
			from = done + len(strings.TrimRightFunc(text[done:max(done, from)], unicode.IsSpace))
		}
		if token.rstrip {
			to = max(to, done) // of tokens that begin with white space, many may end in the same run
			to = len(text) - len(strings.TrimLeftFunc(text[to:], unicode.IsSpace))
		}
		if from >= to { // white space, which the previous token has swallowed
			continue
		}
		if done < from {
			spans = append(spans, span{done, from, none})
		}
		spans = append(spans, span{from, to, token.id})
		done = to
	}
	if done < len(text) {
		spans = append(spans, span{done, len(text), none})
	}
	return spans
}

// match returns the longest token that begins at a place, and its end, or nil.
func (m *matcher) match(text string, at int, marks []int) (token *addedToken, end int) {
	if !m.starts[text[at]] {
		return nil, 0
	}
	limit := len(text)
	if i, _ := slices.BinarySearch(marks, at+1); i < len(marks) {
		limit = marks[i] - 1
	}
	node := int32(0)
	for i := at; i < limit; i++ {
		next, ok := m.edges[uint64(node)<<8|uint64(text[i])]
		if !ok {
			break
		}
		if node = next; m.ends[node] != none {
			token, end = &m.tokens[m.ends[node]], i+1
		}
	}
	return token, end
}

// touches reports whether the character at an end of text is one of a word: \w of
// Unicode Technical Standard 18, Annex C.
func touches(text string, end func(string) (rune, int)) bool {
	r, n := end(text)
	return n > 0 && unicode.In(r, unicode.Letter, unicode.Other_Alphabetic, unicode.Mark, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Join_Control)
}

// Mark returns text, which a user wrote, with mark behind each character that an added
// token begins or ends with: such a character cannot become part of one in
// EncodePrompt. Text without such characters is returned as it is.
func (t *Tokenizer) Mark(text string, mark rune) string {
	if strings.IndexFunc(text, func(r rune) bool { return t.marked[r] }) < 0 {
		return text
	}
	var b strings.Builder
	for i, r := range text {
		_, n := utf8.DecodeRuneInString(text[i:]) // 1 where the text is not UTF-8
		b.WriteString(text[i : i+n])
		if t.marked[r] {
			b.WriteRune(mark)
		}
	}
	return b.String()
}

// PickMark returns a character for Mark that occurs in none of the texts: one of the
// noncharacters U+FDD0 to U+FDEF, which Unicode reserves for a program's own use.
// It fails if the texts hold all 32.
func PickMark(texts ...string) (rune, error) {
	for mark := rune(0xFDD0); mark <= 0xFDEF; mark++ {
		if !slices.ContainsFunc(texts, func(text string) bool { return strings.ContainsRune(text, mark) }) {
			return mark, nil
		}
	}
	return 0, fmt.Errorf("tokenizer: the texts hold all the noncharacters U+FDD0 to U+FDEF, want one that is free: remove them, they have no meaning")
}

// unmark returns text without marks, and the places in it where they were.
func unmark(text string, mark rune) (clean string, marks []int) {
	parts := strings.Split(text, string(mark))
	if len(parts) == 1 {
		return text, nil
	}
	clean = strings.Join(parts, "")
	at := 0
	for _, part := range parts[:len(parts)-1] {
		at += len(part)
		marks = append(marks, at)
	}
	return clean, marks
}

// within returns those of marks that can forbid a match in text[from:to], counted from its start.
func within(marks []int, from, to int) []int {
	i, _ := slices.BinarySearch(marks, from+1)
	j, _ := slices.BinarySearch(marks, to+1)
	inside := slices.Clone(marks[i:j])
	for i := range inside {
		inside[i] -= from
	}
	return inside
}
