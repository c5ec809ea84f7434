package kernel

import (
	"fmt"
	"math"
	"testing"
)

// Attention in which every query sees every key may round to bfloat16; with a mask it may not.
func TestFastAttention(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := source(57)
		tm := fast(t, 2)
		for _, size := range [][3]int{{1, 1, 8}, {5, 64, 24}, {70, 65, 72}, {200, 150, 40}, {66, 31, 128}} {
			s := newSequence(r, size[0], size[1], size[2])
			const scale = 0.2
			out := make([]float32, s.n*s.d)
			tm.Attend([]Head{s.head(out, 0, s.n, s.keys, 16)}, s.d, scale)
			within := 2e-5
			if hasTiles() {
				s.q, s.k, s.v = roundBF16(s.q), roundBF16(s.k), roundBF16(s.v)
				largest := float32(0)
				for _, v := range s.v {
					largest = max(largest, v, -v)
				}
				within += 0x1p-9 * float64(largest) // numerators are rounded, too
			}
			for i, want := range s.attention(scale) {
				if diff := math.Abs(float64(out[i]) - want); !(diff <= within) {
					t.Fatalf("%v: element %d = %g, want %g", size, i, out[i], want)
				}
			}
		}
		s := newSequence(r, 40, 40, 24)
		s.causal = true
		a, b := make([]float32, s.n*s.d), make([]float32, s.n*s.d)
		tm.Attend([]Head{s.head(a, 0, s.n, s.keys, 16)}, s.d, 0.2)
		team(t, 1).Attend([]Head{s.head(b, 0, s.n, s.keys, 16)}, s.d, 0.2)
		sameBits(t, "causal", a, b)
	})
}

// Queries in pieces, among others, on any number of threads, and over pages of any length: the same
// bits; and what lies past the last key does not matter.
func TestFastAttentionAlone(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := source(58)
		const n, keys, d = 200, 75, 24
		s, other := newSequence(r, n, keys+9, d), newSequence(r, 70, 33, d)
		for i := range 9 * d {
			s.k[keys*d+i], s.v[keys*d+i] = float32(math.NaN()), float32(math.Inf(1))
		}
		head := func(out []float32, from, to, pageLen int) Head {
			h := s.head(out, from, to, keys+9, pageLen)
			h.Keys = keys
			return h
		}
		want := make([]float32, n*d)
		fast(t, 1).Attend([]Head{head(want, 0, n, 64)}, d, 0.3)
		for _, from := range []int{0, 1, 65, 199} {
			got, others := make([]float32, n*d), make([]float32, other.n*d)
			fast(t, 1+from%3).Attend([]Head{other.head(others, 0, other.n, other.keys, 8), head(got, from, n, 7+from)}, d, 0.3)
			sameBits(t, fmt.Sprint("from ", from), got[from*d:], want[from*d:])
		}
	})
}
