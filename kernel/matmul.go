package kernel

import "fmt"

// Weight is a matrix [Out, In], row-major and without gaps, in the type it is stored in:
// exactly one of the fields below is set. It is usually mapped from a file and never written.
//
// The types of bytes are the blocks of GGUF, see blocks.go: 32 or 256 values, of which a row has a
// whole number. They may begin at any address.
type Weight struct {
	Out, In   int
	F32       []float32
	BF16, F16 []uint16 // see package half

	Q8_0, Q6_K, Q4_K, Q4_0 []byte

	// Codes with scales of their own, see codes.go.
	NF4  *NF4
	Int4 *Int4
	Int8 *Int8
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
	for i, data := range [...][]byte{w.Q8_0, w.Q6_K, w.Q4_K, w.Q4_0} {
		if len(data) != 0 {
			f := &formats[i]
			if w.In%f.values != 0 {
				panic(fmt.Sprintf("kernel: Weight [%d, %d] has rows of no whole number of blocks of %d", w.Out, w.In, f.values))
			}
			want("Weight", "its one slice of bytes", len(data), w.Out*w.In/f.values*f.bytes)
			set++
		}
	}
	if w.coded() {
		w.checkCodes()
		set++
	}
	if set != 1 && w.Out*w.In != 0 {
		panic(fmt.Sprintf("kernel: Weight [%d, %d] has %d slices set, want one", w.Out, w.In, set))
	}
}

// MatMul computes y = x·wᵀ + bias, that is y[r,o] = bias[o] + Σ_k x[r,k]·w[o,k], for
// x [rows, In] and y [rows, Out]; bias may be nil. x and y must not overlap. For F32, BF16, F16 and codes
// products and sums are float32, and so they are for blocks, unless the team's Precision is Fast.
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
	if t.Precision == Fast && w.In > 0 && t.matMulFast(y, x, rows, w, bias) {
		return
	}
	if order := w.order(); order != nil {
		x = t.inOrder(x, order)
	}
	m := &t.matMul
	*m = matMulTask{team: t, w: w, bias: bias}
	// Many rows go in parts, so that what is kept of x for one is bounded.
	part := max(maxBlock, stagedFloats/max(1, w.In)/maxBlock*maxBlock)
	for r := 0; r < rows; r += part {
		m.rows = min(part, rows-r)
		m.y, m.x = y[r*w.Out:][:m.rows*w.Out], x[r*w.In:][:m.rows*w.In]
		m.stage()
		m.plan()
		t.pool.Run(m.rowBlocks*m.panels, m)
	}
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

// The sizes of pieces. A panel of 64 outputs by a chunk is 290 KB of scratch at most. With 288
// rows, making it costs a few hundredths of using it, and what those rows have of one lane of
// the chunk, 184 KB at most, stays in the second-level cache beside a part of it.
const (
	maxPanel = 64
	maxBlock = 288

	// maxStream is how many outputs are in a piece where one row meets weights where they lie: with
	// more of them, memory is read in longer stretches.
	maxStream = 128

	// stagedFloats is about how many elements of x one part of the rows has.
	stagedFloats = 8 << 20

	// tileRows is the number of rows that are few: the most that one pass over weights can serve.
	tileRows = 6

	// productsPerPiece is the least number of products worth handing to another thread.
	productsPerPiece = 16 << 10
)

func (m *matMulTask) plan() {
	m.rowBlocks = pieces(m.rows, maxBlock)
	m.block = (m.rows + m.rowBlocks - 1) / m.rowBlocks
	if m.rowBlocks > 1 { // whole tiles, of six rows or of four
		m.block = (m.block + 2*tileRows - 1) / (2 * tileRows) * (2 * tileRows)
		m.rowBlocks = pieces(m.rows, m.block)
	}
	// Panels narrow until every worker gets a few, unless they become too small to pay.
	fair := m.w.Out * m.rowBlocks / (4 * m.team.Workers())
	worth := productsPerPiece / max(1, m.block*m.w.In)
	most := maxPanel
	if m.streams() {
		most = maxStream
	}
	m.panel = min(most, max(16, fair, worth))
	m.panel = (m.panel + 15) &^ 15
	if m.rows*m.w.In*m.w.Out <= productsPerPiece {
		m.panel = m.w.Out
	}
	m.panels = pieces(m.w.Out, m.panel)
}

func (m *matMulTask) Do(i, worker int) {
	r0, o0 := i/m.panels*m.block, i%m.panels*m.panel
	rows, outs := min(m.block, m.rows-r0), min(m.panel, m.w.Out-o0)
	in, out, s := m.w.In, m.w.Out, &m.team.scratch[worker]
	// Rows of y are often a power of two apart, and many of them would then push one another
	// out of the caches: they are summed elsewhere. There whole vectors fit, too.
	y, ys := m.y[r0*out+o0:], out
	apart := rows > tileRows || m.w.quantized() || in%8 != 0
	if apart {
		ys = outs + 16
		s.out = grow(s.out, rows*ys)
		y = s.out
	}
	for r := range rows {
		row := y[r*ys:][:outs]
		if m.bias == nil {
			clear(row)
		} else {
			copy(row, m.bias[o0:])
		}
	}
	group, chunk := m.group(rows, outs)
	for o := 0; o < outs; o += group {
		for k := 0; k < in && !m.team.abandoned.Load(); k += chunk {
			m.product(y[o:], ys, r0, rows, o0+o, min(group, outs-o), k, min(chunk, in-k), s)
		}
	}
	if apart {
		for r := range rows {
			copy(m.y[(r0+r)*out+o0:][:outs], y[r*ys:])
		}
	}
}

// productGeneric adds to y the products of the rows r to r+rows of x with the outputs o to o+outs
// of w, over columns k to k+n, one chunk. y begins at the first element that is used.
func (m *matMulTask) productGeneric(y []float32, ys, r, rows, o, outs, k, n int, s *scratch) {
	w := m.w
	if m.rounds() {
		m.qproductGeneric(y, ys, r, rows, o, outs, k, n)
		return
	}
	s.weights = grow(s.weights, outs*n)
	for i := range outs {
		widenGeneric(s.weights[i*n:], w, (o+i)*w.In+k, n)
	}
	tileGeneric(y, ys, m.x[r*w.In+k:], w.In, rows, s.weights, n, outs, n)
}

// stageTask copies rows of x, see stage.
type stageTask struct {
	to, x    []float32
	rows, in int
	size     int // rows in a piece
}
