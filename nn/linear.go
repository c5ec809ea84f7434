// Package nn holds the layers that the model's three parts are built from. A layer
// owns parameters and nothing else: activations belong to the caller, and the
// arithmetic to kernel.
package nn

import (
	"fmt"

	"idefics2/kernel"
	"idefics2/tensor"
)

// Linear is y = x·Wᵀ + b. W is [Out, In] in the type it is stored in.
type Linear struct {
	Name      string // of the module, as in the checkpoint
	W         kernel.Weight
	Bias      []float32 // [Out], or nil
	DW, DBias []float32 // their gradients; nil while they are frozen
	Adapter   *Adapter  // what is added to the product; or nil

	// See, if not nil, is shown the input x [N, In] of every Forward, before the product.
	See func(x tensor.Mat)
}

// Forward writes y [N, Out] for x [N, In].
func (l *Linear) Forward(t *kernel.Team, y, x tensor.Mat) {
	l.check(y, x)
	if l.See != nil {
		l.See(x)
	}
	if l.Adapter != nil {
		l.Adapter.forward(t, l, y, x)
		return
	}
	t.MatMul(y.Data, x.Data, x.Rows, &l.W, l.Bias)
}

// Backward adds to dx, unless it is empty, and to the gradients, unless they are frozen.
func (l *Linear) Backward(t *kernel.Team, dx, dy, x tensor.Mat) {
	l.check(dy, x)
	if l.DBias != nil {
		t.MatMulDBias(l.DBias, dy.Data, dy.Rows)
	}
	if l.Adapter != nil {
		l.Adapter.backward(t, l, dx, dy, x)
		return
	}
	l.product(t, dx, dy, x)
}

// product is Backward of the product alone.
func (l *Linear) product(t *kernel.Team, dx, dy, x tensor.Mat) {
	if dx.Data != nil {
		t.MatMulDX(dx.Data, dy.Data, dy.Rows, &l.W)
	}
	if l.DW != nil {
		t.MatMulDW(l.DW, dy.Data, x.Data, x.Rows, l.W.Out, l.W.In)
	}
}

// Trained reports whether Backward has a gradient of l's own to add to.
func (l *Linear) Trained() bool { return l.DW != nil || l.DBias != nil || l.Adapter != nil }

func (l *Linear) check(y, x tensor.Mat) {
	if x.Cols != l.W.In || y.Cols != l.W.Out || x.Rows != y.Rows {
		panic(fmt.Sprintf("nn: Linear [%d, %d] from [%d, %d] to [%d, %d]", l.W.Out, l.W.In, x.Rows, x.Cols, y.Rows, y.Cols))
	}
}

// WeightOf views a stored matrix [Out, ...] as a weight of Out rows, without copying
// where the mapping's alignment allows. Rows of a type of blocks are whole blocks.
func WeightOf(v tensor.View) kernel.Weight {
	w := kernel.Weight{Out: v.Shape[0], In: v.Len() / v.Shape[0]}
	switch v.DType {
	case tensor.F32:
		w.F32 = v.Floats()
	case tensor.BF16:
		w.BF16 = v.Bytes16()
	case tensor.F16:
		w.F16 = v.Bytes16()
	case tensor.Q8_0:
		w.Q8_0 = v.Data
	case tensor.Q6_K:
		w.Q6_K = v.Data
	case tensor.Q4_K:
		w.Q4_K = v.Data
	case tensor.Q4_0:
		w.Q4_0 = v.Data
	default:
		panic("nn: weight of type " + v.DType.String())
	}
	return w
}

// Embedding is a table [V, C] whose rows are looked up.
type Embedding struct {
	Name string // of the module
	W    kernel.Weight
	DW   []float32 // its gradient; nil while it is frozen
}

// Backward adds row i of dy [N, C] to the gradient of row ids[i], in their order. A negative id has
// none.
func (e *Embedding) Backward(dy tensor.Mat, ids []int32) {
	if e.DW == nil {
		return
	}
	for i, id := range ids {
		if id < 0 {
			continue
		}
		to := e.DW[int(id)*e.W.In:][:e.W.In]
		for j, v := range dy.Row(i) {
			to[j] += v
		}
	}
}

// Forward writes row ids[i] of the table to row i of y [N, C]. Ids outside the table
// are a bug of the caller, who checked them.
func (e *Embedding) Forward(y tensor.Mat, ids []int32) {
	for i, id := range ids {
		e.W.Row(y.Row(i), int(id))
	}
}
