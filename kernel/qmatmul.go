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

// xRun is a run of x. Its order and sizes are known to the assembly (kernel/_asm/qtile.go).
type xRun struct {
	q       [run]int8
	d, dSum float32  // and d·Σ q
	eight   int32    // 8·Σ q
	half    [2]int16 // Σ q of each half
}

// activations is x [rows, In] as int8. Rows that are multiplied together lie together, run by run: run
// b of row r, of a group of g rows from the row r0 on, is at r0·In/32 + b·g + r - r0, and gap more for every group before.
type activations struct {
	runs  []xRun
	rows  int
	width int // most rows in a group
	gap   int // runs behind a group that nothing uses
}

// at returns the place of a row's run, and how far the next one is from it.
func (a *activations) at(row, b, perRow int) (place, step int) {
	first := row / a.width * a.width
	step = min(a.width, a.rows-first)
	return first*perRow + first/a.width*a.gap + b*step + row - first, step
}

// quantizeGeneric rounds runs of x to int8, see above, and writes them step apart.
func quantizeGeneric(to []xRun, step int, x []float32) {
	for b := range len(x) / run {
		values, out := x[b*run:][:run], &to[b*step]
		top := uint32(0) // as integers, magnitudes have the order of numbers, and a NaN is the largest
		for _, v := range values {
			top = max(top, math.Float32bits(v)&^(1<<31))
		}
		var scale, inverse float32
		if largest := math.Float32frombits(top); top >= math.Float32bits(leastRun) {
			scale, inverse = largest/127, 127/largest
		}
		out.half = [2]int16{}
		for i, v := range values {
			r := math.RoundToEven(float64(float32(v * inverse)))
			if r != r {
				r = 0 // whatever it is, scale is not finite
			}
			out.q[i] = int8(r)
			out.half[i/(run/2)] += int16(out.q[i])
		}
		sum := int32(out.half[0]) + int32(out.half[1])
		out.d, out.dSum, out.eight = scale, float32(float32(sum)*scale), 8*sum
	}
}

// quantizeTask rounds some rows of x.
type quantizeTask struct {
	acts *activations
	x    []float32
	in   int
	size int // rows in a piece
}

func (t *quantizeTask) Do(i, _ int) {
	for r := i * t.size; r < min(t.acts.rows, (i+1)*t.size); r++ {
		at, step := t.acts.at(r, 0, t.in/run)
		quantize(t.acts.runs[at:], step, t.x[r*t.in:][:t.in])
	}
}

// rounds reports whether x becomes int8.
func (m *matMulTask) rounds() bool { return m.w.quantized() && m.team.Precision == Fast }

// stageGeneric rounds x to int8 where the weights want it, in groups of some rows.
func (m *matMulTask) stageGeneric(width, gap int) {
	if !m.rounds() {
		return
	}
	t, in := m.team, m.w.In
	t.acts.runs = grow(t.acts.runs, len(m.x)/run+pieces(m.rows, width)*gap)
	t.acts.rows, t.acts.width, t.acts.gap = m.rows, width, gap
	t.rounding = quantizeTask{acts: &t.acts, x: m.x, in: in, size: rowsPerPiece(in)}
	t.pool.Run(pieces(m.rows, t.rounding.size), &t.rounding)
	t.rounding.x = nil
}

// qproductGeneric adds to y [rows, w.Out] the products of the rows r to r+rows of x with the
// outputs o to o+outs of w, over columns k to k+n. y begins at the first element that is
// used, its rows ys apart.
func (m *matMulTask) qproductGeneric(y []float32, ys, r, rows, o, outs, k, n int) {
	data, f := m.w.blocks()
	perRow := m.w.In / run
	acts := &m.team.acts
	var w unpacked
	for i := range outs {
		for b := k / run; b < (k+n)/run; b++ {
			f.unpack(&w, data, (o+i)*perRow+b)
			for j := range rows {
				at, _ := acts.at(r+j, b, perRow)
				x, to := &acts.runs[at], &y[j*ys+i]
				*to += float32(float32(x.d*w.scale) * float32(w.dot(x.q[:])))
				if f == formatQ4_K {
					*to -= float32(w.least * x.dSum)
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
