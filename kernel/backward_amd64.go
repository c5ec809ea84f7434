//go:build !noasm

package kernel

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
