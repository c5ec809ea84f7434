package kernel

import "fmt"

// Weight is a matrix [Out, In], row-major and without gaps, in the type it is stored in:
// exactly one of the slices is set. It is usually mapped from a file and never written.
type Weight struct {
	Out, In   int
	F32       []float32
	BF16, F16 []uint16 // see package half
}

// check panics unless exactly one slice is set and has Out·In elements.
func (w *Weight) check() {
	set := 0
	for _, n := range [...]int{len(w.F32), len(w.BF16), len(w.F16)} {
		if n != 0 {
			want("Weight", "its one slice", n, w.Out*w.In)
			set++
		}
	}
	if set != 1 && w.Out*w.In != 0 {
		panic(fmt.Sprintf("kernel: Weight [%d, %d] has %d slices set, want one", w.Out, w.In, set))
	}
}

// MatMul computes y = x·wᵀ + bias, that is y[r,o] = bias[o] + Σ_k x[r,k]·w[o,k], for
// x [rows, In] and y [rows, Out]; bias may be nil. x and y must not overlap. Products and sums
// are float32 whatever w is stored in: widening it is exact.
func (t *Team) MatMul(y, x []float32, rows int, w *Weight, bias []float32) {
	w.check()
	want("MatMul", "y", len(y), rows*w.Out)
	want("MatMul", "x", len(x), rows*w.In)
	if bias != nil {
		want("MatMul", "bias", len(bias), w.Out)
	}
	if len(y) == 0 {
		return
	}
	m := &t.matMul
	*m = matMulTask{team: t, y: y, x: x, rows: rows, w: w, bias: bias}
	m.plan()
	t.pool.Run(m.rowBlocks*m.panels, m)
	*m = matMulTask{}
}

// matMulTask is a product cut into pieces of some rows by some outputs, a panel. Within a piece
// K is walked chunk by chunk: the panel's weights of that chunk are widened to float32 in the
// worker's scratch, which fits the second-level cache, and used for all the rows.
type matMulTask struct {
	team       *Team
	y, x, bias []float32
	rows       int
	w          *Weight

	panel, panels    int // outputs in a piece, and how many such
	block, rowBlocks int // rows in a piece, and how many such
}

// The sizes of pieces. A panel of 32 rows of 1024 floats is 128 KB of scratch; 384 rows are
// enough that widening the panel costs nothing beside using it, and few enough that
// what the threads read of x stays in the cache they share.
const (
	maxPanel = 32
	maxBlock = 384

	// fewRows is the number of rows up to which memory is the limit and not arithmetic.
	// Weights are then best used where they are: widening them, once for three rows,
	// costs less than a detour through scratch.
	fewRows = 6

	// productsPerPiece is the least number of products worth handing to another thread.
	productsPerPiece = 16 << 10
)

func (m *matMulTask) plan() {
	m.rowBlocks = pieces(m.rows, maxBlock)
	m.block = (m.rows + m.rowBlocks - 1) / m.rowBlocks
	// Panels narrow until every worker gets a few, unless they become too small to pay.
	m.panel = maxPanel
	fair := m.w.Out * m.rowBlocks / (4 * m.team.Workers())
	worth := productsPerPiece / max(1, m.block*m.w.In)
	m.panel = min(m.panel, max(4, fair, worth))
	m.panel = (m.panel + 3) &^ 3
	if m.rows*m.w.In*m.w.Out <= productsPerPiece {
		m.panel = m.w.Out
	}
	m.panels = pieces(m.w.Out, m.panel)
}

func (m *matMulTask) Do(i, worker int) {
	r0, o0 := i/m.panels*m.block, i%m.panels*m.panel
	rows, outs := min(m.block, m.rows-r0), min(m.panel, m.w.Out-o0)
	in, out := m.w.In, m.w.Out
	for r := r0; r < r0+rows; r++ {
		row := m.y[r*out+o0:][:outs]
		if m.bias == nil {
			clear(row)
		} else {
			copy(row, m.bias[o0:])
		}
	}
	if in == 0 {
		return
	}
	y, x := m.y[r0*out+o0:], m.x[r0*in:]
	s := &m.team.scratch[worker]
	step := outs
	if rows <= fewRows {
		step = 4 // the weights are used once or twice: walk them in the order they lie in
	}
	for o := 0; o < outs; o += step {
		for k := 0; k < in; k += chunk {
			product(y[o:], x[k:], rows, m.w, o0+o, min(step, outs-o), k, min(chunk, in-k), s)
		}
	}
}

// productGeneric adds to y [rows, w.Out] the products of x [rows, w.In] with the outputs o
// to o+outs of w, over columns k to k+n of w and as many of x. y and x begin at the first
// element that is used.
func productGeneric(y, x []float32, rows int, w *Weight, o, outs, k, n int, s *scratch) {
	s.weights = grow(s.weights, outs*n)
	for i := range outs {
		widenGeneric(s.weights[i*n:], w, (o+i)*w.In+k, n)
	}
	tileGeneric(y, w.Out, x, w.In, rows, s.weights, n, outs, n)
}
