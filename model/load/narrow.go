package load

import (
	"encoding/binary"
	"math"

	"idefics2/internal/half"
	"idefics2/kernel"
	"idefics2/tensor"
)

// narrow copies a stored matrix as bfloat16, element by element, so that no second copy
// of the whole is ever held.
func narrow(v tensor.View) kernel.Weight {
	out := make([]uint16, v.Len())
	switch v.DType {
	case tensor.F32:
		for i := range out {
			out[i] = half.F32ToBF16(math.Float32frombits(binary.LittleEndian.Uint32(v.Data[4*i:])))
		}
	case tensor.F16:
		for i := range out {
			out[i] = half.F32ToBF16(half.F16ToF32(binary.LittleEndian.Uint16(v.Data[2*i:])))
		}
	default:
		panic("load: narrow of type " + v.DType.String())
	}
	return kernel.Weight{Out: v.Shape[0], In: v.Len() / v.Shape[0], BF16: out}
}
