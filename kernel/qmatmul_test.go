package kernel

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"idefics2/quant"
)

var quantizedTypes = []string{"q8_0", "q6_k", "q4_k", "q4_0"}

// storeBlocks encodes values as GGUF does, and returns what they became.
func storeBlocks(typ string, values []float32, out, in int) (*Weight, []float32) {
	t, err := quant.ParseType(typ)
	if err != nil {
		panic(err)
	}
	size, _ := t.Size(len(values))
	b := make([]byte, 1+size)[1:] // blocks at an odd address, as a mapped file may have them
	if err := t.Encode(b, values); err != nil {
		panic(err)
	}
	return weightOfBlocks(t, b, out, in)
}

// weightOfBlocks returns the matrix of some blocks, and its values.
func weightOfBlocks(t quant.Type, b []byte, out, in int) (*Weight, []float32) {
	decoded := make([]float32, out*in)
	t.Decode(decoded, b)
	w := &Weight{Out: out, In: in}
	*map[quant.Type]*[]byte{quant.Q8_0: &w.Q8_0, quant.Q6_K: &w.Q6_K, quant.Q4_K: &w.Q4_K, quant.Q4_0: &w.Q4_0}[t] = b
	return w, decoded
}

// blockOf returns the number of values in a block of a type.
func blockOf(typ string) int {
	t, _ := quant.ParseType(typ)
	return t.Block()
}

// Any bytes are blocks: what they stand for is what package quant says.
func TestRowsOfBlocks(t *testing.T) {
	r := source(27)
	for _, typ := range quant.Types() {
		if typ.Block() == 1 {
			continue
		}
		const out, in = 3, 1024
		size, _ := typ.Size(out * in)
		b := make([]byte, size)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		w, decoded := weightOfBlocks(typ, b, out, in)
		row := make([]float32, in)
		for i := range out {
			w.Row(row, i)
			for j, v := range row {
				if want := decoded[i*in+j]; v != want && (v == v || want == want) {
					t.Fatalf("%v: value %d of row %d is %g, want %g", typ, j, i, v, want)
				}
			}
		}
	}
}

// roundInt8 is what MatMul makes of x, as float32.
func roundInt8(x []float32) []float32 {
	q, out := make([]xRun, len(x)/run), make([]float32, len(x))
	quantizeGeneric(q, 1, x)
	for i := range out {
		out[i] = float32(q[i/run].q[i%run]) * q[i/run].d
	}
	return out
}

func TestQuantizedMatMul(t *testing.T) {
	shapes := [][3]int{ // rows, out, in
		{1, 1, 32}, {1, 16, 64}, {2, 7, 96}, {3, 8, 256}, {4, 17, 288}, {5, 24, 544}, {6, 31, 128}, {7, 40, 1024}, {9, 66, 320}, {195, 130, 96}, {13, 3, 1056},
	}
	eachVariant(t, func(t *testing.T) {
		tm := fast(t, 2)
		r := source(21)
		for _, typ := range quantizedTypes {
			for _, s := range shapes {
				rows, out, in := s[0], s[1], s[2]
				if block := blockOf(typ); block > run {
					in = (in/block + 1) * block
				}
				x := normal(r, rows*in)
				clear(x[:min(in, 32)]) // a block of zeros
				w, wide := storeBlocks(typ, normal(r, out*in), out, in)
				var bias []float32
				if rows%2 == 0 {
					bias = normal(r, out)
				}
				y := normal(r, rows*out)
				tm.MatMul(y, x, rows, w, bias)
				want, size := exactProduct(roundInt8(x), wide, bias, rows, out, in)
				for i, got := range y {
					if diff := math.Abs(float64(got) - want[i]); diff > 20*0x1p-24*(size[i]+8) {
						t.Fatalf("%s %v: element %d = %g, want %g", typ, s, i, got, want[i])
					}
				}
			}
		}
	})
}

// A row alone and in any batch, on any number of threads: the same bits.
func TestQuantizedRowAlone(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := source(22)
		for _, typ := range quantizedTypes {
			for _, s := range [][2]int{{22, 1056}, {37, 512}, {130, 96}} {
				out, in := s[0], max(s[1]/blockOf(typ), 1)*blockOf(typ)
				const most = 200
				x := normal(r, most*in)
				w, _ := storeBlocks(typ, normal(r, out*in), out, in)
				bias := normal(r, out)
				one := fast(t, 1)
				alone := make([]float32, most*out)
				for i := range most {
					one.MatMul(alone[i*out:][:out], x[i*in:][:in], 1, w, bias)
				}
				for _, threads := range []int{1, 2, 5} {
					tm := fast(t, threads)
					for _, rows := range []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 63, most} {
						from := (most - rows) / 2
						y := make([]float32, rows*out)
						tm.MatMul(y, x[from*in:][:rows*in], rows, w, bias)
						sameBits(t, fmt.Sprintf("%s [%d, %d], %d rows, %d threads", typ, out, in, rows, threads), y, alone[from*out:][:rows*out])
					}
				}
			}
		}
	})
}

// An output does not depend on which other outputs the matrix has.
func TestQuantizedOutputAlone(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		tm := fast(t, 2)
		r := source(23)
		for _, typ := range quantizedTypes {
			const rows, out, in = 5, 39, 768
			x, values := normal(r, rows*in), normal(r, out*in)
			whole := make([]float32, rows*out)
			w, _ := storeBlocks(typ, values, out, in)
			tm.MatMul(whole, x, rows, w, nil)
			for o := range out {
				one, _ := storeBlocks(typ, values[o*in:][:in], 1, in)
				y := make([]float32, rows)
				tm.MatMul(y, x, rows, one, nil)
				for i := range y {
					sameBits(t, fmt.Sprint(typ, " output ", o), y[i:][:1], whole[i*out+o:][:1])
				}
			}
		}
	})
}

// The extremes of every type: sums of integers must be exact, never saturate or wrap. With
// scales of one all of it is exact in float32 too, and variants agree to the bit.
func TestQuantizedExtremes(t *testing.T) {
	const one = "\x00\x3c"
	repeat := func(s string, n int) string { return strings.Repeat(s, n) }
	tests := []struct {
		typ   quant.Type
		block string
	}{
		{quant.Q8_0, one + repeat("\x80", 32)}, {quant.Q8_0, one + repeat("\x7f", 32)}, {quant.Q8_0, one + repeat("\xff\x00", 16)},
		{quant.Q4_0, one + repeat("\x00", 16)}, {quant.Q4_0, one + repeat("\xff", 16)}, {quant.Q4_0, one + repeat("\x0f\xf0", 8)},
		{quant.Q6_K, repeat("\x00", 192) + repeat("\x80", 16) + one}, {quant.Q6_K, repeat("\xff", 192) + repeat("\x80", 16) + one},
		{quant.Q6_K, repeat("\xff", 192) + repeat("\x7f\x80", 8) + one}, {quant.Q6_K, repeat("\x00", 192) + repeat("\x7f", 16) + one},
		{quant.Q4_K, one + one + "\x01\x01\x01\x01\x00\x00\x00\x00\x01\x01\x01\x01" + repeat("\xff", 128)},
		{quant.Q4_K, one + one + "\x01\x01\x01\x01\x3f\x3f\x3f\x3f\xf1\xf1\xf1\xf1" + repeat("\x00", 128)},
	}
	eachVariant(t, func(t *testing.T) {
		tm := fast(t, 1)
		for i, tt := range tests {
			in := tt.typ.Block()
			for _, rows := range []int{1, 4, 13} {
				for _, sign := range []float32{127, -127} {
					const out = 17
					w, wide := weightOfBlocks(tt.typ, []byte(repeat(tt.block, out)), out, in)
					x, y := make([]float32, rows*in), make([]float32, rows*out)
					for i := range x {
						x[i] = sign
					}
					tm.MatMul(y, x, rows, w, nil)
					want := float32(0)
					for _, v := range wide[:in] {
						want += v * sign
					}
					for _, got := range y {
						if got != want {
							t.Fatalf("%v, block %d, %d rows of %g: got %g, want %g", tt.typ, i, rows, sign, got, want)
						}
					}
				}
			}
		}
	})
}

func TestQuantizeRounds(t *testing.T) {
	x := make([]float32, 3*run)
	copy(x, []float32{127, 0.5, 1.5, 2.5, -0.5, -1.5, -126.5, -127, 3})
	x[run] = 0x1p-101 // too small to divide by
	x[2*run+5] = -254
	eachVariant(t, func(t *testing.T) {
		q := make([]xRun, 3)
		quantize(q, 1, x)
		if got, want := fmt.Sprint(q[0].q[:9], q[0].d, q[0].dSum, q[0].eight, q[0].half), "[127 0 2 2 0 -2 -126 -127 3] 1 -121 -968 [-121 0]"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if q[1] != (xRun{}) || q[2].d != 2 || q[2].dSum != -254 {
			t.Errorf("got %v and %v", q[1], q[2])
		}
		r := source(24)
		for range 200 {
			x := normal(r, 5*run)
			got, want := make([]xRun, 9), make([]xRun, 9)
			quantize(got, 2, x)
			quantizeGeneric(want, 2, x)
			if !slices.Equal(got, want) {
				t.Fatalf("got %v, want %v", got, want)
			}
		}
	})
}

// What is not finite in a row of x, or in a block of w, stays visible, in its own row or output.
func TestQuantizedNotFinite(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		tm := fast(t, 1)
		r := source(25)
		for _, typ := range quantizedTypes {
			for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
				const rows, out, in = 7, 20, 256
				x := normal(r, rows*in)
				x[3*in+40] = bad
				w, _ := storeBlocks(typ, normal(r, out*in), out, in)
				y := make([]float32, rows*out)
				tm.MatMul(y, x, rows, w, nil)
				for i, v := range y {
					if finite := v-v == 0; finite == (i/out == 3) {
						t.Fatalf("%s, %g in row 3: row %d got %g", typ, bad, i/out, v)
					}
				}
			}
		}
	})
}

// The error of rounding x to int8, alone: relative to the product's own root mean square.
func TestQuantizedError(t *testing.T) {
	tm := fast(t, 2)
	r := source(26)
	for _, typ := range quantizedTypes {
		const rows, out, in = 8, 64, 4096
		x := normal(r, rows*in)
		w, wide := storeBlocks(typ, normal(r, out*in), out, in)
		y := make([]float32, rows*out)
		tm.MatMul(y, x, rows, w, nil)
		want, _ := exactProduct(x, wide, nil, rows, out, in)
		var errors, values float64
		for i, v := range want {
			errors += (float64(y[i]) - v) * (float64(y[i]) - v)
			values += v * v
		}
		rms := math.Sqrt(errors / values)
		t.Logf("%s: %.4f", typ, rms)
		if rms > 0.007 {
			t.Errorf("%s: relative error %.4f, root mean square, want at most 0.007", typ, rms)
		}
	}
}

// In an Exact team blocks are the float32 that they stand for, to the bit.
func TestExact(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		tm := team(t, 2)
		r := source(28)
		for _, typ := range quantizedTypes {
			const out, in = 37, 2304 // of chunks that are no whole blocks
			w, wide := storeBlocks(typ, normal(r, out*in), out, in)
			for _, rows := range []int{1, 5, 9} {
				x := normal(r, rows*in)
				got, want := make([]float32, rows*out), make([]float32, rows*out)
				tm.MatMul(got, x, rows, w, nil)
				tm.MatMul(want, x, rows, &Weight{Out: out, In: in, F32: wide}, nil)
				sameBits(t, fmt.Sprint(typ, ", rows ", rows), got, want)
			}
		}
	})
}
