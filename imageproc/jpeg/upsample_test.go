package jpeg

import (
	"bytes"
	"slices"
	"testing"

	"idefics2/internal/variant"
)

func TestUpsampleH2V1(t *testing.T) {
	got := make([]byte, 6)
	upsampleH2V1(got, []byte{10, 20, 40})
	if want := []byte{10, 13, 17, 25, 35, 40}; !bytes.Equal(got, want) {
		t.Errorf("10 20 40 gives %v, want %v", got, want)
	}
}

func TestUpsampleH1V2(t *testing.T) {
	got := make([]byte, 2)
	upsampleH1V2(got, []byte{10, 255}, []byte{20, 0}, 1)
	if want := []byte{12, 191}; !bytes.Equal(got, want) {
		t.Errorf("upper row %v, want %v", got, want)
	}
	upsampleH1V2(got, []byte{10, 255}, []byte{20, 0}, 2)
	if want := []byte{13, 191}; !bytes.Equal(got, want) {
		t.Errorf("lower row %v, want %v", got, want)
	}
}

// Between equal rows, h2v2 is h2v1 but for rounding; and both keep flat rows flat, and
// commute with mirroring up to the alternating rounding.
func TestUpsampleProperties(t *testing.T) {
	for n := 3; n < 40; n++ {
		src := make([]byte, n)
		for i := range src {
			src[i] = byte(i * i * 31)
		}
		one, two := make([]byte, 2*n), make([]byte, 2*n)
		upsampleH2V1(one, src)
		upsampleH2V2(two, src, src)
		for i := range one {
			if d := int(one[i]) - int(two[i]); d < -1 || d > 1 {
				t.Fatalf("n %d, sample %d: h2v1 %d, h2v2 %d", n, i, one[i], two[i])
			}
		}
		slices.Reverse(src)
		mirrored := make([]byte, 2*n)
		upsampleH2V1(mirrored, src)
		slices.Reverse(mirrored)
		for i := range one {
			if d := int(one[i]) - int(mirrored[i]); d < -1 || d > 1 {
				t.Fatalf("n %d, sample %d: %d, mirrored %d", n, i, one[i], mirrored[i])
			}
		}
		flat := bytes.Repeat([]byte{77}, n)
		upsampleH2V2(two, flat, flat)
		if !bytes.Equal(two, bytes.Repeat([]byte{77}, 2*n)) {
			t.Fatalf("flat row of %d gives %v", n, two)
		}
	}
}

// The last true row and column repeat at the edges, never what blocks hold beyond them.
func TestUpsamplerEdges(t *testing.T) {
	c := component{width: 3, height: 2, stride: 8, rows: 8, scalesX: 2, scalesY: 2, samples: make([]byte, 64)}
	for i := range c.samples {
		c.samples[i] = 200
	}
	copy(c.samples, []byte{10, 20, 30})
	copy(c.samples[8:], []byte{50, 60, 70})
	u := newUpsampler(&c)
	want := [][]byte{
		{10, 12, 18, 22, 28, 30},
		{20, 22, 28, 32, 38, 40},
		{40, 42, 48, 52, 58, 60},
		{50, 52, 58, 62, 68, 70},
	}
	for y, w := range want {
		if got := u.row(y); !bytes.Equal(got, w) {
			t.Errorf("row %d is %v, want %v", y, got, w)
		}
	}
}

func BenchmarkUpsample(b *testing.B) { variant.Run(b, "imageproc/jpeg", benchmarkUpsample) }

func benchmarkUpsample(b *testing.B) {
	near, far, dst := make([]byte, 2048), make([]byte, 2048), make([]byte, 4096)
	b.Run("h2v1", func(b *testing.B) {
		b.SetBytes(4096)
		for b.Loop() {
			upsampleH2V1(dst, near)
		}
	})
	b.Run("h2v2", func(b *testing.B) {
		b.SetBytes(4096)
		for b.Loop() {
			upsampleH2V2(dst, near, far)
		}
	})
}
