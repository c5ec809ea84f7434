//go:build noasm || !(amd64 || arm64)

package kernel

func activate(y, x []float32, a Activation) { activateGeneric(y, x, a) }

func activateMul(y, gate, up []float32, a Activation) { activateMulGeneric(y, gate, up, a) }
