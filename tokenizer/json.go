package tokenizer

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds the nesting of a file: real ones reach 6.
const maxDepth = 64

// reader walks JSON (RFC 8259) without building a tree. encoding/json would let
// two keys of one object pass, match keys whatever their case, and replace broken
// UTF-8, each of which changes a vocabulary in silence; it is also slow for the
// 150,000 strings of a tokenizer.
//
// The first error stays in err, and every later read does nothing, so that
// callers need to look once.
type reader struct {
	data  []byte
	pos   int
	depth int
	buf   []byte // of a string that had escapes
	err   error
}

// failf records an error at the present place.
func (r *reader) failf(format string, args ...any) {
	if r.err != nil {
		return
	}
	before := r.data[:min(r.pos, len(r.data))]
	line := 1 + bytes.Count(before, []byte{'\n'})
	column := len(before) - bytes.LastIndexByte(before, '\n')
	r.err = fmt.Errorf("line %d, column %d: %s", line, column, fmt.Sprintf(format, args...))
}

// peek returns the next byte that is not white space, or 0 at the end or after an error.
func (r *reader) peek() byte {
	if r.err != nil {
		return 0
	}
	for ; r.pos < len(r.data); r.pos++ {
		switch c := r.data[r.pos]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// kind names the next value for an error.
func (r *reader) kind() string {
	switch c := r.peek(); {
	case r.pos >= len(r.data):
		return "the end of the file"
	case c == '{':
		return "an object"
	case c == '[':
		return "an array"
	case c == '"':
		return "a string"
	case c == 't' || c == 'f':
		return "a boolean"
	case c == 'n':
		return "null"
	case c == '-' || '0' <= c && c <= '9':
		return "a number"
	default:
		return fmt.Sprintf("%q", c)
	}
}

// open enters an object or an array and tells whether it holds anything.
func (r *reader) open(bracket, closing byte, what string) bool {
	if r.peek() != bracket {
		r.failf("found %s, want %s", r.kind(), what)
		return false
	}
	if r.depth++; r.depth > maxDepth {
		r.failf("nested deeper than %d", maxDepth)
		return false
	}
	r.pos++
	if r.peek() == closing {
		r.pos++
		r.depth--
		return false
	}
	return r.err == nil
}

// more goes on to the next element and is false after the last one.
func (r *reader) more(closing byte) bool {
	switch r.peek() {
	case ',':
		r.pos++
		return true
	case closing:
		r.pos++
		r.depth--
		return false
	}
	r.failf("found %s, want , or %c", r.kind(), closing)
	return false
}

// object calls field for each key, which must read the value. The key's bytes
// are valid until that.
func (r *reader) object(field func(key []byte)) {
	for ok := r.open('{', '}', "an object"); ok; ok = r.more('}') {
		key := r.bytes()
		if r.peek() != ':' {
			r.failf("found %s, want : after the key %q", r.kind(), key)
			return
		}
		r.pos++
		field(key)
	}
}

// fields reads an object of known keys, each at most once. An unknown key is
// refused, since it might change what the file means.
func (r *reader) fields(of string, known map[string]func()) {
	seen := make(map[string]bool, len(known))
	r.object(func(key []byte) {
		name := string(key)
		switch read := known[name]; {
		case read == nil:
			r.failf("%s has the field %q, which is not known", of, name)
		case seen[name]:
			r.failf("%s has the field %q twice", of, name)
		default:
			seen[name] = true
			read()
		}
	})
}

// array calls element for each index, which must read the element.
func (r *reader) array(element func(i int)) {
	i := 0
	for ok := r.open('[', ']', "an array"); ok; ok = r.more(']') {
		element(i)
		i++
	}
}

// null consumes a null if that is the next value.
func (r *reader) null() bool {
	return r.peek() == 'n' && r.literal("null")
}

// bool reads true or false.
func (r *reader) bool() bool {
	switch r.peek() {
	case 't':
		return r.literal("true")
	case 'f':
		r.literal("false")
		return false
	}
	r.failf("found %s, want true or false", r.kind())
	return false
}

func (r *reader) literal(word string) bool {
	if !bytes.HasPrefix(r.data[r.pos:], []byte(word)) {
		r.failf("want %s", word)
		return false
	}
	r.pos += len(word)
	return true
}

// number reads a number as it is written.
func (r *reader) number() string {
	if c := r.peek(); c != '-' && (c < '0' || c > '9') {
		r.failf("found %s, want a number", r.kind())
		return ""
	}
	start := r.pos
	if r.data[r.pos] == '-' {
		r.pos++
	}
	zero := r.pos < len(r.data) && r.data[r.pos] == '0'
	whole := r.digits()
	good := whole == 1 || whole > 1 && !zero
	if r.pos < len(r.data) && r.data[r.pos] == '.' {
		r.pos++
		good = r.digits() > 0 && good
	}
	if r.pos < len(r.data) && (r.data[r.pos] == 'e' || r.data[r.pos] == 'E') {
		r.pos++
		if r.pos < len(r.data) && (r.data[r.pos] == '+' || r.data[r.pos] == '-') {
			r.pos++
		}
		good = r.digits() > 0 && good
	}
	if !good {
		r.failf("malformed number %.40q", r.data[start:r.pos])
		return ""
	}
	return string(r.data[start:r.pos])
}

func (r *reader) digits() (n int) {
	for r.pos < len(r.data) && '0' <= r.data[r.pos] && r.data[r.pos] <= '9' {
		r.pos++
		n++
	}
	return n
}

// int reads a whole number from 0 to most.
func (r *reader) int(most int) int {
	text := r.number()
	if r.err != nil {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > most {
		r.failf("found %.40s, want a whole number from 0 to %d", text, most)
		return 0
	}
	return n
}

// str reads a string.
func (r *reader) str() string { return string(r.bytes()) }

// bytes reads a string. The result may lie in the file or in a buffer: it is
// valid until the next read.
func (r *reader) bytes() []byte {
	if r.peek() != '"' {
		r.failf("found %s, want a string", r.kind())
		return nil
	}
	r.pos++
	start := r.pos
	for r.pos < len(r.data) {
		switch c := r.data[r.pos]; {
		case c == '"':
			return r.valid(r.data[start:r.pos])
		case c == '\\':
			return r.escaped(start)
		case c < ' ':
			r.failf("control character %#02x in a string", c)
			return nil
		}
		r.pos++
	}
	r.failf("string without an end")
	return nil
}

// valid checks the bytes of a string whose closing quote is next, and consumes that.
func (r *reader) valid(s []byte) []byte {
	if !utf8.Valid(s) {
		r.failf("string is not valid UTF-8")
		return nil
	}
	r.pos++
	return s
}

// escaped reads on from the first backslash of a string that began at start.
func (r *reader) escaped(start int) []byte {
	r.buf = append(r.buf[:0], r.data[start:r.pos]...)
	for r.pos < len(r.data) {
		c := r.data[r.pos]
		switch {
		case c == '"':
			return r.valid(r.buf)
		case c < ' ':
			r.failf("control character %#02x in a string", c)
			return nil
		case c != '\\':
			r.buf = append(r.buf, c)
			r.pos++
			continue
		}
		r.pos++
		if r.pos == len(r.data) {
			break
		}
		c = r.data[r.pos]
		r.pos++
		switch c {
		case '"', '\\', '/':
			r.buf = append(r.buf, c)
		case 'b':
			r.buf = append(r.buf, '\b')
		case 'f':
			r.buf = append(r.buf, '\f')
		case 'n':
			r.buf = append(r.buf, '\n')
		case 'r':
			r.buf = append(r.buf, '\r')
		case 't':
			r.buf = append(r.buf, '\t')
		case 'u':
			r.buf = utf8.AppendRune(r.buf, r.unicode())
		default:
			r.failf("unknown escape \\%c in a string", c)
		}
		if r.err != nil {
			return nil
		}
	}
	r.failf("string without an end")
	return nil
}

// unicode reads the digits of \uXXXX, and the second half of a surrogate pair.
func (r *reader) unicode() rune {
	c := r.hex4()
	if !utf16.IsSurrogate(c) {
		return c
	}
	if bytes.HasPrefix(r.data[r.pos:], []byte(`\u`)) {
		r.pos += 2
		if pair := utf16.DecodeRune(c, r.hex4()); pair != utf8.RuneError {
			return pair
		}
	}
	r.failf("half a surrogate pair in a string")
	return 0
}

func (r *reader) hex4() rune {
	if len(r.data)-r.pos < 4 {
		r.failf("string without an end")
		return 0
	}
	n, err := strconv.ParseUint(string(r.data[r.pos:r.pos+4]), 16, 32)
	if err != nil {
		r.failf(`malformed escape \u%.4q`, r.data[r.pos:r.pos+4])
		return 0
	}
	r.pos += 4
	return rune(n)
}

// skip reads any value and forgets it.
func (r *reader) skip() {
	switch c := r.peek(); {
	case c == '{':
		r.object(func([]byte) { r.skip() })
	case c == '[':
		r.array(func(int) { r.skip() })
	case c == '"':
		r.bytes()
	case c == 't' || c == 'f':
		r.bool()
	case c == 'n':
		r.null()
	default:
		r.number()
	}
}

// end requires that nothing follows.
func (r *reader) end() {
	if r.peek(); r.err == nil && r.pos < len(r.data) {
		r.failf("found %s after the end", r.kind())
	}
}
