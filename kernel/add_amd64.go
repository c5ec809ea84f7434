//go:build !noasm

package kernel

func addTo(y, x []float32) {
	if n := len(x); useAVX2 && n > 0 {
		addAVX2(&y[:n][0], &x[0], n)
		return
	}
	addToGeneric(y, x)
}
