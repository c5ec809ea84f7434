package kernel

import "math"

// LayerNormBackward adds the gradients of LayerNorm to dx, dgain and dbias; the last two may be nil.
// With x̂ = (x - mean)/√(variance + eps) and g = gain·dy,
//
//	dx += (g - mean(g) - x̂·mean(g·x̂))/√(variance + eps),  dgain += Σ dy·x̂,  dbias += Σ dy
func (t *Team) LayerNormBackward(dx, dgain, dbias, dy, x []float32, rows int, gain []float32, eps float32) {
	t.normBackward(normGradTask{dx: dx, dgain: dgain, dy: dy, x: x, rows: rows, gain: gain, eps: eps, centered: true})
	if dbias != nil {
		t.MatMulDBias(dbias, dy, rows)
	}
}

// RMSNormBackward adds the gradients of RMSNorm to dx and dgain, which may be nil. With
// r = 1/√(mean(x²) + eps) and g = gain·dy, dx += r·g - x·r³·mean(g·x) and dgain += Σ dy·x·r.
func (t *Team) RMSNormBackward(dx, dgain, dy, x []float32, rows int, gain []float32, eps float32) {
	t.normBackward(normGradTask{dx: dx, dgain: dgain, dy: dy, x: x, rows: rows, gain: gain, eps: eps})
}

func (t *Team) normBackward(n normGradTask) {
	c := len(n.gain)
	want("norm backward", "dx", len(n.dx), n.rows*c)
	want("norm backward", "dy", len(n.dy), n.rows*c)
	want("norm backward", "x", len(n.x), n.rows*c)
	t.rowStats = grow(t.rowStats, n.rows)
	n.stats = t.rowStats
	t.normGrad = n
	t.pool.Run(pieces(n.rows, rowsPerPiece(c)), &t.normGrad)
	if n.dgain != nil {
		want("norm backward", "dgain", len(n.dgain), c)
		t.gainGrad = gainGradTask{n}
		t.pool.Run(pieces(c, sumColumns), &t.gainGrad)
	}
	t.normGrad, t.gainGrad = normGradTask{}, gainGradTask{}
}

type normGradTask struct {
	dx, dgain, dy, x []float32
	rows             int
	gain             []float32
	eps              float32
	centered         bool // subtracts the mean: LayerNorm
	stats            []rowStats
}

// rowStats is by what a row was shifted and scaled.
type rowStats struct{ mean, scale float32 }

func (t *normGradTask) Do(i, _ int) {
	c := len(t.gain)
	n := rowsPerPiece(c)
	for r := i * n; r < min(t.rows, (i+1)*n); r++ {
		x, dy, dx := t.x[r*c:][:c], t.dy[r*c:][:c], t.dx[r*c:][:c]
		var s rowStats
		if t.centered {
			s.mean = float32(sum(x) / float64(c))
		}
		s.scale = float32(1 / math.Sqrt(sumSquares(x, s.mean)/float64(c)+float64(t.eps)))
		t.stats[r] = s
		normGrad(dx, dy, x, t.gain, s, t.centered)
	}
}

// normGrad adds one row's gradient to dx.
func normGrad(dx, dy, x, gain []float32, s rowStats, centered bool) {
	n := len(dx)
	mean, pull := normGradSums(dy, x, gain, s)
	if !centered {
		mean = 0
	}
	applyNormGrad(dx, dy, x, gain, s, float32(mean/float64(n)), float32(pull/float64(n)))
}

// normGradSumsGeneric returns Σ g and Σ g·x̂ in float64, two sums each; g and x̂ are float32.
func normGradSumsGeneric(dy, x, gain []float32, s rowStats) (float64, float64) {
	n := len(dy)
	x, gain = x[:n], gain[:n]
	var mean, pull [2]float64
	for i, v := range x {
		g := float64(gain[i] * dy[i])
		mean[i%2] += g
		pull[i%2] += g * float64((v-s.mean)*s.scale)
	}
	return mean[0] + mean[1], pull[0] + pull[1]
}

// applyNormGradGeneric computes dx += scale·(gain·dy - mean - x̂·pull).
func applyNormGradGeneric(dx, dy, x, gain []float32, s rowStats, mean, pull float32) {
	n := len(dx)
	dy, x, gain = dy[:n], x[:n], gain[:n]
	for i, v := range x {
		dx[i] += s.scale * (gain[i]*dy[i] - mean - (v-s.mean)*s.scale*pull)
	}
}

// gainGradTask adds up dy·x̂ over the rows, some columns a piece, as columnSumTask does.
type gainGradTask struct{ normGradTask }

func (t *gainGradTask) Do(i, _ int) {
	c := len(t.gain)
	lo, hi := i*sumColumns, min(c, (i+1)*sumColumns)
	var part [sumColumns]float32
	for r := 0; r < t.rows; r += sumRows {
		p := part[:hi-lo]
		clear(p)
		for row := r; row < min(t.rows, r+sumRows); row++ {
			s := t.stats[row]
			x, dy := t.x[row*c+lo:][:len(p)], t.dy[row*c+lo:][:len(p)]
			addGainGrad(p, dy, x, s)
		}
		addTo(t.dgain[lo:hi], p)
	}
}

// addGainGradGeneric adds dy·x̂ to sum.
func addGainGradGeneric(sum, dy, x []float32, s rowStats) {
	dy, x = dy[:len(sum)], x[:len(sum)]
	for j, v := range x {
		sum[j] += dy[j] * ((v - s.mean) * s.scale)
	}
}
