package imageproc

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Photometric interpretations, sample formats and extra samples of TIFF.
const (
	tiffWhiteIsZero = 0
	tiffBlackIsZero = 1
	tiffRGB         = 2
	tiffPalette     = 3
	tiffCMYK        = 5
	tiffYCbCr       = 6

	tiffUnsigned = 1
	tiffSigned   = 2
	tiffFloat    = 3

	tiffPremultiplied = 1
)

// converter returns how a row of samples, uncompressed and in the file's byte order,
// becomes RGB: as Pillow's mode for this layout converts, and an error where it has
// none.
func (f *tiffFile) converter() (rowConverter, error) {
	colors := map[uint64]int{tiffRGB: 3, tiffCMYK: 4, tiffYCbCr: 3}[f.photometric]
	if colors == 0 || f.photometric == tiffYCbCr && f.samples == 1 {
		colors = 1
	}
	premultiplied := f.samples > colors && len(f.extra) > 0 && f.extra[0] == tiffPremultiplied
	if f.samples >= colors && (!premultiplied || f.photometric == tiffRGB) && (f.format == tiffUnsigned || colors == 1 && f.samples == 1) {
		if c := f.colorConverter(colors, premultiplied); c != nil {
			return c, nil
		}
	}
	return nil, fmt.Errorf("pixels of %d samples of %d bits, photometric %d, sample format %d, extra samples %d are not read; %s",
		f.samples, f.depth, f.photometric, f.format, f.extra, convert)
}

func (f *tiffFile) colorConverter(colors int, premultiplied bool) rowConverter {
	high := 0 // the offset of the high byte of 16 bits
	if f.order == binary.ByteOrder(binary.LittleEndian) {
		high = 1
	}
	switch f.photometric {
	case tiffWhiteIsZero, tiffBlackIsZero:
		return f.grayConverter(high)
	case tiffPalette:
		if f.depth <= 8 && f.depth&(f.depth-1) == 0 && (f.samples == 1 || f.depth == 8) {
			p := f.colorMap()
			return everyNth(f.samples, fromPalette(&p, f.depth))
		}
	case tiffRGB:
		switch {
		case f.depth == 8 && premultiplied:
			return fromPremultiplied(f.samples, 0, 1)
		case f.depth == 16 && premultiplied:
			return fromPremultiplied(2*f.samples, high, 2)
		case f.depth == 8:
			return fromBytes(f.samples, 0, 1, 2)
		case f.depth == 16:
			return fromHighBytes(f.samples, 3, high)
		}
	case tiffCMYK:
		switch {
		case f.depth == 8:
			return pick(f.samples, 0, 1, 4, fromCMYK)
		case f.depth == 16:
			return pick(2*f.samples, high, 2, 4, fromCMYK)
		}
	case tiffYCbCr:
		// JPEG turns these to RGB itself.
		switch {
		case f.depth == 8 && f.samples == 1:
			return fromGray
		case f.depth == 8 && f.samples == 3 && f.compression == tiffJPEG:
			return fromRGB
		}
	}
	return nil
}

// grayConverter reads gray, the extra samples dropped.
func (f *tiffFile) grayConverter(high int) rowConverter {
	switch {
	case f.depth <= 8 && f.depth&(f.depth-1) == 0 && f.format != tiffFloat && (f.samples == 1 || f.depth == 8):
		p := grayPalette(f.depth)
		if f.photometric == tiffWhiteIsZero {
			for i := range 1 << f.depth {
				p[i] = [3]byte{255 - p[i][0], 255 - p[i][1], 255 - p[i][2]}
			}
		}
		return everyNth(f.samples, fromPalette(&p, f.depth))
	case f.samples > 1:
		return nil
	case f.depth == 16 && f.format == tiffUnsigned:
		return fromGray16(high, 1-high)
	case f.depth == 16 && f.format == tiffSigned:
		return fromNumbers(2, func(b []byte) float64 { return float64(int16(f.order.Uint16(b))) })
	case f.depth == 32 && f.format == tiffFloat:
		return fromNumbers(4, func(b []byte) float64 { return float64(math.Float32frombits(f.order.Uint32(b))) })
	case f.depth == 32:
		return fromNumbers(4, func(b []byte) float64 { return float64(int32(f.order.Uint32(b))) })
	}
	return nil
}

// colorMap reads the palette: all reds, all greens, all blues, 16 bits each, of which
// the high byte counts.
func (f *tiffFile) colorMap() (p palette) {
	values := f.values(tagColorMap, 3*len(p))
	n := len(values) / 3
	for i := range n {
		p[i] = [3]byte{byte(values[i] >> 8), byte(values[n+i] >> 8), byte(values[2*n+i] >> 8)}
	}
	return p
}

// fromNumbers clips numbers of n bytes to 0..255; fractions are cut off and NaN is 0.
func fromNumbers(n int, number func([]byte) float64) rowConverter {
	return func(dst, src []byte, w int) {
		for i := range w {
			var v byte
			switch x := number(src[n*i:]); {
			case x >= 255:
				v = 255
			case x > 0:
				v = byte(x)
			}
			d := dst[3*i : 3*i+3]
			d[0], d[1], d[2] = v, v, v
		}
	}
}

// pick gathers k bytes of each pixel of n bytes, from an offset on and step apart,
// and converts those.
func pick(n, from, step, k int, convert rowConverter) rowConverter {
	return func(dst, src []byte, w int) {
		row := make([]byte, k*w)
		for i := range w {
			for c := range k {
				row[k*i+c] = src[n*i+from+step*c]
			}
		}
		convert(dst, row, w)
	}
}

// everyNth converts the first of n samples of a byte each.
func everyNth(n int, convert rowConverter) rowConverter {
	if n == 1 {
		return convert
	}
	return pick(n, 0, 1, 1, convert)
}

// fromPremultiplied divides colours by the alpha that follows them, of a pixel of n
// bytes from an offset on and step apart; where alpha is 0 the pixel is black.
func fromPremultiplied(n, from, step int) rowConverter {
	return func(dst, src []byte, w int) {
		for i := range w {
			s := src[n*i+from:]
			alpha := int(s[3*step])
			for c := range 3 {
				v := int(s[c*step])
				switch alpha {
				case 0:
					v = 0
				case 255:
				default:
					v = min(v*255/alpha, 255)
				}
				dst[3*i+c] = byte(v)
			}
		}
	}
}
