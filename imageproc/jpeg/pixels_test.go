package jpeg

import (
	"bytes"
	"encoding/binary"
	"regexp"
)

// rgb gives the pixels of any model as RGB.
func rgb(img *Image) []byte {
	switch img.Model {
	case Gray:
		out := make([]byte, 0, 3*len(img.Pix))
		for _, v := range img.Pix {
			out = append(out, v, v, v)
		}
		return out
	case CMYK:
		out := make([]byte, len(img.Pix)/4*3)
		CMYKToRGB(out, img.Pix)
		return out
	}
	return img.Pix
}

// upright turns an image by its EXIF or XMP orientation, which the recorded pixels have
// behind them.
func upright(img *Image) *Image {
	o := orientation(img.Exif)
	if o == 0 {
		if m := regexp.MustCompile(`tiff:Orientation(?:="|>)([0-9])`).FindSubmatch(img.XMP); m != nil {
			o = int(m[1][0] - '0')
		}
	}
	if o < 2 || o > 8 {
		return img
	}
	w, h, n := img.Width, img.Height, img.Model.Channels()
	out := &Image{Width: w, Height: h, Model: img.Model}
	if o >= 5 {
		out.Width, out.Height = h, w
	}
	for y := range out.Height {
		for x := range out.Width {
			sx, sy := x, y
			if o >= 5 {
				sx, sy = y, x
			}
			if o == 2 || o == 3 || o == 7 || o == 8 {
				sx = w - 1 - sx
			}
			if o == 3 || o == 4 || o == 6 || o == 7 {
				sy = h - 1 - sy
			}
			at := (sy*w + sx) * n
			out.Pix = append(out.Pix, img.Pix[at:at+n]...)
		}
	}
	return out
}

// orientation reads tag 0x0112 of a TIFF structure, or 0.
func orientation(exif []byte) int {
	var order binary.ByteOrder = binary.LittleEndian
	if bytes.HasPrefix(exif, []byte("MM")) {
		order = binary.BigEndian
	}
	if len(exif) < 10 || order.Uint16(exif[2:]) != 42 {
		return 0
	}
	at := int(order.Uint32(exif[4:]))
	for n := 0; at+2 <= len(exif) && n < int(order.Uint16(exif[at:])); n++ {
		e := exif[min(at+2+12*n, len(exif)):]
		if len(e) < 12 {
			return 0
		}
		if order.Uint16(e) == 0x0112 {
			switch order.Uint16(e[2:]) {
			case 3:
				return int(order.Uint16(e[8:]))
			case 4:
				return int(order.Uint32(e[8:]))
			}
			return 0
		}
	}
	return 0
}
