//go:build !noasm

package kernel

func sum(x []float32) float64 {
	n := 0
	var s float64
	if useAVX2 && len(x) >= 16 {
		n = len(x) &^ 15
		s = sumAVX2(&x[0], n)
	}
	return s + sumGeneric(x[n:])
}

func sumSquares(x []float32, mean float32) float64 {
	n := 0
	var s float64
	if useAVX2 && len(x) >= 16 {
		n = len(x) &^ 15
		s = sumSquaresAVX2(&x[0], n, mean)
	}
	return s + sumSquaresGeneric(x[n:], mean)
}

func normalize(y, x []float32, mean, scale float32, gain []float32) {
	if n := len(x); useAVX2 && n > 0 {
		normalizeAVX2(&y[:n][0], &x[0], &gain[:n][0], n, mean, scale)
		return
	}
	normalizeGeneric(y, x, mean, scale, gain)
}
