package load

import (
	"fmt"

	"idefics2/checkpoint"
	"idefics2/kernel"
	"idefics2/quant"
	"idefics2/tensor"
)

// codesOf returns a matrix in codes as kernels read it. Codes and scales are shared.
func codesOf(m checkpoint.Matrix) kernel.Weight {
	out, in := m.Shape()
	w := kernel.Weight{Out: out, In: in}
	switch m := m.(type) {
	case *quant.NF4:
		w.NF4 = nf4Of(m)
	case *quant.Grouped:
		w.Int4 = &kernel.Int4{Codes: m.Codes, Size: m.Size, Scales: m.Scales, Zeros: m.Zeros, Order: m.Order}
	case *quant.Int8:
		w.Int8 = &kernel.Int8{Codes: m.Codes, Scales: m.Scales}
	default:
		panic(fmt.Sprintf("load: matrix of type %T", m))
	}
	return w
}

func nf4Of(m *quant.NF4) *kernel.NF4 {
	w := &kernel.NF4{Codes: m.Codes, Table: m.Table, Block: m.BlockSize, Absmax: m.Absmax}
	if q := m.Nested; q != nil {
		w.Nested = &kernel.NestedScales{Codes: q.Codes, Table: q.Table, Block: q.BlockSize, Scales: q.Absmax, Offset: q.Offset}
	}
	switch m.DType {
	case tensor.BF16:
		w.Round = kernel.ToBF16
	case tensor.F16:
		w.Round = kernel.ToF16
	}
	return w
}

// quantized returns a stored matrix in NF4 with double quantization, its values rounded to the type
// that it is stored in, as those that bitsandbytes decodes.
func quantized(name string, v tensor.View) (kernel.Weight, error) {
	out := v.Shape[0]
	in := v.Len() / out
	m, err := quant.EncodeNF4(v.Floats(), out, in, quant.NF4Options{Double: true, DType: v.DType})
	if err != nil {
		return kernel.Weight{}, fmt.Errorf("load: %s: %w", name, err)
	}
	return codesOf(m), nil
}
