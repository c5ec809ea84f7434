//go:build (amd64 || arm64) && !noasm

package kernel

// The activations that Idefics2 uses have assembly; the others stay portable.

func activate(y, x []float32, a Activation) {
	switch f, n := vector(), len(x); {
	case f != nil && n > 0 && a == SiLU:
		f.silu(&y[:n][0], &x[0], n)
	case f != nil && n > 0 && a == GELUTanh:
		f.geluTanh(&y[:n][0], &x[0], n)
	default:
		activateGeneric(y, x, a)
	}
}

func activateMul(y, gate, up []float32, a Activation) {
	switch f, n := vector(), len(gate); {
	case f != nil && n > 0 && a == SiLU:
		f.siluMul(&y[:n][0], &gate[0], &up[:n][0], n)
	case f != nil && n > 0 && a == GELUTanh:
		f.geluTanhMul(&y[:n][0], &gate[0], &up[:n][0], n)
	default:
		activateMulGeneric(y, gate, up, a)
	}
}
