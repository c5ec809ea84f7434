package kernel

import "math"

// Products with weights in blocks are those of integers: each row of x is rounded to int8 once per
// MatMul, in runs of 32,
//
//	d = max|x|/127,  q = round(x·(127/max|x|)),  half to even
//
// and every product of a run of x with one of w (blocks.go has what w is made of) is then an exact
// sum Σ of whole numbers, below 2²⁴ and so exact in float32, too. A run adds
//
//	y += (d·scale)·Σ factor·q·w, and for Q4_K then y -= least·(d·Σ q)
//
// to y in float32, one run after another: an order that depends on nothing but K.
//
// Rounding x to int8 costs a relative error of 0.5 % of a product of normally distributed
// vectors, root mean square; TestQuantizedError measures it. A run of x whose largest
// magnitude is below 2⁻¹⁰⁰ counts as zeros; one that holds what is not finite makes y
// not finite.

// leastRun is what the largest magnitude of a run must reach: 127/max|x| must be finite.
const leastRun = float32(0x1p-100)

// activations is x as int8.
type activations struct {
	q []int8    // [rows, In]
	d []float32 // [rows, In/32, 2]: d and d·Σ q of each run
}

// quantizeGeneric rounds runs of x to int8, see above.
func quantizeGeneric(q []int8, d, x []float32) {
	for b := 0; b < len(x); b += run {
		values, out := x[b:][:run], q[b:][:run]
		top := uint32(0) // as integers, magnitudes have the order of numbers, and a NaN is the largest
		for _, v := range values {
			top = max(top, math.Float32bits(v)&^(1<<31))
		}
		var scale, inverse float32
		if largest := math.Float32frombits(top); top >= math.Float32bits(leastRun) {
			scale, inverse = largest/127, 127/largest
		}
		sum := int32(0)
		for i, v := range values {
			r := math.RoundToEven(float64(float32(v * inverse)))
			if r != r {
				r = 0 // whatever it is, scale is not finite
			}
			out[i] = int8(r)
			sum += int32(out[i])
		}
		at := b / run * 2
		d[at], d[at+1] = scale, float32(float32(sum)*scale)
	}
}

// quantizeTask rounds some rows of x.
type quantizeTask struct {
	acts *activations
	x    []float32
	size int // floats in a piece, whole runs
}

func (t *quantizeTask) Do(i, _ int) {
	from := i * t.size
	to := min(len(t.x), from+t.size)
	quantize(t.acts.q[from:to], t.acts.d[from/run*2:to/run*2], t.x[from:to])
}

// stageGeneric rounds x to int8 where the weights want it.
func (m *matMulTask) stageGeneric() {
	if !m.w.quantized() {
		return
	}
	t := m.team
	t.acts.q, t.acts.d = grow(t.acts.q, len(m.x)), grow(t.acts.d, len(m.x)/run*2)
	t.rounding = quantizeTask{acts: &t.acts, x: m.x, size: elementsPerPiece}
	t.pool.Run(pieces(len(m.x), elementsPerPiece), &t.rounding)
	t.rounding.x = nil
}

// qproductGeneric adds to y [rows, w.Out] the products of the rows r to r+rows of x with the
// outputs o to o+outs of w, over columns k to k+n. y begins at the first element that is
// used, its rows ys apart.
func (m *matMulTask) qproductGeneric(y []float32, ys, r, rows, o, outs, k, n int) {
	data, f := m.w.blocks()
	perRow := m.w.In / run
	var w unpacked
	for i := range outs {
		for b := k / run; b < (k+n)/run; b++ {
			f.unpack(&w, data, (o+i)*perRow+b)
			for j := range rows {
				at := (r+j)*perRow + b
				q, d := m.team.acts.q[at*run:][:run], m.team.acts.d[2*at:][:2]
				to := &y[j*ys+i]
				*to += float32(float32(d[0]*w.scale) * float32(w.dot(q)))
				if f == formatQ4_K {
					*to -= float32(w.least * d[1])
				}
			}
		}
	}
}

// dot returns Σ factor·q·x.
func (w *unpacked) dot(x []int8) (sum int32) {
	for h, factor := range w.factor {
		part := int32(0)
		for c, v := range x[h*run/2:][:run/2] {
			part += int32(v) * int32(w.q[h*run/2+c])
		}
		sum += factor * part
	}
	return sum
}
