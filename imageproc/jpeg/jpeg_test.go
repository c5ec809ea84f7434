package jpeg

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestDecodeConfig(t *testing.T) {
	tests := []struct {
		file string
		want Config
	}{
		{"jpeg_420_33x31.jpg", Config{Width: 33, Height: 31, Components: 3, Space: SpaceYCbCr}},
		{"jpeg_progressive_444_17x16.jpg", Config{Width: 17, Height: 16, Components: 3, Space: SpaceYCbCr, Progressive: true}},
		{"jpeg_gray_17x16.jpg", Config{Width: 17, Height: 16, Components: 1, Space: SpaceGray}},
		{"jpeg_ids_rgb.jpg", Config{Width: 20, Height: 20, Components: 3, Space: SpaceRGB}},
		{"jpeg_ids_rgb_jfif.jpg", Config{Width: 20, Height: 20, Components: 3, Space: SpaceYCbCr}},
		{"jpeg_rgb_adobe0.jpg", Config{Width: 63, Height: 45, Components: 3, Space: SpaceRGB}},
		{"jpeg_cmyk_noadobe.jpg", Config{Width: 41, Height: 35, Components: 4, Space: SpaceCMYK}},
		{"jpeg_ycck_adobe7.jpg", Config{Width: 58, Height: 62, Components: 4, Space: SpaceYCCK}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			data := readFile(t, tt.file)
			got, err := DecodeConfig(data)
			if err != nil {
				t.Fatal(err)
			}
			if got.Width != tt.want.Width || got.Height != tt.want.Height || got.Components != tt.want.Components ||
				got.Space != tt.want.Space || got.Progressive != tt.want.Progressive {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			img, err := Decode(data, 0)
			if err != nil {
				t.Fatal(err)
			}
			if img.Width != got.Width || img.Height != got.Height || img.Model.Channels() != got.Components || img.Model != got.Space.model() {
				t.Errorf("decoded %d×%d, %d channels; the header says %+v", img.Width, img.Height, img.Model.Channels(), got)
			}
		})
	}
}

func TestExifAndXMP(t *testing.T) {
	c, err := DecodeConfig(readFile(t, "exif_xmp_and_tag.jpg"))
	if err != nil {
		t.Fatal(err)
	}
	if got := orientation(c.Exif); got == 0 {
		t.Errorf("no orientation in EXIF %q", c.Exif)
	}
	if !bytes.Contains(c.XMP, []byte("tiff:Orientation")) {
		t.Errorf("no orientation in XMP %q", c.XMP)
	}

	// EXIF over two segments is one; the input stays as it was.
	file := readFile(t, "jpeg_420_8x8.jpg")
	file = join(file[:2], segment(mAPP1, "Exif\x00\x00MM"), segment(mAPP1, "Exif\x00\x00more"), file[2:])
	before := bytes.Clone(file)
	c, err = DecodeConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(c.Exif) != "MMmore" {
		t.Errorf("EXIF %q, want MMmore", c.Exif)
	}
	if !bytes.Equal(file, before) {
		t.Error("the input was written to")
	}
}

func segment(marker byte, body string) []byte {
	n := len(body) + 2
	return append([]byte{0xFF, marker, byte(n >> 8), byte(n)}, body...)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// frame is a frame header of one component a factor.
func frame(marker byte, bits, width, height int, factors ...byte) []byte {
	body := []byte{byte(bits), byte(height >> 8), byte(height), byte(width >> 8), byte(width), byte(len(factors))}
	for i, f := range factors {
		body = append(body, byte(i+1), f, 0)
	}
	return segment(marker, string(body))
}

// scanOf is the header of a scan of components 1 to n, with the parameters given.
func scanOf(n int, ss, se, ahal byte) []byte {
	body := []byte{byte(n)}
	for i := range n {
		body = append(body, byte(i+1), 0)
	}
	return segment(mSOS, string(append(body, ss, se, ahal)))
}

var (
	soi    = []byte{0xFF, mSOI}
	eoi    = []byte{0xFF, mEOI}
	quants = segment(mDQT, "\x00"+strings.Repeat("\x01", 64))
	// One code, of one bit, for the symbol 0: no difference, end of block.
	trivial = join(segment(mDHT, "\x00\x01"+strings.Repeat("\x00", 16)), segment(mDHT, "\x10\x01"+strings.Repeat("\x00", 16)))
)

func TestRefusals(t *testing.T) {
	tests := []struct {
		name string
		data []byte
		want string // in the error
	}{
		{"empty", nil, "not a JPEG"},
		{"png", []byte("\x89PNG\r\n\x1a\n"), "not a JPEG"},
		{"header alone", []byte{0xFF, mSOI, 0xFF}, "truncated"},
		{"lossless", join(soi, frame(0xC3, 8, 8, 8, 0x11)), "lossless"},
		{"arithmetic", join(soi, frame(0xC9, 8, 8, 8, 0x11)), "arithmetic"},
		{"arithmetic, progressive", join(soi, frame(0xCA, 8, 8, 8, 0x11)), "arithmetic"},
		{"hierarchical", join(soi, frame(mDHP, 8, 8, 8, 0x11)), "hierarchical"},
		{"12 bits", join(soi, frame(mSOF1, 12, 8, 8, 0x11)), "12 bits"},
		{"DNL", join(soi, frame(mSOF0, 8, 8, 0, 0x11)), "DNL"},
		{"no width", join(soi, frame(mSOF0, 8, 0, 8, 0x11)), "width 0"},
		{"two components", join(soi, frame(mSOF0, 8, 8, 8, 0x11, 0x11)), "2 components"},
		{"too wide", join(soi, frame(mSOF0, 8, 65501, 8, 0x11)), "65500"},
		{"no frame", join(soi, scanOf(1, 0, 63, 0)), "before the frame"},
		{"no scan", join(soi, frame(mSOF0, 8, 8, 8, 0x11), eoi), "without a scan"},
		{"sampling 0", join(soi, quants, frame(mSOF0, 8, 8, 8, 0x01), scanOf(1, 0, 63, 0), eoi), "sampling"},
		{"sampling 5", join(soi, quants, frame(mSOF0, 8, 8, 8, 0x15), scanOf(1, 0, 63, 0), eoi), "sampling"},
		{"fractional", join(soi, quants, frame(mSOF0, 8, 8, 8, 0x31, 0x21, 0x11), scanOf(3, 0, 63, 0), eoi), "fractional"},
		{"too many blocks", join(soi, quants, frame(mSOF0, 8, 8, 8, 0x22, 0x22, 0x22), scanOf(3, 0, 63, 0), eoi), "at most 10"},
		{"no quantizers", join(soi, frame(mSOF0, 8, 8, 8, 0x11), scanOf(1, 0, 63, 0), eoi), "no quantization table 0"},
		{"no tables, progressive", join(soi, quants, frame(mSOF2, 8, 8, 8, 0x11), scanOf(1, 0, 0, 0), eoi), "no Huffman table 0"},
		{"band reversed", join(soi, quants, trivial, frame(mSOF2, 8, 8, 8, 0x11), scanOf(1, 9, 3, 0), eoi), "malformed"},
		{"unknown component", join(soi, frame(mSOF0, 8, 8, 8, 0x11), segment(mSOS, "\x01\x07\x00\x00\x3f\x00")), "component 7"},
		{"two frames", join(soi, frame(mSOF0, 8, 8, 8, 0x11), frame(mSOF0, 8, 8, 8, 0x11)), "second frame"},
		{"too full a Huffman table", join(soi, quants, segment(mDHT, "\x00\x03"+strings.Repeat("\x00", 15)+"\x00\x01\x02"), frame(mSOF0, 8, 8, 8, 0x11), scanOf(1, 0, 63, 0), eoi), "do not form a tree"},
		{"Huffman table past its segment", join(soi, segment(mDHT, "\x00\xff"+strings.Repeat("\x00", 15))), "255 codes in 0 bytes"},
		{"quantizers cut short", join(soi, segment(mDQT, "\x00123")), "quantization table"},
		{"second scan of all", join(soi, quants, trivial, frame(mSOF0, 8, 8, 8, 0x11), scanOf(1, 0, 63, 0), []byte{0x3F}, scanOf(1, 0, 63, 0), []byte{0x3F}, eoi), "second scan"},
		{"no end", join(soi, quants, trivial, frame(mSOF0, 8, 8, 8, 0x11), scanOf(1, 0, 63, 0), []byte{0x3F}), "truncated"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			img, err := Decode(tt.data, 0)
			if err == nil {
				t.Fatalf("decoded to %d×%d pixels, want an error", img.Width, img.Height)
			}
			if !strings.HasPrefix(err.Error(), "jpeg: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q, want one of package jpeg with %q", err, tt.want)
			}
		})
	}
}

// A file of one block, all zero: mid-gray. The parts of the tests above are right.
func TestSmallestFile(t *testing.T) {
	img, err := Decode(join(soi, quants, trivial, frame(mSOF0, 8, 8, 8, 0x11), scanOf(1, 0, 63, 0), []byte{0x3F}, eoi), 0)
	if err != nil {
		t.Fatal(err)
	}
	if img.Model != Gray || !bytes.Equal(img.Pix, bytes.Repeat([]byte{128}, 64)) {
		t.Errorf("model %d, pixels %v, want 64 times 128", img.Model, img.Pix)
	}
}

// Tables may come in a stream of their own, and sequential files may do without Huffman
// tables: those of motion JPEG do.
func TestTablesElsewhere(t *testing.T) {
	file := readFile(t, "jpeg_420_33x31.jpg")
	want, err := Decode(file, 0)
	if err != nil {
		t.Fatal(err)
	}
	var tables, rest, huffman [][]byte
	at := 2
	for {
		n := 2 + int(file[at+2])<<8 + int(file[at+3])
		switch file[at+1] {
		case mDHT:
			huffman = append(huffman, file[at:at+n])
		case mDQT:
			tables = append(tables, file[at:at+n])
		default:
			rest = append(rest, file[at:at+n])
		}
		at += n
		if rest != nil && file[at-n+1] == mSOS {
			break
		}
	}
	rest = append(rest, file[at:])
	for name, data := range map[string][]byte{
		"tables first":      join(soi, join(tables...), join(huffman...), eoi, soi, join(rest...)),
		"no Huffman tables": join(soi, join(tables...), join(rest...)),
	} {
		got, err := Decode(data, 0)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !bytes.Equal(got.Pix, want.Pix) {
			t.Errorf("%s: other pixels", name)
		}
	}
}

// What a file declares is refused before it is allocated.
func TestLimits(t *testing.T) {
	scan := join(scanOf(1, 0, 63, 0), []byte{0x3F}, eoi)
	tests := []struct {
		name  string
		data  []byte
		limit int
		want  string
	}{
		{"50,000×50,000", join(soi, quants, trivial, frame(mSOF0, 8, 50000, 50000, 0x11), scan), 0, "limit of 178956970"},
		{"own limit", join(soi, quants, trivial, frame(mSOF0, 8, 20, 20, 0x11), scan), 399, "limit of 399"},
		{"far too short", join(soi, quants, trivial, frame(mSOF2, 8, 13000, 13000, 0x11, 0x11, 0x11), scanOf(3, 0, 0, 0), []byte{0x3F}, eoi), 0, "cannot hold"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Decode(tt.data, tt.limit)
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
				t.Errorf("allocated %d bytes to refuse it", took)
			}
		})
	}
}

func TestManyScans(t *testing.T) {
	data := join(soi, quants, trivial, frame(mSOF2, 8, 8, 8, 0x11))
	for range maxScans + 1 {
		data = join(data, scanOf(1, 0, 0, 0), []byte{0x3F})
	}
	if _, err := Decode(join(data, eoi), 0); err == nil || !strings.Contains(err.Error(), "more than 500 scans") {
		t.Errorf("error %v, want one about scans", err)
	}
}

// Every beginning of a file is an error, never a panic.
func TestTruncated(t *testing.T) {
	for _, name := range []string{"jpeg_420_17x16.jpg", "jpeg_progressive_420_17x16.jpg", "jpeg_noninterleaved_422_restart.jpg", "exif_3_cmyk.jpg"} {
		data := readFile(t, name)
		for n := range data {
			if _, err := Decode(data[:n:n], 0); err == nil {
				t.Errorf("%s: the first %d of %d bytes decoded", name, n, len(data))
			}
		}
	}
}
