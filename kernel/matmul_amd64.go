//go:build !noasm

package kernel

func product(y, x []float32, rows int, w *Weight, o, outs, k, n int, s *scratch) {
	at := o*w.In + k
	switch {
	case !useAVX2:
		productGeneric(y, x, rows, w, o, outs, k, n, s)
	case rows > fewRows || w.F32 == nil && n%8 != 0: // 16-bit weights are read in whole vectors
		productPacked(y, x, rows, w, at, outs, n, s)
	case w.F32 != nil:
		tileAVX2(y, w.Out, x, w.In, rows, w.F32[at:], w.In, outs, n)
	case w.BF16 != nil:
		tile16(&dotsBF16, y, w.Out, x, w.In, rows, w.BF16[at:], w.In, outs, n)
	default:
		tile16(&dotsF16, y, w.Out, x, w.In, rows, w.F16[at:], w.In, outs, n)
	}
}

// productPacked lays four outputs at a time out as dot3x4Packed wants them, then takes the
// rows of x in threes: those stay in the first-level cache while the weights pass by. The
// outputs that are left over, fewer than four, lie behind in rows of their own.
func productPacked(y, x []float32, rows int, w *Weight, at, outs, n int, s *scratch) {
	ys, xs := w.Out, w.In
	whole, wide := outs&^3, (n+7)&^7
	s.weights = grow(s.weights, outs*wide)
	for o := range outs {
		if o < whole {
			pack(s.weights[o&^3*wide+o&3*8:], 4*8, w, at+o*w.In, n)
		} else {
			pack(s.weights[o*wide:], 8, w, at+o*w.In, n)
		}
	}
	_, _ = y[(rows-1)*ys+outs-1], x[(rows-1)*xs+n-1] // the assembly trusts these
	for r := 0; r < rows; r += 3 {
		i := min(rows-r, 3) - 1
		yr, xr := y[r*ys:], &x[r*xs]
		for o := 0; o < whole; o += 4 {
			dotsPacked[i](&yr[o], ys, xr, xs, &s.weights[o*wide], n)
		}
		for o := whole; o < outs; o++ {
			dotsF32[i](&yr[o], ys, xr, xs, &s.weights[o*wide], 0, n)
		}
	}
}

var (
	dotsPacked = [...]func(y *float32, ys int, x *float32, xs int, w *float32, n int){dot1x4Packed, dot2x4Packed, dot3x4Packed}
	dotsF32    = [...]func(y *float32, ys int, x *float32, xs int, w *float32, ws int, n int){dot1x1F32, dot2x1F32, dot3x1F32}
)

// dots16 holds the products of one to three rows with four outputs, and with one.
type dots16 struct {
	four, one [3]func(y *float32, ys int, x *float32, xs int, w *uint16, ws int, n int)
}

var (
	dotsBF16 = dots16{
		four: [...]func(*float32, int, *float32, int, *uint16, int, int){dot1x4BF16, dot2x4BF16, dot3x4BF16},
		one:  [...]func(*float32, int, *float32, int, *uint16, int, int){dot1x1BF16, dot2x1BF16, dot3x1BF16},
	}
	dotsF16 = dots16{
		four: [...]func(*float32, int, *float32, int, *uint16, int, int){dot1x4F16, dot2x4F16, dot3x4F16},
		one:  [...]func(*float32, int, *float32, int, *uint16, int, int){dot1x1F16, dot2x1F16, dot3x1F16},
	}
)

// tile16 walks the outputs, and for each four all the rows: memory is read once.
func tile16(dots *dots16, y []float32, ys int, x []float32, xs, rows int, w []uint16, ws, outs, n int) {
	// The assembly trusts these.
	_, _, _ = y[(rows-1)*ys+outs-1], x[(rows-1)*xs+n-1], w[(outs-1)*ws+n-1]
	o := 0
	for ; o+4 <= outs; o += 4 {
		for r := 0; r < rows; r += 3 {
			dots.four[min(rows-r, 3)-1](&y[r*ys+o], ys, &x[r*xs], xs, &w[o*ws], ws, n)
		}
	}
	for ; o < outs; o++ {
		for r := 0; r < rows; r += 3 {
			dots.one[min(rows-r, 3)-1](&y[r*ys+o], ys, &x[r*xs], xs, &w[o*ws], ws, n)
		}
	}
}
