package kernel

import "math"

// The range in which exp is neither 0 nor infinite. Below ln 2⁻¹²⁶ the result would be
// subnormal; it is 0 instead, because subnormal numbers slow every later operation
// down by a factor of up to a hundred and carry nothing.
const (
	expLow  = -87.33654 // just above ln 2⁻¹²⁶
	expHigh = 88.72283  // just below ln 2¹²⁸
)

// Exp computes y = e^x, element by element, within 2 units in the last place; y may be x. What
// would be subnormal is 0, and a NaN stays one. It uses one thread.
func Exp(y, x []float32) {
	want("Exp", "y", len(y), len(x))
	expAll(y, x)
}

func expGeneric(y, x []float32) {
	for i, v := range x {
		y[i] = exp(v)
	}
}

// exp returns e^x, within 0.6 units in the last place where the result is a normal number.
//
// With n the integer nearest to x/ln 2, e^x = 2ⁿ·e^r, |r| ≤ ln2/2, and seven terms of the
// series of e^r past 1 leave 5e-9 of it. In float64 neither r nor the series lose anything
// that float32 could see.
func exp(x float32) float32 {
	switch {
	case x < expLow:
		return 0
	case x > expHigh:
		return float32(math.Inf(1))
	case x != x:
		return x
	}
	// Adding and subtracting 1.5·2⁵² rounds to an integer.
	const round = 3 << 51
	n := float64(float64(x)*(1/math.Ln2)) + round
	n -= round
	r := float64(x) - float64(n*math.Ln2)
	p := 1.0 / 5040
	p = float64(p*r) + 1.0/720
	p = float64(p*r) + 1.0/120
	p = float64(p*r) + 1.0/24
	p = float64(p*r) + 1.0/6
	p = float64(p*r) + 1.0/2
	p = float64(p*r) + 1
	p = float64(p*r) + 1
	return float32(p * math.Float64frombits(uint64(int64(n)+1023)<<52))
}
