package kernel

import (
	"testing"
	"time"

	"idefics2/internal/variant"
)

func TestPeaks(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		tm := team(t, 2)
		seen := map[string]bool{}
		for _, p := range tm.Peaks(time.Microsecond) {
			seen[p.Variant+" "+p.Type] = true
			if !(p.Rate > 0) {
				t.Errorf("%+v", p)
			}
		}
		for _, v := range variant.Active("kernel") {
			if !seen[v+" f32"] && !seen[v+" int8"] {
				t.Errorf("no peak of %s", v)
			}
		}
		for _, typ := range []string{"f32", "bf16", "int8"} {
			if !seen["generic "+typ] {
				t.Errorf("no peak of %s in portable Go", typ)
			}
		}
		for _, n := range []int{0, 1, 255, 256, 1<<20 + 257} {
			if rate := tm.ReadRate(make([]byte, n), time.Microsecond); (rate > 0) != (n > 0) {
				t.Errorf("%d bytes: read at %v", n, rate)
			}
		}
	})
}

// Bursts come to their end, and those of a variant in every kind of arithmetic it is used for.
func TestBursts(t *testing.T) {
	o := newOperands()
	for _, b := range bursts(1) {
		if b.run(o); !(b.operations > 0) {
			t.Errorf("%s, %s: %v operations", b.variant, b.typ, b.operations)
		}
	}
}
