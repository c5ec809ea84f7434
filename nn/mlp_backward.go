package nn

import (
	"idefics2/kernel"
	"idefics2/tensor"
)

// MLPGradients is the memory of Backward. It grows like MLPScratch, and may be shared likewise.
type MLPGradients struct {
	a, b, inner, d tensor.Mat
}

// Backward adds to dx, unless it is empty, and to the gradients that are not frozen. s holds what
// Forward kept of x, or nothing: then that is computed again, rows by rows.
func (m *MLP) Backward(t *kernel.Team, s *MLPScratch, g *MLPGradients, dx, dy, x tensor.Mat) {
	for at := 0; at < x.Rows; at += mlpRows {
		end := min(x.Rows, at+mlpRows)
		xs, dys := x.Slice(at, end), dy.Slice(at, end)
		a := kept(s, s.a, at, end)
		if a.Data == nil {
			a = g.a.Reshape(end-at, m.Up.W.Out)
			m.Up.Forward(t, a, xs)
		}
		inner := g.inner.Reshape(a.Rows, a.Cols)
		if m.Down.Trained() {
			t.Activate(inner.Data, a.Data, m.Act)
		}
		d := g.d.Reshape(a.Rows, a.Cols)
		clear(d.Data)
		m.Down.Backward(t, d, dys, inner)
		t.ActivateGrad(d.Data, a.Data, d.Data, m.Act)
		m.Up.Backward(t, part(dx, at, end), d, xs)
	}
}

// Backward adds to dx, unless it is empty, and to the gradients that are not frozen. s is as for MLP.
func (m *GatedMLP) Backward(t *kernel.Team, s *MLPScratch, g *MLPGradients, dx, dy, x tensor.Mat) {
	for at := 0; at < x.Rows; at += mlpRows {
		end := min(x.Rows, at+mlpRows)
		xs, dys := x.Slice(at, end), dy.Slice(at, end)
		gate, up := kept(s, s.a, at, end), kept(s, s.b, at, end)
		if gate.Data == nil {
			gate, up = g.a.Reshape(end-at, m.Gate.W.Out), g.b.Reshape(end-at, m.Up.W.Out)
			m.Gate.Forward(t, gate, xs)
			m.Up.Forward(t, up, xs)
		}
		inner := g.inner.Reshape(gate.Rows, gate.Cols)
		if m.Down.Trained() {
			t.ActivateMul(inner.Data, gate.Data, up.Data, m.Act)
		}
		d := g.d.Reshape(gate.Rows, gate.Cols)
		clear(d.Data)
		m.Down.Backward(t, d, dys, inner)
		// inner's values have been used: it takes the gradient of gate, and d that of up.
		t.ActivateMulGrad(inner.Data, d.Data, d.Data, gate.Data, up.Data, m.Act)
		m.Gate.Backward(t, part(dx, at, end), inner, xs)
		m.Up.Backward(t, part(dx, at, end), d, xs)
	}
}

// kept returns rows of what Forward kept, or nothing.
func kept(s *MLPScratch, m tensor.Mat, lo, hi int) tensor.Mat {
	if s.Keep == nil {
		return tensor.Mat{}
	}
	return m.Slice(lo, hi)
}

// part is Slice of a matrix that may be empty.
func part(m tensor.Mat, lo, hi int) tensor.Mat {
	if m.Data == nil {
		return m
	}
	return m.Slice(lo, hi)
}

// Trained reports whether any of m's layers has a gradient.
func (m *MLP) Trained() bool { return m.Up.Trained() || m.Down.Trained() }

// Trained reports whether any of m's layers has a gradient.
func (m *GatedMLP) Trained() bool { return m.Gate.Trained() || m.Up.Trained() || m.Down.Trained() }
