package imageproc

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"idefics2/internal/golden"
)

// record is a line of images.jsonl: what the reference made of a file.
type record struct {
	Kind, File    string
	Error         string
	Width, Height int
	SHA256        string
	Hfirst        string `json:"hfirst_sha256"` // where horizontal-first gives other bytes
	Filter        string
	Split         bool
	Crops         []struct {
		Width, Height int
		SHA256        string
		Hfirst        string `json:"hfirst_sha256"`
	}
	Files      [][]string
	Shape      []int
	MaskSHA256 string `json:"mask_sha256"`
}

// records reads the committed selection, and all that were recorded where they are.
func records(t *testing.T) (dirs []string, byDir map[string][]record) {
	t.Helper()
	dirs = []string{"testdata"}
	if dir, ok := golden.Shared(t, "images"); ok {
		dirs = append(dirs, dir)
	}
	byDir = map[string][]record{}
	for _, dir := range dirs {
		f, err := os.Open(filepath.Join(dir, "images.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var r record
			if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
				t.Fatal(err)
			}
			byDir[dir] = append(byDir[dir], r)
		}
		if lines.Err() != nil || len(byDir[dir]) == 0 {
			t.Fatalf("%s: %v, %d records", f.Name(), lines.Err(), len(byDir[dir]))
		}
	}
	return dirs, byDir
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// hashFloats hashes little-endian float32 values, on the machines we test on.
func hashFloats(v []float32) string {
	return hash(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), 4*len(v)))
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// TestGolden holds every recorded load, resize, process and batch against the
// reference's hashes, in every variant.
func TestGolden(t *testing.T) { eachVariant(t, testGolden) }

func testGolden(t *testing.T) {
	dirs, byDir := records(t)
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			loaded := map[string]*RGB{}
			load := func(file string) (*RGB, error) {
				if img := loaded[file]; img != nil {
					return img, nil
				}
				data, err := os.ReadFile(filepath.Join(dir, "src", file))
				if err != nil {
					t.Fatal(err)
				}
				img, _, err := Decode(data, Limits{})
				if err == nil {
					loaded[file] = img
				}
				return img, err
			}
			passed := map[string]int{}
			for _, r := range byDir[dir] {
				var err error
				switch r.Kind {
				case "load":
					err = checkLoad(r, load)
				case "resize":
					err = checkResize(r, load)
				case "process":
					err = checkProcess(r, load)
				case "batch":
					err = checkBatch(r, load)
				default:
					err = fmt.Errorf("unknown kind")
				}
				if err != nil {
					t.Errorf("%s %s %s%v: %v", r.Kind, r.File, r.Filter, r.Split, err)
					continue
				}
				passed[r.Kind]++
			}
			t.Log("equal:", passed)
		})
	}
}

type loader func(file string) (*RGB, error)

func checkLoad(r record, load loader) error {
	img, err := load(r.File)
	switch {
	case r.Error != "" && err == nil:
		return fmt.Errorf("decoded to %d×%d, but the reference says %s", img.Width, img.Height, r.Error)
	case r.Error != "":
		if !strings.HasPrefix(err.Error(), "imageproc: ") {
			return fmt.Errorf("error %q does not start with the package", err)
		}
		return nil
	case err != nil:
		return err
	case img.Width != r.Width || img.Height != r.Height:
		return fmt.Errorf("%d×%d, want %d×%d", img.Width, img.Height, r.Width, r.Height)
	case hash(img.Pix) != r.SHA256:
		return fmt.Errorf("pixels differ")
	}
	return nil
}

func filterNamed(name string) Filter {
	for f, n := range filterNames {
		if n == name {
			return Filter(f)
		}
	}
	panic("no filter " + name)
}

func checkResize(r record, load loader) error {
	img, err := load(r.File)
	if err != nil {
		return err
	}
	got := Resize(img, r.Width, r.Height, filterNamed(r.Filter))
	if hash(got.Pix) != or(r.Hfirst, r.SHA256) {
		return fmt.Errorf("%d×%d to %d×%d differs", img.Width, img.Height, r.Width, r.Height)
	}
	return nil
}

// prepared returns the normalized values of each crop, channels first.
func prepared(img *RGB, split bool) (crops []Crop, values [][]float32, err error) {
	var released Settings
	table, err := released.Table()
	if err != nil {
		return nil, nil, err
	}
	crops, err = Prepare(img, released, split)
	for _, c := range crops {
		values = append(values, Pixels(c.RGB, table))
	}
	return crops, values, err
}

func checkProcess(r record, load loader) error {
	img, err := load(r.File)
	if err != nil {
		return err
	}
	crops, values, err := prepared(img, r.Split)
	if r.Error != "" {
		// The reference takes a height of 1 for one channel, and fails. We do not.
		if img.Height != 1 || err != nil {
			return fmt.Errorf("got %v, the reference says %s", err, r.Error)
		}
		return nil
	}
	if err != nil {
		return err
	}
	if len(crops) != len(r.Crops) {
		return fmt.Errorf("%d crops, want %d", len(crops), len(r.Crops))
	}
	for i, want := range r.Crops {
		c := crops[i]
		if c.RGB.Width != want.Width || c.RGB.Height != want.Height {
			return fmt.Errorf("crop %d is %d×%d, want %d×%d", i, c.RGB.Width, c.RGB.Height, want.Width, want.Height)
		}
		if hashFloats(values[i]) != or(want.Hfirst, want.SHA256) {
			return fmt.Errorf("crop %d: values differ", i)
		}
	}
	return nil
}

// checkBatch lays the crops of each sample out as the reference does, padded with 0 to
// the largest height, width and number of images, with a mask of what is real.
func checkBatch(r record, load loader) error {
	samples, images, h, w := r.Shape[0], r.Shape[1], r.Shape[3], r.Shape[4]
	values := make([]float32, samples*images*3*h*w)
	mask := make([]byte, samples*images*h*w)
	for i, files := range r.Files {
		at := i * images
		for _, file := range files {
			img, err := load(file)
			if err != nil {
				return err
			}
			crops, pixels, err := prepared(img, r.Split)
			if err != nil {
				return err
			}
			for j, c := range crops {
				for y := range 3 * c.RGB.Height {
					channel, row := y/c.RGB.Height, y%c.RGB.Height
					copy(values[((at*3+channel)*h+row)*w:], pixels[j][y*c.RGB.Width:(y+1)*c.RGB.Width])
					for x := range c.RGB.Width {
						mask[(at*h+row)*w+x] = 1
					}
				}
				at++
			}
		}
	}
	if hash(mask) != r.MaskSHA256 {
		return fmt.Errorf("masks differ")
	}
	if hashFloats(values) != r.SHA256 {
		return fmt.Errorf("values differ")
	}
	return nil
}
