package imageproc

import (
	"errors"
	"fmt"
)

// bmpHeader is what a BMP's headers say about its pixels.
type bmpHeader struct {
	width, height int
	topDown       bool
	bits          int
	compression   uint32
	colors        int // in the palette
	colorSize     int // bytes of each, B G R and maybe a fourth
	masks         [4]uint32
	pixels        int // where they start in the file
	palette       []byte
}

// Compressions of BMP.
const (
	bmpRaw       = 0
	bmpRLE8      = 1
	bmpRLE4      = 2
	bmpBitFields = 3
)

// decodeBMP reads 1, 4, 8, 16, 24 and 32 bits, raw, run-length coded, and with the bit
// masks that Pillow knows. A fourth byte without a mask of its own is not alpha.
func decodeBMP(data []byte, lim Limits) (*RGB, meta, error) {
	h, err := readBMPHeader(data)
	if err != nil {
		return nil, meta{}, err
	}
	if err := lim.check(h.width, h.height); err != nil {
		return nil, meta{}, err
	}
	if h.pixels > len(data) {
		return nil, meta{}, fmt.Errorf("the pixels start at byte %d of %d; the file is truncated", h.pixels, len(data))
	}
	pixels := data[h.pixels:]
	if h.compression == bmpRLE8 || h.compression == bmpRLE4 {
		img, err := h.runs(pixels)
		return img, meta{}, err
	}
	convert, err := h.converter()
	if err != nil {
		return nil, meta{}, err
	}
	stride := (h.width*h.bits + 31) / 32 * 4
	// The last row need not be padded.
	if need := stride*(h.height-1) + (h.width*h.bits+7)/8; len(pixels) < need {
		return nil, meta{}, fmt.Errorf("%d bytes of pixels, want %d for %d×%d of %d bits; the file is truncated", len(pixels), need, h.width, h.height, h.bits)
	}
	img := NewRGB(h.width, h.height)
	for y := range h.height {
		convert(img.Row(h.row(y)), pixels[stride*y:], h.width)
	}
	return img, meta{}, nil
}

// row returns where the file's row y stands in the picture.
func (h *bmpHeader) row(y int) int {
	if h.topDown {
		return y
	}
	return h.height - 1 - y
}

func readBMPHeader(data []byte) (*bmpHeader, error) {
	r := &byteReader{data: data}
	r.skip(10)
	h := &bmpHeader{pixels: int(r.uint32())}
	size := int(r.uint32())
	switch size {
	case 12: // OS/2
		h.width, h.height = r.uint16(), r.uint16()
		r.skip(2)
		h.bits = r.uint16()
		h.colorSize = 3
	case 40, 52, 56, 64, 108, 124:
		width, height := r.uint32(), r.uint32()
		if h.topDown = height>>24 == 0xff; h.topDown {
			height = -height
		}
		h.width, h.height = int(width), int(height)
		r.skip(2)
		h.bits = r.uint16()
		h.compression = r.uint32()
		r.skip(12)
		h.colors = int(r.uint32())
		r.skip(4)
		h.colorSize = 4
		// Masks are inside the longer headers, and after the short one.
		inside := min((size-40)/4, 4)
		for i := range inside {
			h.masks[i] = r.uint32()
		}
		r.skip(size - 40 - 4*inside)
		if h.compression == bmpBitFields && inside == 0 {
			for i := range 3 {
				h.masks[i] = r.uint32()
			}
		}
	default:
		return nil, fmt.Errorf("header of %d bytes, want 12, 40, 52, 56, 64, 108 or 124", size)
	}
	if h.bits <= 8 {
		if h.colors == 0 {
			h.colors = 1 << h.bits
		}
		if h.colors > 1<<16 {
			return nil, fmt.Errorf("a palette of %d colours, want at most 65536", h.colors)
		}
		if h.pixels == 14+size { // written by software that forgot its palette
			h.pixels += h.colors * h.colorSize
		}
	}
	if r.short {
		return nil, errors.New("the file ends inside its header; it is truncated")
	}
	if h.bits <= 8 { // a palette that claims more than there is does no harm
		h.palette = r.take(h.colors * h.colorSize)
	}
	if h.pixels == 0 {
		h.pixels = len(data) - len(r.data)
	}
	return h, nil
}

// converter returns how a row of raw pixels becomes RGB.
func (h *bmpHeader) converter() (rowConverter, error) {
	if h.compression != bmpRaw && h.compression != bmpBitFields {
		return nil, fmt.Errorf("compression %d is not read; %s", h.compression, convert)
	}
	type layout struct {
		bits  int
		masks [4]uint32
	}
	masks := h.masks
	if h.bits != 32 {
		masks[3] = 0
	}
	switch {
	case h.bits == 1, h.bits == 4, h.bits == 8:
		if h.compression == bmpRaw {
			p := h.colorTable()
			return fromPalette(&p, h.bits), nil
		}
	case h.compression == bmpRaw:
		switch h.bits {
		case 16:
			return from16(10, 5, 0, 31), nil
		case 24:
			return fromBytes(3, 2, 1, 0), nil
		case 32:
			return fromBytes(4, 2, 1, 0), nil
		}
	default:
		switch (layout{h.bits, masks}) {
		case layout{16, [4]uint32{0xf800, 0x7e0, 0x1f}}:
			return from16(11, 5, 0, 63), nil
		case layout{16, [4]uint32{0x7c00, 0x3e0, 0x1f}}:
			return from16(10, 5, 0, 31), nil
		case layout{24, [4]uint32{0xff0000, 0xff00, 0xff}}:
			return fromBytes(3, 2, 1, 0), nil
		case layout{32, [4]uint32{0xff0000, 0xff00, 0xff}},
			layout{32, [4]uint32{0xff0000, 0xff00, 0xff, 0xff000000}},
			layout{32, [4]uint32{}}:
			return fromBytes(4, 2, 1, 0), nil
		case layout{32, [4]uint32{0xff000000, 0xff0000, 0xff00}},
			layout{32, [4]uint32{0xff000000, 0xff0000, 0xff00, 0xff}}:
			return fromBytes(4, 3, 2, 1), nil
		case layout{32, [4]uint32{0xff000000, 0xff00, 0xff}},
			layout{32, [4]uint32{0xff000000, 0xff00, 0xff, 0xff0000}}:
			return fromBytes(4, 3, 1, 0), nil
		case layout{32, [4]uint32{0xff, 0xff00, 0xff0000, 0xff000000}}:
			return fromBytes(4, 0, 1, 2), nil
		}
	}
	return nil, fmt.Errorf("%d bits a pixel with masks %08x is not read; %s", h.bits, h.masks, convert)
}

// colorTable is the palette; one that is gray by index is gray past its end too.
func (h *bmpHeader) colorTable() palette {
	var p palette
	gray := h.bits == 8
	for i := 0; i < len(p) && (i+1)*h.colorSize <= len(h.palette); i++ {
		c := h.palette[i*h.colorSize:]
		p[i] = [3]byte{c[2], c[1], c[0]}
		gray = gray && p[i] == [3]byte{byte(i), byte(i), byte(i)}
	}
	if gray {
		return grayPalette(8)
	}
	return p
}

// fromBytes takes R, G and B at offsets of a pixel of n bytes.
func fromBytes(n, r, g, b int) rowConverter {
	return func(dst, src []byte, w int) {
		for i := range w {
			s, d := src[n*i:n*i+n], dst[3*i:3*i+3]
			d[0], d[1], d[2] = s[r], s[g], s[b]
		}
	}
}

// from16 takes R, G and B at bit offsets of a little-endian pixel of two bytes. R and B
// have 5 bits, G as many as greenMax says: v·255/max, truncated.
func from16(r, g, b, greenMax int) rowConverter {
	return func(dst, src []byte, w int) {
		for i := range w {
			v := int(src[2*i]) | int(src[2*i+1])<<8
			d := dst[3*i : 3*i+3]
			d[0] = byte(v >> r & 31 * 255 / 31)
			d[1] = byte(v >> g & greenMax * 255 / greenMax)
			d[2] = byte(v >> b & 31 * 255 / 31)
		}
	}
}

// runs decodes run-length coded indexes of 8 or 4 bits. What the codes skip is index 0.
func (h *bmpHeader) runs(data []byte) (*RGB, error) {
	four := h.compression == bmpRLE4
	if want := map[bool]int{false: 8, true: 4}[four]; h.bits != want {
		return nil, fmt.Errorf("run-length compression %d with %d bits a pixel, want %d", h.compression, h.bits, want)
	}
	colors := h.colorTable()
	img := NewRGB(h.width, h.height)
	for i := 0; i < len(img.Pix) && colors[0] != [3]byte{}; i += 3 {
		copy(img.Pix[i:i+3], colors[0][:])
	}
	x, y := 0, 0
	put := func(index byte) {
		if x < h.width && y < h.height { // a run that passes the edge is cut there
			copy(img.Row(h.row(y))[3*x:], colors[index][:])
		}
		x++
	}
	r := &byteReader{data: data}
	for y < h.height {
		count, value := int(r.byte()), r.byte()
		if r.short {
			return nil, fmt.Errorf("run-length data end at row %d of %d; the file is truncated", y, h.height)
		}
		const endOfLine, endOfImage, move = 0, 1, 2
		switch {
		case count > 0:
			for i := range count {
				put(h.runIndex(value, i))
			}
		case value == endOfLine:
			x, y = 0, y+1
		case value == endOfImage:
			return img, nil
		case value == move:
			x += int(r.byte())
			y += int(r.byte())
		default: // as many indexes as value says, padded to 16 bits
			n := int(value)
			if four {
				n = (n + 1) / 2
			}
			literal := r.take(n)
			if len(literal) < n {
				return nil, fmt.Errorf("run-length data end at row %d of %d; the file is truncated", y, h.height)
			}
			for i := range int(value) {
				if four {
					put(h.runIndex(literal[i/2], i))
				} else {
					put(literal[i])
				}
			}
			r.skip(n & 1)
		}
	}
	return img, nil
}

// runIndex is index i of a run: runs of 4-bit indexes alternate between two.
func (h *bmpHeader) runIndex(value byte, i int) byte {
	switch {
	case h.bits == 8:
		return value
	case i&1 == 0:
		return value >> 4
	}
	return value & 15
}
