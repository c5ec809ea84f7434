//go:build !noasm

package kernel

func expAll(y, x []float32) {
	if !useAVX2 || len(x) == 0 {
		expGeneric(y, x)
		return
	}
	expAVX2(&y[0], &x[0], len(x))
}
