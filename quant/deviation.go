package quant

import "math"

// Deviation adds up how far decoded values are from those that were encoded. Values may be
// given in pieces, so that a matrix need not be held twice.
type Deviation struct {
	n                int
	squares, weights float64 // Σ(x−y)², Σx²
	most             float64
}

// Add compares exact values x with decoded ones y, of equal length.
func (d *Deviation) Add(x, y []float32) {
	if len(x) != len(y) {
		panic("quant: Deviation.Add: lengths differ")
	}
	d.n += len(x)
	for i, v := range x {
		off := float64(v) - float64(y[i])
		d.squares += off * off
		d.weights += float64(v) * float64(v)
		if a := math.Abs(off); a > d.most || math.IsNaN(a) {
			d.most = a // a NaN stays: nothing compares as more
		}
	}
}

// RMS returns the root of the mean square of the differences.
func (d *Deviation) RMS() float64 {
	if d.n == 0 {
		return 0
	}
	return math.Sqrt(d.squares / float64(d.n))
}

// Max returns the largest difference.
func (d *Deviation) Max() float64 { return d.most }

// Relative returns ‖x−y‖/‖x‖, and 0 where all x are zeros that were kept.
func (d *Deviation) Relative() float64 {
	if d.squares == 0 {
		return 0
	}
	return math.Sqrt(d.squares / d.weights)
}
