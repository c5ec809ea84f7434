package imageproc

import (
	"bytes"
	"encoding/binary"
)

// orientation returns how a picture is to be turned: by tag 0x0112 of IFD0 of the EXIF
// block; where that lacks the tag, by the digit after tiff:Orientation in the XMP
// packet. Only 1 to 8 mean something.
func orientation(exif, xmp []byte) int {
	v, found := exifOrientation(exif)
	if !found {
		v = xmpOrientation(xmp)
	}
	return v
}

// exifOrientation reads the tag from a TIFF structure. found says that the tag is
// there, whatever it holds: only SHORT and LONG have a value.
func exifOrientation(exif []byte) (value int, found bool) {
	for range 2 { // some writers put the prefix twice, and Pillow takes both away
		exif = bytes.TrimPrefix(exif, []byte("Exif\x00\x00"))
	}
	var order binary.ByteOrder
	switch {
	case len(exif) < 8:
		return 0, false
	case string(exif[:4]) == "II*\x00":
		order = binary.LittleEndian
	case string(exif[:4]) == "MM\x00*":
		order = binary.BigEndian
	default:
		return 0, false
	}
	at := int64(order.Uint32(exif[4:]))
	if at+2 > int64(len(exif)) {
		return 0, false
	}
	ifd := exif[at:]
	entries := int(order.Uint16(ifd))
	ifd = ifd[2:]
	for ; entries > 0 && len(ifd) >= 12; entries, ifd = entries-1, ifd[12:] {
		if order.Uint16(ifd) != 0x0112 {
			continue
		}
		const short, long = 3, 4
		switch count := order.Uint32(ifd[4:]); {
		case count == 1 && order.Uint16(ifd[2:]) == short:
			return int(order.Uint16(ifd[8:])), true
		case count == 1 && order.Uint16(ifd[2:]) == long:
			return int(min(order.Uint32(ifd[8:]), 1<<16)), true
		}
		return 0, true
	}
	return 0, false
}

// xmpOrientation finds tiff:Orientation="D or tiff:Orientation>D.
func xmpOrientation(xmp []byte) int {
	key := []byte("tiff:Orientation")
	for {
		_, after, found := bytes.Cut(xmp, key)
		if !found {
			return 0
		}
		xmp = after
		for _, quote := range []string{`="`, ">"} {
			if v, ok := bytes.CutPrefix(after, []byte(quote)); ok && len(v) > 0 && v[0] >= '0' && v[0] <= '9' {
				return int(v[0] - '0')
			}
		}
	}
}

// orient turns a stored picture upright. 2 mirrors it, 3 turns it by 180°, 4 flips it,
// 5 transposes, 6 turns it clockwise by 90°, 7 transposes across the other diagonal,
// 8 turns it counter-clockwise by 90°. With 1 it is returned as it is.
func orient(img *RGB, orientation int) *RGB {
	w, h := img.Width, img.Height
	// Where the pixel (x, y) of the result comes from: a start and two steps, in pixels.
	var start, dx, dy int
	switch orientation {
	case 2:
		start, dx, dy = w-1, -1, w
	case 3:
		start, dx, dy = h*w-1, -1, -w
	case 4:
		start, dx, dy = (h-1)*w, 1, -w
	case 5:
		start, dx, dy = 0, w, 1
	case 6:
		start, dx, dy = (h-1)*w, -w, 1
	case 7:
		start, dx, dy = h*w-1, -w, -1
	case 8:
		start, dx, dy = w-1, w, -1
	default:
		return img
	}
	if orientation >= 5 {
		w, h = h, w
	}
	out := NewRGB(w, h)
	for y := range h {
		row := out.Row(y)
		from := 3 * (start + y*dy)
		for x := 0; x < len(row); x += 3 {
			copy(row[x:x+3], img.Pix[from:from+3])
			from += 3 * dx
		}
	}
	return out
}
