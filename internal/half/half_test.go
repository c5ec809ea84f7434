package half

import (
	"fmt"
	"math"
	"testing"
)

var inf = float32(math.Inf(1))

func TestBF16Table(t *testing.T) {
	tests := []struct {
		name string
		in   uint32 // bits of a float32
		want uint16
	}{
		{"zero", 0, 0},
		{"minus zero", 0x80000000, 0x8000},
		{"one", 0x3f800000, 0x3f80},
		{"below the tie", 0x3f807fff, 0x3f80},
		{"tie goes to the even, below", 0x3f808000, 0x3f80},
		{"above the tie", 0x3f808001, 0x3f81},
		{"tie goes to the even, above", 0x3f818000, 0x3f82},
		{"carry into the exponent", 0x3fffffff, 0x4000},
		{"largest float32 overflows", 0x7f7fffff, 0x7f80},
		{"largest bfloat16", 0x7f7f7fff, 0x7f7f},
		{"infinity", 0xff800000, 0xff80},
		{"NaN with a payload that would be lost", 0x7f800001, 0x7fc0},
		{"NaN that rounding would carry out of", 0xffffffff, 0xffff},
		{"subnormal", 0x00018000, 0x0002},
	}
	for _, tt := range tests {
		if got := F32ToBF16(math.Float32frombits(tt.in)); got != tt.want {
			t.Errorf("%s: F32ToBF16(%#08x) = %#04x, want %#04x", tt.name, tt.in, got, tt.want)
		}
	}
}

func TestF16Table(t *testing.T) {
	tests := []struct {
		name string
		in   float32
		want uint16
	}{
		{"zero", 0, 0},
		{"minus zero", float32(math.Copysign(0, -1)), 0x8000},
		{"one", 1, 0x3c00},
		{"largest", 65504, 0x7bff},
		{"rounds to the largest", 65519.996, 0x7bff},
		{"overflows", 65520, 0x7c00},
		{"negative overflow", -1e30, 0xfc00},
		{"infinity", inf, 0x7c00},
		{"tie to even, below", 2049, 0x6800},
		{"tie to even, above", 2051, 0x6802},
		{"smallest normal", 0x1p-14, 0x0400},
		{"rounds up into the normals", 0x1p-14 - 0x1p-26, 0x0400},
		{"largest subnormal", 0x1p-14 - 0x1p-24, 0x03ff},
		{"smallest subnormal", 0x1p-24, 0x0001},
		{"tie at half the smallest", 0x1p-25, 0},
		{"just above half the smallest", 0x1.000002p-25, 0x0001},
		{"tie between 1 and 2", 0x1.8p-24, 0x0002},
		{"float32 subnormal", 0x1p-149, 0},
		{"NaN", float32(math.NaN()), 0x7e00},
	}
	for _, tt := range tests {
		if got := F32ToF16(tt.in); got != tt.want {
			t.Errorf("%s: F32ToF16(%v) = %#04x, want %#04x", tt.name, tt.in, got, tt.want)
		}
	}
}

// Every 16-bit value comes back from float32 unchanged, and a NaN comes back quiet.
func TestRoundTrip(t *testing.T) {
	types := []struct {
		name     string
		widen    func(uint16) float32
		narrow   func(float32) uint16
		exponent uint16 // mask
		quiet    uint16 // the bit that makes a NaN quiet
	}{
		{"bf16", BF16ToF32, F32ToBF16, 0x7f80, 0x0040},
		{"f16", F16ToF32, F32ToF16, 0x7c00, 0x0200},
	}
	for _, tt := range types {
		for i := range 1 << 16 {
			b := uint16(i)
			want := b
			if b&0x7fff > tt.exponent {
				want |= tt.quiet
			}
			if got := tt.narrow(tt.widen(b)); got != want {
				t.Fatalf("%s: %#04x came back as %#04x, want %#04x", tt.name, b, got, want)
			}
		}
	}
}

// Between every two neighbours the midpoint goes to the even one, and the float32
// values beside the midpoint go to the nearer one.
func TestEveryMidpoint(t *testing.T) {
	types := []struct {
		name   string
		widen  func(uint16) float32
		narrow func(float32) uint16
		last   uint16 // largest finite value
	}{
		{"bf16", BF16ToF32, F32ToBF16, 0x7f7f},
		{"f16", F16ToF32, F32ToF16, 0x7bff},
	}
	for _, tt := range types {
		for b := range tt.last {
			lo, hi := tt.widen(b), tt.widen(b+1)
			mid := float32((float64(lo) + float64(hi)) / 2) // exact
			even := b + b&1
			for _, c := range []struct {
				at   float32
				want uint16
			}{{lo, b}, {math.Nextafter32(mid, 0), b}, {mid, even}, {math.Nextafter32(mid, inf), b + 1}} {
				if got := tt.narrow(c.at); got != c.want {
					t.Fatalf("%s: %g between %g and %g became %#04x, want %#04x", tt.name, c.at, lo, hi, got, c.want)
				}
				if got := tt.narrow(-c.at); got != c.want|0x8000 {
					t.Fatalf("%s: %g became %#04x, want %#04x", tt.name, -c.at, got, c.want|0x8000)
				}
			}
		}
	}
}

// The value of a binary16 from its definition: (-1)^s · 2^(e-15) · 1.m, or 2^-14 · 0.m.
func TestF16ToF32Definition(t *testing.T) {
	for i := range 0x7c00 {
		e, m := i>>10, float64(i&0x3ff)/1024
		want := math.Ldexp(m, -14)
		if e > 0 {
			want = math.Ldexp(1+m, e-15)
		}
		if got := F16ToF32(uint16(i)); float64(got) != want {
			t.Fatalf("F16ToF32(%#04x) = %g, want %g", i, got, want)
		}
	}
	if got := F16ToF32(0xfc00); got != -inf {
		t.Errorf("F16ToF32(0xfc00) = %g, want -Inf", got)
	}
}

func ExampleF32ToBF16() {
	// Eight bits of significand: 1/3 keeps between two and three digits.
	fmt.Println(BF16ToF32(F32ToBF16(1.0 / 3)))
	// Output: 0.33398438
}

func ExampleF32ToF16() {
	fmt.Println(F16ToF32(F32ToF16(1.0/3)), F16ToF32(F32ToF16(1e6)))
	// Output: 0.33325195 +Inf
}

func BenchmarkF16ToF32(b *testing.B) {
	in, out := make([]uint16, 4096), make([]float32, 4096)
	for i := range in {
		in[i] = uint16(i * 7)
	}
	b.SetBytes(2 * 4096)
	for b.Loop() {
		for i, h := range in {
			out[i] = F16ToF32(h)
		}
	}
}
