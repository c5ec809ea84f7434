package kernel

import (
	"encoding/binary"
	"math"

	"idefics2/internal/half"
)

// Products with quantized weights. A row of weights is blocks as GGUF stores them (package quant
// has the formats), and the arithmetic is that of integers: each row of x is rounded to int8
// once per MatMul, in blocks of 32,
//
//	d = max|x|/127,  q = round(x·(127/max|x|)),  half to even
//
// and every product of a block of x with one of w is then an exact sum Σ, below 2²⁰. A block adds
//
//	Q8_0  y += (d·scale)·Σ q·w
//	Q4_0  y += (d·scale)·Σ q·w, and then y -= (8·scale)·(d·Σ q),  w from 0 to 15
//
// to y in float32, one block after another: an order that depends on nothing but K.
//
// Rounding x to int8 costs a relative error of 0.5 % of a product of normally distributed
// vectors, root mean square; TestQuantizedError measures it. A block of x whose largest
// magnitude is below 2⁻¹⁰⁰ counts as zeros; one that holds what is not finite makes y
// not finite.

const (
	quantBlock = 32                // values in a block of x, and of Q8_0 and Q4_0
	sizeQ8_0   = 2 + quantBlock    // bytes: scale, then int8
	sizeQ4_0   = 2 + quantBlock/2  // bytes: scale, then low nibbles for the first half and high for the second
	leastBlock = float32(0x1p-100) // below it a block of x is zeros: 127/max|x| must be finite
)

// activations is x as int8.
type activations struct {
	q []int8    // [rows, In]
	d []float32 // [rows, In/32, 2]: d and d·Σ q of each block
}

// quantizeGeneric rounds blocks of x to int8, see above.
func quantizeGeneric(q []int8, d, x []float32) {
	for b := 0; b < len(x); b += quantBlock {
		block, out := x[b:][:quantBlock], q[b:][:quantBlock]
		top := uint32(0) // as integers, magnitudes have the order of numbers, and a NaN is the largest
		for _, v := range block {
			top = max(top, math.Float32bits(v)&^(1<<31))
		}
		var scale, inverse float32
		if largest := math.Float32frombits(top); top >= math.Float32bits(leastBlock) {
			scale, inverse = largest/127, 127/largest
		}
		sum := int32(0)
		for i, v := range block {
			r := math.RoundToEven(float64(float32(v * inverse)))
			if r != r {
				r = 0 // whatever it is, scale is not finite
			}
			out[i] = int8(r)
			sum += int32(out[i])
		}
		at := b / quantBlock * 2
		d[at], d[at+1] = scale, float32(float32(sum)*scale)
	}
}

// quantizeTask rounds some rows of x.
type quantizeTask struct {
	acts *activations
	x    []float32
	size int // floats in a piece, whole blocks
}

func (t *quantizeTask) Do(i, _ int) {
	from := i * t.size
	to := min(len(t.x), from+t.size)
	quantize(t.acts.q[from:to], t.acts.d[from/quantBlock*2:to/quantBlock*2], t.x[from:to])
}

// stageGeneric rounds x to int8 where the weights want it.
func (m *matMulTask) stageGeneric() {
	if !m.w.quantized() {
		return
	}
	t := m.team
	t.acts.q, t.acts.d = grow(t.acts.q, len(m.x)), grow(t.acts.d, len(m.x)/quantBlock*2)
	t.rounding = quantizeTask{acts: &t.acts, x: m.x, size: elementsPerPiece}
	t.pool.Run(pieces(len(m.x), elementsPerPiece), &t.rounding)
	t.rounding.x = nil
}

// quantized reports whether w is stored in blocks.
func (w *Weight) quantized() bool { return len(w.Q8_0) != 0 || len(w.Q4_0) != 0 }

// blocks returns the bytes of a quantized weight, and the size of a block.
func (w *Weight) blocks() ([]byte, int) {
	if len(w.Q8_0) != 0 {
		return w.Q8_0, sizeQ8_0
	}
	return w.Q4_0, sizeQ4_0
}

// qproductGeneric adds to y [rows, w.Out] the products of the rows r to r+rows of x with the
// outputs o to o+outs of w, over columns k to k+n. y begins at the first element that is
// used, its rows ys apart.
func (m *matMulTask) qproductGeneric(y []float32, ys, r, rows, o, outs, k, n int) {
	src, size := m.w.blocks()
	perRow := m.w.In / quantBlock
	var w [quantBlock]int8
	for i := range outs {
		for b := k / quantBlock; b < (k+n)/quantBlock; b++ {
			block := src[((o+i)*perRow+b)*size:][:size]
			scale, least := decodeBlock(&w, block)
			for j := range rows {
				at := (r+j)*perRow + b
				q := m.team.acts.q[at*quantBlock:][:quantBlock]
				sum := int32(0)
				for c, v := range q {
					sum += int32(v) * int32(w[c])
				}
				to := &y[j*ys+i]
				*to += float32(float32(m.team.acts.d[2*at]*scale) * float32(sum))
				if size == sizeQ4_0 {
					*to -= float32(least * m.team.acts.d[2*at+1])
				}
			}
		}
	}
}

// decodeBlock returns a block's values as integers: each stands for scale·w - least.
func decodeBlock(w *[quantBlock]int8, block []byte) (scale, least float32) {
	scale = half.F16ToF32(binary.LittleEndian.Uint16(block))
	if len(block) == sizeQ8_0 {
		for i, b := range block[2:] {
			w[i] = int8(b)
		}
		return scale, 0
	}
	for i, b := range block[2:] {
		w[i], w[i+quantBlock/2] = int8(b&15), int8(b>>4)
	}
	return scale, 8 * scale
}
