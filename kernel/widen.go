package kernel

import "idefics2/internal/half"

// widenGeneric writes n elements of w, from the one at, as float32 to the front of dst.
func widenGeneric(dst []float32, w *Weight, at, n int) {
	dst = dst[:n]
	switch {
	case w.F32 != nil:
		copy(dst, w.F32[at:])
	case w.BF16 != nil:
		for i, b := range w.BF16[at:][:n] {
			dst[i] = half.BF16ToF32(b)
		}
	case w.quantized():
		data, f := w.blocks()
		f.widen(dst, data, at)
	case w.coded():
		w.decode(dst, at)
	default:
		for i, h := range w.F16[at:][:n] {
			dst[i] = half.F16ToF32(h)
		}
	}
}
