package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// sequence is the queries, keys and values of one head, rows without gaps.
type sequence struct {
	q, k, v    []float32
	n, keys, d int
	start      int
	causal     bool
	window     int
}

func newSequence(r *rand.Rand, n, keys, d int) *sequence {
	return &sequence{q: normal(r, n*d), k: normal(r, keys*d), v: normal(r, keys*d), n: n, keys: keys, d: d}
}

// head describes queries from to to of s, its keys cut into pages of copied rows.
func (s *sequence) head(out []float32, from, to, keys, pageLen int) Head {
	const gap = 3 // floats between rows that belong to nobody
	stride := s.d + gap
	page := func(rows []float32) (pages [][]float32) {
		for at := 0; at < keys; at += pageLen {
			n := min(pageLen, keys-at)
			p := make([]float32, (n-1)*stride+s.d)
			for i := range p {
				p[i] = float32(math.NaN())
			}
			for i := range n {
				copy(p[i*stride:], rows[(at+i)*s.d:][:s.d])
			}
			pages = append(pages, p)
		}
		return pages
	}
	return Head{
		Q: s.q[from*s.d : to*s.d], Out: out[from*s.d : to*s.d], QStride: s.d, N: to - from,
		K: page(s.k), V: page(s.v), KVStride: stride, PageLen: pageLen, Keys: keys,
		Start: s.start + from, Causal: s.causal, Window: s.window,
	}
}

// attention is the definition, in float64.
func (s *sequence) attention(scale float64) []float64 {
	out := make([]float64, s.n*s.d)
	for i := range s.n {
		var p []float64
		var at []int
		for j := range s.keys {
			if s.causal && (j > s.start+i || s.window > 0 && j <= s.start+i-s.window) {
				continue
			}
			var dot float64
			for c := range s.d {
				dot += float64(s.q[i*s.d+c]) * float64(s.k[j*s.d+c])
			}
			p, at = append(p, dot*scale), append(at, j)
		}
		if len(p) == 0 {
			continue
		}
		top, sum := slices.Max(p), 0.0
		for j := range p {
			p[j] = math.Exp(p[j] - top)
			sum += p[j]
		}
		for j, pj := range p {
			for c := range s.d {
				out[i*s.d+c] += pj / sum * float64(s.v[at[j]*s.d+c])
			}
		}
	}
	return out
}

func TestAttend(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		tm := team(t, 2)
		r := source(6)
		for _, d := range []int{1, 3, 6, 8, 24, 72, 96, 100, 128, 200} {
			for _, n := range []int{1, 5, 63, 130} {
				for _, mask := range []struct {
					name           string
					before, window int
					causal         bool
				}{{"bidirectional", 31, 0, false}, {"causal", 0, 0, true}, {"causal after a cache", 77, 0, true}, {"window", 40, 9, true}, {"wide window", 100, 70, true}} {
					s := newSequence(r, n, n+mask.before, d)
					s.causal, s.window, s.start = mask.causal, mask.window, mask.before
					out := normal(r, n*d)
					scale := 1 / math.Sqrt(float64(d))
					tm.Attend([]Head{s.head(out, 0, n, s.keys, 48)}, d, float32(scale))
					for i, want := range s.attention(float64(float32(scale))) {
						if math.Abs(float64(out[i])-want) > 3e-6 {
							t.Fatalf("%s, d=%d, n=%d: element %d = %g, want %g", mask.name, d, n, i, out[i], want)
						}
					}
				}
			}
		}
	})
}

// A prompt whole, in pieces, and token by token behind a cache: the same bits, for any page
// length and number of threads.
func TestAttendInPieces(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := source(7)
		for _, d := range []int{5, 72, 128} {
			for _, window := range []int{0, 1, 50, 100} {
				const n = 150
				s := newSequence(r, n, n, d)
				s.causal, s.window = true, window
				whole := make([]float32, n*d)
				team(t, 1).Attend([]Head{s.head(whole, 0, n, n, n)}, d, 0.3)
				for _, piece := range []int{1, 2, 7, 64, 100} {
					for _, pageLen := range []int{16, 33, n} {
						out := make([]float32, n*d)
						tm := team(t, 1+piece%5)
						for from := 0; from < n; from += piece {
							to := min(n, from+piece)
							tm.Attend([]Head{s.head(out, from, to, to, pageLen)}, d, 0.3)
						}
						sameBits(t, fmt.Sprintf("d=%d window=%d piece=%d pages of %d", d, window, piece, pageLen), out, whole)
					}
				}
			}
		}
	})
}

// Several heads of different lengths at once are each what they are alone.
func TestAttendBatch(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := source(8)
		const d = 72
		var heads []Head
		var together, alone [][]float32
		for i, n := range []int{200, 1, 0, 64, 3, 129} {
			s := newSequence(r, n, n+10*i, d)
			a, b := make([]float32, n*d), make([]float32, n*d)
			team(t, 1).Attend([]Head{s.head(a, 0, n, max(1, s.keys), 64)}, d, 0.1)
			heads = append(heads, s.head(b, 0, n, max(1, s.keys), 64))
			alone, together = append(alone, a), append(together, b)
		}
		for _, threads := range []int{1, 2, 5} {
			team(t, threads).Attend(heads, d, 0.1)
			for i := range alone {
				sameBits(t, fmt.Sprint("head ", i), together[i], alone[i])
			}
		}
	})
}

// What a query does not see cannot reach it: not by a NaN, and not by being absent.
func TestAttendHiddenKeys(t *testing.T) {
	nan := float32(math.NaN())
	eachVariant(t, func(t *testing.T) {
		tm := team(t, 2)
		r := source(9)
		for _, d := range []int{3, 8, 72} {
			const n, window, pageLen = 200, 40, 32
			s := newSequence(r, n, n, d)
			s.causal, s.window = true, window
			clean := make([]float32, n*d)
			tm.Attend([]Head{s.head(clean, 0, n, n, pageLen)}, d, 0.5)

			// Query 150 sees keys 111 to 150 of the 200: everything else may be anything.
			for _, i := range []int{150, 161} {
				out := make([]float32, n*d)
				h := s.head(out, i, i+4, n, pageLen)
				for p := range h.K {
					if (p+1)*pageLen <= i-window {
						h.K[p], h.V[p] = nil, nil
					}
				}
				poison(h, nan, func(k int) bool { return k > i+3 || k <= i-window })
				tm.Attend([]Head{h}, d, 0.5)
				sameBits(t, fmt.Sprint("query ", i), out[i*d:][:4*d], clean[i*d:][:4*d])
			}

			// A NaN among the keys reaches those that see it, and nobody else.
			out := make([]float32, n*d)
			h := s.head(out, 0, n, n, pageLen)
			poison(h, nan, func(k int) bool { return k == 90 })
			tm.Attend([]Head{h}, d, 0.5)
			for i := range n {
				if sees := i >= 90 && i < 90+window; sees != (out[i*d] != out[i*d]) {
					t.Fatalf("d=%d: query %d got %g", d, i, out[i*d])
				} else if !sees {
					sameBits(t, fmt.Sprint("query ", i), out[i*d:][:d], clean[i*d:][:d])
				}
			}
		}
	})
}

func poison(h Head, v float32, which func(key int) bool) {
	for p := range h.K {
		for i := range h.K[p] {
			if which(p*h.PageLen + i/h.KVStride) {
				h.K[p][i], h.V[p][i] = v, v
			}
		}
	}
}

func TestAttendSeesNothing(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		tm := team(t, 1)
		out := []float32{5, 5}
		tm.Attend([]Head{{Q: out[:0:0], N: 0}, {Q: make([]float32, 2), Out: out, QStride: 1, N: 2}}, 1, 1)
		sameBits(t, "no keys", out, []float32{0, 0})
	})
}

// Scores far apart: the largest wins without overflow, and equal ones share.
func TestAttendExtremeScores(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		tm := team(t, 1)
		const d, keys = 8, 150
		k, v := make([]float32, keys*d), make([]float32, keys*d)
		for j := range keys {
			k[j*d] = float32(j%100) * 1000
			v[j*d] = float32(j)
		}
		q, out := []float32{1, 0, 0, 0, 0, 0, 0, 0}, make([]float32, d)
		tm.Attend([]Head{{Q: q, Out: out, QStride: d, N: 1, K: [][]float32{k}, V: [][]float32{v}, KVStride: d, PageLen: keys, Keys: keys}}, d, 1e3)
		if out[0] != 99 {
			t.Errorf("got %g, want 99, the value of the largest score", out[0])
		}
		q[0] = 0
		tm.Attend([]Head{{Q: q, Out: out, QStride: d, N: 1, K: [][]float32{k}, V: [][]float32{v}, KVStride: d, PageLen: keys, Keys: keys}}, d, 1e3)
		if math.Abs(float64(out[0])-74.5) > 1e-5 {
			t.Errorf("got %g, want 74.5, the mean of all", out[0])
		}
	})
}
