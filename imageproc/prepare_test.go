package imageproc

import (
	"image"
	"math"
	"slices"
	"strings"
	"testing"
)

func mustTable(t *testing.T, s Settings) *Table {
	t.Helper()
	table, err := s.Table()
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestTable(t *testing.T) {
	released := mustTable(t, Settings{})
	for c := range released {
		if got, want := hashFloats(released[c][:]), "d15e8ce72284446496a6de66e8a4795818530b44cd2c3dd415077364535c3c1a"; got != want {
			t.Errorf("channel %d: sha256 %s, want %s", c, got, want)
		}
	}
	for v, want := range map[int]float32{0: -1, 1: -0x1.fbfbfcp-1, 51: -0x1.333334p-1, 127: -0x1.0101p-8, 128: 0x1.0102p-8, 200: 0x1.232324p-1, 255: 1} {
		if got := released[0][v]; got != want {
			t.Errorf("%d: %v, want %v", v, got, want)
		}
	}
	imagenet := Settings{Mean: []float64{0.485, 0.456, 0.406}, Std: []float64{0.229, 0.224, 0.225}}
	for c, want := range []float32{(0 - 0.485) / 0.229, (0 - 0.456) / 0.224, (0 - 0.406) / 0.225} {
		if got := mustTable(t, imagenet)[c][0]; math.Abs(float64(got-want)) > 1e-6 {
			t.Errorf("black of channel %d: %v, want %v", c, got, want)
		}
	}
	if got := mustTable(t, Settings{NoRescale: true, NoNormalize: true})[1][200]; got != 200 {
		t.Errorf("neither rescaled nor normalized, 200 is %v", got)
	}
	if got := mustTable(t, Settings{NoNormalize: true, RescaleFactor: 0.5})[1][200]; got != 100 {
		t.Errorf("halved, 200 is %v", got)
	}
	if got := mustTable(t, Settings{NoRescale: true})[1][200]; got != 399 {
		t.Errorf("not rescaled, 200 is %v, want (200 − ½) / ½", got)
	}
}

func TestPatches(t *testing.T) {
	const p = 3
	img := noise(3*p+2, 2*p+1) // two columns and a row are left over
	table := mustTable(t, Settings{})
	patches, pixels := Patches(img, p, table), Pixels(img, table)
	if len(patches) != 2*3*3*p*p || len(pixels) != 3*img.Width*img.Height {
		t.Fatalf("%d patch values and %d pixel values", len(patches), len(pixels))
	}
	i := 0
	for row := range 2 {
		for column := range 3 {
			for c := range 3 {
				for y := range p {
					for x := range p {
						want := pixels[(c*img.Height+row*p+y)*img.Width+column*p+x]
						if patches[i] != want {
							t.Fatalf("patch (%d, %d), channel %d, (%d, %d): %v, want %v", row, column, c, x, y, patches[i], want)
						}
						i++
					}
				}
			}
		}
	}
	if got := Patches(noise(2, 9), p, table); len(got) != 0 {
		t.Errorf("a picture narrower than a patch gives %d values", len(got))
	}
}

func TestPrepareCountsPatches(t *testing.T) {
	tests := []struct {
		w, h        int
		whole, five int // patches, from the table of spec/processor.md §3.3
	}{
		{1, 2, 729, 3645}, {100, 100, 729, 3645}, {400, 300, 756, 3672}, {640, 480, 1530, 4446},
		{1024, 768, 3640, 7528}, {300, 2100, 1890, 9450}, {61, 977, 1863, 5535}, {1, 1, 729, 3645},
	}
	for _, tt := range tests {
		for _, split := range []bool{false, true} {
			crops, err := Prepare(noise(tt.w, tt.h), Settings{}, split)
			if err != nil {
				t.Fatal(err)
			}
			n, want := 0, tt.whole
			for _, c := range crops {
				n += c.Rows * c.Columns
				if c.Rows != c.RGB.Height/14 || c.Columns != c.RGB.Width/14 {
					t.Errorf("%d×%d: %d×%d patches of %d×%d pixels", tt.w, tt.h, c.Rows, c.Columns, c.RGB.Width, c.RGB.Height)
				}
			}
			if split {
				want = tt.five
			}
			if n != want {
				t.Errorf("%d×%d, split %v: %d patches, want %d", tt.w, tt.h, split, n, want)
			}
		}
	}
}

// Quarters of a picture one pixel wide: the left ones are empty and black.
func TestPrepareNarrow(t *testing.T) {
	img := NewRGB(1, 4)
	for i := range img.Pix {
		img.Pix[i] = 200
	}
	crops, err := Prepare(img, Settings{}, true)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []byte{0, 200, 0, 200, 200} {
		if got := crops[i].RGB.Pix[0]; got != want || crops[i].RGB.Width != 378 {
			t.Errorf("crop %d of %v: %d, %d wide, want %d", i, crops[i].Box, got, crops[i].RGB.Width, want)
		}
	}
}

func TestPrepareWithoutResize(t *testing.T) {
	img := noise(30, 45)
	crops, err := Prepare(img, Settings{NoResize: true}, true)
	if err != nil {
		t.Fatal(err)
	}
	last := crops[3]
	if last.Box != image.Rect(15, 22, 30, 45) || last.RGB.Width != 15 || last.RGB.Height != 23 || last.Rows != 1 || last.Columns != 1 {
		t.Errorf("bottom right: %+v of %d×%d", last.Box, last.RGB.Width, last.RGB.Height)
	}
	if got, want := last.RGB.Pix[:3], img.Row(22)[45:48]; !slices.Equal(got, want) {
		t.Errorf("its first pixel is %v, want %v", got, want)
	}
}

func TestPrepareRefuses(t *testing.T) {
	nan := math.NaN()
	tests := []struct {
		name     string
		img      *RGB
		settings Settings
		want     string
	}{
		{"no picture", NewRGB(0, 3), Settings{}, "is 0×3, want at least 1×1"},
		{"less than a patch", NewRGB(20, 13), Settings{NoResize: true}, "comes out at 20×13, smaller than one patch of 14×14"},
		{"edges below a patch", NewRGB(20, 20), Settings{ShortestEdge: 5, LongestEdge: 10}, "give a larger picture, or a shortest_edge of at least 14"},
		{"endless", NewRGB(1, 1<<21), Settings{}, "too long and narrow"},
		{"negative edge", NewRGB(9, 9), Settings{ShortestEdge: -1}, "shortest_edge -1, want 1 to 16384"},
		{"huge edge", NewRGB(9, 9), Settings{LongestEdge: 1 << 30}, "longest_edge 1073741824, want 1 to 16384"},
		{"patch", NewRGB(9, 9), Settings{PatchSize: -14}, "patch_size -14"},
		{"filter", NewRGB(9, 9), Settings{Filter: 9}, "filter 9"},
		{"factor", NewRGB(9, 9), Settings{RescaleFactor: nan}, "rescale_factor NaN"},
		{"mean", NewRGB(9, 9), Settings{Mean: []float64{0, nan, 0}}, "image_mean[1] is NaN"},
		{"channels", NewRGB(9, 9), Settings{Mean: []float64{0.5}}, "image_mean has 1"},
		{"std", NewRGB(9, 9), Settings{Std: []float64{1, 1, 0}}, "image_std[2] is 0, want a finite number above 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Prepare(tt.img, tt.settings, false)
			if err == nil || !strings.HasPrefix(err.Error(), "imageproc: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}
