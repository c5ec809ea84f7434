//go:build (amd64 || arm64) && !noasm

package kernel

// combine is combineGeneric for cols a multiple of 8. Rows of w are panels as they lie. ahead is how far
// ahead of x it reads into the cache, and whether sums are fresh: see tileFunc.
func combine(y []float32, ys int, x []float32, xs, rows int, w []float32, ws, cols, n, ahead int, fresh bool) {
	if !useVector() {
		combineGeneric(y, ys, x, xs, rows, w, ws, cols, n)
		return
	}
	tile(y, ys, x, xs, rows, w, ws, panelOut, ahead, cols, n, fresh)
}

// scoreRows writes a[r]·b[j], both d long, to s[r·keyBlock+j]. panels is where b's may stand.
func scoreRows(s, a []float32, as, rows int, b *keyPanels, d int) {
	if !useVector() {
		clear(s[:rows*keyBlock])
		tileGeneric(s, keyBlock, a, as, rows, b.rows, b.stride, b.count, d)
		return
	}
	clear(s[:rows*keyBlock])
	tile(s, keyBlock, a, as, rows, b.panels, panelOut, panelOut*(d+1), 0, b.count, d, true)
}

// pack makes panels of the rows, with zeros where there are none.
func (b *keyPanels) pack(d int) {
	if !useVector() {
		return
	}
	panel := panelOut * (d + 1)
	b.panels = grow(b.panels, keyBlock/panelOut*panel)
	if b.count < keyBlock {
		clear(b.panels)
	}
	for k := 0; k < b.count; k += 8 {
		packKeyRows(b.panels[k/panelOut*panel+k%panelOut:], b.rows[k*b.stride:], b.stride, min(8, b.count-k), d)
	}
}
