package checkpoint

import (
	"math"
	"testing"

	"idefics2/tensor"
)

// The distribution is normal: mean, variance, fourth moment and tails.
func TestStandard(t *testing.T) {
	const n = 1 << 22
	stream := newNoise(1, "model.text_model.embed_tokens.weight")
	var sum, square, fourth float64
	beyond := [6]int{}
	for i := range uint64(n / 2) {
		r := stream.pair(i)
		for _, v := range []float32{standard(uint32(r)), standard(uint32(r >> 32))} {
			x := float64(v)
			sum += x
			square += x * x
			fourth += x * x * x * x
			for s := range beyond {
				if math.Abs(x) > float64(s) {
					beyond[s]++
				}
			}
		}
	}
	near := func(name string, got, want, tolerance float64) {
		if math.Abs(got-want) > tolerance {
			t.Errorf("%s = %g, want %g ± %g", name, got, want, tolerance)
		}
	}
	const sigma = 1.0 / (1 << 11) // of a mean over n
	near("mean", sum/n, 0, 4*sigma)
	near("variance", square/n, 1, 4*math.Sqrt2*sigma)
	near("fourth moment", fourth/n, 3, 4*math.Sqrt(96)*sigma)
	for s, got := range beyond {
		want := n * math.Erfc(float64(s)/math.Sqrt2)
		near("count beyond "+string(rune('0'+s))+"σ", float64(got), want, 5*math.Sqrt(want)+1)
	}
}

// The table is the quantile function, from the least to the greatest of its 2³¹ arguments.
func TestQuantiles(t *testing.T) {
	for _, r := range []uint32{0, 1, 2, 3, 4, 100, 12345, 1 << 20, 1<<20 + 1, 0x123456, 0x3fffffff, 0x40000000, 0x7ffffffe, 0x7fffffff} {
		u := (float64(r) + 0.5) / (1 << 32)
		want := -math.Sqrt2 * math.Erfinv(2*u-1)
		if got := standard(r); math.Abs(float64(got)-want) > 1e-4 {
			t.Errorf("standard(%#x) = %v, want %v", r, got, want)
		}
		if standard(r|1<<31) != -standard(r) {
			t.Errorf("standard(%#x) is not the negative of its pair", r|1<<31)
		}
	}
}

// Any part of a tensor can be made alone.
func TestFillInParts(t *testing.T) {
	stream := newNoise(7, "x")
	for _, dtype := range []tensor.DType{tensor.F32, tensor.F16, tensor.BF16} {
		size := dtype.Bits() / 8
		whole := make([]byte, 101*size)
		stream.fill(whole, dtype, 0, 0.02)
		part := make([]byte, 31*size)
		stream.fill(part, dtype, 70, 0.02)
		if string(part) != string(whole[70*size:]) {
			t.Errorf("%v: elements 70 to 100 differ from those of the whole", dtype)
		}
	}
	if newNoise(7, "y").pair(0) == stream.pair(0) || newNoise(8, "x").pair(0) == stream.pair(0) {
		t.Error("another name or seed gives the same numbers")
	}
}

func BenchmarkFill(b *testing.B) {
	out := make([]byte, 4<<20)
	stream := newNoise(1, "x")
	b.SetBytes(int64(len(out)))
	for b.Loop() {
		stream.fill(out, tensor.BF16, 0, 0.02)
	}
}
