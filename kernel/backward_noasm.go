//go:build noasm || !(amd64 || arm64)

package kernel

func combine(y []float32, ys int, x []float32, xs, rows int, w []float32, ws, cols, n, _ int, _ bool) {
	combineGeneric(y, ys, x, xs, rows, w, ws, cols, n)
}

func scoreRows(s, a []float32, as, rows int, b *keyPanels, d int) {
	clear(s[:rows*keyBlock])
	tileGeneric(s, keyBlock, a, as, rows, b.rows, b.stride, b.count, d)
}

func (b *keyPanels) pack(int) {}
