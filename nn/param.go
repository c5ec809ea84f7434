package nn

import "idefics2/kernel"

// Param is one tensor that can be trained, under its name in the checkpoint. It is frozen at
// first: used as it is stored, with no gradient and no copy.
type Param struct {
	Name    string
	Shape   []int   // [Out, In] of every matrix, also of the patches' convolution
	Linear  *Linear // whose matrix this is; nil for all others
	Adapter bool    // it belongs to an Adapter

	matrix *kernel.Weight // one of the two
	vector *[]float32
	grad   *[]float32
	tied   *Linear // has the same matrix and gradient
}

// Len returns the number of values.
func (p *Param) Len() int {
	n := 1
	for _, d := range p.Shape {
		n *= d
	}
	return n
}

// Train gives the tensor float32 values of its own, in memory that it owns, and a gradient of
// zeros.
func (p *Param) Train() {
	if p.Trained() {
		return
	}
	p.Set(p.Floats())
	*p.grad = make([]float32, p.Len())
	if p.tied != nil {
		p.tied.DW = *p.grad
	}
}

// Freeze takes the gradient away. The values stay as they are.
func (p *Param) Freeze() {
	*p.grad = nil
	if p.tied != nil {
		p.tied.DW = nil
	}
}

// Set makes values, which the tensor then owns, take the place of what it has.
func (p *Param) Set(values []float32) {
	if len(values) != p.Len() {
		panic("nn: Set of " + p.Name + ": another number of values")
	}
	if p.matrix == nil {
		*p.vector = values
		return
	}
	*p.matrix = kernel.Weight{Out: p.matrix.Out, In: p.matrix.In, F32: values}
	if p.tied != nil {
		p.tied.W = *p.matrix
	}
}

// Trained reports whether the tensor has a gradient.
func (p *Param) Trained() bool { return *p.grad != nil }

// Values returns the values of a trained tensor, which may be written, and its gradient.
func (p *Param) Values() (values, grad []float32) {
	if !p.Trained() {
		panic("nn: Values of " + p.Name + ", which is frozen")
	}
	if p.matrix != nil {
		return p.matrix.F32, *p.grad
	}
	return *p.vector, *p.grad
}

// Floats returns a copy of the values in float32.
func (p *Param) Floats() []float32 {
	if p.matrix == nil {
		return append([]float32(nil), *p.vector...)
	}
	w := p.matrix
	out := make([]float32, w.Out*w.In)
	for i := range w.Out {
		w.Row(out[i*w.In:][:w.In], i)
	}
	return out
}

// VectorParam returns the Param of a vector or small matrix.
func VectorParam(name string, values, grad *[]float32, shape ...int) Param {
	return Param{Name: name, Shape: shape, vector: values, grad: grad}
}

// Params calls add with the matrix, the bias and what an adapter adds.
func (l *Linear) Params(add func(Param)) {
	add(Param{Name: l.Name + ".weight", Shape: []int{l.W.Out, l.W.In}, Linear: l, matrix: &l.W, grad: &l.DW})
	if l.Bias != nil {
		add(VectorParam(l.Name+".bias", &l.Bias, &l.DBias, l.W.Out))
	}
	if l.Adapter != nil {
		l.Adapter.params(l, add)
	}
}

// Params calls add with the table. tied, if not nil, is the output layer that shares it.
func (e *Embedding) Params(tied *Linear, add func(Param)) {
	add(Param{Name: e.Name + ".weight", Shape: []int{e.W.Out, e.W.In}, matrix: &e.W, grad: &e.DW, tied: tied})
}

// Params calls add with gain and bias.
func (l *LayerNorm) Params(add func(Param)) {
	add(VectorParam(l.Name+".weight", &l.Gain, &l.DGain, len(l.Gain)))
	add(VectorParam(l.Name+".bias", &l.Bias, &l.DBias, len(l.Bias)))
}

// Params calls add with the gain.
func (l *RMSNorm) Params(add func(Param)) {
	add(VectorParam(l.Name+".weight", &l.Gain, &l.DGain, len(l.Gain)))
}

// Params calls add with those of both layers.
func (m *MLP) Params(add func(Param)) {
	m.Up.Params(add)
	m.Down.Params(add)
}

// Params calls add with those of the three layers.
func (m *GatedMLP) Params(add func(Param)) {
	m.Gate.Params(add)
	m.Up.Params(add)
	m.Down.Params(add)
}
