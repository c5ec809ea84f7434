package quant

import "idefics2/tensor"

// dtypes pairs the types with what package tensor calls them.
var dtypes = [...]tensor.DType{
	F32: tensor.F32, F16: tensor.F16, BF16: tensor.BF16,
	Q8_0: tensor.Q8_0, Q6_K: tensor.Q6_K, Q4_K: tensor.Q4_K, Q4_0: tensor.Q4_0,
}

// DType returns the type as views of tensors name it.
func (t Type) DType() tensor.DType {
	t.codec() // panics for what is no type
	return dtypes[t]
}

// OfDType returns the type of a view's elements or blocks, and false for one that this
// package does not read.
func OfDType(d tensor.DType) (Type, bool) {
	for _, t := range Types() {
		if t.DType() == d {
			return t, true
		}
	}
	return 0, false
}
