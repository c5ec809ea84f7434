//go:build !noasm

package kernel

// The activations that Idefics2 uses have assembly; the others stay portable.

func activate(y, x []float32, a Activation) {
	switch {
	case useAVX2 && len(x) > 0 && a == SiLU:
		siluAVX2(&y[:len(x)][0], &x[0], len(x))
	case useAVX2 && len(x) > 0 && a == GELUTanh:
		geluTanhAVX2(&y[:len(x)][0], &x[0], len(x))
	default:
		activateGeneric(y, x, a)
	}
}

func activateMul(y, gate, up []float32, a Activation) {
	switch n := len(gate); {
	case useAVX2 && n > 0 && a == SiLU:
		siluMulAVX2(&y[:n][0], &gate[0], &up[:n][0], n)
	case useAVX2 && n > 0 && a == GELUTanh:
		geluTanhMulAVX2(&y[:n][0], &gate[0], &up[:n][0], n)
	default:
		activateMulGeneric(y, gate, up, a)
	}
}
