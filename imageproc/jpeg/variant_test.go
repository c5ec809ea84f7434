package jpeg

import (
	"bytes"
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"idefics2/internal/variant"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// eachVariant runs f with every variant that this CPU has, then in portable Go.
func eachVariant(t *testing.T, f func(t *testing.T)) { variant.Run(t, "imageproc/jpeg", f) }

// Blocks from ordinary to absurd: every variant has the portable code's 16-bit bounds.
func TestIDCTVariants(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 6))
		extremes := []int16{math.MinInt16, math.MaxInt16, -8193, -8192, 8191, 8192, -1, 0, 1}
		for i := range 60000 {
			var b block
			var used uint64
			span := 1 << r.IntN(17)
			for range 1 + r.IntN(80) {
				k := r.IntN(1 << r.IntN(7))
				if i%3 == 0 { // the first row alone
					k = []int{0, 1, 5, 6, 14, 15, 27, 28}[r.IntN(8)]
				}
				v := int16(r.IntN(span) - span/2)
				if i%5 == 0 {
					v = extremes[r.IntN(len(extremes))]
				}
				b[zigzag[k]] = v
				used |= 1 << k
			}
			const stride = 11
			got, want := bytes.Repeat([]byte{7}, 8*stride), bytes.Repeat([]byte{7}, 8*stride)
			before := b
			idct(got, stride, &b, used)
			idctGeneric(want, stride, &b, used)
			if !bytes.Equal(got, want) {
				t.Fatalf("block %v, used %x:\ngot  %v\nwant %v", b, used, got, want)
			}
			if b != before {
				t.Fatal("the block was written to")
			}
		}
	})
}

// samples gives n of them: noise, extremes, or steps from one to the other.
func samples(r *rand.Rand, n int) []byte {
	s := make([]byte, n)
	kind := r.IntN(3)
	for i := range s {
		switch kind {
		case 0:
			s[i] = byte(r.IntN(256))
		case 1:
			s[i] = byte(255 * r.IntN(2))
		case 2:
			s[i] = byte(255 * (i / 7 % 2))
		}
	}
	return s
}

// Rows of every length around the vectors', and no byte before or after them written.
func TestUpsampleVariants(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(7, 8))
		for n := 1; n < 300; n++ {
			near, far := samples(r, n), samples(r, n)
			check := func(name string, size int, got, want func(dst []byte)) {
				t.Helper()
				a, b := bytes.Repeat([]byte{99}, size+64), bytes.Repeat([]byte{99}, size+64)
				got(a[32 : 32+size])
				want(b[32 : 32+size])
				if !bytes.Equal(a, b) {
					t.Fatalf("%s of %d samples:\ngot  %v\nwant %v", name, n, a, b)
				}
			}
			for bias := 1; bias <= 2; bias++ {
				check("h1v2", n, func(dst []byte) { upsampleH1V2(dst, near, far, bias) },
					func(dst []byte) { upsampleH1V2Generic(dst, near, far, bias) })
			}
			if n < 3 {
				continue // replicated
			}
			check("h2v1", 2*n, func(dst []byte) { upsampleH2V1(dst, near) },
				func(dst []byte) { upsampleH2V1Generic(dst, near) })
			check("h2v2", 2*n, func(dst []byte) { upsampleH2V2(dst, near, far) },
				func(dst []byte) { upsampleH2V2Generic(dst, near, far) })
		}
	})
}

// All 2²⁴ colours.
func TestYCbCrToRGBVariants(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		y, cb, cr := make([]byte, 256), make([]byte, 256), make([]byte, 256)
		got, want := make([]byte, 3*256), make([]byte, 3*256)
		for i := range y {
			y[i] = byte(i)
		}
		for u := range 256 {
			for v := range 256 {
				for i := range cb {
					cb[i], cr[i] = byte(u), byte(v)
				}
				ycbcrToRGB(got, y, cb, cr)
				ycbcrToRGBGeneric(want, y, cb, cr)
				if !bytes.Equal(got, want) {
					t.Fatalf("Cb %d, Cr %d:\ngot  %v\nwant %v", u, v, got, want)
				}
			}
		}
		r := rand.New(rand.NewPCG(9, 10))
		for n := range 200 {
			y, cb, cr := samples(r, n), samples(r, n), samples(r, n)
			got, want := make([]byte, 3*n+8), make([]byte, 3*n+8)
			ycbcrToRGB(got[:3*n], y, cb, cr)
			ycbcrToRGBGeneric(want[:3*n], y, cb, cr)
			if !bytes.Equal(got, want) {
				t.Fatalf("%d pixels:\ngot  %v\nwant %v", n, got, want)
			}
		}
	})
}

// alike decodes on one goroutine and on two, and fails where that differs.
func alike(t *testing.T, data []byte) (*Image, error) {
	t.Helper()
	one := decoder{data: data}
	want, errWant := one.decode(MaxPixels, math.MaxInt)
	two := decoder{data: data}
	got, err := two.decode(MaxPixels, 0)
	switch {
	case (err == nil) != (errWant == nil) || err != nil && err.Error() != errWant.Error():
		t.Fatalf("two goroutines: %v, one: %v", err, errWant)
	case err == nil && (got.Width != want.Width || got.Height != want.Height || got.Model != want.Model || !bytes.Equal(got.Pix, want.Pix)):
		t.Fatal("two goroutines make other pixels than one")
	}
	return got, err
}

// Every file of testdata, whole, cut short in the middle, and with some bytes wrong; and
// one of more bands than are kept.
func TestTwoGoroutinesMakeTheSame(t *testing.T) {
	files, err := filepath.Glob("testdata/*.jpg")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	eachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(11, 12))
		for _, file := range files {
			data := readFile(t, filepath.Base(file))
			alike(t, data)
			alike(t, data[:len(data)/2])
			for range 5 {
				broken := bytes.Clone(data)
				for range 3 {
					if len(broken) > 400 { // behind the headers of most
						broken[400+r.IntN(len(broken)-400)] = byte(r.IntN(256))
					}
				}
				alike(t, broken)
			}
		}
		large := photo(t, 333, 999, 85)
		if img, err := alike(t, large); err != nil || img.Height != 999 {
			t.Errorf("a photo: %v", err)
		}
		alike(t, large[:len(large)*2/3])
	})
}
