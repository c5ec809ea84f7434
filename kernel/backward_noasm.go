//go:build noasm || !amd64

package kernel

func panelWidth(cols int) int { return cols }

func combine(y []float32, ys int, x []float32, xs, rows int, w panelMat, cols, n int) {
	combineGeneric(y, ys, x, xs, rows, w, cols, n)
}

func combineRows(y []float32, ys int, x []float32, xs, rows int, w []float32, ws, cols, n int) {
	combineGeneric(y, ys, x, xs, rows, panelMat{w, ws, 0}, cols, n)
}

func transpose(dst []float32, to int, src []float32, from, rows, cols int) {
	transposeGeneric(dst, to, src, from, rows, cols)
}

func scoreGrad(ds, p, dp []float32, delta, scale float32) {
	scoreGradGeneric(ds, p, dp, delta, scale)
}

func scoreRows(s, a []float32, as, rows int, b *keyPanels, d int) {
	clear(s[:rows*keyBlock])
	tileGeneric(s, keyBlock, a, as, rows, b.rows, b.stride, b.count, d)
}

func (b *keyPanels) pack(int) {}

func activateGrad(dx, x, dy []float32, a Activation) { activateGradGeneric(dx, x, dy, a) }

func activateMulGrad(dx, x, dy, up []float32, a Activation) {
	activateMulGradGeneric(dx, x, dy, up, a)
}
