package kernel

// The gradients of y = x·wᵀ + bias, see MatMul. Each of the three adds to what is there. A row of dx
// has the same bits whatever the other rows are; dw and dbias are sums over all rows, in
// their order, whatever the number of threads.

// MatMulDX adds dy·w to dx: dx[r,k] += Σ_o dy[r,o]·w[o,k], for dy [rows, Out] and dx [rows, In].
// w must not be of GGUF's blocks.
func (t *Team) MatMulDX(dx, dy []float32, rows int, w *Weight) {
	w.check()
	want("MatMulDX", "dx", len(dx), rows*w.In)
	want("MatMulDX", "dy", len(dy), rows*w.Out)
	if w.quantized() {
		panic("kernel: MatMulDX: w is of blocks")
	}
	if len(dx) == 0 || w.Out == 0 {
		return
	}
	to, order := dx, w.order()
	if order != nil {
		t.ordered = grow(t.ordered, len(dx))
		dx = t.ordered
		clear(dx)
	}
	part := max(maxBlock, stagedFloats/w.Out/maxBlock*maxBlock)
	for r := 0; r < rows; r += part {
		n := min(part, rows-r)
		t.product = productTask{team: t, c: dx[r*w.In:][:n*w.In], rows: n, k: w.Out, b: w}
		t.gather = gatherTask{a: dy[r*w.Out:], stride: w.Out}
		t.product.run()
	}
	for i := 0; order != nil && i < len(to); i += w.In {
		for j, k := range order {
			to[i+int(k)] += dx[i+j]
		}
	}
}

// MatMulDW adds dyᵀ·x to dw: dw[o,k] += Σ_r dy[r,o]·x[r,k], for dy [rows, out], x [rows, in] and
// dw [out, in].
func (t *Team) MatMulDW(dw, dy, x []float32, rows, out, in int) {
	want("MatMulDW", "dw", len(dw), out*in)
	want("MatMulDW", "dy", len(dy), rows*out)
	want("MatMulDW", "x", len(x), rows*in)
	if len(dw) == 0 || rows == 0 {
		return
	}
	part := max(productChunk, stagedFloats/out/productChunk*productChunk)
	for r := 0; r < rows; r += part {
		n := min(part, rows-r)
		t.columns = Weight{Out: n, In: in, F32: x[r*in:][:n*in]}
		t.product = productTask{team: t, c: dw, rows: out, k: n, b: &t.columns}
		t.gather = gatherTask{a: dy[r*out:], stride: out, transposed: true}
		t.product.run()
	}
	t.columns = Weight{}
}

// MatMulDBias adds the rows of dy [rows, len(dbias)] to dbias.
func (t *Team) MatMulDBias(dbias, dy []float32, rows int) {
	want("MatMulDBias", "dy", len(dy), rows*len(dbias))
	t.columnSums = columnSumTask{sum: dbias, y: dy, rows: rows}
	t.pool.Run(pieces(len(dbias), sumColumns), &t.columnSums)
	t.columnSums = columnSumTask{}
}

// productTask computes c += a·b for a [rows, k], b [k, In] and c [rows, In], b being rows of a Weight.
// K is walked in chunks: a's are gathered once, for all pieces, unless they can be used where they lie,
// and the columns of b that a piece is about are copied close together.
type productTask struct {
	team    *Team
	c       []float32
	rows, k int
	b       *Weight

	a        []float32 // chunk ci of row r is at ci·aChunk + r·aStride
	aStride  int
	aChunk   int
	chunk    int
	panel    int // columns in a piece, and how many such
	panels   int
	block    int // rows in a piece, and how many such
	rowCount int
}

const (
	// productChunk is the greatest length of the stretches of K. Sixteen columns of one and six rows of a,
	// 22 KB, stay in the first-level cache.
	productChunk = 256

	// productBlock is the greatest number of rows of a piece. They go past the copied columns of b,
	// which stay in the second-level cache, once for each chunk: the more, the less is copied.
	productBlock = 1536
)

func (p *productTask) run() {
	t := p.team
	count := pieces(p.k, productChunk)
	p.chunk = ((p.k+count-1)/count + 7) &^ 7
	p.plan()
	g := &t.gather
	if g.transposed || crowded(g.stride) {
		g.rows, g.k, g.chunk = p.rows, p.k, p.chunk
		p.aStride = p.chunk + 16
		p.aChunk = p.rows * p.aStride
		t.staged = grow(t.staged, count*p.aChunk)
		g.to, p.a = t.staged, t.staged
		t.pool.Run(g.pieces(), g)
	} else {
		p.a, p.aStride, p.aChunk = g.a, g.stride, p.chunk
	}
	t.pool.Run(p.rowCount*p.panels, p)
	t.gather, t.product = gatherTask{}, productTask{}
}

// crowded reports whether stretches of six rows so far apart, in floats, fall on the same lines of the
// first-level cache: it has 64 sets of 64 bytes, and a stretch takes a quarter of them.
func crowded(stride int) bool {
	at := stride % 1024
	return min(at, 1024-at) < 128
}

// plan is that of matMulTask, for another panel.
func (p *productTask) plan() {
	p.rowCount = pieces(p.rows, productBlock)
	p.block = (p.rows + p.rowCount - 1) / p.rowCount
	// Where there are few columns, rows are divided, until every worker gets a few pieces.
	for few := 4 * p.team.Workers(); p.block > maxBlock && p.rowCount*pieces(p.b.In, maxPanel) < few; {
		p.rowCount++
		p.block = (p.rows + p.rowCount - 1) / p.rowCount
	}
	if p.rowCount > 1 {
		p.block = (p.block + 2*tileRows - 1) / (2 * tileRows) * (2 * tileRows)
		p.rowCount = pieces(p.rows, p.block)
	}
	fair := p.b.In * p.rowCount / (4 * p.team.Workers())
	worth := productsPerPiece / max(1, p.block*p.k)
	p.panel = min(maxPanel, max(16, fair, worth))
	p.panel = (p.panel + 15) &^ 15
	p.panels = pieces(p.b.In, p.panel)
}

func (p *productTask) Do(i, worker int) {
	r0, c0 := i/p.panels*p.block, i%p.panels*p.panel
	rows, cols := min(p.block, p.rows-r0), min(p.panel, p.b.In-c0)
	s := &p.team.scratch[worker]
	// Whole vectors are added to c where it lies.
	y, ys := p.c[r0*p.b.In+c0:], p.b.In
	apart := cols%8 != 0
	if apart {
		ys = (cols+7)&^7 + 16
		s.out = grow(s.out, rows*ys)
		y = s.out
		for r := range rows {
			row := y[r*ys:][:ys]
			clear(row[copy(row[:cols], p.c[(r0+r)*p.b.In+c0:]):])
		}
	}
	for k := 0; k < p.k && !p.team.abandoned.Load(); k += p.chunk {
		n := min(p.chunk, p.k-k)
		b, bs := p.columns(s, k, n, c0, cols)
		combine(y, ys, p.a[k/p.chunk*p.aChunk+r0*p.aStride:], p.aStride, rows, b, bs, (cols+7)&^7, n, tileRows*p.aStride, true)
	}
	if apart {
		for r := range rows {
			copy(p.c[(r0+r)*p.b.In+c0:][:cols], y[r*ys:])
		}
	}
}

// columns copies the rows of b from k to k+n, columns c0 to c0+cols, to rows that lie bs apart and have
// zeros up to a whole vector.
func (p *productTask) columns(s *scratch, k, n, c0, cols int) (b []float32, bs int) {
	bs = (cols+7)&^7 + 16 // sixteen columns of a chunk then fall on all lines of the cache alike
	s.weights = grow(s.weights, n*bs)
	coded := p.b.coded()
	if coded {
		s.decoded = grow(s.decoded, cols+spreadRoom)
	}
	for i := range n {
		row := s.weights[i*bs:][:bs]
		at := (k+i)*p.b.In + c0
		switch {
		case p.b.F32 != nil:
			copy(row[:cols], p.b.F32[at:])
		case coded:
			spread(s.decoded, p.b, at, cols)
			copy(row[:cols], s.decoded[spreadFront:])
		default:
			widenRow(row, p.b, at, cols)
		}
		clear(row[cols:])
	}
	return s.weights, bs
}

// gatherTask brings a to where productTask reads it: chunk after chunk of K, row r of one at
// (chunk·rows + r)·(length + 16). That much past what may be a power of two, rows do not
// push one another out of the caches.
type gatherTask struct {
	to, a      []float32
	stride     int  // of a
	transposed bool // a is [k, rows]
	rows, k    int
	chunk      int
}

// gatherRows is the number of rows of a piece.
const gatherRows = 64

func (g *gatherTask) pieces() int { return pieces(g.rows, gatherRows) }

func (g *gatherTask) Do(i, _ int) {
	r0, r1 := i*gatherRows, min(g.rows, (i+1)*gatherRows)
	length := g.chunk + 16
	for k := 0; k < g.k; k += g.chunk {
		n := min(g.chunk, g.k-k)
		to := g.to[(k/g.chunk*g.rows+r0)*length:]
		if g.transposed {
			transpose(to, length, g.a[k*g.stride+r0:], g.stride, n, r1-r0)
			continue
		}
		for r := r0; r < r1; r++ {
			copy(to[(r-r0)*length:][:n], g.a[r*g.stride+k:])
		}
	}
}

// transposeGeneric writes src[i·from+j] to dst[j·to+i] for i < rows and j < cols.
func transposeGeneric(dst []float32, to int, src []float32, from, rows, cols int) {
	for i := range rows {
		for j, v := range src[i*from:][:cols] {
			dst[j*to+i] = v
		}
	}
}

// combineGeneric adds Σ_k x[r·xs+k]·w[k·ws+j] to y[r·ys+j] for r < rows and j < cols, k rising.
func combineGeneric(y []float32, ys int, x []float32, xs, rows int, w []float32, ws, cols, n int) {
	for r := range rows {
		weightedSum(y[r*ys:][:cols], x[r*xs:][:n], w, ws)
	}
}

// columnSumTask adds up rows, some columns a piece: sums of some rows each, so that the rounding
// of a sum does not grow with the rows.
type columnSumTask struct {
	sum, y []float32
	rows   int
}

const (
	sumColumns = 64
	sumRows    = 64
)

func (t *columnSumTask) Do(i, _ int) {
	c := len(t.sum)
	lo, hi := i*sumColumns, min(c, (i+1)*sumColumns)
	var part [sumColumns]float32
	for r := 0; r < t.rows; r += sumRows {
		p := part[:hi-lo]
		clear(p)
		for row := r; row < min(t.rows, r+sumRows); row++ {
			addTo(p, t.y[row*c+lo:][:hi-lo])
		}
		addTo(t.sum[lo:hi], p)
	}
}
