package tensor

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"

	"idefics2/internal/half"
)

// View is a stored tensor: little-endian elements, row-major, in the type that
// the file keeps them in. Data is usually mapped and must not be written.
type View struct {
	DType DType
	Shape []int // empty for a scalar
	Data  []byte
}

// Len returns the number of elements.
func (v View) Len() int {
	n := 1
	for _, d := range v.Shape {
		n *= d
	}
	return n
}

// Bytes16 views the elements of an F16 or BF16 tensor as 16-bit words. It shares
// memory with v where alignment and byte order allow, and copies otherwise: the
// safetensors format does not promise alignment.
func (v View) Bytes16() []uint16 {
	if v.DType.Bits() != 16 {
		panic("tensor: Bytes16 of " + v.DType.String())
	}
	n := v.Len()
	if n == 0 {
		return nil
	}
	if p := unsafe.Pointer(unsafe.SliceData(v.Data)); littleEndian && uintptr(p)%2 == 0 {
		return unsafe.Slice((*uint16)(p), n)
	}
	out := make([]uint16, n)
	for i := range out {
		out[i] = binary.LittleEndian.Uint16(v.Data[2*i:])
	}
	return out
}

// Floats returns the elements of an F32, F16 or BF16 tensor as float32. An aligned
// F32 tensor is viewed where it is; everything else is converted into new memory.
func (v View) Floats() []float32 {
	n := v.Len()
	if n == 0 {
		return nil
	}
	if p := unsafe.Pointer(unsafe.SliceData(v.Data)); v.DType == F32 && littleEndian && uintptr(p)%4 == 0 {
		return unsafe.Slice((*float32)(p), n)
	}
	out := make([]float32, n)
	switch v.DType {
	case F32:
		for i := range out {
			out[i] = math.Float32frombits(binary.LittleEndian.Uint32(v.Data[4*i:]))
		}
	case BF16:
		for i := range out {
			out[i] = half.BF16ToF32(binary.LittleEndian.Uint16(v.Data[2*i:]))
		}
	case F16:
		for i := range out {
			out[i] = half.F16ToF32(binary.LittleEndian.Uint16(v.Data[2*i:]))
		}
	default:
		panic(fmt.Sprintf("tensor: Floats of %v", v.DType))
	}
	return out
}

var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1
