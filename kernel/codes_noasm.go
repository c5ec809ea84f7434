//go:build noasm || !amd64

package kernel

func spread(buf []float32, w *Weight, at, n int) { spreadGeneric(buf, w, at, n) }
