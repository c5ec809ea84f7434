package kernel

import (
	"fmt"

	"idefics2/internal/half"
)

// Matrices in codes, as bitsandbytes, AWQ and GPTQ store them: numbers of 4 or 8 bits, and beside
// them scales, of which a row need not have a whole number. (Package quant has what makes them.) A
// code stands for one float32, and products are those of these float32: a matrix in codes has
// the bits of the matrix that it decodes to, in an eighth or a quarter of its memory.
//
// Codes of 4 bits follow one another row by row, two in a byte, the first in the high half.

// Rounding is what values are rounded to once they are decoded: to the type that the matrix had
// before it was quantized.
type Rounding uint8

// The roundings, to nearest even.
const (
	NoRounding Rounding = iota
	ToBF16
	ToF16
)

// NF4 is a matrix whose codes are places in a table, with a scale for every Block of them, counted
// on through the rows: x[i] = Table[code i]·absmax[i/Block], rounded.
type NF4 struct {
	Codes  []byte // [⌈Out·In/2⌉]
	Table  [16]float32
	Block  int // a power of two from 32
	Round  Rounding
	Absmax []float32 // [⌈Out·In/Block⌉]; nil with Nested
	Nested *NestedScales
}

// NestedScales are scales in codes: scale[b] = Table[Codes[b]]·Scales[b/Block] + Offset, the product
// rounded before the sum.
type NestedScales struct {
	Codes  []byte
	Table  [256]float32
	Block  int
	Scales []float32 // [⌈len(Codes)/Block⌉]
	Offset float32
}

// Int4 is a matrix of whole numbers from 0 to 15 with a scale and a zero for every Size of a row:
// x[o, i] = (q - Zeros[o, i/Size])·Scales[o, i/Size]. Scales must be finite.
type Int4 struct {
	Codes  []byte // [⌈Out·In/2⌉]
	Size   int
	Scales []uint16 // F16 [Out, ⌈In/Size⌉]
	Zeros  []byte   // likewise

	// Order, if not nil, says which column of x meets each column of the matrix: that of one whose
	// groups were out of order lie together.
	Order []int32 // [In]
}

// Int8 is a matrix of whole numbers with a scale for each row: x[o, i] = q·Scales[o]/127.
type Int8 struct {
	Codes  []byte // int8 [Out, In]
	Scales []float32
}

// coded reports whether w is in codes.
func (w *Weight) coded() bool { return w.NF4 != nil || w.Int4 != nil || w.Int8 != nil }

// Differentiable reports whether MatMulDX takes w: it does but for GGUF's blocks.
func (w *Weight) Differentiable() bool { return !w.quantized() }

// checkCodes panics unless what there is of codes and scales fits the matrix.
func (w *Weight) checkCodes() {
	switch {
	case w.NF4 != nil:
		w.NF4.check(w.Out, w.In)
	case w.Int4 != nil:
		w.Int4.check(w.Out, w.In)
	default:
		w.Int8.check(w.Out, w.In)
	}
}

// decode writes the values from the one at on to dst. It is the reference of spread.
func (w *Weight) decode(dst []float32, at int) {
	switch {
	case w.NF4 != nil:
		w.NF4.decode(dst, at)
	case w.Int4 != nil:
		w.Int4.decode(dst, w.In, at)
	default:
		w.Int8.decode(dst, w.In, at)
	}
}

// order returns which column of x meets each column of w, or nil where they are in order.
func (w *Weight) order() []int32 {
	if w.Int4 != nil {
		return w.Int4.Order
	}
	return nil
}

func (m *NF4) check(out, in int) {
	n := out * in
	want("NF4", "Codes", len(m.Codes), (n+1)/2)
	if m.Block < 32 || m.Block&(m.Block-1) != 0 {
		panic(fmt.Sprintf("kernel: NF4: blocks of %d, want a power of two from 32", m.Block))
	}
	blocks := (n + m.Block - 1) / m.Block
	if q := m.Nested; q != nil {
		want("NF4", "Nested.Codes", len(q.Codes), blocks)
		want("NF4", "Nested.Scales", len(q.Scales), (blocks+q.Block-1)/q.Block)
		return
	}
	want("NF4", "Absmax", len(m.Absmax), blocks)
}

func (m *Int4) check(out, in int) {
	want("Int4", "Codes", len(m.Codes), (out*in+1)/2)
	if m.Size < 1 {
		panic(fmt.Sprintf("kernel: Int4: groups of %d", m.Size))
	}
	groups := out * ((in + m.Size - 1) / m.Size)
	want("Int4", "Scales", len(m.Scales), groups)
	want("Int4", "Zeros", len(m.Zeros), groups)
	if m.Order != nil {
		want("Int4", "Order", len(m.Order), in)
	}
}

func (m *Int8) check(out, in int) {
	want("Int8", "Codes", len(m.Codes), out*in)
	want("Int8", "Scales", len(m.Scales), out)
}

// code4 returns code i of those of 4 bits.
func code4(codes []byte, i int) byte { return codes[i/2] >> (4 - i%2*4) & 15 }

func (m *NF4) decode(dst []float32, at int) {
	for i := range dst {
		v := m.Table[code4(m.Codes, at+i)] * m.absmax((at+i)/m.Block)
		switch m.Round {
		case ToBF16:
			v = half.BF16ToF32(half.F32ToBF16(v))
		case ToF16:
			v = half.F16ToF32(half.F32ToF16(v))
		}
		dst[i] = v
	}
}

func (m *NF4) absmax(b int) float32 {
	if q := m.Nested; q != nil {
		return float32(q.Table[q.Codes[b]]*q.Scales[b/q.Block]) + q.Offset
	}
	return m.Absmax[b]
}

func (m *Int4) decode(dst []float32, in, at int) {
	groups := (in + m.Size - 1) / m.Size
	for i := range dst {
		row, column := (at+i)/in, (at+i)%in
		g := row*groups + column/m.Size
		q := int(code4(m.Codes, at+i)) - int(m.Zeros[g])
		dst[i] = float32(q) * half.F16ToF32(m.Scales[g])
	}
}

func (m *Int8) decode(dst []float32, in, at int) {
	for i := range dst {
		dst[i] = float32(float32(int8(m.Codes[at+i]))*m.Scales[(at+i)/in]) * inverse127
	}
}

// inverse127 is 1/127 as bitsandbytes has it, in decimals.
const inverse127 = float32(7.874015718698502e-3)

// Values are decoded in whole units, so what spread is asked for has room on both sides.
const (
	unit        = 64
	spreadFront = unit
	spreadRoom  = 2 * unit // floats in all
)

// spread writes n values of w, which is in codes, from the one at on to buf from spreadFront on. What lies
// before and after them, spreadRoom floats together, is undefined then.
func spreadGeneric(buf []float32, w *Weight, at, n int) {
	w.decode(buf[spreadFront:][:n], at)
}

// inOrder returns rows of x [rows, In] with columns in the order of w's.
func (t *Team) inOrder(x []float32, order []int32) []float32 {
	in := len(order)
	t.ordered = grow(t.ordered, len(x))
	for r := 0; r < len(x); r += in {
		from, to := x[r:][:in], t.ordered[r:][:in]
		for i, k := range order {
			to[i] = from[k]
		}
	}
	return t.ordered
}
