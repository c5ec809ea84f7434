package imageproc

import (
	"bytes"
	"fmt"
	"image"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"idefics2/internal/variant"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// eachVariant runs f with every variant that this CPU has, then in portable Go.
func eachVariant(t *testing.T, f func(t *testing.T)) { variant.Run(t, "imageproc", f) }

// The specification's worked example, §4.5: R = 50x+10y, G = 10x²+y, B = 255−40x−20y.
func workedExample() *RGB {
	img := NewRGB(5, 3)
	for y := range 3 {
		for x := range 5 {
			copy(img.Row(y)[3*x:], []byte{byte(50*x + 10*y), byte(10*x*x + y), byte(255 - 40*x - 20*y)})
		}
	}
	return img
}

func TestResizeWorkedExample(t *testing.T) {
	tests := []struct {
		filter Filter
		want   []byte
	}{
		{Bilinear, []byte{25, 4, 231, 104, 44, 168, 183, 130, 105, 37, 6, 206, 116, 46, 143, 195, 132, 80}},
		{Bicubic, []byte{21, 2, 235, 103, 42, 169, 185, 133, 103, 35, 4, 207, 117, 44, 141, 199, 135, 75}},
		{Lanczos, []byte{19, 1, 237, 103, 40, 170, 187, 135, 103, 33, 3, 207, 117, 42, 140, 201, 137, 73}},
	}
	for _, tt := range tests {
		if got := Resize(workedExample(), 3, 2, tt.filter); !bytes.Equal(got.Pix, tt.want) {
			t.Errorf("%v: %v, want %v", tt.filter, got.Pix, tt.want)
		}
	}
	// Enlarged to 8×4, red of the first and the last row.
	big := Resize(workedExample(), 8, 4, Bilinear)
	for _, row := range []struct {
		y    int
		want []byte
	}{{0, []byte{0, 22, 53, 84, 116, 147, 178, 200}}, {3, []byte{20, 42, 73, 104, 136, 167, 198, 220}}} {
		for x, want := range row.want {
			if got := big.Row(row.y)[3*x]; got != want {
				t.Errorf("8×4, red of (%d, %d) is %d, want %d", x, row.y, got, want)
			}
		}
	}
}

func TestWeights(t *testing.T) {
	tests := []struct {
		filter Filter
		n, m   int
		want   []string // first sample and coefficients of the first outputs
	}{
		{Bilinear, 5, 3, []string{"0 [2396745 1797559 0]", "1 [932068 2330169 932068]", "3 [1797559 2396745]"}},
		{Bilinear, 3, 2, []string{"0 [2621440 1572864]", "1 [1572864 2621440]"}},
		{Bicubic, 5, 3, []string{"0 [2452055 1871305 0 -129056]", "0 [-156067 1033945 2438549 1033945 -156067]", "1 [-129056 0 1871305 2452055]"}},
		{Bilinear, 1000, 980, []string{"0 [4070942 123362]", "1 [3988701 205603]"}},
		{Bilinear, 378, 980, []string{"0 [4194304]", "0 [3864752 329552]"}},
	}
	for _, tt := range tests {
		w := newWeights(tt.n, tt.m, tt.filter, 0, tt.m)
		for i, want := range tt.want {
			lo, k := w.at(i)
			if got := fmt.Sprint(lo, k); got != want {
				t.Errorf("%v %d→%d, output %d: %s, want %s", tt.filter, tt.n, tt.m, i, got, want)
			}
		}
	}
}

// resizePlainly is the definition: a whole pass over the rows, then one over the
// columns, one sample at a time.
func resizePlainly(src *RGB, w, h int, f Filter) *RGB {
	pass := func(src *RGB, m int, f Filter) *RGB { // over rows; the result is transposed
		out := NewRGB(src.Height, m)
		weights := newWeights(src.Width, m, f, 0, m)
		for y := range src.Height {
			for x := range m {
				lo, k := weights.at(x)
				for c := range 3 {
					sum := 1 << 21
					for j, k := range k {
						sum += int(src.Row(y)[3*(lo+j)+c]) * int(k)
					}
					if src.Width == m { // no pass at all
						sum = int(src.Row(y)[3*x+c]) << 22
					}
					out.Row(x)[3*y+c] = byte(min(max(sum>>22, 0), 255))
				}
			}
		}
		return out
	}
	return pass(pass(src, w, f), h, f)
}

func TestResizeIsTwoPlainPasses(t *testing.T) { eachVariant(t, testResizeIsTwoPlainPasses) }

func testResizeIsTwoPlainPasses(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	filters := []Filter{Bilinear, Box, Hamming, Bicubic, Lanczos}
	for range 200 {
		src, f := noise(1+r.IntN(60), 1+r.IntN(60)), filters[r.IntN(len(filters))]
		if r.IntN(3) == 0 { // black and white, where sums leave the range of a byte
			for i, v := range src.Pix {
				src.Pix[i] = byte(int8(v) >> 7)
			}
		}
		w, h := 1+r.IntN(60), 1+r.IntN(60)
		want := resizePlainly(src, w, h, f)
		// A small budget cuts the work into tiles, down to single pixels.
		for _, budget := range []int{tileBudget, 2000, 1} {
			got := NewRGB(w, h)
			resample(got, src, f, budget)
			if !bytes.Equal(got.Pix, want.Pix) {
				t.Errorf("%v: %d×%d to %d×%d with budget %d differs", f, src.Width, src.Height, w, h, budget)
			}
		}
	}
}

// The two passes of every variant against the portable ones, on rows much longer than
// vectors, and with filters much wider.
func TestPassVariants(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 4))
		for i := range 300 {
			n, m := 1+r.IntN(3000), 1+r.IntN(1+r.IntN(700))
			f := []Filter{Bilinear, Box, Hamming, Bicubic, Lanczos}[i%5]
			rows := make([][]byte, 1+r.IntN(together))
			got, want := make([][]byte, len(rows)), make([]byte, 3*m)
			for j := range rows {
				rows[j], got[j] = noise(n, 1).Pix, make([]byte, 3*m)
				for x := range rows[j] {
					rows[j][x] ^= byte(r.Uint32() >> (8 * (i % 4))) // noise, or its changes in a few bits
					if i%7 == 0 {
						rows[j][x] = byte(255 * r.IntN(2))
					}
				}
			}
			w := newWeights(n, m, f, 0, m)
			resizeRows(got, rows, w)
			for j := range rows {
				resizeRowGeneric(want, rows[j], w, 0)
				if !bytes.Equal(got[j], want) {
					t.Fatalf("%v %d→%d, row %d of %d differs", f, n, m, j, len(rows))
				}
			}

			mix, plain := newMixer(w.taps), newMixer(w.taps)
			_, k := w.at(r.IntN(m))
			size := 1 + r.IntN(200)
			for range k {
				row := make([]byte, size)
				for x := range row {
					row[x] = byte(r.Uint32())
				}
				mix.rows, plain.rows = append(mix.rows, row), append(plain.rows, row)
			}
			a, b := make([]byte, size), make([]byte, size)
			mix.row(a, k)
			plain.rowGeneric(b, k, 0)
			if !bytes.Equal(a, b) {
				t.Fatalf("%v: %d rows of %d bytes differ:\ngot  %v\nwant %v", f, len(k), size, a, b)
			}
		}
	})
}

// Large pictures are made by several goroutines. How many changes nothing.
func TestResizeOnAnyNumberOfProcessors(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, to := range []image.Point{{300, 211}, {700, 100}, {40, 700}, {701, 1}} {
		src := noise(700, 811)
		runtime.GOMAXPROCS(1)
		want := Resize(src, to.X, to.Y, Lanczos)
		for _, n := range []int{2, 3, 8} {
			runtime.GOMAXPROCS(n)
			if got := Resize(src, to.X, to.Y, Lanczos); !bytes.Equal(got.Pix, want.Pix) {
				t.Errorf("%v: %d processors make other pixels than one", to, n)
			}
		}
	}
}

func TestResizeKeepsFlatColour(t *testing.T) {
	for _, f := range []Filter{Nearest, Bilinear, Box, Hamming, Bicubic, Lanczos} {
		src := NewRGB(37, 23)
		for i := range src.Pix {
			src.Pix[i] = []byte{255, 127, 3}[i%3]
		}
		for i, v := range Resize(src, 50, 11, f).Pix {
			if want := src.Pix[i%3]; v != want {
				t.Fatalf("%v: byte %d is %d, want %d", f, i, v, want)
			}
		}
	}
}

func TestResizeSameSizeIsACopy(t *testing.T) {
	src := noise(9, 7)
	for _, f := range []Filter{Nearest, Lanczos} {
		got := Resize(src, 9, 7, f)
		if !bytes.Equal(got.Pix, src.Pix) || &got.Pix[0] == &src.Pix[0] {
			t.Errorf("%v: same size gives other pixels or the same slice", f)
		}
	}
}

func TestResizeOfNothingIsBlack(t *testing.T) {
	got := Resize(&RGB{Width: 0, Height: 5}, 4, 3, Bilinear)
	if !bytes.Equal(got.Pix, make([]byte, 36)) {
		t.Errorf("got %v", got.Pix)
	}
}

func TestFilterOf(t *testing.T) {
	var got []string
	for i := range 6 {
		f, err := FilterOf(i)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, f.String())
	}
	if want := []string{"nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"}; !slices.Equal(got, want) {
		t.Errorf("filters by Pillow's numbers: %v, want %v", got, want)
	}
	for _, bad := range []int{-1, 6} {
		if _, err := FilterOf(bad); err == nil {
			t.Errorf("resample %d is accepted", bad)
		}
	}
}
