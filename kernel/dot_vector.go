//go:build (amd64 || arm64) && !noasm

package kernel

// dotFunc adds Σ x[r·xs+k]·w[o·ws+k] over a chunk of n columns, a multiple of eight, to y[r·ys+o]
// for the rows and outputs in its name.
type dotFunc[T float32 | uint16] = func(y *float32, ys int, x *float32, xs int, w *T, ws, n int)

// dotFuncs has, for each number of rows, the product with four outputs and with one.
type dotFuncs[T float32 | uint16] struct{ four, one [3]dotFunc[T] }

var (
	dotsF32 = dotFuncs[float32]{
		[...]dotFunc[float32]{dot1x4F32, dot2x4F32, dot3x4F32}, [...]dotFunc[float32]{dot1x1F32, dot2x1F32, dot3x1F32},
	}
	dotsBF16 = dotFuncs[uint16]{
		[...]dotFunc[uint16]{dot1x4BF16, dot2x4BF16, dot3x4BF16}, [...]dotFunc[uint16]{dot1x1BF16, dot2x1BF16, dot3x1BF16},
	}
	dotsF16 = dotFuncs[uint16]{
		[...]dotFunc[uint16]{dot1x4F16, dot2x4F16, dot3x4F16}, [...]dotFunc[uint16]{dot1x1F16, dot2x1F16, dot3x1F16},
	}
)

// dotOuts is the number of outputs that are taken together.
const dotOuts = 4

// dotRows multiplies few rows with outputs o to o+outs, at most dotOuts, over one chunk. From the second
// three rows on, the weights come from the first-level cache.
func (m *matMulTask) dotRows(y []float32, ys, r, rows, o, outs, k, n int, s *scratch) {
	switch w, at := m.w, o*m.w.In+k; {
	case w.F32 != nil:
		dotChunk(&dotsF32, m, y, ys, r, rows, outs, k, n, w.F32[at:], w.In)
	case w.BF16 != nil:
		dotChunk(&dotsBF16, m, y, ys, r, rows, outs, k, n, w.BF16[at:], w.In)
	case w.coded():
		stride := n + spreadRoom
		s.weights = grow(s.weights, outs*stride)
		for i := range outs {
			spread(s.weights[i*stride:], w, at+i*w.In, n)
		}
		dotChunk(&dotsF32, m, y, ys, r, rows, outs, k, n, s.weights[spreadFront:], stride)
	default:
		dotChunk(&dotsF16, m, y, ys, r, rows, outs, k, n, w.F16[at:], w.In)
	}
}

func dotChunk[T float32 | uint16](f *dotFuncs[T], m *matMulTask, y []float32, ys, r, rows, outs, k, n int, w []T, ws int) {
	in := m.w.In
	x, xs := m.x[r*in+k:], in
	if m.rows > 1 {
		x, xs = m.team.staged[r*(in+16)+k:], in+16
	}
	_, _, _ = y[(rows-1)*ys+outs-1], x[(rows-1)*xs+n-1], w[(outs-1)*ws+n-1] // the assembly trusts these
	for i := 0; i < rows; i += len(f.four) {
		count := min(rows-i, len(f.four))
		if outs == dotOuts {
			f.four[count-1](&y[i*ys], ys, &x[i*xs], xs, &w[0], ws, n)
			continue
		}
		for o := range outs {
			f.one[count-1](&y[i*ys+o], ys, &x[i*xs], xs, &w[o*ws], ws, n)
		}
	}
}
