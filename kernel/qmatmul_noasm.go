//go:build noasm || !(amd64 || arm64)

package kernel

func quantize(q []int8, d, x []float32) { quantizeGeneric(q, d, x) }
