// Package tensor holds types, shapes and views over bytes. It does no arithmetic.
package tensor

import "fmt"

// DType is the element type of a stored tensor. The set is that of the
// safetensors format (spec: github.com/huggingface/safetensors, dtype.rs);
// the sub-byte types are listed so that a file holding them is refused by name.
type DType uint8

// The element types, by falling size, and those of blocks.
const (
	Invalid DType = iota
	F64
	I64
	U64
	C64
	F32
	I32
	U32
	F16
	BF16
	I16
	U16
	F8E4M3
	F8E5M2
	F8E8M0
	I8
	U8
	Bool
	F6E2M3
	F6E3M2
	F4

	// Blocks of GGUF files, which safetensors does not know: see DType.Block.
	Q8_0
	Q6_K
	Q4_K
	Q4_0
)

var dtypes = [...]struct {
	name string
	bits int
}{
	Invalid: {"invalid", 0},
	F64:     {"F64", 64}, I64: {"I64", 64}, U64: {"U64", 64}, C64: {"C64", 64},
	F32: {"F32", 32}, I32: {"I32", 32}, U32: {"U32", 32},
	F16: {"F16", 16}, BF16: {"BF16", 16}, I16: {"I16", 16}, U16: {"U16", 16},
	F8E4M3: {"F8_E4M3", 8}, F8E5M2: {"F8_E5M2", 8}, F8E8M0: {"F8_E8M0", 8},
	I8: {"I8", 8}, U8: {"U8", 8}, Bool: {"BOOL", 8},
	F6E2M3: {"F6_E2M3", 6}, F6E3M2: {"F6_E3M2", 6}, F4: {"F4", 4},
	Q8_0: {"Q8_0", 0}, Q6_K: {"Q6_K", 0}, Q4_K: {"Q4_K", 0}, Q4_0: {"Q4_0", 0},
}

// String returns the name that safetensors uses, such as "BF16".
func (d DType) String() string {
	if int(d) >= len(dtypes) {
		return fmt.Sprintf("DType(%d)", uint8(d))
	}
	return dtypes[d].name
}

// Block returns the number of elements that are stored together, and their bytes, of a type
// of blocks: a row of a matrix is a whole number of them. It is 0, 0 for other types.
func (d DType) Block() (elements, bytes int) {
	switch d {
	case Q8_0:
		return 32, 34
	case Q6_K:
		return 256, 210
	case Q4_K:
		return 256, 144
	case Q4_0:
		return 32, 18
	}
	return 0, 0
}

// Bits returns the size of one element in bits, and 0 for types of blocks.
func (d DType) Bits() int {
	if int(d) >= len(dtypes) {
		return 0
	}
	return dtypes[d].bits
}

// Float reports whether d is one of the types that weights are used in: F32, F16 or BF16.
func (d DType) Float() bool { return d == F32 || d == F16 || d == BF16 }

// ParseDType returns the type that safetensors calls name.
func ParseDType(name string) (DType, bool) {
	for d, info := range dtypes {
		if info.bits != 0 && info.name == name {
			return DType(d), true
		}
	}
	return Invalid, false
}
