// Package load fills layers from a checkpoint by tensor name.
package load

import (
	"fmt"

	"idefics2/checkpoint"
	"idefics2/kernel"
	"idefics2/nn"
	"idefics2/tensor"
)

// Source is where tensors come from: a checkpoint, or memory that package measure fills.
type Source interface {
	// Take returns the tensor of that name, which must have that shape: see checkpoint.Checkpoint.
	Take(name string, shape ...int) (tensor.View, error)
	// TakeMatrix is Take, or returns a matrix that is kept in codes: see checkpoint.Checkpoint.
	TakeMatrix(name string, shape ...int) (tensor.View, checkpoint.Matrix, error)
	// Stored says what is stored under a name.
	Stored(name string) (checkpoint.Stored, bool)
}

// Loader takes tensors out of a source for the layers, and keeps the first error, so
// that a model is loaded in one sweep and checked once.
type Loader struct {
	Source Source
	// Narrow stores float32 and float16 matrices as bfloat16, rounded to nearest even, in
	// half the memory. Blocks are narrower still: they, norms, biases and latents stay as they are.
	Narrow bool
	// NF4, if not nil, says which matrices of floats are quantized to NF4 with double quantization, as
	// bitsandbytes does it.
	NF4 func(name string) bool
	// Took, if not nil, is called with the stored bytes of every tensor that was taken. When
	// it returns an error the sweep ends with it.
	Took func(bytes int64) error
	Err  error
}

// Weight takes a matrix [out, ...]. A -1 in shape takes what the file has.
func (l *Loader) Weight(name string, shape ...int) kernel.Weight {
	if l.Err != nil {
		return kernel.Weight{}
	}
	v, m, err := l.Source.TakeMatrix(name, shape...)
	if l.took(name, err); l.Err != nil {
		return kernel.Weight{}
	}
	if m != nil {
		return codesOf(m)
	}
	if l.NF4 != nil && l.NF4(name) {
		var w kernel.Weight
		w, l.Err = quantized(name, v)
		return w
	}
	if l.Narrow && (v.DType == tensor.F32 || v.DType == tensor.F16) {
		return narrow(v)
	}
	return nn.WeightOf(v)
}

// Floats takes a vector or small matrix as float32.
func (l *Loader) Floats(name string, shape ...int) []float32 {
	v := l.take(name, shape)
	if l.Err != nil {
		return nil
	}
	return v.Floats()
}

// Linear takes name.weight [out, in] and, where bias is true, name.bias [out].
func (l *Loader) Linear(name string, out, in int, bias bool) nn.Linear {
	linear := nn.Linear{Name: name, W: l.Weight(name+".weight", out, in)}
	if bias {
		linear.Bias = l.Floats(name+".bias", out)
	}
	return linear
}

// LayerNorm takes name.weight and name.bias [c].
func (l *Loader) LayerNorm(name string, c int, eps float64) nn.LayerNorm {
	return nn.LayerNorm{Name: name, Gain: l.Floats(name+".weight", c), Bias: l.Floats(name+".bias", c), Eps: float32(eps)}
}

// RMSNorm takes name.weight [c].
func (l *Loader) RMSNorm(name string, c int, eps float64) nn.RMSNorm {
	return nn.RMSNorm{Name: name, Gain: l.Floats(name+".weight", c), Eps: float32(eps)}
}

// GatedMLP takes name.gate_proj, up_proj [inner, in] and down_proj [out, inner].
func (l *Loader) GatedMLP(name string, in, inner, out int, act checkpoint.Activation) nn.GatedMLP {
	return nn.GatedMLP{
		Gate: l.Linear(name+".gate_proj", inner, in, false),
		Up:   l.Linear(name+".up_proj", inner, in, false),
		Down: l.Linear(name+".down_proj", out, inner, false),
		Act:  l.Activation(act),
	}
}

// Activation returns the kernel of an activation that a configuration names.
func (l *Loader) Activation(a checkpoint.Activation) kernel.Activation {
	act, err := kernel.ParseActivation(a.String())
	if err != nil && l.Err == nil {
		l.Err = fmt.Errorf("load: %w", err)
	}
	return act
}

func (l *Loader) take(name string, shape []int) tensor.View {
	if l.Err != nil {
		return tensor.View{}
	}
	v, err := l.Source.Take(name, shape...)
	l.took(name, err)
	return v
}

// took tells of a tensor that was taken, unless that failed.
func (l *Loader) took(name string, err error) {
	if err == nil && l.Took != nil {
		stored, _ := l.Source.Stored(name)
		err = l.Took(stored.Bytes)
	}
	l.Err = err
}
