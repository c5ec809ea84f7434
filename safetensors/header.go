package safetensors

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"

	"idefics2/internal/strictjson"
	"idefics2/tensor"
)

// Entry declares one tensor of a file.
type Entry struct {
	Name  string
	DType tensor.DType
	Shape []int // empty for a scalar
}

// size returns the bytes that e takes.
func (e Entry) size() (uint64, error) {
	n := uint64(1)
	for _, d := range e.Shape {
		if d < 0 {
			return 0, fmt.Errorf("%q: shape %v has a negative side", e.Name, e.Shape)
		}
		hi, lo := bits.Mul64(n, uint64(d))
		if hi != 0 {
			return 0, fmt.Errorf("%q: the product of shape %v overflows", e.Name, e.Shape)
		}
		n = lo
	}
	hi, n := bits.Mul64(n, uint64(e.DType.Bits()))
	if hi != 0 || n/8 > math.MaxInt64 {
		return 0, fmt.Errorf("%q: the product of shape %v overflows", e.Name, e.Shape)
	}
	if n%8 != 0 { // types of 4 and 6 bits
		return 0, fmt.Errorf("%q: %v of shape %v takes %d bits, want whole bytes", e.Name, e.DType, e.Shape, n)
	}
	return n / 8, nil
}

// located is an Entry with its place in the data.
type located struct {
	Entry
	begin, end uint64
}

// parseHeader reads the JSON, and nothing beyond it.
func parseHeader(text []byte) (entries []located, meta map[string]string, err error) {
	s := strictjson.New(text)
	err = s.Object(func(name string) error {
		if name == "__metadata__" {
			meta, err = parseMetadata(s)
			return err
		}
		if len(name) > maxName {
			return fmt.Errorf("tensor name of %d bytes, want at most %d", len(name), maxName)
		}
		if len(entries) == maxTensors {
			return fmt.Errorf("more than %d tensors", maxTensors)
		}
		e, err := parseEntry(s, name)
		if err != nil {
			return err
		}
		entries = append(entries, e)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	return entries, meta, s.End()
}

func parseMetadata(s *strictjson.Scanner) (map[string]string, error) {
	if s.Kind() == strictjson.Null { // an absent map, to the Rust reader
		return nil, s.Null()
	}
	meta := map[string]string{}
	err := s.Object(func(key string) (err error) {
		meta[key], err = s.String()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("__metadata__: %w", err)
	}
	return meta, nil
}

func parseEntry(s *strictjson.Scanner, name string) (located, error) {
	e := located{Entry: Entry{Name: name}}
	var offsets []uint64
	var hasShape bool
	err := s.Object(func(key string) error {
		switch key {
		case "dtype":
			text, err := s.String()
			if err != nil {
				return err
			}
			var ok bool
			if e.DType, ok = tensor.ParseDType(text); !ok {
				return fmt.Errorf("unknown dtype %.32q", text)
			}
		case "shape":
			hasShape = true
			dims, err := parseInts(s, maxRank)
			for _, d := range dims {
				if d > math.MaxInt {
					return fmt.Errorf("shape has a side of %d, want at most %d", d, math.MaxInt)
				}
				e.Shape = append(e.Shape, int(d))
			}
			return err
		case "data_offsets":
			var err error
			offsets, err = parseInts(s, 2)
			return err
		default: // the reference reader ignores fields that it does not know
			return s.Skip()
		}
		return nil
	})
	switch {
	case err != nil:
		return e, fmt.Errorf("%q: %w", name, err)
	case e.DType == tensor.Invalid || !hasShape || len(offsets) != 2:
		return e, fmt.Errorf("%q: want dtype, shape and two data_offsets", name)
	}
	e.begin, e.end = offsets[0], offsets[1]
	return e, nil
}

// parseInts reads an array of at most most numbers, none negative.
func parseInts(s *strictjson.Scanner, most int) (ints []uint64, err error) {
	err = s.Array(func(i int) error {
		if i == most {
			return fmt.Errorf("more than %d numbers", most)
		}
		text, err := s.Number()
		if err != nil {
			return err
		}
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return fmt.Errorf("%.32s is not a whole number from 0 to %d", text, uint64(math.MaxUint64))
		}
		ints = append(ints, n)
		return nil
	})
	return ints, err
}

// checkLayout checks that the entries, in the order of their places, cover exactly
// size bytes, and each as many as its shape and type need. It sorts them so.
func checkLayout(entries []located, size uint64) error {
	slices.SortFunc(entries, func(a, b located) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end), cmp.Compare(a.Name, b.Name))
	})
	at := uint64(0)
	for _, e := range entries {
		if e.begin != at || e.end < e.begin {
			return fmt.Errorf("%q: data_offsets [%d %d], want a begin of %d: tensors must follow one another without gap or overlap",
				e.Name, e.begin, e.end, at)
		}
		need, err := e.size()
		if err != nil {
			return err
		}
		if e.end-e.begin != need {
			return fmt.Errorf("%q: data_offsets [%d %d] hold %d bytes, %v of shape %v needs %d",
				e.Name, e.begin, e.end, e.end-e.begin, e.DType, e.Shape, need)
		}
		at = e.end
	}
	if at != size {
		return fmt.Errorf("tensors end at byte %d of the data, which has %d: truncated, or bytes follow the last tensor", at, size)
	}
	return nil
}
