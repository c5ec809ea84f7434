package sample

import (
	"math"
	"testing"
)

// TestPhilox holds the cipher against the known answers of its authors (Random123, kat_vectors).
func TestPhilox(t *testing.T) {
	const ones = 0xffffffff
	tests := []struct {
		counter [4]uint32
		key     [2]uint32
		want    [4]uint32
	}{
		{[4]uint32{}, [2]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{[4]uint32{ones, ones, ones, ones}, [2]uint32{ones, ones}, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [2]uint32{0xa4093822, 0x299f31d0},
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	}
	for _, tt := range tests {
		if got := philox(tt.counter, tt.key); got != tt.want {
			t.Errorf("philox(%x, %x) = %x, want %x", tt.counter, tt.key, got, tt.want)
		}
	}
}

// TestUniformIsFixed: a change of these numbers changes every seeded answer that was ever given.
func TestUniformIsFixed(t *testing.T) {
	zero := float64(0x6627e8d5e169c)*0x1p-52 + 0x1p-53 // the first 52 bits of the first answer above
	if got := Uniform(0, 0, 0, 0); got != zero {
		t.Errorf("Uniform(0, 0, 0, 0) = %v, want %v", got, zero)
	}
	seen := map[float64]bool{}
	for _, u := range []float64{
		Uniform(0, 0, 0, 0), Uniform(1, 0, 0, 0), Uniform(1<<32, 0, 0, 0), Uniform(0, 1, 0, 0),
		Uniform(0, 1<<32, 0, 0), Uniform(0, 0, 1, 0), Uniform(0, 0, 0, 1),
	} {
		if seen[u] || u <= 0 || u >= 1 {
			t.Errorf("%v is outside (0, 1) or was drawn before", u)
		}
		seen[u] = true
	}
}

// TestUniformDistribution counts along each argument in turn.
func TestUniformDistribution(t *testing.T) {
	for name, draw := range map[string]func(i int) float64{
		"seed":     func(i int) float64 { return Uniform(uint64(i), 0, 9, 0) },
		"sequence": func(i int) float64 { return Uniform(7, uint64(i), 9, 0) },
		"position": func(i int) float64 { return Uniform(7, 0, i, 0) },
		"index":    func(i int) float64 { return Uniform(7, 0, 9, i) },
	} {
		const bins, n = 50, 50000
		var count [bins]int
		for i := range n {
			count[int(draw(i)*bins)]++
		}
		expected := make([]float64, bins)
		for i := range expected {
			expected[i] = 1.0 / bins
		}
		checkCounts(t, name, count[:], expected)
	}
}

// checkCounts is Pearson's χ² test: it fails where counts so far from p would occur less than once in
// about 30,000 runs (4 standard deviations by Wilson and Hilferty's approximation). Seeds are fixed, so
// it fails always or never.
func checkCounts(t *testing.T, name string, count []int, p []float64) {
	t.Helper()
	n, chi, freedom := 0, 0.0, -1.0
	for _, c := range count {
		n += c
	}
	for i, c := range count {
		if p[i] == 0 {
			if c != 0 {
				t.Errorf("%s: %d is impossible and was drawn %d times", name, i, c)
			}
			continue
		}
		d := float64(c) - p[i]*float64(n)
		chi += d * d / (p[i] * float64(n))
		freedom++
	}
	v := 2 / (9 * freedom)
	if z := (math.Cbrt(chi/freedom) - (1 - v)) / math.Sqrt(v); z > 4 {
		t.Errorf("%s: χ² = %.1f with %v degrees of freedom, %.1f standard deviations from what is expected: %v", name, chi, freedom, z, count)
	}
}
