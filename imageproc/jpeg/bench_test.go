package jpeg

import (
	"bytes"
	"image"
	"image/color"
	stdjpeg "image/jpeg"
	"math"
	"testing"

	"idefics2/internal/variant"
)

// photo is a picture of w×h with the spectrum of a photograph, about: smooth shapes, some
// texture. It is coded by the standard library: 4:2:0, baseline.
func photo(tb testing.TB, w, h, quality int) []byte {
	tb.Helper()
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	seed := uint32(1)
	for y := range h {
		for x := range w {
			seed = seed*1664525 + 1013904223
			noise := float64(seed>>24) / 12
			fx, fy := float64(x), float64(y)
			v := 128 + 60*math.Sin(fx/97+math.Cos(fy/61)) + 40*math.Sin(fy/43+fx/211) + noise
			img.SetRGBA(x, y, color.RGBA{uint8(v), uint8(20 + v*0.8), uint8(240 - v/2), 255})
		}
	}
	var b bytes.Buffer
	if err := stdjpeg.Encode(&b, img, &stdjpeg.Options{Quality: quality}); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func BenchmarkProgressive(b *testing.B) {
	data := readFile(b, "jpeg_progressive_420_101x77.jpg")
	b.SetBytes(101 * 77)
	for b.Loop() {
		if _, err := Decode(data, 0); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecode reports pixels, not bytes, in its MB/s. std decodes to planes and leaves
// colours to its caller.
func BenchmarkDecode(b *testing.B) {
	data := photo(b, 2000, 1500, 85)
	b.Logf("%.2f bits a pixel", float64(8*len(data))/(2000*1500))
	variant.Run(b, "imageproc/jpeg", func(b *testing.B) {
		for _, split := range []struct {
			name string
			from int
		}{{"one", math.MaxInt}, {"two", 0}} { // goroutines
			b.Run(split.name, func(b *testing.B) {
				b.SetBytes(2000 * 1500)
				for b.Loop() {
					d := decoder{data: data}
					if _, err := d.decode(MaxPixels, split.from); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	})
	b.Run("std", func(b *testing.B) {
		b.SetBytes(2000 * 1500)
		for b.Loop() {
			if _, err := stdjpeg.Decode(bytes.NewReader(data)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
