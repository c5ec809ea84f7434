//go:build !noasm

package kernel

import "unsafe"

// widenQ8_0 is widenQ8_0Generic.
func widenQ8_0(dst []float32, row []byte) {
	whole := 0
	if blocks := len(dst) / run; useAVX2 && blocks > 0 {
		_ = row[blocks*formatQ8_0.bytes-1] // the assembly trusts this
		widenQ8_0AVX2(&dst[0], &row[0], blocks)
		whole = blocks
	}
	if rest := dst[whole*run:]; len(rest) > 0 {
		widenQ8_0Generic(rest, row[whole*formatQ8_0.bytes:])
	}
}

// widenBF16 is widenBF16Generic.
func widenBF16(dst []float32, row []byte) {
	whole := len(dst) &^ 7
	if useAVX2 && whole > 0 {
		_ = row[2*whole-1] // the assembly trusts this
		widenBF16AVX2(&dst[0], &row[0], whole)
	} else {
		whole = 0
	}
	widenBF16Generic(dst[whole:], row[2*whole:])
}

// widenRow is widenGeneric.
func widenRow(dst []float32, w *Weight, at, n int) {
	whole := n &^ 7
	if !useAVX2 || w.BF16 == nil || whole == 0 {
		widenGeneric(dst, w, at, n)
		return
	}
	row := w.BF16[at:][:n]
	dst = dst[:n]
	widenBF16AVX2(&dst[0], (*byte)(unsafe.Pointer(&row[0])), whole)
	widenGeneric(dst[whole:], w, at+whole, n-whole)
}
