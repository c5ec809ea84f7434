package kernel

import "math"

// AdamW are the numbers of one step of one group of parameters (Loshchilov and Hutter, Decoupled
// weight decay regularization, 2019).
type AdamW struct {
	Rate, Beta1, Beta2, Eps, Decay float64
	Step                           int     // counted from 1
	GradScale                      float64 // what gradients are multiplied by first
}

// AdamW updates the parameters p, and the means m of their gradients g and v of the squares, in the
// order of operations of torch.optim.AdamW:
//
//	p ← p·(1 - rate·decay)
//	m ← m + (1-β₁)·(g - m),  v ← β₂·v + (1-β₂)·g²
//	p ← p - rate/(1-β₁ᵗ) · m/(√v/√(1-β₂ᵗ) + ε)
func (t *Team) AdamW(p, m, v, g []float32, a AdamW) {
	want("AdamW", "m", len(m), len(p))
	want("AdamW", "v", len(v), len(p))
	want("AdamW", "g", len(g), len(p))
	t.adamW = adamWTask{
		p: p, m: m, v: v, g: g,
		scale: float32(a.GradScale), keep: float32(1 - a.Rate*a.Decay), eps: float32(a.Eps),
		first: float32(1 - a.Beta1), beta2: float32(a.Beta2), second: float32(1 - a.Beta2),
		size: float32(a.Rate / (1 - math.Pow(a.Beta1, float64(a.Step)))),
		root: float32(math.Sqrt(1 - math.Pow(a.Beta2, float64(a.Step)))),
	}
	t.pool.Run(pieces(len(p), elementsPerPiece), &t.adamW)
	t.adamW = adamWTask{}
}

type adamWTask struct {
	p, m, v, g                                         []float32
	scale, keep, eps, first, beta2, second, size, root float32
}

func (t *adamWTask) Do(i, _ int) {
	lo, hi := i*elementsPerPiece, min(len(t.p), (i+1)*elementsPerPiece)
	p, m, v, g := t.p[lo:hi], t.m[lo:hi], t.v[lo:hi], t.g[lo:hi]
	t.update(p, m, v, g)
}

func (t *adamWTask) updateGeneric(p, m, v, g []float32) {
	for j := range p {
		d := g[j] * t.scale
		m[j] += float32(t.first * (d - m[j]))
		v[j] = float32(v[j]*t.beta2) + float32(t.second*float32(d*d))
		under := float32(math.Sqrt(float64(v[j])))/t.root + t.eps
		p[j] = float32(p[j]*t.keep) - float32(t.size*(m[j]/under))
	}
}

// SumSquares returns Σ x² in float64. Its order of additions depends on the length alone.
func (t *Team) SumSquares(x []float32) float64 {
	s := &t.squares
	s.x = x
	s.part = grow(s.part, pieces(len(x), elementsPerPiece))
	t.pool.Run(len(s.part), s)
	s.x = nil
	var sum float64
	for _, p := range s.part {
		sum += p
	}
	return sum
}

type squaresTask struct {
	x    []float32
	part []float64
}

func (t *squaresTask) Do(i, _ int) {
	t.part[i] = sumSquares(t.x[i*elementsPerPiece:min(len(t.x), (i+1)*elementsPerPiece)], 0)
}
