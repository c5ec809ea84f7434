//go:build !noasm

package kernel

import "unsafe"

// Products of many rows with blocks by AMX: the whole numbers of qmatmul.go, and the float32 sums of
// AVX2 in the same order, so the bits are those of one row. Weights are the left factor, sixteen outputs
// by a run; x is the right one, sixteen rows by a run, turned round once per product.
//
// A run has a scale of its own, so its 256 sums leave the tile and are scaled by AVX-512: see
// amx_int8_amd64.s, and docs/adr/0014 for what that costs and what else there was.

const (
	tileOuts  = 16 // outputs of a tile: a panel
	tileRuns  = 8  // runs taken together, a block of 256
	tileBlock = 16 // rows of a tile
	tileWords = 12 * tileBlock
	tileWide  = 4                           // most panels taken together: with a block of x they fit the first-level cache
	tileSums  = tileOuts * tileBlock        // of one tile
	tileRing  = 4 * 2 * tileSums            // places of two tiles
	tileRun   = tileOuts*run + 4*tileOuts   // bytes of a run of a panel: whole numbers, scales,
	tileRun2  = tileRun + 4*tileOuts        // what is taken off,
	tileRun3  = tileOuts*run + 4*3*tileOuts // or two factors
)

// The assembly knows what an xRun is: twelve words, d the ninth and dSum the tenth.
var _ = [1]struct{}{}[unsafe.Sizeof(xRun{})-48+unsafe.Offsetof(xRun{}.d)-32+unsafe.Offsetof(xRun{}.dSum)-36]

// blockTiles are products of blocks of rows of x with panels of weights over some runs.
type blockTiles struct {
	c                    *float32 // [blocks][panels][16 outputs][16 rows], added to
	ring                 *int32   // tileRing
	w                    *byte    // [panels][runs] of tileRun, tileRun2 or tileRun3 bytes
	x                    *uint32  // [blocks][runs][12][16 rows]: the words of xRun
	blocks, panels, runs int
	config               *[64]byte
	_                    int // for the assembly: bytes of x that are done; no pointer moves, for the garbage collector reads this
}

// amxScaled is blockTiles for Q8_0 and Q4_0, amxScaledLess for Q4_K, amxScaledTwice for Q6_K.
//
//go:noescape
func amxScaled(p *blockTiles)

//go:noescape
func amxScaledLess(p *blockTiles)

//go:noescape
func amxScaledTwice(p *blockTiles)

// tilesInt8 is the configuration for so many columns at once: two tiles of sums, two of weights, two of x.
func tilesInt8(columns int) (c [64]byte) {
	c[0] = 1 // palette
	for i := range 2 {
		c[16+2*i], c[48+i] = 64, 16
		c[16+2*(4+i)], c[48+4+i] = byte(columns), 16
		c[16+2*(6+i)], c[48+6+i] = 64, byte(columns/4)
	}
	return c
}

var tilesOfRun, tilesOfHalf = tilesInt8(run), tilesInt8(run / 2)

// unrollFunc writes the runs of a row of blocks, the integers first and then its scales, to where
// output 0 has them in a panel.
type unrollFunc = func(q *byte, scale *float32, src *byte, blocks int)

// tiledFormat is what there is for a format.
type tiledFormat struct {
	size   int // bytes of a run of a panel
	unroll unrollFunc
	add    func(*blockTiles)
	config *[64]byte
}

// inTiles has the formats in the order of formats.
var inTiles = [...]tiledFormat{
	{tileRun, unrollQ8_0, amxScaled, &tilesOfRun},
	{tileRun3, unrollQ6_K, amxScaledTwice, &tilesOfHalf},
	{tileRun2, unrollQ4_K, amxScaledLess, &tilesOfRun},
	{tileRun, unrollQ4_0, amxScaled, &tilesOfRun},
}

func (f *format) tiles() *tiledFormat {
	for i := range formats {
		if f == &formats[i] {
			return &inTiles[i]
		}
	}
	panic("kernel: no format")
}

// blockTask is a product cut into pieces of wide panels of outputs.
type blockTask struct {
	team       *Team
	y, x, bias []float32
	rows, wide int
	w          *Weight
	packed     []uint32 // x: some runs at a time, in each block by block, as blockTiles wants it
}

// matMulBlocks is MatMul for blocks if tiles are better: for few rows memory is the limit.
func (t *Team) matMulBlocks(y, x []float32, rows int, w *Weight, bias []float32) bool {
	if !useAVX512 || rows <= fewRows {
		return false
	}
	for r := 0; r < rows; r += amxRows {
		n := min(amxRows, rows-r)
		b := &t.blocks
		*b = blockTask{team: t, y: y[r*w.Out:][:n*w.Out], x: x[r*w.In:][:n*w.In], bias: bias, rows: n, w: w, packed: b.packed}
		b.wide = min(tileWide, max(1, pieces(w.Out, tileOuts)/(4*t.Workers())))
		b.packed = grow(b.packed, w.In/run*b.count()*tileWords)
		t.blocksPack = blockPackTask{b}
		t.pool.Run(b.count(), &t.blocksPack)
		t.pool.Run(pieces(w.Out, b.wide*tileOuts), b)
		*b = blockTask{packed: b.packed}
	}
	return true
}

func (t *blockTask) count() int { return pieces(t.rows, tileBlock) }

// at returns where in packed run k of block b is, k a multiple of tileRuns.
func (t *blockTask) at(k, b int) int {
	return (k*t.count() + b*min(tileRuns, t.w.In/run-k)) * tileWords
}

// blockPackTask rounds blocks of rows of x and turns them round.
type blockPackTask struct{ *blockTask }

func (p *blockPackTask) Do(b, worker int) {
	in, s := p.w.In, &p.team.scratch[worker]
	runs := in / run
	s.runs = grow(s.runs, runs*tileBlock)
	for r := range min(tileBlock, p.rows-b*tileBlock) {
		quantize(s.runs[r:], tileBlock, p.x[(b*tileBlock+r)*in:][:in])
	}
	const words = int(unsafe.Sizeof(xRun{})) / 4
	all := unsafe.Slice((*float32)(unsafe.Pointer(&s.runs[0])), len(s.runs)*words)
	for k := range runs {
		to := p.packed[p.at(k&^(tileRuns-1), b)+k%tileRuns*tileWords:][:tileWords]
		dst := unsafe.Slice(floats(to), len(to))
		for half := range 2 {
			packKeyRows(dst[8*half:], all[(k*tileBlock+8*half)*words:], words, 8, 10)
		}
	}
}

func (t *blockTask) Do(i, worker int) {
	o, blocks, runs, s := i*t.wide*tileOuts, t.count(), t.w.In/run, &t.team.scratch[worker]
	outs := min(t.wide*tileOuts, t.w.Out-o)
	panels := pieces(outs, tileOuts)
	_, f := t.w.blocks()
	tiles := f.tiles()
	s.out, s.ring = grow(s.out, blocks*panels*tileSums), grow(s.ring, tileRing)
	s.bytes = grow(s.bytes, panels*tileRuns*tiles.size)
	t.begin(s.out, o, outs, panels)
	for k := 0; k < runs && !t.team.abandoned.Load(); k += tileRuns {
		n := min(tileRuns, runs-k)
		for j := range outs {
			t.unroll(s.bytes[j/tileOuts*n*tiles.size:][:n*tiles.size], j%tileOuts, o+j, k, n)
		}
		x := t.packed[t.at(k, 0):][:blocks*n*tileWords] // the assembly trusts this
		s.blocks = blockTiles{c: &s.out[0], ring: &s.ring[0], w: &s.bytes[0], x: &x[0],
			blocks: blocks, panels: panels, runs: n, config: tiles.config}
		tiles.add(&s.blocks)
	}
	s.blocks = blockTiles{}
	t.end(s, o, outs, panels)
}

// unroll writes runs k to k+n of an output's weights to a panel.
func (t *blockTask) unroll(panel []byte, i, o, k, n int) {
	data, f := t.w.blocks()
	perBlock := f.values / run
	blocks := n / perBlock
	from := data[(o*(t.w.In/run)+k)/perBlock*f.bytes:][:blocks*f.bytes] // the assembly trusts this
	scales := unsafe.Slice((*float32)(unsafe.Pointer(&panel[tileOuts*run])), 1+i)
	f.tiles().unroll(&panel[i*run], &scales[i], &from[0], blocks)
}

// begin sets the sums to the bias.
func (t *blockTask) begin(c []float32, o, outs, panels int) {
	if t.bias == nil {
		clear(c)
		return
	}
	for i := range outs {
		for b := range t.count() {
			row := c[(b*panels*tileOuts+i)*tileBlock:][:tileBlock]
			for r := range row {
				row[r] = t.bias[o+i]
			}
		}
	}
}

// end turns the sums round, and writes them to y.
func (t *blockTask) end(s *scratch, o, outs, panels int) {
	s.weights = grow(s.weights, tileBlock*panelOut)
	for b := range t.count() {
		for p := range panels {
			sums, at := s.out[(b*panels+p)*tileSums:][:tileSums], p*tileOuts
			packKeyRows(s.weights, sums, tileBlock, 8, tileBlock)
			packKeyRows(s.weights[8:], sums[tileSums/2:], tileBlock, 8, tileBlock)
			for r := range min(tileBlock, t.rows-b*tileBlock) {
				copy(t.y[(b*tileBlock+r)*t.w.Out+o+at:][:min(tileOuts, outs-at)], s.weights[r*panelOut:])
			}
		}
	}
}
