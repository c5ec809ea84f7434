package chat

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Bounds of the JSON that is read. Nodes are values and keys; a file of nothing but
// brackets would else take twenty times its size in memory.
const (
	maxJSON      = 64 << 20 // bytes
	maxJSONDepth = 64
	maxJSONNodes = 1 << 20
	maxDigits    = 4300 // of an integer, as in Python
)

// ParseJSON reads one JSON value as Python's json.loads does: objects as *Dict in their
// order, 1 as int64 (*big.Int where it is too large), 1.0 as float64. Of keys given
// twice the last value counts. Errors name line and column; more than 64 MiB, 64 levels
// or 2^20 values are refused.
func ParseJSON(data []byte) (Value, error) {
	r, err := newJSONReader(data)
	if err != nil {
		return nil, err
	}
	v, err := r.value()
	if err != nil {
		return nil, err
	}
	return v, r.end()
}

// jsonReader reads JSON (RFC 8259) from src.
type jsonReader struct {
	src   string
	pos   int
	depth int
	nodes int
}

func newJSONReader(data []byte) (*jsonReader, error) {
	if len(data) > maxJSON {
		return nil, fmt.Errorf("chat: JSON of %d bytes, at most %d", len(data), maxJSON)
	}
	r := &jsonReader{src: strings.TrimPrefix(string(data), "\ufeff")}
	if !utf8.ValidString(r.src) {
		for r.pos < len(r.src) {
			c, n := utf8.DecodeRuneInString(r.src[r.pos:])
			if c == utf8.RuneError && n == 1 {
				break
			}
			r.pos += n
		}
		return nil, r.errorf(r.pos, "byte %#02x is not UTF-8; save the file in that encoding", r.src[r.pos])
	}
	return r, nil
}

func (r *jsonReader) errorf(at int, format string, args ...any) error {
	line, column := position(r.src, at)
	return fmt.Errorf("chat: JSON line %d, column %d: %s", line, column, fmt.Sprintf(format, args...))
}

// found names what stands at the current position.
func (r *jsonReader) found() string {
	if r.pos >= len(r.src) {
		return "the end"
	}
	c, _ := utf8.DecodeRuneInString(r.src[r.pos:])
	return strconv.QuoteRune(c)
}

func (r *jsonReader) space() {
	for r.pos < len(r.src) && strings.IndexByte(" \t\r\n", r.src[r.pos]) >= 0 {
		r.pos++
	}
}

// end makes sure that nothing follows.
func (r *jsonReader) end() error {
	r.space()
	if r.pos < len(r.src) {
		return r.errorf(r.pos, "found %s after the value, want the end", r.found())
	}
	return nil
}

func (r *jsonReader) node() error {
	r.nodes++
	if r.nodes > maxJSONNodes {
		return r.errorf(r.pos, "more than %d values", maxJSONNodes)
	}
	return nil
}

// peek skips white space and returns the next byte, or 0.
func (r *jsonReader) peek() byte {
	r.space()
	if r.pos >= len(r.src) {
		return 0
	}
	return r.src[r.pos]
}

func (r *jsonReader) value() (Value, error) {
	if err := r.node(); err != nil {
		return nil, err
	}
	switch c := r.peek(); {
	case c == '{':
		d := NewDict()
		err := r.object(func(key string) error {
			v, err := r.value()
			d.Set(key, v)
			return err
		})
		return d, err
	case c == '[':
		return r.array()
	case c == '"':
		return r.string()
	case c == '-' || isDigit(c):
		return r.number()
	}
	for word, v := range map[string]Value{"true": true, "false": false, "null": nil} {
		if strings.HasPrefix(r.src[r.pos:], word) {
			r.pos += len(word)
			return v, nil
		}
	}
	return nil, r.errorf(r.pos, "found %s, want a value", r.found())
}

// open goes into an object or array.
func (r *jsonReader) open() error {
	r.depth++
	if r.depth > maxJSONDepth {
		return r.errorf(r.pos, "more than %d levels", maxJSONDepth)
	}
	r.pos++
	return nil
}

// object reads { key: …, … }, calling value for each; value reads what follows the colon.
func (r *jsonReader) object(value func(key string) error) error {
	if err := r.open(); err != nil {
		return err
	}
	if r.peek() == '}' {
		r.pos++
		r.depth--
		return nil
	}
	for {
		if r.peek() != '"' {
			return r.errorf(r.pos, "found %s, want a key in double quotes", r.found())
		}
		if err := r.node(); err != nil {
			return err
		}
		key, err := r.string()
		if err != nil {
			return err
		}
		if r.peek() != ':' {
			return r.errorf(r.pos, "found %s after a key, want ':'", r.found())
		}
		r.pos++
		if err := value(key); err != nil {
			return err
		}
		switch r.peek() {
		case ',':
			r.pos++
		case '}':
			r.pos++
			r.depth--
			return nil
		default:
			return r.errorf(r.pos, "found %s, want ',' or '}'", r.found())
		}
	}
}

func (r *jsonReader) array() (Value, error) {
	if err := r.open(); err != nil {
		return nil, err
	}
	list := List{}
	if r.peek() == ']' {
		r.pos++
		r.depth--
		return list, nil
	}
	for {
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		switch r.peek() {
		case ',':
			r.pos++
		case ']':
			r.pos++
			r.depth--
			return list, nil
		default:
			return nil, r.errorf(r.pos, "found %s, want ',' or ']'", r.found())
		}
	}
}

func (r *jsonReader) number() (Value, error) {
	at := r.pos
	rest := r.src[at:]
	n := 0
	if rest[0] == '-' {
		n++
	}
	whole := plainDigits(rest[n:])
	if whole == 0 || whole > 1 && rest[n] == '0' {
		return nil, r.errorf(at, "malformed number")
	}
	n += whole
	isInt := true
	if n < len(rest) && rest[n] == '.' {
		d := plainDigits(rest[n+1:])
		if d == 0 {
			return nil, r.errorf(at, "malformed number: no digit after the point")
		}
		n += 1 + d
		isInt = false
	}
	if n < len(rest) && rest[n]|0x20 == 'e' {
		n++
		if n < len(rest) && (rest[n] == '+' || rest[n] == '-') {
			n++
		}
		d := plainDigits(rest[n:])
		if d == 0 {
			return nil, r.errorf(at, "malformed number: no digit in the exponent")
		}
		n += d
		isInt = false
	}
	r.pos += n
	if !isInt {
		f, err := strconv.ParseFloat(rest[:n], 64)
		if err != nil {
			return nil, r.errorf(at, "number %s does not fit in 64 bits", rest[:min(n, 40)])
		}
		return f, nil
	}
	if i, err := strconv.ParseInt(rest[:n], 10, 64); err == nil {
		return i, nil
	}
	if n > maxDigits {
		return nil, r.errorf(at, "integer of %d digits, at most %d", n, maxDigits)
	}
	i, _ := new(big.Int).SetString(rest[:n], 10)
	return i, nil
}

func plainDigits(s string) int {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return n
}

// string reads a string. Without escapes it shares the memory of the source.
func (r *jsonReader) string() (string, error) {
	at := r.pos
	start := at + 1
	var b strings.Builder
	for i := start; i < len(r.src); i++ {
		switch c := r.src[i]; {
		case c == '"':
			r.pos = i + 1
			if b.Len() == 0 {
				return r.src[start:i], nil
			}
			b.WriteString(r.src[start:i])
			return b.String(), nil
		case c < 0x20:
			return "", r.errorf(i, "control character %#02x in a string; write it as an escape", c)
		case c == '\\':
			b.WriteString(r.src[start:i])
			char, n := jsonEscape(r.src[i:])
			if n == 0 {
				return "", r.errorf(i, "malformed escape in a string (or half of a surrogate pair)")
			}
			b.WriteRune(char)
			start = i + n
			i = start - 1
		}
	}
	return "", r.errorf(at, "string without end")
}

// jsonEscape reads an escape and returns its length, 0 where it is none.
func jsonEscape(s string) (c rune, n int) {
	if len(s) < 2 {
		return 0, 0
	}
	if i := strings.IndexByte(`"\/bfnrt`, s[1]); i >= 0 {
		return rune("\"\\/\b\f\n\r\t"[i]), 2
	}
	unit := func(s string) rune {
		if len(s) < 6 || s[:2] != `\u` {
			return -1
		}
		n, err := strconv.ParseUint(s[2:6], 16, 16)
		if err != nil {
			return -1
		}
		return rune(n)
	}
	c = unit(s)
	switch {
	case c < 0:
		return 0, 0
	case !utf16.IsSurrogate(c):
		return c, 6
	}
	if pair := utf16.DecodeRune(c, unit(s[6:])); pair != utf8.RuneError {
		return pair, 12
	}
	return 0, 0
}
