//go:build !noasm

package kernel

func quantize(q []int8, d, x []float32) {
	if useNEON && len(x) > 0 {
		_, _ = q[len(x)-1], d[len(x)/run*2-1] // the assembly trusts these
		quantizeNEON(&q[0], &d[0], &x[0], len(x)/run)
		return
	}
	quantizeGeneric(q, d, x)
}

// qdotFunc adds to y[r·ys+o], for the rows in its name and four outputs, the products of the int8
// blocks x[r·xs+32·b] and d[r·ds+2·b] with rows of weights that lie stride bytes apart.
type qdotFunc = func(y *float32, ys int, x *int8, xs int, d *float32, ds int, w *byte, stride, blocks int)

var (
	qdotsQ8 = [...]qdotFunc{dot1Q8_0, dot2Q8_0, dot3Q8_0}
	qdotsQ4 = [...]qdotFunc{dot1Q4_0, dot2Q4_0, dot3Q4_0}
)

// qdotOuts is the number of outputs that are taken together.
const qdotOuts = 4

// qgroup returns how many outputs and columns are taken together, see group. Four rows of weights
// stay in the first-level cache while all rows of x pass.
func (m *matMulTask) qgroup(_, _ int) (int, int) { return qdotOuts, m.w.In }

func (m *matMulTask) qproduct(y []float32, ys, r, rows, o, outs, k, n int, s *scratch) {
	src, f := m.w.blocks()
	blocks := m.w.In / run
	dots, stride := &qdotsQ8, blocks*f.bytes
	switch {
	case !useDotProd || f != formatQ8_0 && f != formatQ4_0:
		m.qproductGeneric(y, ys, r, rows, o, outs, k, n)
		return
	case f == formatQ4_0:
		dots = &qdotsQ4
	}
	x, d := m.team.acts.q[r*m.w.In:], m.team.acts.d[r*2*blocks:]
	_, _, _ = y[(rows-1)*ys+outs-1], x[rows*m.w.In-1], d[rows*2*blocks-1] // the assembly trusts these
	w := src[o*stride:][:outs*stride]
	for i := 0; i < rows; i += len(dots) {
		count := min(rows-i, len(dots))
		dot := dots[count-1]
		if outs == qdotOuts {
			dot(&y[i*ys], ys, &x[i*m.w.In], m.w.In, &d[i*2*blocks], 2*blocks, &w[0], stride, blocks)
			continue
		}
		// Four times the same row of weights, for the outputs that are no four.
		s.queries = grow(s.queries, len(dots)*qdotOuts)
		four := s.queries
		for j := range outs {
			for c := range count {
				four[c*qdotOuts] = y[(i+c)*ys+j]
			}
			dot(&four[0], qdotOuts, &x[i*m.w.In], m.w.In, &d[i*2*blocks], 2*blocks, &w[j*stride], 0, blocks)
			for c := range count {
				y[(i+c)*ys+j] = four[c*qdotOuts]
			}
		}
	}
}
