package jpeg

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"idefics2/internal/golden"
)

// recorded is what the reference (Pillow 13.0.0, libjpeg-turbo 3.2.0) made of a file: the
// hash of its RGB bytes, or an error.
type recorded struct {
	File          string
	Kind          string
	Width, Height int
	SHA256        string
	Error         string
}

func records(t testing.TB, file string) []recorded {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []recorded
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r recorded
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		if r.Kind == "load" && strings.HasSuffix(r.File, ".jpg") {
			all = append(all, r)
		}
	}
	return all
}

// TestGolden compares with the recordings that are committed, and with all where they lie
// beside the checkout, in every variant.
func TestGolden(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		testGolden(t, "testdata", "testdata/images.jsonl")
		if dir, ok := golden.Shared(t, "images"); ok {
			t.Run("shared", func(t *testing.T) {
				testGolden(t, filepath.Join(dir, "src"), filepath.Join(dir, "images.jsonl"))
			})
		}
	})
}

func testGolden(t *testing.T, dir, list string) {
	for _, want := range records(t, list) {
		t.Run(want.File, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(dir, want.File))
			if err != nil {
				t.Fatal(err)
			}
			img, err := alike(t, data)
			if want.Error != "" {
				if err == nil {
					t.Fatalf("decoded; the reference says %s", want.Error)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			img = upright(img)
			if img.Width != want.Width || img.Height != want.Height {
				t.Fatalf("%d×%d pixels, want %d×%d", img.Width, img.Height, want.Width, want.Height)
			}
			sum := sha256.Sum256(rgb(img))
			if got := hex.EncodeToString(sum[:]); got != want.SHA256 {
				t.Errorf("pixels %s, want %s", got, want.SHA256)
			}
		})
	}
}
