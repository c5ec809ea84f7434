package kvcache

import (
	"math"
	"testing"

	"idefics2/quant"
	"idefics2/tensor"
)

// Packed rows hold what was stored, to their type's precision, and pages are shared and copied
// as those of float32 are.
func TestPackedPages(t *testing.T) {
	for _, tt := range []struct {
		typ  tensor.DType
		q    quant.Type
		most float64 // error, as a share of a row's largest value
	}{{tensor.BF16, quant.BF16, 1. / 256}, {tensor.Q8_0, quant.Q8_0, 0.5/127 + 1./2048}} {
		for _, dim := range []int{3, 32, 80} {
			shape := Shape{Layers: 2, Heads: 2, Dim: dim, Type: tt.typ}
			c := New(shape, 0)
			s := c.NewSequence()
			if err := s.Grow(PageLen + 2); err != nil {
				t.Fatal(err)
			}
			x := func(p, layer, i int) float32 { return float32(math.Sin(float64(1 + p*7 + layer*3 + i))) }
			for p := range s.Len() {
				k, v := make([]float32, 2*dim), make([]float32, 2*dim)
				for layer := range shape.Layers {
					for i := range k {
						k[i] = x(p, layer, i)
						v[i] = -k[i]
					}
					s.Store(layer, p, k, v)
				}
			}
			f := s.Fork()
			if err := f.Grow(1); err != nil {
				t.Fatal(err)
			}
			f.Store(1, PageLen, make([]float32, 2*dim), make([]float32, 2*dim)) // in a page of its own
			for layer := range shape.Layers {
				for head := range shape.Heads {
					keys, values := s.AppendPacked(nil, nil, layer, head)
					for p := range s.Len() {
						at := p % PageLen * shape.RowBytes()
						for sign, page := range map[float32][]byte{1: keys[p/PageLen], -1: values[p/PageLen]} {
							got := make([]float32, shape.RowBytes()/tt.q.Bytes()*tt.q.Block())
							tt.q.Decode(got, page[at:][:shape.RowBytes()])
							for i, v := range got[:dim] {
								if want := sign * x(p, layer, head*dim+i); math.Abs(float64(v-want)) > tt.most {
									t.Fatalf("%v: value %d of position %d is %v, want %v", tt.typ, i, p, v, want)
								}
							}
						}
					}
				}
			}
		}
	}
}

func TestEncodeQ8_0(t *testing.T) {
	b := make([]byte, 34)
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 1e30} {
		x := make([]float32, 32)
		x[3], x[4] = bad, 1
		encodeQ8_0(b, x)
		quant.Q8_0.Decode(x, b)
		if v := x[3]; v-v == 0 {
			t.Errorf("%g became %g", bad, v)
		}
	}
	for _, small := range []float32{0, 1e-45, 1e-38, -1e-12} {
		x := make([]float32, 32)
		x[3] = small
		encodeQ8_0(b, x)
		quant.Q8_0.Decode(x, b)
		if v := x[3]; math.Abs(float64(v-small)) > 4e-6 {
			t.Errorf("%g became %g", small, v)
		}
	}
	x := make([]float32, 32)
	copy(x, []float32{127, 0.5, 1.5, -2.5, -127, 3.4})
	encodeQ8_0(b, x)
	if got := [6]int8{int8(b[2]), int8(b[3]), int8(b[4]), int8(b[5]), int8(b[6]), int8(b[7])}; got != [6]int8{127, 0, 2, -2, -127, 3} {
		t.Errorf("codes %v", got)
	}
}
