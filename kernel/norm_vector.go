//go:build (amd64 || arm64) && !noasm

package kernel

func sum(x []float32) float64 {
	n := 0
	var s float64
	if f := vector(); f != nil && len(x) >= 16 {
		n = len(x) &^ 15
		s = f.sum(&x[0], n)
	}
	return s + sumGeneric(x[n:])
}

func sumSquares(x []float32, mean float32) float64 {
	n := 0
	var s float64
	if f := vector(); f != nil && len(x) >= 16 {
		n = len(x) &^ 15
		s = f.sumSquares(&x[0], n, mean)
	}
	return s + sumSquaresGeneric(x[n:], mean)
}

func normalize(y, x []float32, mean, scale float32, gain []float32) {
	if f, n := vector(), len(x); f != nil && n > 0 {
		f.normalize(&y[:n][0], &x[0], &gain[:n][0], n, mean, scale)
		return
	}
	normalizeGeneric(y, x, mean, scale, gain)
}
