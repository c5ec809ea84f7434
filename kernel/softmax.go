package kernel

import "math"

// The softmax of attention is taken block by block, see attendTask. These are its pieces.

// scaleMaxGeneric multiplies s by scale and returns the largest product; -Inf for none.
func scaleMaxGeneric(s []float32, scale float32) float32 {
	top := float32(math.Inf(-1))
	for i, v := range s {
		v *= scale
		s[i] = v
		if v > top {
			top = v
		}
	}
	return top
}

// expSumGeneric replaces s by e^(s-top) and returns its sum.
func expSumGeneric(s []float32, top float32) (sum float32) {
	for i, v := range s {
		p := exp(v - top)
		s[i] = p
		sum += p
	}
	return sum
}

// LogSoftmax writes log(softmax(x)) to y, which may be x: y = x - max - log Σ e^(x-max). Sums
// and exponentials are float64, so that the one rounding is the last. It uses one thread.
func LogSoftmax(y, x []float32) {
	want("LogSoftmax", "y", len(y), len(x))
	top := math.Inf(-1)
	for _, v := range x {
		top = max(top, float64(v)) // a NaN stays, and is then everywhere
	}
	var sum float64
	for _, v := range x {
		sum += math.Exp(float64(v) - top)
	}
	shift := top + math.Log(sum)
	for i, v := range x {
		y[i] = float32(float64(v) - shift)
	}
}
