//go:build noasm || !amd64

package kernel

func weightedSum(out, p, v []float32, stride int) { weightedSumGeneric(out, p, v, stride) }
