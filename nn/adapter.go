package nn

import (
	"math"

	"idefics2/kernel"
	"idefics2/tensor"
)

// Adapter adds a product of low rank to that of a Linear (Hu et al., LoRA, 2021), with u the
// input after dropout:
//
//	y = W·x + b + s·B·A·u
//
// With a Magnitude m it is DoRA (Liu et al., 2024): V = W + s·B·A, and with g[i] = m[i]/‖V[i]‖ in
// place of the sum, as PEFT does it,
//
//	y = W·x + b + (g - 1)·W·u + g·s·B·A·u      which is g·V·x + b without dropout
//
// The norms are constants to the gradient, as there. W stays frozen. Call Refresh after a change.
type Adapter struct {
	Rank      int
	Scale     float32   // s
	A, B      []float32 // [Rank, In], [Out, Rank]
	Magnitude []float32 // [Out]; nil without DoRA

	DA, DB, DMagnitude []float32 // gradients; nil while frozen

	// Dropout is the share of u that is zero while Training, the rest being 1/(1 - Dropout)
	// times x. What is zero is a function of Noise and of the values of the row alone, so that
	// it is the same when an activation is computed again, and whatever else is in a batch.
	Dropout  float64
	Training bool
	Noise    Noise

	Scratch *AdapterScratch // may be shared by all; nil for one of its own

	gain []float32 // g
}

// AdapterScratch is the memory that an adapter works in.
type AdapterScratch struct{ u, z, base, low, dz, c tensor.Mat }

func (a *Adapter) scratch() *AdapterScratch {
	if a.Scratch == nil {
		a.Scratch = &AdapterScratch{}
	}
	return a.Scratch
}

// Refresh computes what depends on the weights alone.
func (a *Adapter) Refresh(l *Linear) {
	if a.Magnitude == nil {
		return
	}
	a.gain = make([]float32, l.W.Out)
	a.Norms(l, a.gain)
	for i, n := range a.gain {
		a.gain[i] = a.Magnitude[i] / n
	}
}

// Norms writes the norms of the rows of W + s·B·A to dst, unless it is empty.
func (a *Adapter) Norms(l *Linear, dst []float32) {
	row := make([]float32, l.W.In)
	for i := range dst {
		a.Merged(row, l, i)
		var square float64
		for _, v := range row {
			square += float64(v) * float64(v)
		}
		dst[i] = float32(math.Sqrt(square))
	}
}

// Merged writes row i of W + s·B·A.
func (a *Adapter) Merged(row []float32, l *Linear, i int) {
	l.W.Row(row, i)
	for r, b := range a.B[i*a.Rank:][:a.Rank] {
		b *= a.Scale
		for j, v := range a.A[r*len(row):][:len(row)] {
			row[j] += b * v
		}
	}
}

// MergedWeight returns the matrix that has the adapter's effect without it.
func (a *Adapter) MergedWeight(l *Linear) kernel.Weight {
	w := kernel.Weight{Out: l.W.Out, In: l.W.In, F32: make([]float32, l.W.Out*l.W.In)}
	a.Refresh(l)
	for i := range w.Out {
		row := w.F32[i*w.In:][:w.In]
		a.Merged(row, l, i)
		if a.gain != nil {
			for j := range row {
				row[j] *= a.gain[i]
			}
		}
	}
	return w
}

func (a *Adapter) down(l *Linear) *kernel.Weight {
	return &kernel.Weight{Out: a.Rank, In: l.W.In, F32: a.A}
}

func (a *Adapter) up(l *Linear) *kernel.Weight {
	return &kernel.Weight{Out: l.W.Out, In: a.Rank, F32: a.B}
}

// dropped returns u, which is x itself without dropout.
func (a *Adapter) dropped(x tensor.Mat) tensor.Mat {
	if !a.Training || a.Dropout == 0 {
		return x
	}
	u := a.scratch().u.Reshape(x.Rows, x.Cols)
	copy(u.Data, x.Data)
	for r := range u.Rows {
		a.Noise.Row(x.Row(r)).Drop(u.Row(r), a.Dropout)
	}
	return u
}

// lower writes z = s·A·u and returns B·z.
func (a *Adapter) lower(t *kernel.Team, l *Linear, u tensor.Mat) tensor.Mat {
	z := a.scratch().z.Reshape(u.Rows, a.Rank)
	t.MatMul(z.Data, u.Data, u.Rows, a.down(l), nil)
	for i := range z.Data {
		z.Data[i] *= a.Scale
	}
	low := a.scratch().low.Reshape(u.Rows, l.W.Out)
	t.MatMul(low.Data, z.Data, u.Rows, a.up(l), nil)
	return low
}

func (a *Adapter) forward(t *kernel.Team, l *Linear, y, x tensor.Mat) {
	u := a.dropped(x)
	switch {
	case a.Magnitude == nil:
		t.MatMul(y.Data, x.Data, x.Rows, &l.W, l.Bias)
		t.Add(y.Data, a.lower(t, l, u).Data)
	case &u.Data[0] == &x.Data[0]:
		t.MatMul(y.Data, x.Data, x.Rows, &l.W, nil)
		t.Add(y.Data, a.lower(t, l, u).Data)
		for r := range y.Rows {
			row := y.Row(r)
			for i, g := range a.gain {
				row[i] *= g
			}
			for i, b := range l.Bias {
				row[i] += b
			}
		}
	default:
		t.MatMul(y.Data, x.Data, x.Rows, &l.W, l.Bias)
		base, low := a.scratch().base.Reshape(y.Rows, y.Cols), a.lower(t, l, u)
		t.MatMul(base.Data, u.Data, u.Rows, &l.W, nil)
		for r := range y.Rows {
			row, b, lo := y.Row(r), base.Row(r), low.Row(r)
			for i, g := range a.gain {
				row[i] += (g-1)*b[i] + g*lo[i]
			}
		}
	}
}

// backward adds to dx and the gradients. With c = g⊙dy, or dy without DoRA,
//
//	dB = s·cᵀ·(A·u),  dz = s·Bᵀ·c,  dA = dzᵀ·u,  du = Aᵀ·dz [+ Wᵀ·(c - dy)],  dm[i] = Σ dy[i]·(V·u)[i]/‖V[i]‖
//
// and dx is Wᵀ·dy, and du where u is not zero.
func (a *Adapter) backward(t *kernel.Team, l *Linear, dx, dy, x tensor.Mat) {
	u := a.dropped(x)
	drops := &u.Data[0] != &x.Data[0]
	c, low := dy, tensor.Mat{}
	if a.Magnitude != nil {
		c = a.scratch().c.Reshape(dy.Rows, dy.Cols)
		for r := range c.Rows {
			to, from := c.Row(r), dy.Row(r)
			for i, g := range a.gain {
				to[i] = g * from[i]
			}
		}
	}
	low = a.lower(t, l, u) // and z
	if a.DMagnitude != nil {
		base := a.scratch().base.Reshape(dy.Rows, dy.Cols)
		t.MatMul(base.Data, u.Data, u.Rows, &l.W, nil)
		t.Add(base.Data, low.Data)
		for i, v := range c.Data {
			base.Data[i] *= v
		}
		sum := make([]float32, l.W.Out)
		t.MatMulDBias(sum, base.Data, base.Rows)
		for i, s := range sum { // g = m/‖V‖, so dy·V·u/‖V‖ = c·V·u/m
			a.DMagnitude[i] += s / a.Magnitude[i]
		}
	}
	if a.DB != nil {
		t.MatMulDW(a.DB, c.Data, a.scratch().z.Data, c.Rows, l.W.Out, a.Rank)
	}
	dz := a.scratch().dz.Reshape(c.Rows, a.Rank)
	clear(dz.Data)
	t.MatMulDX(dz.Data, c.Data, c.Rows, a.up(l))
	for i := range dz.Data {
		dz.Data[i] *= a.Scale
	}
	if a.DA != nil {
		t.MatMulDW(a.DA, dz.Data, u.Data, u.Rows, a.Rank, l.W.In)
	}
	if !drops {
		l.product(t, dx, c, x)
		if dx.Data != nil {
			t.MatMulDX(dx.Data, dz.Data, dz.Rows, a.down(l))
		}
		return
	}
	l.product(t, dx, dy, x)
	if dx.Data == nil {
		return
	}
	du := a.scratch().base.Reshape(x.Rows, x.Cols)
	clear(du.Data)
	t.MatMulDX(du.Data, dz.Data, dz.Rows, a.down(l))
	if a.Magnitude != nil {
		for i, v := range dy.Data {
			c.Data[i] -= v
		}
		t.MatMulDX(du.Data, c.Data, c.Rows, &l.W)
	}
	for r := range du.Rows {
		a.Noise.Row(x.Row(r)).Drop(du.Row(r), a.Dropout)
	}
	t.Add(dx.Data, du.Data)
}

func (a *Adapter) params(l *Linear, add func(Param)) {
	own := func(p Param) {
		p.Adapter = true
		add(p)
	}
	own(VectorParam(l.Name+".lora_A.weight", &a.A, &a.DA, a.Rank, l.W.In))
	own(VectorParam(l.Name+".lora_B.weight", &a.B, &a.DB, l.W.Out, a.Rank))
	if a.Magnitude != nil {
		own(VectorParam(l.Name+".lora_magnitude_vector", &a.Magnitude, &a.DMagnitude, l.W.Out))
	}
}
