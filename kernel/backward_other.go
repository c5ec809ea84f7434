//go:build noasm || !amd64

package kernel

func transpose(dst []float32, to int, src []float32, from, rows, cols int) {
	transposeGeneric(dst, to, src, from, rows, cols)
}

func scoreGrad(ds, p, dp []float32, delta, scale float32) {
	scoreGradGeneric(ds, p, dp, delta, scale)
}

func activateGrad(dx, x, dy []float32, a Activation) { activateGradGeneric(dx, x, dy, a) }

func activateMulGrad(dx, x, dy, up []float32, a Activation) {
	activateMulGradGeneric(dx, x, dy, up, a)
}
