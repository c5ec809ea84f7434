//go:build !noasm

package kernel

// panelWidth returns how many columns a panel of combine has.
func panelWidth(cols int) int {
	if useAVX2 {
		return panelOut
	}
	return cols
}

// combine is combineGeneric; rows of y have room for whole vectors.
func combine(y []float32, ys int, x []float32, xs, rows int, w panelMat, cols, n int) {
	if !useAVX2 {
		combineGeneric(y, ys, x, xs, rows, w, cols, n)
		return
	}
	tile(y, ys, x, xs, rows, w.data, w.width, w.panel, tileRows*xs, cols, n, false)
}

// combineRows adds Σ_k x[r·xs+k]·w[k·ws+j] to y[r·ys+j] for r < rows and j < cols, a multiple of 8: rows
// of w are panels as they lie.
func combineRows(y []float32, ys int, x []float32, xs, rows int, w []float32, ws, cols, n int) {
	if !useAVX2 {
		combineGeneric(y, ys, x, xs, rows, panelMat{w, ws, 0}, cols, n)
		return
	}
	tile(y, ys, x, xs, rows, w, ws, panelOut, 0, cols, n, false)
}

// transpose is transposeGeneric.
func transpose(dst []float32, to int, src []float32, from, rows, cols int) {
	if !useAVX2 {
		transposeGeneric(dst, to, src, from, rows, cols)
		return
	}
	whole := cols &^ 7
	i := 0
	for ; i+8 <= rows && whole > 0; i += 8 {
		_, _ = src[(i+7)*from+whole-1], dst[(whole-1)*to+i+7] // the assembly trusts these
		transposeAVX2(&dst[i], to, &src[i*from], from, whole)
		if whole < cols {
			transposeGeneric(dst[whole*to+i:], to, src[i*from+whole:], from, 8, cols-whole)
		}
	}
	if i < rows {
		transposeGeneric(dst[i:], to, src[i*from:], from, rows-i, cols)
	}
}

func scoreGrad(ds, p, dp []float32, delta, scale float32) {
	if n := len(ds); useAVX2 && n > 0 {
		scoreGradAVX2(&ds[0], &p[:n][0], &dp[:n][0], n, delta, scale)
		return
	}
	scoreGradGeneric(ds, p, dp, delta, scale)
}

// scoreRows writes a[r]·b[j], both d long, to s[r·keyBlock+j]. panels is where b's may stand.
func scoreRows(s, a []float32, as, rows int, b *keyPanels, d int) {
	if !useAVX2 {
		clear(s[:rows*keyBlock])
		tileGeneric(s, keyBlock, a, as, rows, b.rows, b.stride, b.count, d)
		return
	}
	clear(s[:rows*keyBlock])
	tile(s, keyBlock, a, as, rows, b.panels, panelOut, panelOut*(d+1), 0, b.count, d, true)
}

// pack makes panels of the rows, with zeros where there are none.
func (b *keyPanels) pack(d int) {
	if !useAVX2 {
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

func activateGrad(dx, x, dy []float32, a Activation) {
	switch n := len(dx); {
	case useAVX2 && n > 0 && a == SiLU:
		siluGradAVX2(&dx[0], &x[:n][0], &dy[:n][0], n)
	case useAVX2 && n > 0 && a == GELUTanh:
		geluTanhGradAVX2(&dx[0], &x[:n][0], &dy[:n][0], n)
	default:
		activateGradGeneric(dx, x, dy, a)
	}
}

func activateMulGrad(dx, x, dy, up []float32, a Activation) {
	switch n := len(dx); {
	case useAVX2 && n > 0 && a == SiLU:
		siluMulGradAVX2(&dx[0], &x[:n][0], &dy[:n][0], &up[:n][0], n)
	case useAVX2 && n > 0 && a == GELUTanh:
		geluTanhMulGradAVX2(&dx[0], &x[:n][0], &dy[:n][0], &up[:n][0], n)
	default:
		activateMulGradGeneric(dx, x, dy, up, a)
	}
}
