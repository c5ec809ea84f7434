//go:build !noasm

package kernel

import (
	"encoding/binary"
	"math"
)

// qtileFunc adds to y[r·ys+o], for the rows in its name and sixteen outputs, the products of the
// int8 blocks x[r·xs+32·b] and d[r·ds+2·b] with a panel w, block by block.
type qtileFunc = func(y *float32, ys int, x *int8, xs int, d *float32, ds int, w *byte, blocks int)

// qpackFunc turns blocks of eight rows of weights, stride bytes apart, into half a panel, see
// kernel/_asm/qtile.go. Meanwhile it asks memory for what lies ahead bytes further on.
type qpackFunc = func(dst, src *byte, stride, ahead, blocks int)

var (
	tilesQ8 = [...]qtileFunc{tileQ81x16, tileQ82x16, tileQ83x16, tileQ84x16}
	tilesQ4 = [...]qtileFunc{tileQ41x16, tileQ42x16, tileQ43x16, tileQ44x16}
)

const (
	panelScales = 512 // where the scales of a panel's block begin: sixteen float32
	panelMins   = panelScales + 64
	panelBlock  = panelMins + 64 // bytes
)

func quantize(q []int8, d, x []float32) {
	if useAVX2 && len(x) > 0 {
		_, _ = q[len(x)-1], d[len(x)/quantBlock*2-1] // the assembly trusts these
		quantizeAVX2(&q[0], &d[0], &x[0], len(x)/quantBlock)
		return
	}
	quantizeGeneric(q, d, x)
}

func (m *matMulTask) qproduct(y []float32, ys, r, rows, o, outs, k, n int, s *scratch) {
	if rows <= qdotRows && outs == 8 {
		m.qdot(y, ys, r, rows, o)
		return
	}
	src, size := m.w.blocks()
	blocks, perRow := n/quantBlock, m.w.In/quantBlock
	panel := blocks * panelBlock
	s.bytes = grow(s.bytes, pieces(outs, panelOut)*panel)
	if outs%panelOut != 0 {
		clear(s.bytes[outs/panelOut*panel:]) // the lanes that no output fills
	}
	for i := 0; i < outs; i += 8 {
		dst := s.bytes[i/panelOut*panel+i%panelOut*4:]
		m.qpackHalf(dst, src, size, o+i, k/quantBlock, min(8, outs-i), blocks, 8*perRow*size)
	}
	tiles := &tilesQ8
	if size == sizeQ4_0 {
		tiles = &tilesQ4
	}
	for i := 0; i < outs; i += panelOut {
		w := &s.bytes[i/panelOut*panel]
		if useVNNI {
			m.qtilesVNNI(y[i:], ys, r, rows, k/quantBlock, s.bytes[i/panelOut*panel:], blocks)
			continue
		}
		for j := 0; j < rows; j += len(tiles) {
			count := min(rows-j, len(tiles))
			at := (r+j)*perRow + k/quantBlock
			x, d := m.team.acts.q[at*quantBlock:], m.team.acts.d[2*at:]
			_, _ = x[(count-1)*m.w.In+n-1], d[(count-1)*2*perRow+2*blocks-1] // the assembly trusts these
			_ = y[(j+count-1)*ys+i+panelOut-1]
			tiles[count-1](&y[j*ys+i], ys, &x[0], m.w.In, &d[0], 2*perRow, w, blocks)
		}
	}
}

// qpackHalf is qpackFunc for the blocks from b on of up to eight outputs.
func (m *matMulTask) qpackHalf(dst, src []byte, size, o, b, outs, blocks, ahead int) {
	stride := m.w.In / quantBlock * size
	at := o*stride + b*size
	if outs == 8 {
		_ = src[at+7*stride+blocks*size-1]
		var pack qpackFunc = packQ8_0
		if size == sizeQ4_0 {
			pack = packQ4_0
		}
		pack(&dst[0], &src[at], stride, ahead, blocks)
		return
	}
	var w [quantBlock]int8
	for i := range outs {
		for j := range blocks {
			scale, least := decodeBlock(&w, src[at+i*stride+j*size:][:size])
			to := dst[j*panelBlock:]
			for c, v := range w {
				to[c/4*64+4*i+c%4] = byte(v)
			}
			binary.LittleEndian.PutUint32(to[panelScales+4*i:], math.Float32bits(scale))
			binary.LittleEndian.PutUint32(to[panelMins+4*i:], math.Float32bits(least))
		}
	}
}

// qdotFunc adds to eight elements of y the products of the int8 blocks of one row with eight rows
// of weights, stride bytes apart. Meanwhile it asks memory for what lies ahead bytes further on.
type qdotFunc = func(y *float32, x *int8, d *float32, w *byte, stride, ahead, blocks int)

// qdotRows is the number of rows up to which blocks are multiplied where they lie.
const qdotRows = 2

// qdot multiplies whole rows with eight outputs.
func (m *matMulTask) qdot(y []float32, ys, r, rows, o int) {
	src, size := m.w.blocks()
	blocks := m.w.In / quantBlock
	stride := blocks * size
	var dot qdotFunc = dotQ8_0
	if size == sizeQ4_0 {
		dot = dotQ4_0
	}
	_, _ = src[(o+8)*stride-1], y[(rows-1)*ys+7] // the assembly trusts these
	// The first row of x brings the weights from memory, half a kilobyte ahead; the last of
	// them are used while the first of the next eight outputs arrive.
	last := min(blocks, 512/size+1)
	for i := range rows {
		at := (r + i) * blocks
		x, d := m.team.acts.q[at*quantBlock:][:m.w.In], m.team.acts.d[2*at:][:2*blocks]
		w, to := src[o*stride:], &y[i*ys]
		if b := blocks - last; b > 0 {
			dot(to, &x[0], &d[0], &w[0], stride, last*size, b)
			x, d, w = x[b*quantBlock:], d[2*b:], w[b*size:]
		}
		dot(to, &x[0], &d[0], &w[0], stride, 8*stride-(blocks-last)*size, last)
	}
}

// qgroup returns how many outputs and columns are taken together, see group.
func (m *matMulTask) qgroup(rows, outs int) (int, int) {
	switch {
	case rows <= qdotRows:
		return 8, m.w.In
	case rows <= len(tilesQ8):
		return panelOut, qchunk
	}
	return outs, qchunk
}

// qchunk is the number of columns in a panel.
const qchunk = 8 * quantBlock
