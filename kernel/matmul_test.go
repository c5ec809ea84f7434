package kernel

import (
	"fmt"
	"math"
	"testing"

	"idefics2/internal/half"
)

// exactProduct is the definition in float64, with the sum of the magnitudes that rounding errors
// are measured against.
func exactProduct(x, w, bias []float32, rows, out, in int) (y, size []float64) {
	for r := range rows {
		for o := range out {
			var sum, abs float64
			if bias != nil {
				sum, abs = float64(bias[o]), math.Abs(float64(bias[o]))
			}
			for k := range in {
				p := float64(x[r*in+k]) * float64(w[o*in+k])
				sum += p
				abs += math.Abs(p)
			}
			y, size = append(y, sum), append(size, abs)
		}
	}
	return y, size
}

func TestMatMul(t *testing.T) {
	// Every tail of the eight lanes, of the chunks, and of the blocks of rows and outputs.
	shapes := [][3]int{ // rows, out, in
		{1, 1, 1}, {1, 4, 2}, {2, 3, 3}, {3, 5, 5}, {1, 7, 7}, {4, 4, 8}, {5, 9, 9}, {6, 6, 15}, {7, 13, 16}, {8, 2, 17},
		{9, 33, 24}, {13, 35, 31}, {3, 64, 32}, {2, 65, 33}, {1, 66, 40}, {10, 67, 72}, {11, 3, 96},
		{1, 5, 1023}, {7, 5, 1024}, {2, 6, 1025}, {8, 7, 1031}, {3, 4, 1032}, {1, 9, 2048}, {4, 5, 3100}, {385, 3, 12}, {390, 37, 16},
	}
	eachVariant(t, func(t *testing.T) {
		tm := team(t, 2)
		r := source(2)
		for _, typ := range stored {
			for _, s := range shapes {
				rows, out, in := s[0], s[1], s[2]
				x := normal(r, rows*in)
				w, wide := store(typ, normal(r, out*in), out, in)
				var bias []float32
				if rows%2 == 0 {
					bias = normal(r, out)
				}
				y := normal(r, rows*out) // what was there before must not matter
				tm.MatMul(y, x, rows, w, bias)
				want, size := exactProduct(x, wide, bias, rows, out, in)
				for i, got := range y {
					// At most 1152 roundings in a chunk, plus the chunks.
					if diff := math.Abs(float64(got) - want[i]); diff > 60*0x1p-24*size[i] {
						t.Fatalf("%s %v: element %d = %g, want %g", typ, s, i, got, want[i])
					}
				}
			}
		}
	})
}

// One order of additions: a row alone, in any batch, on any number of threads, has the same bits.
func TestMatMulRowAlone(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := source(3)
		for _, typ := range stored {
			for _, s := range [][2]int{{22, 2100}, {37, 1024}, {130, 72}, {5, 1029}, {21, 1160}, {9, 2304}} {
				out, in := s[0], s[1]
				const most = 390
				x := normal(r, most*in)
				w, _ := store(typ, normal(r, out*in), out, in)
				bias := normal(r, out)
				one := team(t, 1)
				alone := make([]float32, most*out)
				for i := range most {
					one.MatMul(alone[i*out:][:out], x[i*in:][:in], 1, w, bias)
				}
				for _, threads := range []int{1, 2, 5} {
					tm := team(t, threads)
					for _, rows := range []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 64, most} {
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

// So many columns that the rows go in parts, the last with few.
func TestMatMulInParts(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		tm := team(t, 2)
		r := source(32)
		const rows, out, in = maxBlock + 2, 3, stagedFloats / maxBlock
		x := normal(r, rows*in)
		w, _ := store("bf16", normal(r, out*in), out, in)
		y, alone := make([]float32, rows*out), make([]float32, out)
		tm.MatMul(y, x, rows, w, nil)
		for _, i := range []int{0, maxBlock - 1, maxBlock, rows - 1} {
			tm.MatMul(alone, x[i*in:][:in], 1, w, nil)
			sameBits(t, fmt.Sprint("row ", i), y[i*out:][:out], alone)
		}
	})
}

// Chunks depend on K alone, and are even.
func TestChunkOf(t *testing.T) {
	for _, tt := range []struct{ in, want int }{{1, 8}, {72, 72}, {1152, 1152}, {1153, 584}, {4096, 1024}, {4304, 1080}, {14336, 1104}} {
		if got := chunkOf(tt.in); got != tt.want || got > maxChunk {
			t.Errorf("chunkOf(%d) = %d, want %d", tt.in, got, tt.want)
		}
	}
}

// An output does not depend on which other outputs the matrix has.
func TestMatMulOutputAlone(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		tm := team(t, 2)
		r := source(4)
		const rows, out, in = 5, 39, 1500
		x, values := normal(r, rows*in), normal(r, out*in)
		whole := make([]float32, rows*out)
		tm.MatMul(whole, x, rows, &Weight{Out: out, In: in, F32: values}, nil)
		for o := range out {
			y := make([]float32, rows)
			tm.MatMul(y, x, rows, &Weight{Out: 1, In: in, F32: values[o*in:][:in]}, nil)
			for i := range y {
				sameBits(t, fmt.Sprint("output ", o), y[i:][:1], whole[i*out+o:][:1])
			}
		}
	})
}

// Small integers: every product and sum is exact, so all variants and types agree to the bit.
func TestMatMulExact(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		tm := team(t, 2)
		r := source(5)
		for _, typ := range stored {
			for in := 1; in < 70; in++ {
				rows, out := 1+in%9, 1+in%11
				x, values := make([]float32, rows*in), make([]float32, out*in)
				for i := range x {
					x[i] = float32(r.IntN(33) - 16)
				}
				for i := range values {
					values[i] = float32(r.IntN(33) - 16)
				}
				w, _ := store(typ, values, out, in)
				y := make([]float32, rows*out)
				tm.MatMul(y, x, rows, w, nil)
				want, _ := exactProduct(x, values, nil, rows, out, in)
				for i := range y {
					if float64(y[i]) != want[i] {
						t.Fatalf("%s in=%d: element %d = %g, want %g", typ, in, i, y[i], want[i])
					}
				}
			}
		}
	})
}

// Subnormal weights count, and what is not finite stays so, in its own output only.
func TestMatMulSpecialValues(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	eachVariant(t, func(t *testing.T) {
		tm := team(t, 1)
		for _, typ := range stored {
			for _, in := range []int{8, 13, 1040} {
				for _, rows := range []int{1, 3, 8} {
					const out = 6
					values := make([]float32, out*in)
					at := in - 2 // in the tail, where there is one
					values[0*in+at] = inf
					values[1*in+at] = -inf
					values[2*in+at] = nan
					values[3*in+at] = 0x1p-24 // the smallest F16, subnormal there
					if typ != "f16" {
						values[3*in+at] = 0x1p-133 // the smallest BF16
					}
					values[4*in+at] = 1
					w, wide := store(typ, values, out, in)
					x := make([]float32, rows*in)
					for i := range x {
						x[i] = 0x1p20
					}
					y := make([]float32, rows*out)
					tm.MatMul(y, x, rows, w, nil)
					for r := range rows {
						got := y[r*out:][:out]
						if got[0] != inf || got[1] != -inf || got[2] == got[2] || got[3] != 0x1p20*wide[3*in+at] || got[4] != 0x1p20 || got[5] != 0 {
							t.Errorf("%s in=%d rows=%d: got %g", typ, in, rows, got)
						}
					}
				}
			}
		}
	})
}

func TestMatMulEmpty(t *testing.T) {
	tm := team(t, 2)
	tm.MatMul(nil, nil, 0, &Weight{Out: 3, In: 2, F32: make([]float32, 6)}, nil)
	y := []float32{5, 5}
	tm.MatMul(y, nil, 2, &Weight{Out: 1}, []float32{7}) // a sum of nothing is the bias
	sameBits(t, "no inputs", y, []float32{7, 7})
	y = make([]float32, 9)
	tm.MatMul(y, nil, 9, &Weight{Out: 1}, []float32{7})
	sameBits(t, "no inputs, many rows", y, []float32{7, 7, 7, 7, 7, 7, 7, 7, 7})
}

// Widening is exact for all 65536 values: a product with 1 is the value.
func TestMatMulWidens(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		tm := team(t, 2)
		for _, typ := range []struct {
			name  string
			widen func(uint16) float32
		}{{"bf16", half.BF16ToF32}, {"f16", half.F16ToF32}} {
			const in = 8
			bits := make([]uint16, 1<<16*in) // value i in one column of row i, the others 0
			for i := range 1 << 16 {
				bits[i*in+i%in] = uint16(i)
			}
			w := &Weight{Out: 1 << 16, In: in, BF16: bits}
			if typ.name == "f16" {
				w.F16, w.BF16 = bits, nil
			}
			for _, rows := range []int{1, 7} {
				x := make([]float32, rows*in)
				for i := range x {
					x[i] = 1
				}
				y := make([]float32, rows<<16)
				tm.MatMul(y, x, rows, w, nil)
				for i, got := range y {
					want := typ.widen(uint16(i))
					if got != want && (got == got || want == want) {
						t.Fatalf("%s: %#04x, row %d of %d, became %g, want %g", typ.name, i&0xffff, i>>16, rows, got, want)
					}
				}
			}
		}
	})
}
