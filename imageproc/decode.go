package imageproc

import (
	"bytes"
	"fmt"
	"math"
	"strings"
)

// Limits bound what Decode accepts. Each is checked against the file's header before
// anything is allocated for the pixels.
type Limits struct {
	// Pixels is the most pixels a picture may declare; 0 means 178,956,970, from where
	// on Pillow takes a file for a decompression bomb. A pixel takes 3 bytes once
	// decoded and up to 12 while it is.
	Pixels int
	// Bytes is the most bytes that a file, encoded, may have; 0 means 256 MiB.
	Bytes int
}

func (l Limits) complete() Limits {
	if l.Pixels == 0 {
		l.Pixels = 178_956_970
	}
	if l.Bytes == 0 {
		l.Bytes = 256 << 20
	}
	return l
}

// check refuses sizes that no picture has or that exceed the limit. Formats call it
// with what their header declares, before they allocate.
func (l Limits) check(width, height int) error {
	if width < 1 || height < 1 {
		return fmt.Errorf("declares a size of %d×%d, want at least 1×1", width, height)
	}
	if width > math.MaxInt/height || width*height > l.Pixels {
		return fmt.Errorf("declares %d×%d pixels, more than the limit of %d; make it smaller first, or raise the limit", width, height, l.Pixels)
	}
	return nil
}

// Info is what a file says about the picture that Decode took from it.
type Info struct {
	Format        string // "JPEG", "PNG", "GIF", "WebP", "BMP" or "TIFF"
	Width, Height int    // as stored, before orientation
	Orientation   int    // 1 to 8, as EXIF counts them; 1 where there is nothing to turn
	Frames        int    // frames or pages that the file claims; only the first is read
}

// meta is what a format's reader finds beside the pixels.
type meta struct {
	exif   []byte // a TIFF structure, with or without a leading "Exif\0\0"
	xmp    []byte
	frames int
	// orientation is what the format's own tag says; 0 means that exif and xmp say it.
	orientation int
}

// turn returns the orientation, 1 to 8.
func (m meta) turn() int {
	v := m.orientation
	if v == 0 {
		v = orientation(m.exif, m.xmp)
	}
	if v < 1 || v > 8 {
		return 1
	}
	return v
}

// formats in the order of their sniffing.
var formats = []struct {
	name   string
	magic  func(data []byte) bool
	decode func(data []byte, lim Limits) (*RGB, meta, error)
}{
	{"JPEG", prefix("\xff\xd8\xff"), decodeJPEG},
	{"PNG", prefix(pngMagic), decodePNG},
	{"GIF", prefix("GIF87a", "GIF89a"), decodeGIF},
	{"WebP", func(data []byte) bool { return riff(data, "WEBP") }, decodeWebP},
	{"BMP", prefix("BM"), decodeBMP},
	{"TIFF", prefix("II*\x00", "MM\x00*", "II+\x00", "MM\x00+"), decodeTIFF},
}

func prefix(magics ...string) func([]byte) bool {
	return func(data []byte) bool {
		for _, m := range magics {
			if len(data) >= len(m) && string(data[:len(m)]) == m {
				return true
			}
		}
		return false
	}
}

func riff(data []byte, kind string) bool {
	return len(data) >= 12 && string(data[:4]) == "RIFF" && string(data[8:12]) == kind
}

// Decode reads a picture: its format is found from the bytes, never from a name; the
// first frame or page is taken, turned by its EXIF or XMP orientation, and brought to
// RGB as Pillow's convert("RGB") does: alpha is dropped, not composed; colour profiles
// and gamma are ignored; 16-bit gray is clipped to 255. The result is byte for byte
// that of transformers' load_image over Pillow 13 (spec/processor.md §2).
//
// JPEG, PNG, GIF, WebP, BMP and TIFF are read. Other kinds are refused by name.
// Damaged and truncated files are errors, as they are there.
func Decode(data []byte, lim Limits) (*RGB, Info, error) {
	lim = lim.complete()
	if len(data) > lim.Bytes {
		return nil, Info{}, fmt.Errorf("imageproc: the file has %d bytes, more than the limit of %d; make it smaller first, or raise the limit", len(data), lim.Bytes)
	}
	for _, f := range formats {
		if !f.magic(data) {
			continue
		}
		img, m, err := f.decode(data, lim)
		if err != nil {
			return nil, Info{Format: f.name}, fmt.Errorf("imageproc: %s: %w", f.name, err)
		}
		info := Info{Format: f.name, Width: img.Width, Height: img.Height, Orientation: m.turn(), Frames: max(m.frames, 1)}
		return orient(img, info.Orientation), info, nil
	}
	if kind, remedy := refused(data); kind != "" {
		return nil, Info{Format: kind}, fmt.Errorf("imageproc: %s is not read; %s", kind, remedy)
	}
	if len(data) == 0 {
		return nil, Info{}, fmt.Errorf("imageproc: the file is empty; want a JPEG, PNG, GIF, WebP, BMP or TIFF picture")
	}
	return nil, Info{}, fmt.Errorf("imageproc: not a picture of a known kind: it starts with %q; want JPEG, PNG, GIF, WebP, BMP or TIFF", data[:min(len(data), 16)])
}

const convert = "convert it to PNG or JPEG"

// refused names what the bytes are where it is something that people send, and says
// what to do about it.
func refused(data []byte) (kind, remedy string) {
	for _, k := range []struct{ magic, kind, remedy string }{
		{"\xff\x0a", "JPEG XL", convert},
		{"\x00\x00\x00\x0cJXL ", "JPEG XL", convert},
		{"\x00\x00\x00\x0cjP  ", "JPEG 2000", convert},
		{"\xff\x4f\xff\x51", "JPEG 2000", convert},
		{"%PDF-", "PDF", "export its pages as PNG or JPEG"},
		{"8BPS", "Photoshop", "export it as PNG or JPEG"},
		{"\x00\x00\x01\x00", "ICO", convert},
		{"qoif", "QOI", convert},
		{"\x1a\x45\xdf\xa3", "Matroska or WebM video", "take a frame as PNG or JPEG"},
		{"\x00\x00\x01\xba", "MPEG video", "take a frame as PNG or JPEG"},
		{"FLV\x01", "Flash video", "take a frame as PNG or JPEG"},
		{"\x1f\x8b", "gzip", "unpack it first"},
		{"PK\x03\x04", "a ZIP archive or Office document", "unpack it, or export its pages as PNG or JPEG"},
		{"version https://git-lfs", "a Git LFS pointer", "fetch the file itself with git lfs pull"},
	} {
		if strings.HasPrefix(string(data[:min(len(data), len(k.magic))]), k.magic) {
			return k.kind, k.remedy
		}
	}
	if riff(data, "AVI ") {
		return "AVI video", "take a frame as PNG or JPEG"
	}
	if len(data) >= 12 && string(data[4:8]) == "ftyp" {
		switch brand := string(data[8:12]); brand {
		case "avif", "avis":
			return "AVIF", convert
		case "heic", "heix", "hevc", "hevx", "heim", "heis", "hevm", "hevs", "mif1", "msf1":
			if bytes.Contains(data[:min(len(data), 64)], []byte("avif")) {
				return "AVIF", convert
			}
			return "HEIC", convert
		}
		return "MP4 or QuickTime video", "take a frame as PNG or JPEG"
	}
	text := strings.ToLower(strings.TrimSpace(strings.TrimPrefix(string(data[:min(len(data), 1024)]), "\ufeff")))
	switch {
	case strings.HasPrefix(text, "<!doctype html"), strings.HasPrefix(text, "<html"):
		return "an HTML page", "give the address of the picture itself"
	case strings.HasPrefix(text, "<svg"), strings.HasPrefix(text, "<?xml") && strings.Contains(text, "<svg"), strings.HasPrefix(text, "<!doctype svg"):
		return "SVG", "render it to PNG"
	}
	return "", ""
}
