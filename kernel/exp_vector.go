//go:build (amd64 || arm64) && !noasm

package kernel

func expAll(y, x []float32) {
	if f := vector(); f != nil && len(x) > 0 {
		f.exp(&y[0], &x[0], len(x))
		return
	}
	expGeneric(y, x)
}
