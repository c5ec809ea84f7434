//go:build !noasm

package kernel

import "unsafe"

// Products by AMX tiles. Weights are the left factor, as they lie: sixteen outputs by 32 columns
// are a tile. Activations are the right one, rounded to bfloat16 and interleaved once per product.
// So sums have outputs as rows, and are turned round in the end.
//
// Every sum takes its columns in the same order, pairs of them 32 at a time, whatever else is in
// the tiles: a row alone has the bits that it has among others. One row uses a 32nd of the
// tiles, and memory is still the limit.

const (
	tileK     = 32               // columns of a tile
	amxOuts   = 32               // outputs taken together: two tiles
	amxBlock  = 32               // rows likewise
	amxChunk  = 8 * tileK        // columns: so that weights and activations share the first-level cache
	amxStep   = amxBlock * tileK // values of x for a block and a tile's columns
	amxSums   = amxOuts * amxBlock
	amxRows   = 1024 // of one part; their sums fit the second-level cache
	amxAtOnce = 32   // blocks of one call, which must not take longer than a garbage collection may wait
)

// fastTask is a product cut into pieces of amxOuts outputs.
type fastTask struct {
	team       *Team
	y, x, bias []float32
	rows       int
	w          *Weight
	packed     []uint32 // x: chunk by chunk, in each block by block, as amxBF16 wants it
}

// matMulFast is MatMul if there is something faster than exact arithmetic.
func (t *Team) matMulFast(y, x []float32, rows int, w *Weight, bias []float32) bool {
	switch {
	case !useAVX2 || !useAMX:
		return false
	case w.quantized():
		return t.matMulBlocks(y, x, rows, w, bias)
	case len(w.BF16) == 0:
		return false
	}
	for r := 0; r < rows; r += amxRows {
		n := min(amxRows, rows-r)
		f := &t.fast
		*f = fastTask{team: t, y: y[r*w.Out:][:n*w.Out], x: x[r*w.In:][:n*w.In], bias: bias, rows: n, w: w, packed: f.packed}
		f.packed = grow(f.packed, pieces(w.In, tileK)*f.blocks()*amxStep/2)
		t.fastPack = fastPackTask{f}
		t.pool.Run(f.blocks(), &t.fastPack)
		t.pool.Run(pieces(w.Out, amxOuts), f)
		*f = fastTask{packed: f.packed}
	}
	return true
}

func (f *fastTask) blocks() int { return pieces(f.rows, amxBlock) }

// at returns where in packed the chunk at column k begins for block b.
func (f *fastTask) at(k, b int) int {
	steps := pieces(min(amxChunk, f.w.In-k), tileK)
	return (k/tileK*f.blocks() + b*steps) * amxStep / 2
}

// fastPackTask packs blocks of rows of x.
type fastPackTask struct{ *fastTask }

func (p *fastPackTask) Do(b, worker int) {
	in, s := p.w.In, &p.team.scratch[worker]
	width := pieces(in, tileK)*tileK/2 + 16 // pairs; not a power of two apart
	s.rounded = grow(s.rounded, amxBlock*width)
	for r := range amxBlock {
		row := s.rounded[r*width:][:width]
		if at := b*amxBlock + r; at < p.rows {
			roundPairs(row, p.x[at*in:][:in])
		} else {
			clear(row)
		}
	}
	for k := 0; k < in; k += amxChunk {
		to := p.packed[p.at(k, b):]
		for step := range pieces(min(amxChunk, in-k), tileK) {
			from := s.rounded[(k+step*tileK)/2:]
			for half := range amxBlock / 8 { // half a tile
				dst := to[step*amxStep/2+half/2*256+half%2*8:]
				src := from[8*half*width:]
				_, _ = dst[15*panelOut+7], src[7*width+15] // the assembly trusts these
				packKeys(floats(dst), floats(src), width, tileK/2)
			}
		}
	}
}

// floats lets functions that only move four bytes move pairs of bfloat16.
func floats(p []uint32) *float32 { return (*float32)(unsafe.Pointer(&p[0])) }

// roundPairs writes x, rounded to bfloat16, and then zeros to dst, two to an element.
func roundPairs(dst []uint32, x []float32) {
	whole := len(x) &^ 15
	clear(dst[whole/2:])
	if whole > 0 {
		_ = dst[whole/2-1] // the assembly trusts this
		roundBF16AVX2((*uint16)(unsafe.Pointer(&dst[0])), &x[0], whole)
	}
	if whole < len(x) {
		var tail [16]float32
		copy(tail[:], x[whole:])
		var last [8]uint32
		roundBF16AVX2((*uint16)(unsafe.Pointer(&last[0])), &tail[0], 16)
		copy(dst[whole/2:], last[:])
	}
}

func (f *fastTask) Do(i, worker int) {
	o, blocks, in, s := i*amxOuts, f.blocks(), f.w.In, &f.team.scratch[worker]
	outs := min(amxOuts, f.w.Out-o)
	s.out = grow(s.out, blocks*amxSums)
	clear(s.out)
	s.tile = grow(s.tile, amxOuts*amxChunk)
	for k := 0; k < in && !f.team.abandoned.Load(); k += amxChunk {
		n := min(amxChunk, in-k)
		f.copyWeights(s.tile, o, outs, k, n)
		steps := pieces(n, tileK)
		for b := 0; b < blocks; b += amxAtOnce {
			count := min(amxAtOnce, blocks-b)
			x := f.packed[f.at(k, b):]
			_, _ = x[count*steps*amxStep/2-1], s.out[(b+count)*amxSums-1] // the assembly trusts these
			amxBF16(&s.out[b*amxSums], &s.tile[0], (*uint16)(unsafe.Pointer(&x[0])), count, steps, &tiles)
		}
	}
	for b := range blocks {
		f.turn(s, b, o, outs)
	}
}

// copyWeights copies n columns of some outputs, and zeros up to whole tiles.
func (f *fastTask) copyWeights(to []uint16, o, outs, k, n int) {
	w, in := f.w.BF16, f.w.In
	if outs == amxOuts && n%tileK == 0 {
		_, _ = w[(o+outs-1)*in+k+n-1], to[(outs-1)*amxChunk+n-1] // the assembly trusts these
		copyRowsAVX2(&to[0], &w[o*in+k], in, n)
		return
	}
	clear(to)
	for i := range outs {
		copy(to[i*amxChunk:], w[(o+i)*in+k:][:n])
	}
}

// turn writes the sums of a block to y, and adds the bias.
func (f *fastTask) turn(s *scratch, b, o, outs int) {
	s.weights = grow(s.weights, 16*panelOut)
	for part := range 4 { // two of outputs by two of rows
		i, j := part/2*16, part%2*16
		sums := s.out[b*amxSums+part*256:][:256]
		packKeyRows(s.weights, sums, 16, 8, 16)
		packKeyRows(s.weights[8:], sums[128:], 16, 8, 16)
		for r := range min(16, f.rows-b*amxBlock-j) {
			if i >= outs {
				break
			}
			row := f.y[(b*amxBlock+j+r)*f.w.Out+o+i:][:min(16, outs-i)]
			copy(row, s.weights[r*panelOut:])
			if f.bias != nil {
				addTo(row, f.bias[o+i:][:len(row)])
			}
		}
	}
}
