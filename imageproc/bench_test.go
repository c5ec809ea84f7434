package imageproc

import (
	"os"
	"path/filepath"
	"testing"

	"idefics2/internal/variant"
)

// noise is a picture that compresses badly, the same each time.
func noise(w, h int) *RGB {
	img := NewRGB(w, h)
	v := uint32(1)
	for i := range img.Pix {
		v = v*1664525 + 1013904223
		img.Pix[i] = byte(v >> 24)
	}
	return img
}

// A 12-megapixel photo to the size in which the model reads it.
func BenchmarkResize(b *testing.B) { variant.Run(b, "imageproc", benchmarkResize) }

func benchmarkResize(b *testing.B) {
	src := noise(4000, 3000)
	for _, f := range []Filter{Bilinear, Bicubic, Lanczos} {
		b.Run(f.String(), func(b *testing.B) {
			b.SetBytes(int64(len(src.Pix)))
			for b.Loop() {
				Resize(src, 980, 735, f)
			}
		})
	}
}

func BenchmarkPatches(b *testing.B) {
	img := noise(980, 980)
	table, err := Settings{}.Table()
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(img.Pix)))
	for b.Loop() {
		Patches(img, 14, table)
	}
}

// Each format on a file of testdata; bytes are those of the pixels.
func BenchmarkDecode(b *testing.B) {
	for _, file := range []string{"photo_640x480.jpg", "png_rgba8.png", "gif_still.gif", "webp_lossy_101x77.webp", "webp_lossless_101x77.webp", "bmp_RGB.bmp", "tiff_rgb_tiff_lzw.tif"} {
		b.Run(file, func(b *testing.B) {
			data, err := os.ReadFile(filepath.Join("testdata", "src", file))
			if err != nil {
				b.Fatal(err)
			}
			img, _, err := Decode(data, Limits{})
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(img.Pix)))
			for b.Loop() {
				if _, _, err := Decode(data, Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
