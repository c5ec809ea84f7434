//go:build noasm || !amd64

package kernel

func quantize(to []xRun, step int, x []float32) { quantizeGeneric(to, step, x) }
