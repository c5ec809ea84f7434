package imageproc

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"image"
	"io"

	"golang.org/x/image/ccitt"
	"golang.org/x/image/tiff/lzw"

	"idefics2/imageproc/jpeg"
)

// Compressions of TIFF.
const (
	tiffRaw          = 1
	tiffGroup3       = 3
	tiffGroup4       = 4
	tiffLZW          = 5
	tiffJPEG         = 7
	tiffAdobeDeflate = 8
	tiffPackBits     = 32773
	tiffDeflate      = 32946
)

// tiffGrid is how a page is cut: strips of whole rows, or tiles.
type tiffGrid struct {
	width, height  int // of a block
	across, down   int // blocks
	offsets, sizes tiffTag
	exactHeight    bool // the last strip is shorter, where the last tile is padded
}

func (f *tiffFile) grid(lim Limits) (tiffGrid, error) {
	g := tiffGrid{offsets: f.tags[tagStripOffsets], sizes: f.tags[tagStripCounts], exactHeight: true}
	g.width = f.width
	rows := f.value(tagRowsPerStrip, uint64(f.height))
	if g.offsets.n == 0 {
		g.offsets, g.sizes, g.exactHeight = f.tags[tagTileOffsets], f.tags[tagTileCounts], false
		if g.offsets.n == 0 {
			return g, errors.New("no strips and no tiles; the file is damaged")
		}
		g.width = int(min(f.value(tagTileWidth, 0), 1<<31-1))
		rows = f.value(tagTileHeight, 0)
	} else {
		rows = min(rows, uint64(f.height))
	}
	g.height = int(min(rows, 1<<31-1))
	if err := lim.check(g.width, g.height); err != nil {
		return g, fmt.Errorf("a strip or tile %w", err)
	}
	g.across = (f.width + g.width - 1) / g.width
	g.down = (f.height + g.height - 1) / g.height
	want := uint64(g.across) * uint64(g.down)
	if f.planar {
		want *= uint64(f.samples)
	}
	if g.offsets.n < want {
		return g, fmt.Errorf("%d strips or tiles, want %d", g.offsets.n, want)
	}
	return g, nil
}

// pixels decompresses block after block and converts their rows.
func (f *tiffFile) pixels(convert rowConverter, lim Limits) (*RGB, error) {
	g, err := f.grid(lim)
	if err != nil {
		return nil, err
	}
	planes := 1
	if f.planar {
		planes = f.samples
	}
	blocks := g.across * g.down
	stored := f.samples / planes // samples of a pixel that are side by side
	stride := (g.width*stored*f.depth + 7) / 8
	if err := f.plausible(g, stride, blocks*planes); err != nil {
		return nil, err
	}
	img := NewRGB(f.width, f.height)
	var joined []byte
	for i := range blocks {
		box := image.Rect(0, 0, g.width, g.height).Add(image.Pt(i%g.across*g.width, i/g.across*g.height))
		rows := g.height
		if g.exactHeight {
			rows = min(rows, f.height-box.Min.Y)
		}
		data, err := f.block(g, i, stored, stride, rows)
		if f.planar {
			joined = growTo(joined, stride*planes*rows)
			for p := 0; p < planes && err == nil; p++ {
				if p > 0 {
					data, err = f.block(g, i+p*blocks, stored, stride, rows)
				}
				interleave(joined, data, f.depth/8, p, planes)
			}
			data = joined
		}
		if err != nil {
			return nil, fmt.Errorf("strip or tile %d of %d: %w", i, blocks, err)
		}
		w := min(g.width, f.width-box.Min.X)
		for y := range min(rows, f.height-box.Min.Y) {
			convert(img.Row(box.Min.Y + y)[3*box.Min.X:], data[y*stride*planes:], w)
		}
	}
	return img, nil
}

// growTo returns a slice of n bytes, b where it is long enough.
func growTo(b []byte, n int) []byte {
	if len(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

// interleave puts the samples of plane p, n bytes each, where they belong in pixels.
func interleave(dst, src []byte, n, p, planes int) {
	for i := 0; i+n <= len(src); i += n {
		copy(dst[(i/n*planes+p)*n:][:n], src[i:])
	}
}

// plausible refuses data that cannot make the picture, before memory is taken for it,
// by the most that one byte of each compression expands to.
func (f *tiffFile) plausible(g tiffGrid, stride, blocks int) error {
	most, known := map[uint64]uint64{tiffRaw: 1, tiffPackBits: 64, tiffLZW: 2731, tiffAdobeDeflate: 1032, tiffDeflate: 1032}[f.compression]
	if !known {
		return nil // a page of white takes a bit a row in Group 4
	}
	rows := uint64(g.height) * uint64(blocks)
	if g.exactHeight {
		rows = uint64(f.height) * uint64(blocks/g.down)
	}
	if have := uint64(len(f.data)) * most; f.compression != tiffRaw && have < rows*uint64(stride) ||
		f.compression == tiffRaw && rows*uint64(stride) > uint64(len(f.data))*uint64(blocks) {
		return fmt.Errorf("%d bytes cannot hold %d×%d pixels; the file is truncated", len(f.data), f.width, f.height)
	}
	return nil
}

// block returns the decompressed rows of block i, stride bytes each.
func (f *tiffFile) block(g tiffGrid, i, samples, stride, rows int) ([]byte, error) {
	offset := f.get(g.offsets, uint64(i))
	rest := f.at(offset, 0)
	if rest == nil {
		return nil, fmt.Errorf("starts at byte %d of %d; the file is truncated", offset, len(f.data))
	}
	rest = f.data[offset:]
	if uint64(i) < g.sizes.n && f.compression != tiffRaw {
		rest = rest[:min(f.get(g.sizes, uint64(i)), uint64(len(rest)))]
	}
	n := stride * rows
	if f.reversed && f.compression != tiffJPEG {
		if f.compression == tiffRaw {
			rest = rest[:min(n, len(rest))]
		}
		rest = reverseBits(rest)
	}
	if f.compression == tiffJPEG {
		return f.jpegBlock(rest, g.width, rows, samples)
	}
	data, err := f.unpack(rest, n, g.width, rows)
	if err != nil {
		return nil, err
	}
	switch f.predictor {
	case 1:
	case 2:
		if f.compression == tiffRaw { // libtiff, too, knows predictors of LZW and Deflate only
			break
		}
		for y := range rows {
			f.undifference(data[y*stride:(y+1)*stride], samples)
		}
	default:
		return nil, fmt.Errorf("predictor %d is not read; %s", f.predictor, convert)
	}
	return data, nil
}

// unpack returns n bytes from compressed data.
func (f *tiffFile) unpack(data []byte, n, width, rows int) ([]byte, error) {
	var r io.Reader
	switch f.compression {
	case tiffRaw:
		if len(data) < n {
			return nil, fmt.Errorf("%d bytes, want %d; the file is truncated", len(data), n)
		}
		return data[:n], nil
	case tiffPackBits:
		return unpackBits(data, n)
	case tiffLZW:
		z := lzw.NewReader(bytes.NewReader(data), lzw.MSB, 8)
		defer z.Close()
		r = z
	case tiffAdobeDeflate, tiffDeflate:
		z, err := zlib.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		r = z
	case tiffGroup3, tiffGroup4:
		if f.depth != 1 || f.samples != 1 {
			return nil, fmt.Errorf("fax compression of %d samples of %d bits, want 1 of 1", f.samples, f.depth)
		}
		format := ccitt.Group4
		if f.compression == tiffGroup3 {
			format = ccitt.Group3
			if f.value(tagT4Options, 0)&1 != 0 {
				return nil, fmt.Errorf("two-dimensional Group 3 is not read; %s", convert)
			}
		}
		// The code's white is 0 and its black 1, as libtiff has it, whatever colours the
		// page gives to the two.
		r = ccitt.NewReader(bytes.NewReader(data), ccitt.MSB, format, width, rows, &ccitt.Options{Invert: true})
	default:
		return nil, fmt.Errorf("compression %d is not read; %s", f.compression, convert)
	}
	out := make([]byte, n)
	if got, err := io.ReadFull(r, out); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("data end after %d bytes, want %d; the file is truncated", got, n)
	} else if err != nil {
		return nil, fmt.Errorf("%w; the file is damaged", err)
	}
	// Deflate's checksum comes after the data; where it is missing nothing is said
	// against them.
	var one [1]byte
	if _, err := r.Read(one[:]); errors.Is(err, zlib.ErrChecksum) {
		return nil, fmt.Errorf("%w; the file is damaged", err)
	}
	return out, nil
}

// unpackBits undoes PackBits: a byte b, then b+1 bytes as they are, or one byte to be
// repeated 257−b times; 128 is nothing.
func unpackBits(data []byte, n int) ([]byte, error) {
	out := make([]byte, 0, n)
	for len(out) < n {
		if len(data) < 2 {
			return nil, fmt.Errorf("data end after %d bytes, want %d; the file is truncated", len(out), n)
		}
		b := int(data[0])
		switch {
		case b < 128:
			out = append(out, data[1:min(b+2, len(data))]...)
			data = data[min(b+2, len(data)):]
		case b == 128:
			data = data[1:]
		default:
			for range 257 - b {
				out = append(out, data[1])
			}
			data = data[2:]
		}
	}
	return out[:n], nil
}

// undifference undoes horizontal prediction: samples are stored less the one of the
// pixel before.
func (f *tiffFile) undifference(row []byte, samples int) {
	switch f.depth {
	case 8:
		for i := samples; i < len(row); i++ {
			row[i] += row[i-samples]
		}
	case 16:
		for i := 2 * samples; i+2 <= len(row); i += 2 {
			f.order.PutUint16(row[i:], f.order.Uint16(row[i:])+f.order.Uint16(row[i-2*samples:]))
		}
	case 32:
		for i := 4 * samples; i+4 <= len(row); i += 4 {
			f.order.PutUint32(row[i:], f.order.Uint32(row[i:])+f.order.Uint32(row[i-4*samples:]))
		}
	}
}

// jpegBlock decodes a block that is a JPEG whose tables stand in a tag of the page. Its
// colours are what the page says, so a marker that says the same goes in front.
func (f *tiffFile) jpegBlock(data []byte, width, rows, samples int) ([]byte, error) {
	const jfif = "\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
	const adobe = "\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"
	if len(data) < 2 || f.planar {
		return nil, fmt.Errorf("JPEG of %d bytes, separate planes %v, is not read; %s", len(data), f.planar, convert)
	}
	marker := adobe
	if f.photometric == tiffYCbCr {
		marker = jfif
	}
	file := append([]byte("\xff\xd8"), marker...)
	if tables := f.tags[tagJPEGTables].data; len(tables) > 4 {
		file = append(file, bytes.TrimSuffix(tables[2:], []byte("\xff\xd9"))...)
	}
	file = append(append(file, data[2:]...), "\xff\xd9"...)
	img, err := jpeg.Decode(file, max(width*rows, 1))
	if err != nil {
		return nil, err
	}
	if img.Width != width || img.Height != rows || img.Model.Channels() != samples {
		return nil, fmt.Errorf("JPEG of %d×%d with %d channels, want %d×%d with %d", img.Width, img.Height, img.Model.Channels(), width, rows, samples)
	}
	if img.Model == jpeg.CMYK { // a page's inks are not inverted, as a lone JPEG's are taken to be
		for i, v := range img.Pix {
			img.Pix[i] = 255 - v
		}
	}
	return img.Pix, nil
}
