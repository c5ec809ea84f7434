package imageproc

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
)

const pngMagic = "\x89PNG\r\n\x1a\n"

// pngFile is a PNG up to and after its image data, as far as the picture needs it.
type pngFile struct {
	width, height int
	depth, color  int // bits a sample; colour type
	interlaced    bool
	palette       palette
	idat          [][]byte // aliases the file
	meta          meta
	rawProfile    []byte // EXIF as ImageMagick writes it into text, in hexadecimal
}

// decodePNG follows Pillow where files are less than perfect: the checksum of the
// pixels is the one inside the compressed data, so that a wrong CRC of an IDAT chunk
// whose contents are right does no harm, and what follows the last pixel may be
// missing. Text and colour profiles are not inflated, but for the few bytes that may
// hold an orientation.
func decodePNG(data []byte, lim Limits) (*RGB, meta, error) {
	f, err := readPNG(data, lim)
	if err != nil {
		return nil, meta{}, err
	}
	convert, channels, err := f.converter()
	if err != nil {
		return nil, meta{}, err
	}
	img, err := f.pixels(convert, channels)
	if err != nil {
		return nil, meta{}, err
	}
	if f.meta.exif == nil {
		f.meta.exif = f.rawProfile
	}
	return img, f.meta, nil
}

// readPNG walks the chunks. Errors after the image data are the end of the file.
func readPNG(data []byte, lim Limits) (*pngFile, error) {
	f := &pngFile{}
	rest := data[len(pngMagic):]
	for first := true; len(rest) >= 8; first = false {
		n, kind := binary.BigEndian.Uint32(rest), string(rest[4:8])
		body := rest[8:]
		whole := uint64(n)+4 <= uint64(len(body))
		switch {
		case first && kind != "IHDR":
			return nil, fmt.Errorf("the first chunk is %q, want IHDR", kind)
		case kind == "IDAT":
			// A last IDAT without its end may still hold all pixels.
			f.idat = append(f.idat, body[:min(uint64(n), uint64(len(body)))])
		case !whole && f.idat == nil:
			return nil, fmt.Errorf("chunk %q of %d bytes: the file ends after %d of them; it is truncated", kind, n, len(body))
		case !whole || kind == "IEND":
			return f, nil
		default:
			if sum, want := crc32.ChecksumIEEE(rest[4:8+n]), binary.BigEndian.Uint32(body[n:]); sum != want && f.idat == nil {
				return nil, fmt.Errorf("chunk %q: checksum %08x, want %08x; the file is damaged", kind, sum, want)
			}
			if err := f.chunk(kind, body[:n], lim); err != nil {
				return nil, err
			}
		}
		if !whole {
			break
		}
		rest = body[n+4:]
	}
	return f, nil
}

func (f *pngFile) chunk(kind string, body []byte, lim Limits) error {
	switch kind {
	case "IHDR":
		if f.width != 0 {
			return errors.New("a second IHDR chunk")
		}
		return f.header(body, lim)
	case "PLTE":
		f.palette = paletteOf(body)
	case "eXIf":
		f.meta.exif = body
	case "acTL":
		if len(body) >= 4 {
			f.meta.frames = int(min(binary.BigEndian.Uint32(body), 1<<31-1))
		}
	case "tEXt", "zTXt", "iTXt":
		f.text(kind, body)
	}
	return nil
}

func (f *pngFile) header(b []byte, lim Limits) error {
	if len(b) < 13 {
		return fmt.Errorf("IHDR has %d bytes, want 13", len(b))
	}
	w, h := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	if w > 1<<31-1 || h > 1<<31-1 {
		return fmt.Errorf("declares a size of %d×%d, want at most 2³¹−1", w, h)
	}
	f.width, f.height = int(w), int(h)
	f.depth, f.color = int(b[8]), int(b[9])
	if b[10] != 0 || b[11] != 0 || b[12] > 1 {
		return fmt.Errorf("compression %d, filter %d, interlace %d, want 0, 0, and 0 or 1", b[10], b[11], b[12])
	}
	f.interlaced = b[12] == 1
	return lim.check(f.width, f.height)
}

// text keeps an XMP packet and ImageMagick's EXIF. What a chunk inflates to is bounded.
func (f *pngFile) text(kind string, body []byte) {
	const most = 1 << 20 // Pillow's MAX_TEXT_CHUNK
	key, value, _ := bytes.Cut(body, []byte{0})
	inflate := func(z []byte) []byte {
		r, err := zlib.NewReader(bytes.NewReader(z))
		if err != nil {
			return nil
		}
		out, err := io.ReadAll(io.LimitReader(r, most+1))
		if err != nil || len(out) > most {
			return nil
		}
		return out
	}
	switch {
	case kind == "iTXt" && string(key) == "XML:com.adobe.xmp" && len(value) >= 2:
		compressed := value[0] != 0
		// A language tag and a translated keyword come before the text.
		if parts := bytes.SplitN(value[2:], []byte{0}, 3); len(parts) == 3 {
			if f.meta.xmp = parts[2]; compressed {
				f.meta.xmp = inflate(parts[2])
			}
		}
	case string(key) == "Raw profile type exif" && kind != "iTXt":
		if kind == "zTXt" {
			if len(value) == 0 || value[0] != 0 {
				return
			}
			value = inflate(value[1:])
		}
		// Three lines of heading, then hexadecimal digits.
		if lines := strings.SplitN(string(value), "\n", 4); len(lines) == 4 {
			f.rawProfile, _ = hex.DecodeString(strings.ReplaceAll(lines[3], "\n", ""))
		}
	}
}

// converter returns how a row becomes RGB, and its samples a pixel.
func (f *pngFile) converter() (convert rowConverter, channels int, err error) {
	const gray, rgb, indexed, grayAlpha, rgba = 0, 2, 3, 4, 6
	switch f.depth {
	case 1, 2, 4, 8:
		switch f.color {
		case gray:
			if f.depth == 8 {
				return fromGray, 1, nil
			}
			p := grayPalette(f.depth)
			return fromPalette(&p, f.depth), 1, nil
		case indexed:
			return fromPalette(&f.palette, f.depth), 1, nil
		}
		if f.depth < 8 {
			break
		}
		switch f.color {
		case rgb:
			return fromRGB, 3, nil
		case grayAlpha:
			return fromGrayAlpha, 2, nil
		case rgba:
			return fromRGBA, 4, nil
		}
	case 16:
		switch f.color {
		case gray:
			return fromGray16(0, 1), 1, nil
		case rgb:
			return fromHighBytes(3, 3, 0), 3, nil
		case grayAlpha:
			return fromHighBytes(2, 1, 0), 2, nil
		case rgba:
			return fromHighBytes(4, 3, 0), 4, nil
		}
	}
	return nil, 0, fmt.Errorf("colour type %d with %d bits a sample does not exist", f.color, f.depth)
}

// passes of the interlacing Adam7: first pixel and steps. One pass has all the pixels
// of a file that is not interlaced.
var (
	adam7    = []pngPass{{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}}
	straight = []pngPass{{0, 0, 1, 1}}
)

type pngPass struct{ x, y, dx, dy int }

// size returns the pixels of the pass in a picture of w×h.
func (p pngPass) size(w, h int) (int, int) {
	return (w - p.x + p.dx - 1) / p.dx, (h - p.y + p.dy - 1) / p.dy
}

func (f *pngFile) pixels(convert rowConverter, channels int) (*RGB, error) {
	passes := straight
	if f.interlaced {
		passes = adam7
	}
	bits := f.depth * channels
	var need, have uint64 // bytes of filtered rows; of compressed data
	for _, p := range passes {
		if w, h := p.size(f.width, f.height); w > 0 && h > 0 {
			need += uint64(h) * uint64(1+(w*bits+7)/8)
		}
	}
	for _, d := range f.idat {
		have += uint64(len(d))
	}
	// Deflate makes at most 1032 bytes of one: less cannot hold the picture, and is
	// found out before memory is taken for it.
	if have*1032 < need {
		return nil, fmt.Errorf("%d bytes of image data cannot hold %d×%d pixels; the file is truncated", have, f.width, f.height)
	}
	z, err := zlib.NewReader(&joinedReader{f.idat})
	if err != nil {
		return nil, fmt.Errorf("image data: %w; the file is damaged", err)
	}
	img := NewRGB(f.width, f.height)
	for _, p := range passes {
		if err := f.pass(img, z, p, convert, bits); err != nil {
			return nil, err
		}
	}
	// The checksum of the rows comes after them. Where it is missing, or more data
	// come, nothing is said against the pixels.
	var one [1]byte
	if _, err := z.Read(one[:]); errors.Is(err, zlib.ErrChecksum) {
		return nil, fmt.Errorf("image data: %w; the file is damaged", err)
	}
	return img, nil
}

// joinedReader reads pieces as if they were one.
type joinedReader struct{ pieces [][]byte }

func (r *joinedReader) Read(p []byte) (n int, err error) {
	for n < len(p) && len(r.pieces) > 0 {
		k := copy(p[n:], r.pieces[0])
		n += k
		if r.pieces[0] = r.pieces[0][k:]; len(r.pieces[0]) == 0 {
			r.pieces = r.pieces[1:]
		}
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// pass reads the rows of one pass and puts its pixels where they belong.
func (f *pngFile) pass(img *RGB, z io.Reader, p pngPass, convert rowConverter, bits int) error {
	w, h := p.size(f.width, f.height)
	if w <= 0 || h <= 0 {
		return nil
	}
	n := (w*bits + 7) / 8
	row, above := make([]byte, 1+n), make([]byte, 1+n)
	line := make([]byte, 3*w)
	for y := range h {
		if _, err := io.ReadFull(z, row); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return fmt.Errorf("image data end at row %d of %d; the file is truncated", y, h)
			}
			return fmt.Errorf("image data, row %d of %d: %w; the file is damaged", y, h, err)
		}
		if row[0] > 4 {
			return fmt.Errorf("row %d: filter %d, want 0 to 4; the file is damaged", y, row[0])
		}
		unfilter(row[0], row[1:], above[1:], max(bits/8, 1))
		if p.dx == 1 {
			convert(img.Row(p.y+y*p.dy), row[1:], w)
		} else {
			convert(line, row[1:], w)
			out := img.Row(p.y + y*p.dy)
			for x := range w {
				copy(out[3*(p.x+x*p.dx):][:3], line[3*x:])
			}
		}
		row, above = above, row
	}
	return nil
}

// unfilter undoes the prediction of a row from its left neighbours, n bytes away, and
// the row above.
func unfilter(filter byte, row, above []byte, n int) {
	switch filter {
	case 1: // left
		for i := n; i < len(row); i++ {
			row[i] += row[i-n]
		}
	case 2: // above
		above = above[:len(row)]
		for i := range row {
			row[i] += above[i]
		}
	case 3: // the mean of both
		for i := range min(n, len(row)) {
			row[i] += above[i] / 2
		}
		for i := n; i < len(row); i++ {
			row[i] += byte((int(row[i-n]) + int(above[i])) / 2)
		}
	case 4:
		paeth(row, above, n)
	}
}

// paeth predicts from whichever of left, above and above-left is nearest to left +
// above − above-left; the first of them on ties. Byte lanes are independent, so that
// neighbours stay in registers.
func paeth(row, above []byte, n int) {
	above = above[:len(row)]
	for lane := range min(n, len(row)) {
		var a, c int // left, above-left
		for i := lane; i < len(row); i += n {
			b := int(above[i])
			pa, pb := b-c, a-c
			pc := abs(pa + pb)
			pa, pb = abs(pa), abs(pb)
			switch {
			case pa <= pb && pa <= pc:
			case pb <= pc:
				a = b
			default:
				a = c
			}
			a = int(byte(a) + row[i])
			row[i] = byte(a)
			c = b
		}
	}
}

func abs(x int) int {
	if x < 0 {
		return -x
	}
	return x
}
