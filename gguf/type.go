package gguf

import (
	"fmt"
	"math/bits"

	"idefics2/quant"
)

// Type is the number of a tensor's format, as files hold it.
type Type uint32

// The types that this module computes with. Files may hold others, which are listed by
// name and size, and whose bytes can be copied.
const (
	F32  Type = 0
	F16  Type = 1
	Q4_0 Type = 2
	Q8_0 Type = 8
	Q4_K Type = 12
	Q6_K Type = 14
	BF16 Type = 30
)

// types has the block of every type: its values and its bytes (llama.cpp ggml.c, type_traits).
var types = map[Type]struct {
	name          string
	values, bytes int
}{
	F32: {"F32", 1, 4}, F16: {"F16", 1, 2}, Q4_0: {"Q4_0", 32, 18}, 3: {"Q4_1", 32, 20},
	6: {"Q5_0", 32, 22}, 7: {"Q5_1", 32, 24}, Q8_0: {"Q8_0", 32, 34}, 10: {"Q2_K", 256, 84},
	11: {"Q3_K", 256, 110}, Q4_K: {"Q4_K", 256, 144}, 13: {"Q5_K", 256, 176}, Q6_K: {"Q6_K", 256, 210},
	15: {"Q8_K", 256, 292}, 16: {"IQ2_XXS", 256, 66}, 17: {"IQ2_XS", 256, 74}, 18: {"IQ3_XXS", 256, 98},
	19: {"IQ1_S", 256, 50}, 20: {"IQ4_NL", 32, 18}, 21: {"IQ3_S", 256, 110}, 22: {"IQ2_S", 256, 82},
	23: {"IQ4_XS", 256, 136}, 24: {"I8", 1, 1}, 25: {"I16", 1, 2}, 26: {"I32", 1, 4}, 27: {"I64", 1, 8},
	28: {"F64", 1, 8}, 29: {"IQ1_M", 256, 56}, BF16: {"BF16", 1, 2}, 34: {"TQ1_0", 256, 54},
	35: {"TQ2_0", 256, 66}, 39: {"MXFP4", 32, 17},
}

// String returns the type's name in capitals, as llama.cpp writes it.
func (t Type) String() string {
	if info, ok := types[t]; ok {
		return info.name
	}
	return fmt.Sprintf("Type(%d)", uint32(t))
}

// TypeOf returns the type that files use for t.
func TypeOf(t quant.Type) Type { return Type(t.GGUF()) }

// Quant returns the codec of the type, and false for one that cannot be decoded here.
func (t Type) Quant() (quant.Type, bool) { return quant.OfGGUF(uint32(t)) }

// size returns the bytes of a tensor: rows of whole blocks.
func (t Type) size(shape []int) (uint64, error) {
	info, ok := types[t]
	if !ok {
		return 0, fmt.Errorf("tensor type %d is unknown", uint32(t))
	}
	n, row := uint64(1), 1
	for _, d := range shape {
		hi, lo := bits.Mul64(n, uint64(d))
		if d < 0 || hi != 0 {
			return 0, fmt.Errorf("the product of shape %v overflows or is negative", shape)
		}
		n, row = lo, d
	}
	if row%info.values != 0 {
		return 0, fmt.Errorf("%v of shape %v: rows of %d values, want whole blocks of %d", t, shape, row, info.values)
	}
	hi, size := bits.Mul64(n/uint64(info.values), uint64(info.bytes))
	if hi != 0 || size > 1<<62 {
		return 0, fmt.Errorf("the product of shape %v overflows", shape)
	}
	return size, nil
}
