package synth

import (
	"math"
	"math/rand/v2"
)

// random draws all that varies in a picture. Its numbers follow from the seed alone, on
// every machine.
type random struct{ *rand.Rand }

// newRandom returns the numbers of one example. The parts are mixed (splitmix64, Steele
// et al. 2014), so that neighbouring examples have nothing in common.
func newRandom(seed uint64, parts ...uint64) random {
	h := seed
	for _, p := range parts {
		h = mix(h ^ mix(p))
	}
	return random{rand.New(rand.NewPCG(mix(h), mix(h+1)))}
}

func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// chance is true with probability p.
func (r random) chance(p float64) bool { return r.Float64() < p }

// between returns a whole number from lo to hi, both included.
func (r random) between(lo, hi int) int {
	if hi <= lo {
		return lo
	}
	return lo + r.IntN(hi-lo+1)
}

// within returns a number from lo to hi.
func (r random) within(lo, hi float64) float64 { return lo + (hi-lo)*r.Float64() }

// logWithin returns a number from lo to hi, each octave as likely as the next.
func (r random) logWithin(lo, hi float64) float64 { return lo * math.Pow(hi/lo, r.Float64()) }

// one returns an element of list.
func one[T any](r random, list []T) T { return list[r.IntN(len(list))] }

// pick returns one of its arguments.
func pick[T any](r random, list ...T) T { return one(r, list) }

// some returns n different elements of list, in random order.
func some[T any](r random, list []T, n int) []T {
	n = min(n, len(list))
	out := make([]T, 0, n)
	taken := map[int]bool{}
	for len(out) < n {
		if i := r.IntN(len(list)); !taken[i] {
			taken[i] = true
			out = append(out, list[i])
		}
	}
	return out
}

// weighted returns an index, each in proportion to its weight.
func (r random) weighted(weights ...float64) int {
	var sum float64
	for _, w := range weights {
		sum += w
	}
	x := r.Float64() * sum
	for i, w := range weights {
		if x -= w; x < 0 {
			return i
		}
	}
	return len(weights) - 1
}
