package kernel

import "math"

// ActivateGrad computes dx = dy·a'(x) elementwise; dx may be x or dy.
func (t *Team) ActivateGrad(dx, x, dy []float32, a Activation) {
	want("ActivateGrad", "x", len(x), len(dx))
	want("ActivateGrad", "dy", len(dy), len(dx))
	t.activateGrad = activateGradTask{a: a, dx: dx, x: x, dy: dy}
	t.pool.Run(pieces(len(dx), elementsPerPiece), &t.activateGrad)
	t.activateGrad = activateGradTask{}
}

// ActivateMulGrad computes the gradients of y = a(gate)·up from dy, elementwise:
// dgate = dy·up·a'(gate) and dup = dy·a(gate). dgate may be gate, and dup up.
func (t *Team) ActivateMulGrad(dgate, dup, dy, gate, up []float32, a Activation) {
	for _, o := range []struct {
		name string
		n    int
	}{{"dup", len(dup)}, {"dy", len(dy)}, {"gate", len(gate)}, {"up", len(up)}} {
		want("ActivateMulGrad", o.name, o.n, len(dgate))
	}
	t.activateGrad = activateGradTask{a: a, dx: dgate, x: gate, dy: dy, up: up, dup: dup}
	t.pool.Run(pieces(len(dgate), elementsPerPiece), &t.activateGrad)
	t.activateGrad = activateGradTask{}
}

type activateGradTask struct {
	a         Activation
	dx, x, dy []float32
	up, dup   []float32 // nil for ActivateGrad
}

func (t *activateGradTask) Do(i, _ int) {
	lo, hi := i*elementsPerPiece, min(len(t.dx), (i+1)*elementsPerPiece)
	if t.up == nil {
		activateGrad(t.dx[lo:hi], t.x[lo:hi], t.dy[lo:hi], t.a)
		return
	}
	var activated [256]float32 // dup may be up, and dgate gate
	for ; lo < hi; lo += len(activated) {
		end := min(hi, lo+len(activated))
		act := activated[:end-lo]
		activate(act, t.x[lo:end], t.a)
		activateMulGrad(t.dx[lo:end], t.x[lo:end], t.dy[lo:end], t.up[lo:end], t.a)
		for j, dy := range t.dy[lo:end] {
			t.dup[lo+j] = dy * act[j]
		}
	}
}

func activateGradGeneric(dx, x, dy []float32, a Activation) {
	x, dy = x[:len(dx)], dy[:len(dx)]
	for i, v := range x {
		dx[i] = dy[i] * a.slope(v)
	}
}

func activateMulGradGeneric(dx, x, dy, up []float32, a Activation) {
	x, dy, up = x[:len(dx)], dy[:len(dx)], up[:len(dx)]
	for i, v := range x {
		dx[i] = dy[i] * up[i] * a.slope(v)
	}
}

// slope returns a'(x).
func (a Activation) slope(x float32) float32 {
	v := float64(x)
	switch a {
	case GELUTanh: // as x·s, s = 1/(1 + e^-z): s + x·z'·s·(1-s)
		z := 2 * 0.7978845608028654 * v * (1 + 0.044715*v*v)
		slope := 2 * 0.7978845608028654 * (1 + 3*0.044715*v*v)
		s := 1 / (1 + math.Exp(-z))
		return float32(s * (1 + v*slope*(1-s)))
	case GELU:
		return float32(0.5*math.Erfc(-v/math.Sqrt2) + v*math.Exp(-v*v/2)/math.Sqrt(2*math.Pi))
	case SiLU:
		s := 1 / (1 + math.Exp(-v))
		return float32(s * (1 + v*(1-s)))
	default: // ReLU
		if x > 0 {
			return 1
		}
		return 0
	}
}
