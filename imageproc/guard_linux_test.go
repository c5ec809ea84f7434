package imageproc

import (
	"testing"

	"idefics2/internal/guard"
)

func TestNothingIsTouchedPastTheEnd(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		for _, size := range [][4]int{{5, 3, 3, 2}, {40, 20, 39, 20}, {40, 20, 41, 10}, {100, 50, 7, 50}, {33, 33, 64, 5}, {200, 9, 20, 3}, {11, 20, 64, 21}} {
			for _, f := range []Filter{Bilinear, Bicubic, Lanczos} {
				src, dst := noise(size[0], size[1]), NewRGB(size[2], size[3])
				want := Resize(src, dst.Width, dst.Height, f)
				src.Pix, dst.Pix = guard.Copy(t, src.Pix), guard.Copy(t, dst.Pix)
				resample(dst, src, f, tileBudget)
				if hash(dst.Pix) != hash(want.Pix) {
					t.Errorf("%v %v: other pixels at the end of memory", size, f)
				}
			}
		}
	})
}
