//go:build noasm || !(amd64 || arm64)

package kernel

func scaleMax(s []float32, scale float32) float32 { return scaleMaxGeneric(s, scale) }

func expSum(s []float32, top float32) float32 { return expSumGeneric(s, top) }
