package jpeg

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// FuzzDecode: no input panics or takes more memory than the limit on pixels allows, two
// goroutines decode it as one does, and the header alone says of a file what decoding it
// does.
func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/*.jpg")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		if len(data) < 2000 {
			f.Add(data)
		}
	}
	const limit = 1 << 16
	f.Fuzz(func(t *testing.T, data []byte) {
		c, errConfig := DecodeConfig(data)
		img, err := Decode(data, limit)
		split := decoder{data: data}
		two, errTwo := split.decode(limit, 0)
		if (errTwo == nil) != (err == nil) || err == nil && !bytes.Equal(two.Pix, img.Pix) {
			t.Fatalf("two goroutines decode otherwise: %v, %v", errTwo, err)
		}
		if err != nil {
			return
		}
		if errConfig != nil {
			t.Fatalf("decoded, but the header is refused: %v", errConfig)
		}
		if img.Width*img.Height > limit || img.Width != c.Width || img.Height != c.Height || img.Model.Channels() != c.Components {
			t.Fatalf("decoded %d×%d×%d, the header says %+v", img.Width, img.Height, img.Model.Channels(), c)
		}
		if want := img.Width * img.Height * img.Model.Channels(); len(img.Pix) != want {
			t.Fatalf("%d bytes of pixels, want %d", len(img.Pix), want)
		}
	})
}
