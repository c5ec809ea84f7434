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

func normGradSums(dy, x, gain []float32, s rowStats) (mean, pull float64) {
	return normGradSumsGeneric(dy, x, gain, s)
}

func applyNormGrad(dx, dy, x, gain []float32, s rowStats, mean, pull float32) {
	applyNormGradGeneric(dx, dy, x, gain, s, mean, pull)
}

func addGainGrad(sum, dy, x []float32, s rowStats) { addGainGradGeneric(sum, dy, x, s) }

func (t *adamWTask) update(p, m, v, g []float32) { t.updateGeneric(p, m, v, g) }
