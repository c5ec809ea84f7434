//go:build (amd64 || arm64) && !noasm

package kernel

// The rows that attention hands over are whole vectors.

func scaleMax(s []float32, scale float32) float32 {
	if f := vector(); f != nil && len(s) > 0 && len(s)%8 == 0 {
		return f.scaleMax(&s[0], len(s), scale)
	}
	return scaleMaxGeneric(s, scale)
}

func expSum(s []float32, top float32) float32 {
	if f := vector(); f != nil && len(s) > 0 && len(s)%8 == 0 {
		return f.expSum(&s[0], len(s), top)
	}
	return expSumGeneric(s, top)
}
