//go:build !noasm

package kernel

import (
	"fmt"
	"testing"
)

// VNNI adds up the same whole numbers as AVX2.
func TestVNNISameBits(t *testing.T) {
	for _, v := range []struct {
		name string
		use  *bool
	}{{"vnni", &useVNNI}, {"avxvnni", &useAVXVNNI}} {
		if !*v.use {
			t.Logf("no %s: nothing to compare", v.name)
			continue
		}
		t.Run(v.name, func(t *testing.T) {
			defer func(a, b, c bool) { useVNNI, useAVXVNNI, useAMX = a, b, c }(useVNNI, useAVXVNNI, useAMX)
			useAMX = false
			testVNNISameBits(t, v.use)
		})
	}
}

func testVNNISameBits(t *testing.T, use *bool) {
	tm := fast(t, 1)
	r := source(43)
	for _, typ := range quantizedTypes {
		for _, s := range [][2]int{{1, 9}, {2, 8}, {3, 8}, {4, 8}, {9, 17}, {10, 16}, {11, 16}, {15, 5}, {13, 33}, {14, 24}} {
			t.Run(fmt.Sprintf("%s/%dx%d", typ, s[0], s[1]), func(t *testing.T) {
				rows, out, in := s[0], s[1], max(2*run, blockOf(typ))
				x := normal(r, rows*in)
				w, _ := storeBlocks(typ, normal(r, out*in), out, in)
				var y [2][]float32
				for i := range y {
					useVNNI, useAVXVNNI = false, false
					*use = i == 0
					y[i] = make([]float32, rows*out)
					tm.MatMul(y[i], x, rows, w, nil)
				}
				sameBits(t, "VNNI", y[0], y[1])
			})
		}
	}
}

// AVX-512 does the additions of AVX2 in the same order: their bits are equal.
func TestWiderVectorsSameBits(t *testing.T) {
	if !useAVX512 {
		t.Log("no AVX-512: nothing to compare")
		return
	}
	defer func() { useAVX512 = true }()
	compare := func(what string, f func() []float32) {
		useAVX512 = true
		wide := f()
		useAVX512 = false
		sameBits(t, what, wide, f())
	}
	tm := team(t, 2)
	r := source(41)
	for _, s := range [][3]int{{7, 40, 1032}, {12, 16, 96}, {19, 72, 544}, {31, 104, 320}, {300, 66, 160}} {
		rows, out, in := s[0], s[1], s[2]
		x, values, bias := normal(r, rows*in), normal(r, out*in), normal(r, out)
		product := func(w *Weight) func() []float32 {
			return func() []float32 {
				y := make([]float32, rows*out)
				tm.MatMul(y, x, rows, w, bias)
				return y
			}
		}
		for _, typ := range stored {
			w, _ := store(typ, values, out, in)
			compare(fmt.Sprint(typ, s), product(w))
		}
		if in%run == 0 {
			for _, typ := range []string{"q8_0", "q4_0"} {
				w, _ := storeBlocks(typ, values, out, in)
				compare(fmt.Sprint(typ, s), product(w))
			}
		}
		gain := normal(r, in)
		compare(fmt.Sprint("LayerNorm ", s), func() []float32 {
			y := make([]float32, rows*in)
			tm.LayerNorm(y, x, rows, gain, gain, 1e-6)
			tm.Activate(y, y, GELUTanh)
			tm.ActivateMul(y, y, x, SiLU)
			tm.Add(y, x)
			return y
		})
	}
	for _, d := range []int{24, 72, 128} {
		s := newSequence(r, 70, 150, d)
		s.causal, s.start = true, 80
		compare(fmt.Sprint("attention ", d), func() []float32 {
			out := make([]float32, s.n*d)
			tm.Attend([]Head{s.head(out, 0, s.n, s.keys, 64)}, d, 0.2)
			return out
		})
	}
}
