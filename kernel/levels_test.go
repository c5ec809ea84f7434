package kernel

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"path"
	"testing"
)

// What assembly computes exactly is the same on every processor and level: the bits were recorded
// with AVX2. Products with blocks are left out: not every level has them.
func TestSameBitsEverywhere(t *testing.T) {
	const vectors = 0x3165dc253310e304
	want := map[string]uint64{
		"avx2": vectors, "avxvnni": vectors, "avx512": vectors, "vnni": vectors, "amx": vectors, "neon": vectors, "dotprod": vectors,
		"generic": 0xa44dccfda9dbeb25,
	}
	eachVariant(t, func(t *testing.T) {
		hash := fnv.New64a()
		put := func(values []float32) {
			for _, v := range values {
				hash.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(v)))
			}
		}
		tm := team(t, 2)
		r := source(99)
		for _, s := range [][3]int{{1, 40, 1032}, {5, 40, 2304}, {12, 16, 96}, {19, 72, 544}, {300, 66, 160}, {7, 33, 45}} {
			rows, out, in := s[0], s[1], s[2]
			x, values, bias := normal(r, rows*in), normal(r, out*in), normal(r, out)
			product := func(w *Weight) {
				y := make([]float32, rows*out)
				tm.MatMul(y, x, rows, w, bias)
				put(y)
			}
			for _, typ := range stored {
				w, _ := store(typ, values, out, in)
				product(w)
			}
			y := make([]float32, rows*in)
			tm.LayerNorm(y, x, rows, values[:in], values[:in], 1e-6)
			tm.Activate(y, y, GELUTanh)
			tm.ActivateMul(y, y, x, SiLU)
			tm.Add(y, x)
			put(y)
		}
		for _, d := range []int{24, 72, 128} {
			s := newSequence(r, 70, 150, d)
			s.causal, s.start = true, 80
			out := make([]float32, s.n*d)
			tm.Attend([]Head{s.head(out, 0, s.n, s.keys, 64)}, d, 0.2)
			put(out)
		}
		if got := hash.Sum64(); got != want[path.Base(t.Name())] {
			t.Errorf("the hash of all results is %#x, want %#x", got, want[path.Base(t.Name())])
		}
	})
}
