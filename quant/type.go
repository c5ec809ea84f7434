// Package quant holds the formats in which matrices are stored in few bits: it encodes
// rows of float32 values into blocks, decodes them, and measures what is lost.
//
// Type names the formats of GGUF files, whose blocks lie inside one row: the byte layouts
// and roundings are those of llama.cpp (spec/checkpoint.md §8.2 and §8.3). NF4 and Int8 are
// matrices of bitsandbytes checkpoints, AWQ and GPTQ those of the two post-training methods
// of those names; these come in several tensors each (§5 to §7).
//
// The code is the reference for faster versions: plain Go, the same bits on every machine.
package quant

import (
	"fmt"
	"math"
	"strings"
)

// Type is a format of GGUF files that this package encodes and decodes. The zero value is
// no type.
type Type uint8

// The types, from wide to narrow. Bits per weight include the scales.
const (
	F32  Type = iota + 1 // 32 bits
	F16                  // 16 bits, IEEE binary16
	BF16                 // 16 bits, the upper half of a float32
	Q8_0                 // 8.5 bits: 32 bytes and a scale
	Q6_K                 // 6.5625 bits: 16 scales of 8 bits in 256 values
	Q4_K                 // 4.5 bits: 8 scales and minima of 6 bits in 256 values
	Q4_0                 // 4.5 bits: 32 codes around zero and a scale
)

// codec is what a type does with one block.
type codec struct {
	name   string
	gguf   uint32 // number in GGUF files
	values int    // in a block
	bytes  int    // of a block
	// encode writes a block of finite values. It returns false where one of them is too
	// large for the type's scale.
	encode func(block []byte, x []float32) bool
	decode func(x []float32, block []byte)
	// refine writes a block whose error, weighted with w, is less, or leaves it as it is; nil
	// for types that search nothing.
	refine func(block []byte, x, w []float32)
}

var codecs = [...]codec{
	F32:  {"f32", 0, 1, 4, nil, nil, nil},
	F16:  {"f16", 1, 1, 2, nil, nil, nil},
	BF16: {"bf16", 30, 1, 2, nil, nil, nil},
	Q8_0: {"q8_0", 8, 32, 34, encodeQ8_0, decodeQ8_0, nil},
	Q6_K: {"q6_k", 14, superValues, 210, encodeQ6_K, decodeQ6_K, refineQ6_K},
	Q4_K: {"q4_k", 12, superValues, 144, encodeQ4_K, decodeQ4_K, refineQ4_K},
	Q4_0: {"q4_0", 2, 32, 18, encodeQ4_0, decodeQ4_0, refineQ4_0},
}

// Types returns all types, from wide to narrow.
func Types() []Type { return []Type{F32, F16, BF16, Q8_0, Q6_K, Q4_K, Q4_0} }

// codec panics for what is no type: that is a bug of the caller.
func (t Type) codec() *codec {
	if t == 0 || int(t) >= len(codecs) {
		panic(fmt.Sprintf("quant: Type(%d) is no type", uint8(t)))
	}
	return &codecs[t]
}

// String returns the type's name, such as "q4_k".
func (t Type) String() string {
	if t == 0 || int(t) >= len(codecs) {
		return fmt.Sprintf("Type(%d)", uint8(t))
	}
	return codecs[t].name
}

// ParseType returns the type of that name, in capitals or not.
func ParseType(name string) (Type, error) {
	var names []string
	for _, t := range Types() {
		if strings.EqualFold(name, t.String()) {
			return t, nil
		}
		names = append(names, t.String())
	}
	return 0, fmt.Errorf("quant: type %.40q, want one of %s", name, strings.Join(names, ", "))
}

// MarshalText returns the type's name.
func (t Type) MarshalText() ([]byte, error) {
	if t == 0 || int(t) >= len(codecs) {
		return nil, fmt.Errorf("quant: %v has no name", t)
	}
	return []byte(t.String()), nil
}

// UnmarshalText is ParseType, so that a type can be a flag (flag.TextVar).
func (t *Type) UnmarshalText(text []byte) (err error) {
	*t, err = ParseType(string(text))
	return err
}

// Block returns the number of values in a block. Rows must be whole blocks.
func (t Type) Block() int { return t.codec().values }

// Bytes returns the size of a block.
func (t Type) Bytes() int { return t.codec().bytes }

// GGUF returns the type's number in GGUF files.
func (t Type) GGUF() uint32 { return t.codec().gguf }

// OfGGUF returns the type with that number in GGUF files, and false for one that this
// package does not read.
func OfGGUF(number uint32) (Type, bool) {
	for _, t := range Types() {
		if t.GGUF() == number {
			return t, true
		}
	}
	return 0, false
}

// Size returns the bytes of n values, and false where n is negative or no whole number of
// blocks.
func (t Type) Size(n int) (int, bool) {
	c := t.codec()
	if n < 0 || n%c.values != 0 || n/c.values > math.MaxInt/c.bytes {
		return 0, false
	}
	return n / c.values * c.bytes, true
}

// mustSize is Size for slices of our own: a wrong length is a bug.
func (t Type) mustSize(what string, values, bytes int) {
	if want, ok := t.Size(values); !ok || want != bytes {
		panic(fmt.Sprintf("quant: %s: %d values of %v (blocks of %d) and %d bytes do not belong together", what, values, t, t.Block(), bytes))
	}
}
