package jpeg

import (
	"bytes"
	"math"
	"testing"

	"idefics2/internal/variant"
)

func TestYCbCrToRGB(t *testing.T) {
	dst := make([]byte, 3)
	ycbcrToRGB(dst, []byte{100}, []byte{90}, []byte{200})
	if want := []byte{201, 62, 33}; !bytes.Equal(dst, want) {
		t.Errorf("(100, 90, 200) is %v, want %v", dst, want)
	}
	// All colours, against JFIF's equations: within one of the real value.
	for y := 0; y < 256; y += 5 {
		for cb := range 256 {
			for cr := range 256 {
				ycbcrToRGB(dst, []byte{byte(y)}, []byte{byte(cb)}, []byte{byte(cr)})
				l, u, v := float64(y), float64(cb)-128, float64(cr)-128
				for i, want := range []float64{l + 1.402*v, l - 0.344136*u - 0.714136*v, l + 1.772*u} {
					want = min(max(want, 0), 255)
					if math.Abs(float64(dst[i])-want) > 0.51 {
						t.Fatalf("(%d, %d, %d): channel %d is %d, want %.2f", y, cb, cr, i, dst[i], want)
					}
				}
			}
		}
	}
}

func TestCMYKToRGB(t *testing.T) {
	tests := []struct{ cmyk, rgb []byte }{
		{[]byte{10, 20, 30, 40}, []byte{207, 198, 190}},
		{[]byte{100, 150, 200, 128}, []byte{77, 52, 27}},
		{[]byte{0, 0, 0, 0}, []byte{255, 255, 255}},
		{[]byte{255, 0, 0, 0}, []byte{0, 255, 255}},
		{[]byte{0, 0, 0, 255}, []byte{0, 0, 0}},
	}
	for _, tt := range tests {
		got := make([]byte, 3)
		CMYKToRGB(got, tt.cmyk)
		if !bytes.Equal(got, tt.rgb) {
			t.Errorf("%v is %v, want %v", tt.cmyk, got, tt.rgb)
		}
	}
}

func BenchmarkYCbCrToRGB(b *testing.B) { variant.Run(b, "imageproc/jpeg", benchmarkYCbCrToRGB) }

func benchmarkYCbCrToRGB(b *testing.B) {
	y, cb, cr, dst := make([]byte, 4096), make([]byte, 4096), make([]byte, 4096), make([]byte, 3*4096)
	b.SetBytes(4096)
	for b.Loop() {
		ycbcrToRGB(dst, y, cb, cr)
	}
}
