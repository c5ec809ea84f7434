package imageproc

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// files are the committed pictures, by name.
func files(t testing.TB) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join("testdata", "src"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, e := range entries {
		if out[e.Name()], err = os.ReadFile(filepath.Join("testdata", "src", e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestDecodeInfo(t *testing.T) {
	src := files(t)
	tests := []struct {
		file string
		want Info
		w, h int // upright
	}{
		{"photo_640x480.jpg", Info{"JPEG", 640, 480, 1, 1}, 640, 480},
		{"exif_6.jpg", Info{"JPEG", 24, 16, 6, 1}, 16, 24},
		{"exif_6.png", Info{"PNG", 24, 16, 6, 1}, 16, 24},
		{"exif_6.webp", Info{"WebP", 24, 16, 6, 1}, 16, 24},
		{"exif_6.tif", Info{"TIFF", 24, 16, 6, 1}, 16, 24},
		{"exif_9.jpg", Info{"JPEG", 24, 16, 1, 1}, 24, 16},
		{"apng.png", Info{"PNG", 20, 20, 1, 2}, 20, 20},
		{"gif_animated.gif", Info{"GIF", 40, 30, 1, 2}, 40, 30},
		{"gif_larger_screen.gif", Info{"GIF", 50, 40, 1, 1}, 50, 40},
		{"webp_animated.webp", Info{"WebP", 30, 20, 1, 2}, 30, 20},
		{"bmp_topdown.bmp", Info{"BMP", 21, 13, 1, 1}, 21, 13},
		{"tiff_multipage.tif", Info{"TIFF", 37, 23, 1, 2}, 37, 23},
	}
	for _, tt := range tests {
		img, info, err := Decode(src[tt.file], Limits{})
		if err != nil {
			t.Errorf("%s: %v", tt.file, err)
		} else if info != tt.want || img.Width != tt.w || img.Height != tt.h {
			t.Errorf("%s: %+v and %d×%d, want %+v and %d×%d", tt.file, info, img.Width, img.Height, tt.want, tt.w, tt.h)
		}
	}
}

// What is not read is named, and the message says what to do.
func TestDecodeRefusesByName(t *testing.T) {
	tests := []struct{ data, want string }{
		{"", "the file is empty"},
		{"hello, this is not an image\n", `starts with "hello, this is n"`},
		{"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00", "AVIF is not read; convert it to PNG or JPEG"},
		{"\x00\x00\x00\x1cftypmif1\x00\x00\x00\x00mif1avif", "AVIF is not read"},
		{"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "HEIC is not read; convert it to PNG or JPEG"},
		{"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1heic", "HEIC is not read"},
		{"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00", "MP4 or QuickTime video is not read; take a frame"},
		{"\xff\x0a\x00\x00", "JPEG XL is not read"},
		{"\x00\x00\x00\x0cJXL \r\n\x87\n", "JPEG XL is not read"},
		{"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG 2000 is not read"},
		{"%PDF-1.7\n", "PDF is not read; export its pages"},
		{"<svg xmlns=\"http://www.w3.org/2000/svg\">", "SVG is not read; render it to PNG"},
		{"\ufeff  <?xml version=\"1.0\"?>\n<!-- x -->\n<SVG>", "SVG is not read"},
		{"<!DOCTYPE html><html>", "an HTML page is not read; give the address of the picture itself"},
		{"\x1a\x45\xdf\xa3", "Matroska or WebM video is not read"},
		{"RIFF\x00\x00\x00\x00AVI LIST", "AVI video is not read"},
		{"RIFF\x00\x00\x00\x00WAVEfmt ", "not a picture of a known kind"},
		{"\xff\xd8\xff", "imageproc: JPEG: "},
		{"BM", "imageproc: BMP: "},
		{"GIF89a", "imageproc: GIF: the file ends before the first frame"},
		{"II*\x00", "imageproc: TIFF: the file ends inside its header"},
		{"\x89PNG\r\n\x1a\n", "imageproc: PNG: "},
		{"RIFF\x04\x00\x00\x00WEBP", "imageproc: WebP: no picture inside"},
	}
	for _, tt := range tests {
		if _, _, err := Decode([]byte(tt.data), Limits{}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: error %v, want one with %q", tt.data, err, tt.want)
		}
	}
}

func pngChunk(kind string, body []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	out = append(append(out, kind...), body...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[4:]))
}

func deflate(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// pngOf is a PNG of 8-bit RGB whose data are those given, whatever its header says.
func pngOf(t testing.TB, w, h int, filtered []byte, chunks ...[]byte) []byte {
	header := binary.BigEndian.AppendUint32(nil, uint32(w))
	header = append(binary.BigEndian.AppendUint32(header, uint32(h)), 8, 2, 0, 0, 0)
	out := append([]byte(pngMagic), pngChunk("IHDR", header)...)
	out = append(out, bytes.Join(chunks, nil)...)
	out = append(out, pngChunk("IDAT", deflate(t, filtered))...)
	return append(out, pngChunk("IEND", nil)...)
}

// hostile are files that promise more than they hold, each with what its error says.
func hostile(t testing.TB) map[string]struct {
	data []byte
	want string
} {
	const side = 50_000
	le16 := binary.LittleEndian.AppendUint16
	le32 := binary.LittleEndian.AppendUint32
	gif := append(le16(le16([]byte("GIF89a"), side), side), 0, 0, 0)
	gif = append(append(gif, ','), 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 0)
	bmp := le32(append([]byte("BM"), make([]byte, 8)...), 54)
	bmp = le32(le32(le32(bmp, 40), side), side)
	bmp = append(le16(le16(bmp, 1), 24), make([]byte, 24)...)
	webp := func(chunks string) []byte {
		return append(le32([]byte("RIFF"), uint32(4+len(chunks))), "WEBP"+chunks...)
	}
	tiff := func(tags ...[3]uint32) []byte {
		out := le16(le32([]byte("II*\x00"), 8), uint16(len(tags)))
		for _, t := range tags {
			out = le32(le32(le16(le16(out, uint16(t[0])), 4), t[1]), t[2])
		}
		return le32(out, 0)
	}
	return map[string]struct {
		data []byte
		want string
	}{
		"png size":        {pngOf(t, side, side, nil), "declares 50000×50000 pixels, more than the limit of 178956970; make it smaller first, or raise the limit"},
		"png no data":     {pngOf(t, 13_000, 13_000, make([]byte, 1<<16)), "cannot hold 13000×13000 pixels; the file is truncated"},
		"png size 0":      {pngOf(t, 0, 9, nil), "declares a size of 0×9, want at least 1×1"},
		"png text bomb":   {pngOf(t, 2, 2, nil, pngChunk("zTXt", append([]byte("Raw profile type exif\x00\x00"), deflate(t, make([]byte, 64<<20))...))), "the file is truncated"},
		"png xmp bomb":    {pngOf(t, 2, 2, nil, pngChunk("iTXt", append([]byte("XML:com.adobe.xmp\x00\x01\x00\x00\x00"), deflate(t, make([]byte, 64<<20))...))), "the file is truncated"},
		"png colour type": {append([]byte(pngMagic), pngChunk("IHDR", []byte{0, 0, 0, 1, 0, 0, 0, 1, 4, 2, 0, 0, 0})...), "colour type 2 with 4 bits a sample does not exist"},
		"gif size":        {gif, "declares 50000×50000 pixels"},
		"bmp size":        {bmp, "declares 50000×50000 pixels"},
		"bmp no data":     {append(le32(le32(bytes.Clone(bmp[:18]), 13_000), 13_000), bmp[26:]...), "the file is truncated"},
		"webp canvas":     {webp("VP8X\x0a\x00\x00\x00\x00\x00\x00\x00\xff\xff\x00\xff\xff\x00VP8L\x05\x00\x00\x00\x2f\x00\x00\x00\x00\x00"), "declares 65536×65536 pixels"},
		"webp chunk":      {webp("VP8L\xff\xff\xff\x7f"), `chunk "VP8L" has 0 bytes, want 2147483647; the file is truncated`},
		"webp size":       {[]byte("RIFF\xff\xff\xff\xffWEBPVP8 "), "want 4294967303; the file is truncated"},
		"tiff size":       {tiff([3]uint32{tagWidth, 1, side}, [3]uint32{tagHeight, 1, side}), "declares 50000×50000 pixels"},
		"tiff no data":    {tiff([3]uint32{tagWidth, 1, 13_000}, [3]uint32{tagHeight, 1, 13_000}, [3]uint32{tagStripOffsets, 1, 8}), "the file is truncated"},
		"tiff tile":       {tiff([3]uint32{tagWidth, 1, 9}, [3]uint32{tagHeight, 1, 9}, [3]uint32{tagTileOffsets, 1, 8}, [3]uint32{tagTileWidth, 1, side}, [3]uint32{tagTileHeight, 1, side}), "a strip or tile declares 50000×50000 pixels"},
		"tiff count":      {tiff([3]uint32{tagWidth, 1, 9}, [3]uint32{tagHeight, 1, 9}, [3]uint32{tagStripOffsets, 1 << 30, 8}), "no strips and no tiles"},
		"tiff strips":     {tiff([3]uint32{tagWidth, 1, 9}, [3]uint32{tagHeight, 1, 9}, [3]uint32{tagRowsPerStrip, 1, 1}, [3]uint32{tagStripOffsets, 1, 8}), "1 strips or tiles, want 9"},
		"tiff directory":  {le32([]byte("II*\x00"), 1<<31), "outside the file of 8 bytes"},
		"tiff page loop":  {append(tiff([3]uint32{tagWidth, 1, 0})[:22], 8, 0, 0, 0), "declares a size of 0×0"},
		"jpeg size":       {[]byte("\xff\xd8\xff\xc0\x00\x11\x08\xc3\x50\xc3\x50\x03\x01\x11\x00\x02\x11\x00\x03\x11\x00\xff\xda\x00\x0c\x03\x01\x00\x02\x00\x03\x00\x00\x3f\x00\xff\xd9"), "50000×50000 pixels"},
	}
}

// Nothing is allocated for what a file merely claims.
func TestDecodeHostile(t *testing.T) {
	for name, tt := range hostile(t) {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _, err := Decode(tt.data, Limits{})
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20 {
				t.Errorf("%d bytes allocated for a file of %d", n, len(tt.data))
			}
		})
	}
}

func TestDecodeLimits(t *testing.T) {
	for name, data := range files(t) {
		img, _, err := Decode(data, Limits{})
		if err != nil {
			continue
		}
		if _, _, err := Decode(data, Limits{Pixels: img.Width * img.Height}); err != nil {
			t.Errorf("%s at its limit: %v", name, err)
		}
		if _, _, err := Decode(data, Limits{Pixels: img.Width*img.Height - 1}); img.Width*img.Height > 1 && err == nil {
			t.Errorf("%s is decoded past its limit of pixels", name)
		}
		if _, _, err := Decode(data, Limits{Bytes: len(data) - 1}); err == nil {
			t.Errorf("%s is decoded past its limit of bytes", name)
		}
	}
}

// A file cut anywhere is an error, or all its pixels came before the cut: never
// another picture. What may be lost is an orientation that stands behind the pixels.
func TestDecodeTruncated(t *testing.T) {
	for name, data := range files(t) {
		whole, _, err := Decode(data, Limits{})
		if err != nil || len(data) > 3000 {
			continue
		}
		for n := range len(data) {
			img, _, err := Decode(data[:n], Limits{})
			if err == nil && !bytes.Equal(img.Pix, whole.Pix) {
				t.Errorf("%s: its first %d of %d bytes give another picture", name, n, len(data))
				break
			}
		}
	}
}

// The checksum that counts in a PNG is that of the pixels; Pillow, too, does not look
// at those of IDAT chunks, but at all before them.
func TestPNGChecksums(t *testing.T) {
	rows := []byte{0, 1, 2, 3, 4, 5, 6, 0, 7, 8, 9, 10, 11, 12}
	text := pngChunk("tEXt", []byte("a\x00b"))
	good := pngOf(t, 2, 2, rows, text)
	flip := func(at int) []byte {
		out := bytes.Clone(good)
		out[at] ^= 1
		return out
	}
	idat := bytes.Index(good, []byte("IDAT"))
	end := len(good) - 12
	tests := []struct {
		name string
		data []byte
		ok   bool
	}{
		{"whole", good, true},
		{"no IEND", good[:end], true},
		{"without the last CRC", good[:end-4], true},
		{"without Adler's sum", good[:end-8], true},
		{"cut inside the pixels", good[:end-14], false},
		{"CRC of IDAT", flip(end - 1), true},
		{"Adler's sum", flip(end - 5), false},
		{"pixels", flip(idat + 8), false},
		{"CRC of IHDR", flip(32), false},
		{"CRC of a text before the pixels", flip(idat - 5), false},
	}
	for _, tt := range tests {
		img, _, err := Decode(tt.data, Limits{})
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
		if want := []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}; err == nil && !slices.Equal(img.Pix, want) {
			t.Errorf("%s: %v", tt.name, img.Pix)
		}
	}
}

// The 3×2 picture of samples 1 to 6 of spec/processor.md §2.1.
func TestOrient(t *testing.T) {
	tests := []struct {
		orientation, w int
		want           string
	}{
		{1, 3, "123456"}, {2, 3, "321654"}, {3, 3, "654321"}, {4, 3, "456123"},
		{5, 2, "142536"}, {6, 2, "415263"}, {7, 2, "635241"}, {8, 2, "362514"},
	}
	for _, tt := range tests {
		img := NewRGB(3, 2)
		for i := range img.Pix {
			img.Pix[i] = byte('1' + i/3)
		}
		got := orient(img, tt.orientation)
		var samples []byte
		for i := 0; i < len(got.Pix); i += 3 {
			samples = append(samples, got.Pix[i])
		}
		if string(samples) != tt.want || got.Width != tt.w {
			t.Errorf("%d: %s, %d wide, want %s, %d", tt.orientation, samples, got.Width, tt.want, tt.w)
		}
	}
}

func TestOrientation(t *testing.T) {
	ifd := func(typ, count uint16, value string) []byte {
		out := []byte("MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x00\x00\x00\x00\x00")
		out[13], out[17] = byte(typ), byte(count)
		return append(append(out, value...), 0, 0, 0, 0)
	}
	xmp := func(s string) []byte { return []byte(`<rdf tiff:Orientation` + s + `/>`) }
	tests := []struct {
		name      string
		exif, xmp []byte
		want      int
	}{
		{"nothing", nil, nil, 0},
		{"short", ifd(3, 1, "\x00\x06\x00\x00"), nil, 6},
		{"long", ifd(4, 1, "\x00\x00\x00\x08"), nil, 8},
		{"with its prefix twice", append([]byte("Exif\x00\x00Exif\x00\x00"), ifd(3, 1, "\x00\x03\x00\x00")...), nil, 3},
		{"byte does not count, but is there", ifd(1, 1, "\x06\x00\x00\x00"), xmp(`="8"`), 0},
		{"EXIF wins", ifd(3, 1, "\x00\x06\x00\x00"), xmp(`="8"`), 6},
		{"XMP attribute", nil, xmp(`="8"`), 8},
		{"XMP element", nil, xmp(`>3</tiff:Orientation`), 3},
		{"XMP after something like it", nil, xmp(`='1' tiff:Orientation="7"`), 7},
		{"broken EXIF", []byte("garbage!"), xmp(`="2"`), 2},
		{"directory outside", []byte("II*\x00\xff\xff\xff\x7f"), nil, 0},
		{"directory cut", ifd(3, 1, "")[:20], nil, 0},
	}
	for _, tt := range tests {
		if got := orientation(tt.exif, tt.xmp); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestConvert(t *testing.T) {
	convert := func(c rowConverter, src ...byte) [3]byte {
		var out [3]byte
		c(out[:], src, 1)
		return out
	}
	five := palette{5: {1, 2, 3}}
	tests := []struct {
		name      string
		got, want [3]byte
	}{
		{"ink", convert(fromCMYK, 10, 20, 30, 40), [3]byte{207, 198, 190}},
		{"more ink", convert(fromCMYK, 100, 150, 200, 128), [3]byte{77, 52, 27}},
		{"16-bit gray below 256", convert(fromGray16(0, 1), 0, 77), [3]byte{77, 77, 77}},
		{"16-bit gray from 256 on", convert(fromGray16(0, 1), 1, 0), [3]byte{255, 255, 255}},
		{"16-bit RGB", convert(fromHighBytes(3, 3, 0), 1, 99, 2, 99, 3, 99), [3]byte{1, 2, 3}},
		{"hidden colour", convert(fromRGBA, 9, 8, 7, 0), [3]byte{9, 8, 7}},
		{"palette", convert(fromPalette(&five, 4), 0x5f), [3]byte{1, 2, 3}},
		{"past the palette", convert(fromPalette(&five, 4), 0x6f), [3]byte{}},
		{"5 bits", convert(from16(10, 5, 0, 31), 6|19<<5&0xe0, 19>>3), [3]byte{0, 156, 49}},
		{"6 bits", convert(from16(11, 5, 0, 63), 4<<5&0xff, 0), [3]byte{0, 16, 0}},
		{"premultiplied", convert(fromPremultiplied(4, 0, 1), 10, 20, 200, 100), [3]byte{25, 51, 255}},
		{"premultiplied by nothing", convert(fromPremultiplied(4, 0, 1), 10, 20, 200, 0), [3]byte{}},
		{"float", convert(fromNumbers(1, func(b []byte) float64 { return float64(b[0]) / 2 }), 255), [3]byte{127, 127, 127}},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, tt.got, tt.want)
		}
	}
	for bits, want := range map[int]byte{1: 255, 2: 85, 4: 17} {
		if p := grayPalette(bits); p[1][0] != want {
			t.Errorf("%d bits: 1 is %d, want %d", bits, p[1][0], want)
		}
	}
}

// Run-length coding, which no recorded file has: a run, literals, a move, two line
// ends. Rows go from the bottom up.
func TestBMPRuns(t *testing.T) {
	bmp := func(bits, compression byte, codes ...byte) []byte {
		out := append([]byte("BM"), make([]byte, 8)...)
		out = binary.LittleEndian.AppendUint32(out, 54+16)
		out = append(out, 40, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 1, 0, bits, 0, compression, 0, 0, 0)
		out = append(out, make([]byte, 12)...)
		out = append(out, 4, 0, 0, 0, 0, 0, 0, 0)
		out = append(out, 9, 9, 9, 0, 1, 1, 1, 0, 2, 2, 2, 0, 3, 3, 3, 0)
		return append(out, codes...)
	}
	tests := []struct {
		name string
		data []byte
		want []byte // indexes from the top left; 9 is index 0
	}{
		{"8 bits", bmp(8, 1, 3, 1, 1, 2, 0, 0, 0, 3, 3, 2, 1, 0, 0, 1), []byte{3, 2, 1, 9, 1, 1, 1, 2}},
		{"4 bits", bmp(4, 2, 3, 0x12, 0, 0, 0, 3, 0x32, 0x10, 0, 1), []byte{3, 2, 1, 9, 1, 2, 1, 9}},
		{"a move, and a run past the edge", bmp(8, 1, 0, 2, 2, 1, 9, 3, 0, 1), []byte{9, 9, 3, 3, 9, 9, 9, 9}},
	}
	for _, tt := range tests {
		img, _, err := Decode(tt.data, Limits{})
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		for i, want := range tt.want {
			if got := img.Pix[3*i]; got != want {
				t.Errorf("%s: pixel %d is %d, want %d", tt.name, i, got, want)
			}
		}
	}
	if _, _, err := Decode(bmp(8, 1, 3, 1), Limits{}); err == nil {
		t.Error("codes that end early are accepted")
	}
}

func FuzzDecode(f *testing.F) {
	for _, data := range files(f) {
		if len(data) < 3000 {
			f.Add(data)
		}
	}
	for _, h := range hostile(f) {
		if len(h.data) < 3000 {
			f.Add(h.data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		const most = 1 << 16
		img, info, err := Decode(data, Limits{Pixels: most})
		if err != nil {
			if !strings.HasPrefix(err.Error(), "imageproc: ") || img != nil {
				t.Errorf("picture %v, error %q", img, err)
			}
			return
		}
		n := img.Width * img.Height
		if n < 1 || n > most || len(img.Pix) != 3*n || info.Width*info.Height != n || info.Orientation < 1 || info.Orientation > 8 || info.Frames < 1 {
			t.Errorf("%+v, %d×%d, %d bytes", info, img.Width, img.Height, len(img.Pix))
		}
	})
}
