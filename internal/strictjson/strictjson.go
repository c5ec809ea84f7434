// Package strictjson reads JSON that somebody else wrote, value by value, without
// building a tree of it.
//
// It differs from encoding/json where files of models need it: a repeated key is an
// error (readers that keep the first and readers that keep the last would disagree
// about the model), keys are compared exactly, nesting is bounded, text must be UTF-8,
// and the numbers NaN, Infinity and -Infinity, which Python writes, can be let through
// so that a caller refuses them by the name of their field.
package strictjson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxDepth is how deep objects and arrays may nest (spec/checkpoint.md §3).
const MaxDepth = 64

// Kind is the kind of the next value.
type Kind byte

// The kinds of a value. None stands for the end of the text and for what starts no value.
const (
	None   Kind = 0
	Object Kind = '{'
	Array  Kind = '['
	String Kind = '"'
	Number Kind = '0'
	Bool   Kind = 't'
	Null   Kind = 'n'
)

// String returns the kind's name with its article, for error messages.
func (k Kind) String() string {
	switch k {
	case Object:
		return "an object"
	case Array:
		return "an array"
	case String:
		return "a string"
	case Number:
		return "a number"
	case Bool:
		return "a boolean"
	case Null:
		return "null"
	}
	return "nothing"
}

// Scanner reads the values of one JSON text in order. Its methods return an error
// that names line and column; after one the scanner is of no further use.
type Scanner struct {
	data  []byte
	pos   int
	depth int

	// PythonNumbers accepts NaN, Infinity and -Infinity as numbers.
	PythonNumbers bool
}

// New returns a scanner at the start of data, which it reads in place.
func New(data []byte) *Scanner { return &Scanner{data: data} }

// Kind looks at the next value without consuming it.
func (s *Scanner) Kind() Kind {
	s.space()
	if s.pos == len(s.data) {
		return None
	}
	switch c := s.data[s.pos]; {
	case c == '{' || c == '[' || c == '"' || c == 'n':
		return Kind(c)
	case c == 't' || c == 'f':
		return Bool
	case c == '-' || c >= '0' && c <= '9':
		return Number
	case s.PythonNumbers && (c == 'N' || c == 'I'):
		return Number
	}
	return None
}

// Object reads an object and calls each with every key. The function must consume
// the value: with a method of the scanner, Skip at least.
func (s *Scanner) Object(each func(key string) error) error {
	if err := s.open('{'); err != nil {
		return err
	}
	seen := keys{}
	for first := true; ; first = false {
		if done, err := s.next('}', first); err != nil || done {
			return err
		}
		at := s.pos
		key, err := s.String()
		if err != nil {
			return err
		}
		if !seen.add(key) {
			s.pos = at
			return s.errorf("key %q repeated, want each key once", clip(key))
		}
		if s.space(); s.pos == len(s.data) || s.data[s.pos] != ':' {
			return s.unexpected("':' after a key")
		}
		s.pos++
		if err := each(key); err != nil {
			return err
		}
	}
}

// Array reads an array and calls each with the index of every element, which the
// function must consume.
func (s *Scanner) Array(each func(i int) error) error {
	if err := s.open('['); err != nil {
		return err
	}
	for i := 0; ; i++ {
		if done, err := s.next(']', i == 0); err != nil || done {
			return err
		}
		if err := each(i); err != nil {
			return err
		}
	}
}

// String reads a string.
func (s *Scanner) String() (string, error) {
	if s.Kind() != String {
		return "", s.unexpected("a string")
	}
	start := s.pos
	plain := true
	for i := start + 1; i < len(s.data); i++ {
		switch c := s.data[i]; {
		case c == '"':
			s.pos = i + 1
			return s.text(start, plain)
		case c == '\\':
			plain = false
			i++
		case c < ' ':
			s.pos = i
			return "", s.errorf("control character %#02x inside a string, want it escaped", c)
		}
	}
	s.pos = len(s.data)
	return "", s.errorf("text ends inside a string")
}

// text decodes the string literal data[start:s.pos].
func (s *Scanner) text(start int, plain bool) (string, error) {
	literal := s.data[start:s.pos]
	end := s.pos
	s.pos = start // for errors
	if !utf8.Valid(literal) {
		return "", s.errorf("string is not UTF-8")
	}
	if plain {
		s.pos = end
		return string(literal[1 : len(literal)-1]), nil
	}
	if loneSurrogate(literal) {
		return "", s.errorf("string has half of a surrogate pair")
	}
	var v string
	if err := json.Unmarshal(literal, &v); err != nil {
		return "", s.errorf("string has an invalid escape")
	}
	s.pos = end
	return v, nil
}

// loneSurrogate reports a \uD800…\uDFFF that is no part of a pair. encoding/json
// would replace it, and two different keys could become equal.
func loneSurrogate(literal []byte) bool {
	for i := 0; i+1 < len(literal); i++ {
		if literal[i] != '\\' {
			continue
		}
		i++
		if literal[i] != 'u' || i+5 > len(literal) {
			continue
		}
		switch surrogate(literal[i+1:]) {
		case low:
			return true
		case high:
			next := literal[i+5:]
			if len(next) < 6 || next[0] != '\\' || next[1] != 'u' || surrogate(next[2:]) != low {
				return true
			}
			i += 6
		}
		i += 4
	}
	return false
}

const (
	neither = iota
	high    // D800–DBFF
	low     // DC00–DFFF
)

func surrogate(hex []byte) int {
	if hex[0] != 'd' && hex[0] != 'D' {
		return neither
	}
	switch c := hex[1]; {
	case c == '8' || c == '9' || c == 'a' || c == 'b' || c == 'A' || c == 'B':
		return high
	case c >= 'c' && c <= 'f' || c >= 'C' && c <= 'F':
		return low
	}
	return neither
}

// Number reads a number and returns its text, so that nothing is lost to rounding.
func (s *Scanner) Number() (string, error) {
	if s.Kind() != Number {
		return "", s.unexpected("a number")
	}
	if s.PythonNumbers {
		for _, name := range []string{"NaN", "Infinity", "-Infinity"} {
			if bytes.HasPrefix(s.data[s.pos:], []byte(name)) {
				s.pos += len(name)
				return name, s.boundary()
			}
		}
	}
	start := s.pos
	if s.data[s.pos] == '-' {
		s.pos++
	}
	whole := s.digits()
	leadingZero := whole > 1 && s.data[s.pos-whole] == '0'
	fraction, exponent := 1, 1 // digits found, or 1 where none are needed
	if s.pos < len(s.data) && s.data[s.pos] == '.' {
		s.pos++
		fraction = s.digits()
	}
	if s.pos < len(s.data) && s.data[s.pos]|0x20 == 'e' {
		s.pos++
		if s.pos < len(s.data) && (s.data[s.pos] == '+' || s.data[s.pos] == '-') {
			s.pos++
		}
		exponent = s.digits()
	}
	text := string(s.data[start:s.pos])
	if whole == 0 || leadingZero || fraction == 0 || exponent == 0 {
		s.pos = start
		return "", s.errorf("%q is not a number", clip(text))
	}
	return text, s.boundary()
}

// Bool reads true or false.
func (s *Scanner) Bool() (bool, error) {
	if s.Kind() == Bool {
		for _, v := range []bool{true, false} {
			if word := fmt.Sprint(v); bytes.HasPrefix(s.data[s.pos:], []byte(word)) {
				s.pos += len(word)
				return v, s.boundary()
			}
		}
	}
	return false, s.unexpected("true or false")
}

// Null reads null.
func (s *Scanner) Null() error {
	if s.Kind() == Null && bytes.HasPrefix(s.data[s.pos:], []byte("null")) {
		s.pos += len("null")
		return s.boundary()
	}
	return s.unexpected("null")
}

// Skip reads a value of any kind, as strictly as the other methods do.
func (s *Scanner) Skip() (err error) {
	switch s.Kind() {
	case Object:
		return s.Object(func(string) error { return s.Skip() })
	case Array:
		return s.Array(func(int) error { return s.Skip() })
	case String:
		_, err = s.String()
	case Number:
		_, err = s.Number()
	case Bool:
		_, err = s.Bool()
	case Null:
		err = s.Null()
	default:
		err = s.unexpected("a value")
	}
	return err
}

// Raw reads a value of any kind and returns its bytes, which share memory with the text.
func (s *Scanner) Raw() ([]byte, error) {
	s.space()
	start := s.pos
	if err := s.Skip(); err != nil {
		return nil, err
	}
	return s.data[start:s.pos:s.pos], nil
}

// End checks that nothing but white space is left.
func (s *Scanner) End() error {
	if s.space(); s.pos != len(s.data) {
		return s.unexpected("the end")
	}
	return nil
}

func (s *Scanner) open(bracket byte) error {
	if s.Kind() != Kind(bracket) {
		return s.unexpected(Kind(bracket).String())
	}
	if s.depth++; s.depth > MaxDepth {
		return s.errorf("nested deeper than %d levels", MaxDepth)
	}
	s.pos++
	return nil
}

// next moves to the next element and reports whether the closing bracket came instead.
func (s *Scanner) next(bracket byte, first bool) (done bool, err error) {
	s.space()
	if s.pos == len(s.data) {
		return false, s.errorf("text ends, want %q", bracket)
	}
	switch c := s.data[s.pos]; {
	case c == bracket:
		s.pos++
		s.depth--
		return true, nil
	case first:
		return false, nil
	case c == ',':
		s.pos++
		if s.space(); s.pos < len(s.data) && s.data[s.pos] == bracket {
			return false, s.errorf("comma before %q", bracket)
		}
		return false, nil
	}
	return false, s.unexpected(fmt.Sprintf("',' or %q", bracket))
}

func (s *Scanner) digits() int {
	start := s.pos
	for s.pos < len(s.data) && s.data[s.pos] >= '0' && s.data[s.pos] <= '9' {
		s.pos++
	}
	return s.pos - start
}

// boundary refuses words and numbers that run into another, such as nullnull.
func (s *Scanner) boundary() error {
	if s.pos < len(s.data) && !strings.ContainsRune(" \t\r\n,:]}", rune(s.data[s.pos])) {
		return s.unexpected("a comma, a closing bracket or the end")
	}
	return nil
}

func (s *Scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return
		}
	}
}

func (s *Scanner) unexpected(want string) error {
	if s.pos == len(s.data) {
		return s.errorf("text ends, want %s", want)
	}
	rest := s.data[s.pos:min(s.pos+4*utf8.UTFMax, len(s.data))]
	r, _ := utf8.DecodeRune(rest)
	return s.errorf("found %q, want %s", r, want)
}

// errorf names the place as an editor does: line and column from one.
func (s *Scanner) errorf(format string, args ...any) error {
	before := s.data[:min(s.pos, len(s.data))]
	line := 1 + bytes.Count(before, []byte("\n"))
	column := 1 + len(before) - (1 + bytes.LastIndexByte(before, '\n'))
	return fmt.Errorf("line %d, column %d: %s", line, column, fmt.Sprintf(format, args...))
}

// clip keeps a hostile key out of the terminal: its start is enough to find it.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// keys is the set of keys of one object. Most objects have few, and a header of a
// million small ones should not make a million maps.
type keys struct {
	few  []string
	many map[string]struct{}
}

func (k *keys) add(key string) bool {
	if k.many == nil {
		for _, other := range k.few {
			if other == key {
				return false
			}
		}
		if len(k.few) < 16 {
			k.few = append(k.few, key)
			return true
		}
		k.many = make(map[string]struct{}, 4*len(k.few))
		for _, other := range k.few {
			k.many[other] = struct{}{}
		}
	}
	if _, ok := k.many[key]; ok {
		return false
	}
	k.many[key] = struct{}{}
	return true
}
