//go:build !noasm

package kernel

import (
	"golang.org/x/sys/cpu"

	"idefics2/internal/variant"
)

// useAVX2 chooses the assembly of the whole package: AVX2, with fused multiply-add and the
// conversion of half precision, which came with the same processors.
var useAVX2 = cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasF16C

func init() { variant.Register("kernel", "avx2", &useAVX2) }

func tile(y []float32, ys int, x []float32, xs, rows int, w []float32, ws, outs, n int) {
	if useAVX2 && rows > 0 && outs > 0 && n > 0 {
		tileAVX2(y, ys, x, xs, rows, w, ws, outs, n)
		return
	}
	tileGeneric(y, ys, x, xs, rows, w, ws, outs, n)
}

// tileAVX2 is tileGeneric in steps of three rows by four outputs: a step's three rows of x
// (12 KB at most) stay in the first-level cache while all rows of w pass by.
func tileAVX2(y []float32, ys int, x []float32, xs, rows int, w []float32, ws, outs, n int) {
	// The assembly trusts these.
	_, _, _ = y[(rows-1)*ys+outs-1], x[(rows-1)*xs+n-1], w[(outs-1)*ws+n-1]
	for r := 0; r < rows; r += 3 {
		xr, yr := &x[r*xs], y[r*ys:]
		switch rows - r {
		case 1:
			o := 0
			for ; o+4 <= outs; o += 4 {
				dot1x4F32(&yr[o], ys, xr, xs, &w[o*ws], ws, n)
			}
			for ; o < outs; o++ {
				dot1x1F32(&yr[o], ys, xr, xs, &w[o*ws], ws, n)
			}
		case 2:
			o := 0
			for ; o+4 <= outs; o += 4 {
				dot2x4F32(&yr[o], ys, xr, xs, &w[o*ws], ws, n)
			}
			for ; o < outs; o++ {
				dot2x1F32(&yr[o], ys, xr, xs, &w[o*ws], ws, n)
			}
		default:
			o := 0
			for ; o+4 <= outs; o += 4 {
				dot3x4F32(&yr[o], ys, xr, xs, &w[o*ws], ws, n)
			}
			for ; o < outs; o++ {
				dot3x1F32(&yr[o], ys, xr, xs, &w[o*ws], ws, n)
			}
		}
	}
}
