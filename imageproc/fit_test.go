package imageproc

import (
	"image"
	"math/big"
	"testing"
)

func TestFit(t *testing.T) {
	tests := []struct {
		name     string
		in, want image.Point
	}{
		{"inside both bounds", image.Pt(640, 480), image.Pt(640, 480)},
		{"raised, not padded", image.Pt(1, 2), image.Pt(378, 378)},
		{"one side raised", image.Pt(400, 300), image.Pt(400, 378)},
		{"one side raised by one", image.Pt(379, 377), image.Pt(379, 378)},
		{"exactly the bounds", image.Pt(980, 378), image.Pt(980, 378)},
		{"one too many", image.Pt(981, 654), image.Pt(980, 653)},
		{"truncates, never rounds", image.Pt(1000, 667), image.Pt(980, 653)},
		{"the quotient is rounded before: integers say 875", image.Pt(1008, 900), image.Pt(980, 874)},
		{"integers say 460", image.Pt(1421, 667), image.Pt(980, 459)},
		{"integers say 504", image.Pt(576, 1120), image.Pt(503, 980)},
		{"square", image.Pt(981, 981), image.Pt(980, 980)},
		{"tall", image.Pt(1080, 1920), image.Pt(551, 980)},
		{"banner is stretched, as in the reference", image.Pt(4000, 100), image.Pt(980, 378)},
		{"a side that comes down to nothing is raised", image.Pt(3000, 2), image.Pt(980, 378)},
		{"an empty half of a narrow picture", image.Pt(0, 1200), image.Pt(378, 980)},
		{"an empty half of a flat picture", image.Pt(1200, 0), image.Pt(980, 378)},
		{"nothing at all", image.Pt(0, 0), image.Pt(378, 378)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Fit(tt.in, 378, 980); got != tt.want {
				t.Errorf("Fit(%v) = %v, want %v", tt.in, got, tt.want)
			}
		})
	}
}

// Crops of the specification's table, §3.3.
func TestFitOfSplits(t *testing.T) {
	tests := []struct {
		source image.Point
		want   [5]image.Point
	}{
		{image.Pt(981, 654), [5]image.Point{{490, 378}, {491, 378}, {490, 378}, {491, 378}, {980, 653}}},
		{image.Pt(1013, 997), [5]image.Point{{506, 498}, {507, 498}, {506, 499}, {507, 499}, {980, 964}}},
		{image.Pt(1365, 2048), [5]image.Point{{652, 980}, {653, 980}, {652, 980}, {653, 980}, {653, 980}}},
		{image.Pt(1961, 1301), [5]image.Point{{980, 650}, {980, 649}, {980, 651}, {980, 650}, {980, 650}}},
		{image.Pt(1999, 1333), [5]image.Point{{980, 653}, {980, 652}, {980, 654}, {980, 653}, {980, 653}}},
		{image.Pt(61, 977), [5]image.Point{{378, 488}, {378, 488}, {378, 489}, {378, 489}, {378, 977}}},
	}
	for _, tt := range tests {
		for i, box := range Split(tt.source) {
			if got := Fit(box.Size(), 378, 980); got != tt.want[i] {
				t.Errorf("%v, crop %d of %v: %v, want %v", tt.source, i, box, got, tt.want[i])
			}
		}
	}
}

// fitExactly is the formula over numbers of 53 bits that are rounded to nearest even
// after each operation: IEEE doubles, computed without them.
func fitExactly(size image.Point, shortest, longest int) image.Point {
	double := func(v int) *big.Float { return new(big.Float).SetPrec(53).SetInt64(int64(v)) }
	trunc := func(v *big.Float) int { i, _ := v.Int64(); return int(i) }
	w, h := size.X, size.Y
	a := new(big.Float).SetPrec(53).Quo(double(w), double(h))
	if w >= h && w > longest {
		w, h = longest, trunc(new(big.Float).SetPrec(53).Quo(double(longest), a))
	} else if h > w && h > longest {
		w, h = trunc(new(big.Float).SetPrec(53).Mul(double(longest), a)), longest
	}
	return image.Pt(max(w, shortest), max(h, shortest))
}

func FuzzFit(f *testing.F) {
	f.Add(1008, 900, 378, 980)
	f.Add(576, 1120, 378, 980)
	f.Add(1, 178956970, 378, 980)
	f.Add(33, 200, 14, 56)
	f.Fuzz(func(t *testing.T, w, h, shortest, longest int) {
		bound := func(v, most int) int { return 1 + int(uint(v)%uint(most)) }
		size := image.Pt(bound(w, 1<<28), bound(h, 1<<28))
		shortest, longest = bound(shortest, maxEdge), bound(longest, maxEdge)
		got, want := Fit(size, shortest, longest), fitExactly(size, shortest, longest)
		if got != want {
			t.Errorf("Fit(%v, %d, %d) = %v, want %v", size, shortest, longest, got, want)
		}
		if got.X > max(shortest, longest) || got.Y > max(shortest, longest) || got.X < shortest || got.Y < shortest {
			t.Errorf("Fit(%v, %d, %d) = %v is out of bounds", size, shortest, longest, got)
		}
	})
}

// Every size of a long side up to 1,500 and a short one that gives another ratio.
func TestFitAllRatios(t *testing.T) {
	for long := 981; long <= 1500; long++ {
		for short := 1; short <= long; short += 7 {
			for _, size := range []image.Point{{long, short}, {short, long}} {
				if got, want := Fit(size, 378, 980), fitExactly(size, 378, 980); got != want {
					t.Fatalf("Fit(%v) = %v, want %v", size, got, want)
				}
			}
		}
	}
}

func TestSplitCoversEveryPixelOnce(t *testing.T) {
	for _, size := range []image.Point{{1, 1}, {1, 2}, {2, 1}, {2, 2}, {5, 3}, {981, 654}} {
		boxes := Split(size)
		area := 0
		for _, b := range boxes[:4] {
			area += b.Dx() * b.Dy()
			if b.Dx() > 0 && b.Dy() > 0 && !b.In(boxes[4]) {
				t.Errorf("%v: %v is outside", size, b)
			}
		}
		if whole := size.X * size.Y; area != whole || boxes[4] != image.Rect(0, 0, size.X, size.Y) {
			t.Errorf("%v: quarters of %d pixels, want %d; whole %v", size, area, whole, boxes[4])
		}
	}
	if got := Split(image.Pt(5, 3))[3]; got != image.Rect(2, 1, 5, 3) {
		t.Errorf("bottom right of 5×3 is %v: the odd column and row belong to it", got)
	}
}
