package constrain

import (
	"unicode"
	"unicode/utf8"
)

// runes is a set of code points: pairs of bounds, rising and apart, as regexp/syntax has them.
// Surrogates are left out where bytes are made of it.
type runes []rune

var anyRune = runes{0, unicode.MaxRune}

// once makes the expression of a set of code points where it is not there yet.
func (a *arena) once(how byte, of runes, do func(runes) expr) expr {
	name := []byte{how}
	for _, c := range of {
		name = append(name, byte(c>>16), byte(c>>8), byte(c))
	}
	e, ok := a.spelt[string(name)]
	if !ok {
		a.spend(len(name), len(of))
		e = do(of)
		a.spelt[string(name)] = e
	}
	return e
}

// utf8 is the UTF-8 of one of the code points.
func (a *arena) utf8(of runes) expr { return a.once('u', of, a.makeUTF8) }

func (a *arena) makeUTF8(of runes) expr {
	var all []expr
	for i := 0; i < len(of); i += 2 {
		lo, hi := of[i], min(of[i+1], unicode.MaxRune)
		all = a.utf8Range(all, lo, min(hi, 0xD7FF))
		all = a.utf8Range(all, max(lo, 0xE000), hi)
	}
	return a.or(all...)
}

// utf8Range appends the sequences of byte ranges that together are lo to hi: it divides where the
// length of the encoding changes, and then so that all bytes but the first that differ take all
// values that can follow (Thompson; as RE2 does).
func (a *arena) utf8Range(all []expr, lo, hi rune) []expr {
	if lo > hi {
		return all
	}
	for _, last := range []rune{0x7F, 0x7FF, 0xFFFF} {
		if lo <= last && hi > last {
			return a.utf8Range(a.utf8Range(all, lo, last), last+1, hi)
		}
	}
	if hi <= 0x7F {
		return append(all, a.byteRange(byte(lo), byte(hi)))
	}
	for bits := 6; bits <= 18; bits += 6 {
		tail := rune(1)<<bits - 1
		if lo&^tail == hi&^tail {
			continue
		}
		if lo&tail != 0 {
			return a.utf8Range(a.utf8Range(all, lo, lo|tail), lo|tail+1, hi)
		}
		if hi&tail != tail {
			return a.utf8Range(a.utf8Range(all, lo, hi&^tail-1), hi&^tail, hi)
		}
	}
	from, to := utf8.AppendRune(nil, lo), utf8.AppendRune(nil, hi)
	e := epsilon
	for i := len(from) - 1; i >= 0; i-- {
		e = a.cat(a.byteRange(from[i], to[i]), e)
	}
	return append(all, e)
}

// spelled is how one of the code points stands in a JSON string. Each has one spelling: itself,
// but \" and \\ and the escapes of control characters, short where there is a short one.
func (a *arena) spelled(of runes) expr { return a.once('s', of, a.makeSpelled) }

func (a *arena) makeSpelled(of runes) expr {
	var all []expr
	plain := runes{}
	for i := 0; i < len(of); i += 2 {
		lo, hi := of[i], of[i+1]
		for c := lo; c < min(0x20, hi+1); c++ {
			all = append(all, a.literal(escape(c)))
		}
		lo = max(lo, 0x20)
		for _, c := range []rune{'"', '\\'} {
			if lo <= c && c <= hi {
				plain = append(plain, lo, c-1)
				all = append(all, a.literal(escape(c)))
				lo = c + 1
			}
		}
		plain = append(plain, lo, hi)
	}
	return a.or(append(all, a.utf8(plain))...)
}

// escape spells a code point that cannot stand in a JSON string as it is.
func escape(c rune) string {
	switch c {
	case '"', '\\':
		return `\` + string(c)
	case '\b':
		return `\b`
	case '\t':
		return `\t`
	case '\n':
		return `\n`
	case '\f':
		return `\f`
	case '\r':
		return `\r`
	}
	const hex = "0123456789abcdef"
	return `\u00` + string(hex[c>>4]) + string(hex[c&15])
}

// spell writes a string as JSON, with the spelling of spelled.
func spell(s string) string {
	out := []byte{'"'}
	for _, c := range s {
		if c < 0x20 || c == '"' || c == '\\' {
			out = append(out, escape(c)...)
		} else {
			out = utf8.AppendRune(out, c)
		}
	}
	return string(append(out, '"'))
}
