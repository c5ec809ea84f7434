package kernel

import (
	"math"
	"testing"
)

func TestDot(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := source(30)
		for n := range 140 {
			a, b := normal(r, n), normal(r, n)
			var want, size float64
			for i := range a {
				p := float64(a[i]) * float64(b[i])
				want += p
				size += math.Abs(p)
			}
			if got := float64(Dot(a, b)); math.Abs(got-want) > 40*0x1p-24*size {
				t.Fatalf("n=%d: got %g, want %g", n, got, want)
			}
		}
	})
}
