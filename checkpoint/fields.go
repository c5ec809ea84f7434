package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"

	"idefics2/internal/strictjson"
)

// maxJSON bounds every JSON file of a model folder (spec/checkpoint.md §3).
const maxJSON = 64 << 20

// readBounded reads a regular file of at most maxJSON bytes.
func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path) // before opening: opening a pipe would wait for a writer
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("checkpoint: %s: not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	defer f.Close()
	if info.Size() > maxJSON {
		return nil, fmt.Errorf("checkpoint: %s: %d bytes, want at most %d", path, info.Size(), maxJSON)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxJSON+1)) // it may have grown since
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	if len(data) > maxJSON {
		return nil, fmt.Errorf("checkpoint: %s: more than %d bytes", path, maxJSON)
	}
	return data, nil
}

// object is a JSON object whose fields are asked for by name. A field of the wrong
// kind or out of its range is noted in errs, under its whole path, and read as its
// default: one look at a file tells everything that is wrong with it.
type object struct {
	path   string // of the object: "" at the top, else "text_config."
	fields map[string][]byte
	errs   *[]error
}

// parseObject reads a whole text. Unknown fields are kept, and mostly ignored: real
// files carry dozens.
func parseObject(data []byte) (object, error) {
	o := object{fields: map[string][]byte{}, errs: new([]error)}
	return o, o.fill(data)
}

func (o object) fill(data []byte) error {
	s := scan(data)
	err := s.Object(func(key string) (err error) {
		o.fields[key], err = s.Raw()
		return err
	})
	if err != nil {
		return err
	}
	return s.End()
}

func scan(data []byte) *strictjson.Scanner {
	s := strictjson.New(data)
	s.PythonNumbers = true // so that NaN is refused by its field's name
	return s
}

func (o object) err() error { return errors.Join(*o.errs...) }

func (o object) fail(key, format string, args ...any) {
	*o.errs = append(*o.errs, fmt.Errorf("%s%s: %s", o.path, key, fmt.Sprintf(format, args...)))
}

// found returns a field's JSON, short enough for an error message.
func (o object) found(key string) string {
	const most = 60
	raw := o.fields[key]
	if len(raw) > most {
		return string([]rune(string(raw[:most]))) + "…"
	}
	return string(raw)
}

func (o object) kind(key string) strictjson.Kind {
	raw, ok := o.fields[key]
	if !ok {
		return strictjson.None
	}
	return scan(raw).Kind()
}

// has reports a field that is there and not null.
func (o object) has(key string) bool {
	k := o.kind(key)
	return k != strictjson.None && k != strictjson.Null
}

// int reads a whole number from lo to hi, or def where the field is absent.
func (o object) int(key string, def, lo, hi int) int {
	raw, ok := o.fields[key]
	if !ok {
		return def
	}
	n, err := parseInt(scan(raw))
	if err != nil || n < lo || n > hi {
		o.fail(key, "found %s, want a whole number from %d to %d", o.found(key), lo, hi)
		return def
	}
	return n
}

// intOrNull is int for a field in which null says none, which it returns as none.
func (o object) intOrNull(key string, def, none, lo, hi int) int {
	if o.kind(key) == strictjson.Null {
		return none
	}
	return o.int(key, def, lo, hi)
}

// ints reads a whole number or an array of them, each from lo to hi.
func (o object) ints(key string, lo, hi int) []int {
	if o.kind(key) == strictjson.Number {
		return []int{o.int(key, lo, lo, hi)}
	}
	ints, err := parseInts(scan(o.fields[key]), lo, hi)
	if err != nil {
		o.fail(key, "found %s, want a whole number from %d to %d or a list of such", o.found(key), lo, hi)
	}
	return ints
}

func parseInts(s *strictjson.Scanner, lo, hi int) (ints []int, err error) {
	err = s.Array(func(int) error {
		n, err := parseInt(s)
		if err != nil {
			return err
		}
		if n < lo || n > hi {
			return fmt.Errorf("%d is not from %d to %d", n, lo, hi)
		}
		ints = append(ints, n)
		return nil
	})
	return ints, err
}

func parseInt(s *strictjson.Scanner) (int, error) {
	text, err := s.Number()
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

// float reads a number from lo to hi, or def where the field is absent. NaN is in no range.
func (o object) float(key string, def, lo, hi float64) float64 {
	raw, ok := o.fields[key]
	if !ok {
		return def
	}
	v, err := parseFloat(scan(raw))
	if err != nil || !(v >= lo && v <= hi) {
		o.fail(key, "found %s, want a number from %g to %g", o.found(key), lo, hi)
		return def
	}
	return v
}

func parseFloat(s *strictjson.Scanner) (float64, error) {
	text, err := s.Number()
	if err != nil {
		return 0, err
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil && !math.IsInf(v, 0) {
		return 0, err
	}
	return v, nil // beyond float64 is ±Inf, as in Python, and in no range
}

func (o object) bool(key string, def bool) bool {
	raw, ok := o.fields[key]
	if !ok {
		return def
	}
	v, err := scan(raw).Bool()
	if err != nil {
		o.fail(key, "found %s, want true or false", o.found(key))
		return def
	}
	return v
}

// string reads a string, or def where the field is absent or null.
func (o object) string(key, def string) string {
	if !o.has(key) {
		return def
	}
	v, err := scan(o.fields[key]).String()
	if err != nil {
		o.fail(key, "found %s, want a string", o.found(key))
		return def
	}
	return v
}

// object reads an object, and reports whether it is there and not null.
func (o object) object(key string) (sub object, ok bool) {
	sub = object{path: o.path + key + ".", fields: map[string][]byte{}, errs: o.errs}
	if !o.has(key) {
		return sub, false
	}
	if err := sub.fill(o.fields[key]); err != nil {
		o.fail(key, "found %s, want an object", o.found(key))
		return sub, false
	}
	return sub, true
}

// array calls each for every element of an array. Absent and null count as empty.
func (o object) array(key string, each func(raw []byte) error) {
	if !o.has(key) {
		return
	}
	s := scan(o.fields[key])
	err := s.Array(func(int) error {
		raw, err := s.Raw()
		if err != nil {
			return err
		}
		return each(raw)
	})
	if err != nil {
		o.fail(key, "found %s: %v", o.found(key), err)
	}
}
