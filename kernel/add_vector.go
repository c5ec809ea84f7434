//go:build (amd64 || arm64) && !noasm

package kernel

func addTo(y, x []float32) {
	if f, n := vector(), len(x); f != nil && n > 0 {
		f.add(&y[:n][0], &x[0], n)
		return
	}
	addToGeneric(y, x)
}
