package kernel

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"idefics2/internal/half"
	"idefics2/quant"
	"idefics2/tensor"
)

// codings are matrices in codes: of bitsandbytes, in blocks that follow one another through the rows,
// of groups as AWQ and GPTQ have them, and in 8 bits.
var codings = []struct {
	name string
	make func(r *rand.Rand, out, in int) *Weight
}{
	{"nf4", nf4(quant.NF4Options{})},
	{"nf4 bf16", nf4(quant.NF4Options{DType: tensor.BF16})},
	{"nf4 double bf16", nf4(quant.NF4Options{DType: tensor.BF16, Double: true})},
	{"nf4 double f16", nf4(quant.NF4Options{DType: tensor.F16, Double: true})},
	{"nf4 blocks of 32", nf4(quant.NF4Options{BlockSize: 32})},
	{"nf4 double blocks of 256", nf4(quant.NF4Options{BlockSize: 256, Double: true})},
	{"int4 groups of 128", int4(128)},
	{"int4 groups of 64", int4(64)},
	{"int4 groups of 32", int4(32)},
	{"int4 groups of 24", int4(24)},
	{"int4 one group", int4(0)},
	{"int8", func(r *rand.Rand, out, in int) *Weight {
		m := &Int8{Codes: randomBytes(r, out*in), Scales: normal(r, out)}
		return &Weight{Out: out, In: in, Int8: m}
	}},
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func nf4(o quant.NF4Options) func(r *rand.Rand, out, in int) *Weight {
	return func(r *rand.Rand, out, in int) *Weight {
		m, err := quant.EncodeNF4(normal(r, out*in), out, in, o)
		if err != nil {
			panic(err)
		}
		w := &NF4{Codes: m.Codes, Table: m.Table, Block: m.BlockSize, Absmax: m.Absmax}
		if q := m.Nested; q != nil {
			w.Nested = &NestedScales{q.Codes, q.Table, q.BlockSize, q.Absmax, q.Offset}
		}
		w.Round = map[tensor.DType]Rounding{tensor.BF16: ToBF16, tensor.F16: ToF16}[o.DType]
		return &Weight{Out: out, In: in, NF4: w}
	}
}

func int4(size int) func(r *rand.Rand, out, in int) *Weight {
	return func(r *rand.Rand, out, in int) *Weight {
		m := &Int4{Codes: randomBytes(r, (out*in+1)/2), Size: size}
		if size == 0 {
			m.Size = in
		}
		for range out * ((in + m.Size - 1) / m.Size) {
			m.Scales = append(m.Scales, half.F32ToF16(float32(r.NormFloat64())/8))
			m.Zeros = append(m.Zeros, byte(r.IntN(16)))
		}
		return &Weight{Out: out, In: in, Int4: m}
	}
}

// decoded returns the matrix that w stands for, by the definition of its codes.
func decoded(w *Weight) *Weight {
	values := make([]float32, w.Out*w.In)
	w.decode(values, 0)
	return &Weight{Out: w.Out, In: w.In, F32: values}
}

var codedShapes = [][2]int{{1, 64}, {5, 128}, {9, 96}, {17, 1104}, {3, 4304}, {70, 320}, {6, 33}, {1, 7}, {4, 200}, {2, 2304}}

// The values are those of package quant, and products have the bits of products with them.
func TestCodes(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		tm := team(t, 2)
		r := source(71)
		for _, c := range codings {
			for _, s := range codedShapes {
				out, in := s[0], s[1]
				w := c.make(r, out, in)
				exact := decoded(w)
				row := make([]float32, in)
				for o := range out {
					w.Row(row, o)
					sameValues(t, fmt.Sprint(c.name, s, " row ", o), row, exact.F32[o*in:][:in])
				}
				for _, rows := range []int{1, 2, 4, 7, 19} {
					what := fmt.Sprint(c.name, s, rows)
					x, dy := normal(r, rows*in), normal(r, rows*out)
					y, want := make([]float32, rows*out), make([]float32, rows*out)
					tm.MatMul(y, x, rows, w, nil)
					tm.MatMul(want, x, rows, exact, nil)
					sameBits(t, what, y, want)
					dx, dwant := normal(source(1), rows*in), normal(source(1), rows*in)
					tm.MatMulDX(dx, dy, rows, w)
					tm.MatMulDX(dwant, dy, rows, exact)
					sameBits(t, "dx "+what, dx, dwant)
				}
			}
		}
	})
}

// sameValues is sameBits but for the sign of zeros.
func sameValues(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("%s: value %d is %g, want %g", what, i, got[i], want[i])
		}
	}
}

// Package quant says what codes stand for.
func TestCodesAreThoseOfQuant(t *testing.T) {
	r := source(72)
	for _, o := range []quant.NF4Options{{}, {Double: true, DType: tensor.BF16}, {BlockSize: 128, DType: tensor.F16}} {
		const out, in = 5, 75
		x := normal(r, out*in)
		m, err := quant.EncodeNF4(x, out, in, o)
		if err != nil {
			t.Fatal(err)
		}
		w := nf4(o)(source(72), 1, 1)
		w.Out, w.In, w.NF4.Codes, w.NF4.Absmax = out, in, m.Codes, m.Absmax
		if q := m.Nested; q != nil {
			w.NF4.Nested = &NestedScales{q.Codes, q.Table, q.BlockSize, q.Absmax, q.Offset}
		}
		want := make([]float32, out*in)
		m.DecodeRows(want, 0, out)
		sameBits(t, fmt.Sprint(o), decoded(w).F32, want)
	}
}

// Columns that lie in another order meet the columns of x that they belong to.
func TestCodesOutOfOrder(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		tm := team(t, 2)
		r := source(73)
		const out, in = 21, 256
		w := int4(64)(r, out, in)
		exact := decoded(w)
		w.Int4.Order = make([]int32, in)
		for i, k := range r.Perm(in) {
			w.Int4.Order[i] = int32(k)
		}
		row := make([]float32, in)
		w.Row(row, 3)
		for i, k := range w.Int4.Order {
			if row[k] != exact.F32[3*in+i] {
				t.Fatalf("column %d is %g, want %g", k, row[k], exact.F32[3*in+i])
			}
		}
		for _, rows := range []int{1, 3, 12} {
			x, dy := normal(r, rows*in), normal(r, rows*out)
			ordered := make([]float32, rows*in)
			for i := range ordered {
				ordered[i] = x[i/in*in+int(w.Int4.Order[i%in])]
			}
			y, want := make([]float32, rows*out), make([]float32, rows*out)
			tm.MatMul(y, x, rows, w, nil)
			tm.MatMul(want, ordered, rows, exact, nil)
			sameBits(t, "y", y, want)
			dx, dwant := make([]float32, rows*in), make([]float32, rows*in)
			tm.MatMulDX(dx, dy, rows, w)
			tm.MatMulDX(dwant, dy, rows, exact)
			for i, v := range dwant {
				if got := dx[i/in*in+int(w.Int4.Order[i%in])]; got != v {
					t.Fatalf("dx of column %d is %g, want %g", i, got, v)
				}
			}
		}
	})
}

func TestCodesRefuse(t *testing.T) {
	r := source(75)
	for name, spoil := range map[string]func(*Weight){
		"codes":  func(w *Weight) { w.NF4.Codes = w.NF4.Codes[1:] },
		"scales": func(w *Weight) { w.NF4.Absmax = w.NF4.Absmax[1:] },
		"block":  func(w *Weight) { w.NF4.Block = 48 },
		"two":    func(w *Weight) { w.F32 = make([]float32, w.Out*w.In) },
		"zeros":  func(w *Weight) { w.NF4, w.Int4 = nil, int4(64)(r, w.Out, w.In).Int4; w.Int4.Zeros = nil },
		"int8":   func(w *Weight) { w.NF4, w.Int8 = nil, &Int8{} },
	} {
		w := codings[0].make(r, 4, 64)
		spoil(w)
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			w.check()
		}()
	}
}

// One row reads a matrix that no cache holds; many rows use each code many times.
func BenchmarkCodes(b *testing.B) {
	r := source(76)
	tm := team(b, 2)
	const out, in = 14336, 4096
	for _, c := range codings[:7] {
		w := c.make(r, 64, in)
		if w.NF4 == nil && w.Int4 == nil {
			continue
		}
		for _, rows := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/rows=%d", c.name, rows), func(b *testing.B) {
				big := enlarged(w, out)
				x, y := normal(r, rows*in), make([]float32, rows*out)
				b.SetBytes(out * in / 2)
				for b.Loop() {
					tm.MatMul(y, x, rows, big, nil)
				}
			})
		}
	}
}

// enlarged returns w, which has whole blocks, over and over.
func enlarged(w *Weight, out int) *Weight {
	n := out / w.Out
	big := &Weight{Out: out, In: w.In}
	if m := w.Int4; m != nil {
		big.Int4 = &Int4{Codes: slices.Repeat(m.Codes, n), Size: m.Size, Scales: slices.Repeat(m.Scales, n), Zeros: slices.Repeat(m.Zeros, n)}
		return big
	}
	m := *w.NF4
	m.Codes, m.Absmax = slices.Repeat(m.Codes, n), slices.Repeat(m.Absmax, n)
	if q := m.Nested; q != nil {
		m.Nested = &NestedScales{slices.Repeat(q.Codes, n), q.Table, q.Block, slices.Repeat(q.Scales, n), q.Offset}
	}
	big.NF4 = &m
	return big
}
