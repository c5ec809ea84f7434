package tokenizer

import (
	"bytes"
	"slices"
	"strings"
)

// replacement is a step of the normalizer: Prepend puts new before a text that is
// not empty (old is ""), Replace puts it in place of each old, from left to right.
type replacement struct{ old, new string }

// append adds the normalized src to dst.
func (r replacement) append(dst, src []byte) []byte {
	if len(src) == 0 {
		return dst
	}
	if r.old == "" {
		dst = append(dst, r.new...)
		return append(dst, src...)
	}
	if need := len(src) + len(src)/4; cap(dst) < need { // text has a space in every five characters or six
		dst = slices.Grow(dst, need)
	}
	for {
		i := bytes.Index(src, []byte(r.old))
		if i < 0 {
			return append(dst, src...)
		}
		dst = append(dst, src[:i]...)
		dst = append(dst, r.new...)
		src = src[i+len(r.old):]
	}
}

// move takes places in text to the corresponding ones in the normalized text. One
// inside an old goes to the end of the new.
func (r replacement) move(places []int, text string) []int {
	if len(places) == 0 || text == "" {
		return places
	}
	moved := make([]int, len(places))
	if r.old == "" {
		for i, p := range places {
			moved[i] = p + len(r.new)
		}
		return moved
	}
	from, shift := 0, 0 // behind the last old; of what comes before the next one
	next := strings.Index(text, r.old)
	for i, p := range places {
		for next >= 0 && p > next {
			from = next + len(r.old)
			shift += len(r.new) - len(r.old)
			next = index(text, r.old, from)
		}
		moved[i] = max(p, from) + shift
	}
	return moved
}

// index is strings.Index from a place on.
func index(text, old string, from int) int {
	i := strings.Index(text[from:], old)
	if i < 0 {
		return i
	}
	return from + i
}

// metaspace is the pre-tokenizer of that name, which files have whose tokenizer was
// converted with legacy: false, and no normalizer then.
type metaspace struct {
	mark   string // ▁
	always bool   // before each segment, the mark
	first  bool   // before the text, the mark
	split  bool   // every mark begins a word
}

// append adds src to dst with marks for spaces and, unless it begins with one, one before it.
func (m *metaspace) append(dst, src []byte, first bool) []byte {
	spaces := replacement{" ", m.mark}
	if m.always || m.first && first {
		if !bytes.HasPrefix(src, []byte(m.mark)) && !bytes.HasPrefix(src, []byte(" ")) && len(src) > 0 {
			dst = append(dst, m.mark...)
		}
	}
	return spaces.append(dst, src)
}

// word returns the length of the first word of text, which is not empty.
func (m *metaspace) word(text []byte) int {
	if !m.split {
		return len(text)
	}
	from := 0
	if bytes.HasPrefix(text, []byte(m.mark)) {
		from = len(m.mark)
	}
	if i := bytes.Index(text[from:], []byte(m.mark)); i >= 0 {
		return from + i
	}
	return len(text)
}
