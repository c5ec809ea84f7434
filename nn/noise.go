package nn

import "math"

// Noise is a source of random numbers that has no state: number i is a function of the source and
// of i. So noise does not depend on what was drawn before, on threads, or on what else is
// in a batch, and what is computed again meets the same. The function is SplitMix64 (Steele et
// al., Fast splittable pseudorandom number generators, 2014).
type Noise uint64

const golden = 0x9e3779b97f4a7c15

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Of returns the i-th source under n.
func (n Noise) Of(i uint64) Noise { return Noise(mix(mix(uint64(n)+golden) ^ (i+1)*golden)) }

// Row returns the source under n that belongs to the values of x.
func (n Noise) Row(x []float32) Noise {
	h := uint64(n)
	for _, v := range x {
		h = (h ^ uint64(math.Float32bits(v))) * 0x9fb21c651e98df25
		h ^= h >> 29
	}
	return Noise(mix(h))
}

// Uniform returns number i, in [0, 1), a multiple of 2⁻²⁴.
func (n Noise) Uniform(i int) float32 {
	return float32(mix(uint64(n)+uint64(i)*golden)>>40) * (1.0 / (1 << 24))
}

// Drop makes a share p of x zero, each element by its own number, and scales the others by 1/(1-p).
func (n Noise) Drop(x []float32, p float64) {
	keep, below := float32(1/(1-p)), float32(p)
	for i := range x {
		if n.Uniform(i) < below {
			x[i] = 0
		} else {
			x[i] *= keep
		}
	}
}

// Normal returns number i of the standard normal distribution (Box and Muller, 1958).
func (n Noise) Normal(i int) float32 {
	u := float64(mix(uint64(n.Of(1))+uint64(i)*golden)>>11) + 1 // of 2⁵³, never 0
	v := float64(mix(uint64(n.Of(2))+uint64(i)*golden) >> 11)
	return float32(math.Sqrt(-2*math.Log(u/(1<<53))) * math.Cos(2*math.Pi*v/(1<<53)))
}
