package quant

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"
)

// uneven returns importances that differ as inputs of a model do: a few columns count most.
func uneven(n int, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 7))
	w := make([]float32, n)
	for i := range w {
		w[i] = float32(math.Exp(1.5 * r.NormFloat64()))
	}
	return w
}

// With the importance of columns the weighted error is less than without, in each block no more,
// and the bytes are the same each time, whatever the other rows are.
func TestEncodeWeighted(t *testing.T) {
	const rows, in = 24, 512
	x, importance := noise(rows*in, 40), uneven(in, 41)
	most := map[Type]float64{Q4_0: 0.9, Q4_K: 0.95, Q6_K: 0.99} // of the error without
	for _, typ := range []Type{Q8_0, Q6_K, Q4_K, Q4_0} {
		n, _ := typ.Size(len(x))
		plain, weighted := make([]byte, n), make([]byte, n)
		if err := typ.Encode(plain, x); err != nil {
			t.Fatal(err)
		}
		if err := typ.EncodeWeighted(weighted, x, importance); err != nil {
			t.Fatal(err)
		}
		y, z := make([]float32, len(x)), make([]float32, len(x))
		typ.Decode(y, plain)
		typ.Decode(z, weighted)
		for at := 0; at < len(x); at += typ.Block() {
			w := importance[at%in:][:typ.Block()]
			a, b := WeightedSquares(x[at:][:len(w)], y[at:][:len(w)], w), WeightedSquares(x[at:][:len(w)], z[at:][:len(w)], w)
			if b > 1.001*a { // the floor of the weights is not in this sum
				t.Fatalf("%v: block at %d: weighted error %g, %g without", typ, at, b, a)
			}
		}
		ratio := WeightedSquares(x, z, importance) / WeightedSquares(x, y, importance)
		t.Logf("%v: %.3f of the weighted error without", typ, ratio)
		if limit, searches := most[typ]; searches && ratio > limit || !searches && ratio != 1 {
			t.Errorf("%v: the weighted error is %.3f of that without, want at most %v", typ, ratio, limit)
		}
		one := make([]byte, n/rows)
		for row := range rows {
			if err := typ.EncodeWeighted(one, x[row*in:][:in], importance); err != nil || !bytes.Equal(one, weighted[row*n/rows:][:n/rows]) {
				t.Fatalf("%v: row %d alone differs, %v", typ, row, err)
			}
		}
		if err := typ.EncodeWeighted(weighted, x, make([]float32, in)); err != nil || !bytes.Equal(weighted, plain) {
			t.Errorf("%v: an importance of zeros is not none, %v", typ, err)
		}
	}
}

// Inputs and importances at the ends of their ranges give finite blocks, no worse than without.
func TestEncodeWeightedExtremes(t *testing.T) {
	for _, typ := range []Type{Q6_K, Q4_K, Q4_0} {
		for _, scale := range []float32{0, 1e-45, 1e-30, 1e-12, 1e5} {
			for _, most := range []float32{1e-45, 1, 3e38} {
				x, importance := noise(superValues, 42), uneven(superValues, 43)
				for i := range x {
					x[i] *= scale
				}
				importance[3], importance[9] = most, 0
				data := make([]byte, superValues/typ.Block()*typ.Bytes())
				y := make([]float32, len(x))
				if err := typ.Encode(data, x); err != nil {
					t.Fatal(err)
				}
				typ.Decode(y, data)
				w := relative(importance)
				if w == nil {
					t.Fatal("no weights")
				}
				was := WeightedSquares(x, y, w)
				if err := typ.EncodeWeighted(data, x, importance); err != nil {
					t.Fatal(err)
				}
				typ.Decode(y, data)
				if is := WeightedSquares(x, y, w); !(is <= 1.001*was+1e-60) || math.IsInf(is, 0) {
					t.Errorf("%v, values of %g, importance %g: weighted error %g, %g without", typ, scale, most, is, was)
				}
			}
		}
	}
}

func BenchmarkEncodeWeighted(b *testing.B) {
	x, importance := noise(1<<14, 1), uneven(1<<12, 2)
	for _, t := range []Type{Q6_K, Q4_K, Q4_0} {
		b.Run(t.String(), func(b *testing.B) {
			n, _ := t.Size(len(x))
			dst := make([]byte, n)
			b.SetBytes(int64(4 * len(x)))
			for b.Loop() {
				if err := t.EncodeWeighted(dst, x, importance); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
