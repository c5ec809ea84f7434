package kernel

import (
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"idefics2/internal/half"
	"idefics2/internal/variant"
)

// fast returns a team that may use the fastest arithmetic.
func fast(t testing.TB, threads int) *Team {
	tm := team(t, threads)
	tm.Precision = Fast
	return tm
}

// roundBF16 is what AMX makes of x.
func roundBF16(x []float32) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = half.BF16ToF32(half.F32ToBF16(v))
	}
	return y
}

// hasTiles reports whether Fast differs from Exact.
func hasTiles() bool { return slices.Contains(variant.Active("kernel"), "amx") }

func TestFastMatMul(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := source(50)
		tm := fast(t, 2)
		for _, s := range [][3]int{{1, 1, 1}, {1, 40, 300}, {2, 33, 32}, {5, 64, 256}, {31, 7, 289}, {33, 16, 520}, {70, 47, 96}} {
			rows, out, in := s[0], s[1], s[2]
			x := normal(r, rows*in)
			w, wide := store("bf16", normal(r, out*in), out, in)
			var bias []float32
			if rows%2 == 1 {
				bias = normal(r, out)
			}
			y := normal(r, rows*out) // what was there before must not matter
			tm.MatMul(y, x, rows, w, bias)
			if hasTiles() {
				x = roundBF16(x)
			}
			want, size := exactProduct(x, wide, bias, rows, out, in)
			for i, got := range y {
				if diff := math.Abs(float64(got) - want[i]); diff > 60*0x1p-24*size[i] {
					t.Fatalf("%v: element %d = %g, want %g", s, i, got, want[i])
				}
			}
		}
	})
}

// A row alone and in any batch, on any number of threads, and an output whatever the others: the
// same bits. Exact products are those of a machine without tiles.
func TestFastRowAlone(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := source(51)
		const most, out, in = 70, 37, 312
		x, bias := normal(r, most*in), normal(r, out)
		w, _ := store("bf16", normal(r, out*in), out, in)
		whole := make([]float32, most*out)
		fast(t, 1).MatMul(whole, x, most, w, bias)
		for _, rows := range []int{1, 2, 16, 17, 33} {
			tm, from, y := fast(t, 1+rows%3), most-rows, make([]float32, rows*out)
			tm.MatMul(y, x[from*in:], rows, w, bias)
			sameBits(t, fmt.Sprint(rows, " rows"), y, whole[from*out:])
		}
		const one = 20
		y := make([]float32, most)
		fast(t, 2).MatMul(y, x, most, &Weight{Out: 1, In: in, BF16: w.BF16[one*in:][:in]}, bias[one:][:1])
		for i := range y {
			sameBits(t, "one output", y[i:][:1], whole[i*out+one:][:1])
		}
	})
}

// Weights of other types, and products of an exact team, do not change.
func TestFastLeavesTheRestExact(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := source(52)
		const rows, out, in = 9, 20, 96
		x, values := normal(r, rows*in), normal(r, out*in)
		for _, typ := range []string{"f32", "f16"} {
			w, _ := store(typ, values, out, in)
			a, b := make([]float32, rows*out), make([]float32, rows*out)
			fast(t, 2).MatMul(a, x, rows, w, nil)
			team(t, 2).MatMul(b, x, rows, w, nil)
			sameBits(t, typ, a, b)
		}
	})
}

// What is not finite stays visible, in its own row or output.
func TestFastNotFinite(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := source(53)
		const rows, out, in = 34, 33, 70
		for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
			x, values := normal(r, rows*in), normal(r, out*in)
			x[33*in+69], values[32*in+3] = bad, bad
			w, _ := store("bf16", values, out, in)
			y := make([]float32, rows*out)
			fast(t, 2).MatMul(y, x, rows, w, nil)
			for i, v := range y {
				if finite := v-v == 0; finite == (i/out == 33 || i%out == 32) {
					t.Fatalf("%g: row %d, output %d got %g", bad, i/out, i%out, v)
				}
			}
		}
	})
}

// Subnormal weights may count as zeros; they must not be anything else.
func TestFastSubnormal(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := source(55)
		const rows, out, in = 17, 20, 64
		w := &Weight{Out: out, In: in, BF16: make([]uint16, out*in)}
		for i := range w.BF16 {
			w.BF16[i] = uint16(r.IntN(2))<<15 | uint16(1+r.IntN(127))
		}
		y := make([]float32, rows*out)
		fast(t, 2).MatMul(y, normal(r, rows*in), rows, w, nil)
		for i, v := range y {
			if !(max(v, -v) < 0x1p-115) {
				t.Fatalf("element %d is %g", i, v)
			}
		}
	})
}

// Blocks with a scale that is not finite spoil their own output, and x its own row.
func TestFastBlocksNotFinite(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := source(56)
		const rows, out, in = 19, 21, 512
		at := map[string]int{"q6_k": 208} // of d in a block
		for _, typ := range quantizedTypes {
			for _, bad := range []uint16{0x7e00, 0x7c00} { // NaN and infinity
				x := normal(r, rows*in)
				x[11*in+300] = half.F16ToF32(bad)
				w, _ := storeBlocks(typ, normal(r, out*in), out, in)
				data, f := w.blocks()
				binary.LittleEndian.PutUint16(data[18*in/f.values*f.bytes+at[typ]:], bad)
				y := make([]float32, rows*out)
				fast(t, 2).MatMul(y, x, rows, w, nil)
				for i, v := range y {
					if finite := v-v == 0; finite == (i/out == 11 || i%out == 18) {
						t.Fatalf("%s, %#x: row %d, output %d got %g", typ, bad, i/out, i%out, v)
					}
				}
			}
		}
	})
}

// Rows a power of two apart, and row by row: the same bits.
func TestFastPowersOfTwo(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := source(59)
		const rows, out, in = 33, 32, 1024
		x, values := normal(r, rows*in), normal(r, out*in)
		for _, typ := range append([]string{"bf16"}, quantizedTypes...) {
			w := &Weight{}
			if typ == "bf16" {
				w, _ = store(typ, values, out, in)
			} else {
				w, _ = storeBlocks(typ, values, out, in)
			}
			y, one := make([]float32, rows*out), make([]float32, out)
			tm := fast(t, 2)
			tm.MatMul(y, x, rows, w, nil)
			for _, at := range []int{0, 15, 32} {
				tm.MatMul(one, x[at*in:][:in], 1, w, nil)
				sameBits(t, fmt.Sprint(typ, " row ", at), one, y[at*out:][:out])
			}
		}
	})
}

// Tiles are state of a thread, and goroutines move between threads: many of them, some bound to theirs,
// collecting garbage and being preempted all the while, must not see one another's.
func TestFastUnderStress(t *testing.T) {
	r := source(54)
	const rows, out, in, goroutines = 40, 48, 512, 16
	x := normal(r, rows*in)
	var works []func(*Team, []float32)
	for _, typ := range append([]string{"bf16"}, quantizedTypes...) {
		w := &Weight{}
		if typ == "bf16" {
			w, _ = store(typ, normal(r, out*in), out, in)
		} else {
			w, _ = storeBlocks(typ, normal(r, out*in), out, in)
		}
		works = append(works, func(tm *Team, y []float32) { tm.MatMul(y, x, rows, w, nil) })
	}
	s := newSequence(r, rows, 70, out)
	works = append(works, func(tm *Team, y []float32) {
		tm.Attend([]Head{s.head(y, 0, s.n, s.keys, 32)}, s.d, 0.2)
	})
	want := make([][]float32, len(works))
	for i, work := range works {
		want[i] = make([]float32, rows*out)
		work(fast(t, 1), want[i])
	}
	done := make(chan struct{})
	var all, collector sync.WaitGroup
	collector.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				runtime.GC() // stops the world, by a signal to every thread that runs Go
			}
		}
	})
	times := 40
	if testing.Short() {
		times = 2
	}
	for i := range goroutines {
		all.Go(func() {
			if i%4 == 0 {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
			}
			tm := fast(t, 1+i%2)
			y := make([]float32, rows*out)
			for n := range times {
				at := (i + n) % len(works)
				works[at](tm, y)
				for j, v := range y {
					if math.Float32bits(v) != math.Float32bits(want[at][j]) {
						t.Errorf("goroutine %d, work %d: element %d = %g, want %g", i, at, j, v, want[at][j])
						return
					}
				}
				if n%8 == i%8 {
					time.Sleep(time.Microsecond)
				}
				runtime.Gosched()
			}
		})
	}
	all.Wait()
	close(done)
	collector.Wait()
}
