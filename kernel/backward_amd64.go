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

func normGradSums(dy, x, gain []float32, s rowStats) (mean, pull float64) {
	n := len(dy)
	whole := n &^ 7
	if !useAVX2 || whole == 0 {
		return normGradSumsGeneric(dy, x, gain, s)
	}
	var sums [2]float64
	normGradSumsAVX2(&sums[0], &dy[0], &x[:n][0], &gain[:n][0], whole, s.mean, s.scale)
	mean, pull = normGradSumsGeneric(dy[whole:], x[whole:], gain[whole:], s)
	return sums[0] + mean, sums[1] + pull
}

func applyNormGrad(dx, dy, x, gain []float32, s rowStats, mean, pull float32) {
	if n := len(dx); useAVX2 && n > 0 {
		normGradAVX2(&dx[0], &dy[:n][0], &x[:n][0], &gain[:n][0], n, s.mean, s.scale, mean, pull)
		return
	}
	applyNormGradGeneric(dx, dy, x, gain, s, mean, pull)
}

func addGainGrad(sum, dy, x []float32, s rowStats) {
	if n := len(sum); useAVX2 && n > 0 {
		gainGradAVX2(&sum[0], &dy[:n][0], &x[:n][0], n, s.mean, s.scale)
		return
	}
	addGainGradGeneric(sum, dy, x, s)
}

func (t *adamWTask) update(p, m, v, g []float32) {
	whole := 0
	if n := len(p); useAVX2 && n >= 8 {
		whole = n &^ 7
		adamWAVX2(&p[0], &m[:n][0], &v[:n][0], &g[:n][0], whole, t.scale, t.keep, t.eps, t.first, t.beta2, t.second, t.size, t.root)
	}
	t.updateGeneric(p[whole:], m[whole:], v[whole:], g[whole:])
}
