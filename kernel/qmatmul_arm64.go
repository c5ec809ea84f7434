//go:build !noasm

package kernel

import "unsafe"

func quantize(to []xRun, step int, x []float32) {
	if runs := len(x) / run; useNEON && runs > 0 {
		_ = to[(runs-1)*step] // the assembly trusts this
		quantizeNEON(&to[0].q[0], step, &x[0], runs)
		return
	}
	quantizeGeneric(to, step, x)
}

// qdotFunc adds to y[r·ys+o], for the rows in its name and four outputs, the products of runs of x, whose
// rows lie xs bytes apart, with rows of weights that lie stride bytes apart. The bits are those of
// qproductGeneric.
type qdotFunc = func(y *float32, ys int, x *int8, xs int, w *byte, stride, blocks int)

// qdots are the functions for one row, two, ...
type qdots = [4]qdotFunc

var (
	qdotsQ8_0 = qdots{dot1Q8_0, dot2Q8_0, dot3Q8_0, dot4Q8_0}
	qdotsQ4_0 = qdots{dot1Q4_0, dot2Q4_0, dot3Q4_0, dot4Q4_0}
)

// qdotOuts is the number of outputs that are taken together.
const qdotOuts = 4

// qdots returns what there is for the format, or nil.
func (m *matMulTask) qdots() *qdots {
	switch _, f := m.w.blocks(); {
	case !useDotProd:
	case f == formatQ8_0:
		return &qdotsQ8_0
	case f == formatQ4_0:
		return &qdotsQ4_0
	}
	return nil
}

// qwidth returns how many rows make a group, see activations, and the gap behind it.
func (m *matMulTask) qwidth() (width, gap int) { return 1, 0 }

// qgroup returns how many outputs and columns are taken together, see group. Four rows of weights
// stay in the first-level cache while all rows of x pass.
func (m *matMulTask) qgroup(outs int) (int, int) {
	if m.qdots() == nil {
		return outs, chunkOf(m.w.In)
	}
	return qdotOuts, m.w.In
}

func (m *matMulTask) qproduct(y []float32, ys, r, rows, o, outs, k, n int, _ *scratch) {
	dots := m.qdots()
	if dots == nil || outs < qdotOuts {
		m.qproductGeneric(y, ys, r, rows, o, outs, k, n)
		return
	}
	data, f := m.w.blocks()
	perRow := m.w.In / run
	stride := perRow * f.bytes
	const size = int(unsafe.Sizeof(xRun{}))
	x, w := m.team.acts.runs[r*perRow:][:rows*perRow], data[o*stride:][:qdotOuts*stride]
	_ = y[(rows-1)*ys+qdotOuts-1] // the assembly trusts this
	for i := 0; i < rows; i += len(dots) {
		count := min(rows-i, len(dots))
		dots[count-1](&y[i*ys], ys, &x[i*perRow].q[0], perRow*size, &w[0], stride, perRow)
	}
}
