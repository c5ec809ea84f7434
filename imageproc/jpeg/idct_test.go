package jpeg

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"idefics2/internal/variant"
)

// Every shortcut gives the bytes of the whole transform.
func TestIDCTShortcuts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		var b block
		var used uint64 = 1
		span := 1 << r.IntN(16) // from ordinary to absurd
		size := 1 + r.IntN(14)
		for range size {
			k := r.IntN(1 << r.IntN(7))
			b[zigzag[k]] = int16(r.IntN(2*span) - span)
			used |= 1 << k
		}
		if used&^firstRow == 0 && span > 8192 {
			continue // wraps where idctFull saturates: TestIDCTBounds
		}
		var got, want [64]byte
		idctGeneric(got[:], 8, &b, used)
		idctFull(want[:], 8, &b)
		if got != want {
			t.Fatalf("block %v, used %x:\ngot  %v\nwant %v", b, used, got, want)
		}
	}
}

// The transform is the cosine transform, to rounding.
func TestIDCTAgainstFloat(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		var b block
		for k := range 10 + r.IntN(54) {
			b[zigzag[k]] = int16(r.IntN(201) - 100)
		}
		var got [64]byte
		idctFull(got[:], 8, &b)
		for y := range 8 {
			for x := range 8 {
				want := 128.0
				for v := range 8 {
					for u := range 8 {
						f := float64(b[8*v+u]) / 4 *
							math.Cos(float64(2*x+1)*float64(u)*math.Pi/16) * math.Cos(float64(2*y+1)*float64(v)*math.Pi/16)
						if u == 0 {
							f *= math.Sqrt2 / 2
						}
						if v == 0 {
							f *= math.Sqrt2 / 2
						}
						want += f
					}
				}
				want = min(max(want, 0), 255)
				if d := math.Abs(float64(got[8*y+x]) - want); d > 1 {
					t.Fatalf("sample (%d, %d) is %d, want %.2f", x, y, got[8*y+x], want)
				}
			}
		}
	}
}

// What the reference's 16-bit arithmetic does past its bounds.
func TestIDCTBounds(t *testing.T) {
	tests := []struct {
		name string
		b    block
		used uint64
		want [8]byte // the first row
	}{
		{"worked numbers", block{-8 * 16}, 1, [8]byte{112, 112, 112, 112, 112, 112, 112, 112}},
		{"a lone DC wraps", block{8192}, 1, [8]byte{}}, // 4·8192 is −32768
		{"beside other rows it saturates", block{0: 8192, 63: 1}, 1 | 1<<63, [8]byte{255, 255, 255, 255, 255, 255, 255, 255}},
		{"sums of two wrap", block{0: 20000, 32: 20000}, 1 | 1<<10, [8]byte{0, 0, 0, 0, 0, 0, 0, 0}},
	}
	eachVariant(t, func(t *testing.T) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				var got [64]byte
				idct(got[:], 8, &tt.b, tt.used)
				if !bytes.Equal(got[:8], tt.want[:]) {
					t.Errorf("first row %v, want %v", got[:8], tt.want)
				}
			})
		}
	})
}

func BenchmarkIDCT(b *testing.B) { variant.Run(b, "imageproc/jpeg", benchmarkIDCT) }

func benchmarkIDCT(b *testing.B) {
	var full, corner block
	for k := range 64 {
		full[k] = int16(97*k%41 - 20)
	}
	for k := range 10 {
		corner[zigzag[k]] = int16(90 - 9*k)
	}
	var dst [64]byte
	for _, bench := range []struct {
		name string
		b    *block
		used uint64
	}{{"full", &full, math.MaxUint64}, {"corner", &corner, 1<<10 - 1}, {"dc", &corner, 1}} {
		b.Run(bench.name, func(b *testing.B) {
			b.SetBytes(64)
			for b.Loop() {
				idct(dst[:], 8, bench.b, bench.used)
			}
		})
	}
}
