//go:build !noasm

package kernel

// pack writes n elements of w, from the one at, as float32 to dst: vectors of eight that begin
// step elements apart, the last one filled up with zeros.
func pack(dst []float32, step int, w *Weight, at, n int) {
	whole := n &^ 7
	if whole > 0 {
		_ = dst[(whole/8-1)*step+7]
		switch {
		case w.F32 != nil:
			widenF32AVX2(&dst[0], step, &w.F32[at:][:whole][0], whole)
		case w.BF16 != nil:
			widenBF16AVX2(&dst[0], step, &w.BF16[at:][:whole][0], whole)
		default:
			widenF16AVX2(&dst[0], step, &w.F16[at:][:whole][0], whole)
		}
	}
	if whole < n {
		last := dst[whole/8*step:][:8]
		clear(last)
		widenGeneric(last, w, at+whole, n-whole)
	}
}
