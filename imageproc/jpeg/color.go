package jpeg

// convert makes one row of pixels of one row of each component.
func convert(dst []byte, rows [4][]byte, space ColorSpace) {
	switch space {
	case SpaceGray:
		copy(dst, rows[0])
	case SpaceRGB:
		interleave(dst, 3, 0, rows[0], 0)
		interleave(dst, 3, 1, rows[1], 0)
		interleave(dst, 3, 2, rows[2], 0)
	case SpaceYCbCr:
		ycbcrToRGB(dst, rows[0], rows[1], rows[2])
	case SpaceCMYK:
		for i, row := range rows {
			interleave(dst, 4, i, row, 255)
		}
	case SpaceYCCK:
		ycckToCMYK(dst, rows[0], rows[1], rows[2], rows[3])
	}
}

// interleave writes src, each byte xor mask, to every step-th byte of dst from dst[first].
func interleave(dst []byte, step, first int, src []byte, mask byte) {
	for i, v := range src {
		dst[i*step+first] = v ^ mask
	}
}

// ycbcrToRGBGeneric is ycbcrToRGB in portable Go: it converts len(y) pixels to 3 bytes each.
func ycbcrToRGBGeneric(dst, y, cb, cr []byte) {
	cb, cr = cb[:len(y)], cr[:len(y)]
	for i := range y {
		l, u, v := int32(y[i])<<16+1<<15, int32(cb[i])-128, int32(cr[i])-128
		p := dst[3*i:][:3]
		p[0], p[1], p[2] = red(l, v), green(l, u, v), blue(l, u)
	}
}

// ycckToCMYK converts len(y) pixels to 4 bytes each. The file's C, M, Y are 255 less the
// RGB of the formulas, and Adobe's inversion takes that back (processor.md §5.6).
func ycckToCMYK(dst, y, cb, cr, k []byte) {
	cb, cr, k = cb[:len(y)], cr[:len(y)], k[:len(y)]
	for i := range y {
		l, u, v := int32(y[i])<<16+1<<15, int32(cb[i])-128, int32(cr[i])-128
		p := dst[4*i:][:4]
		p[0], p[1], p[2], p[3] = red(l, v), green(l, u, v), blue(l, u), 255-k[i]
	}
}

// JFIF's equations in 16 fractional bits (processor.md §5.5): l is luma with a half added,
// u and v are Cb and Cr less 128.

func red(l, v int32) uint8      { return clamp((l + 91881*v) >> 16) }
func green(l, u, v int32) uint8 { return clamp((l - 22554*u - 46802*v) >> 16) }
func blue(l, u int32) uint8     { return clamp((l + 116130*u) >> 16) }

// CMYKToRGB converts pixels of 4 bytes, where 0 is no ink, to pixels of 3, as Pillow does
// (processor.md §2.2): each colour is 255−K less its share of that. It panics if dst
// holds less than len(src)/4 pixels.
func CMYKToRGB(dst, src []byte) {
	for i := range len(src) / 4 {
		s, d := src[4*i:][:4], dst[3*i:][:3]
		white := 255 - uint32(s[3])
		for c := range d {
			d[c] = uint8(white - share(uint32(s[c]), white))
		}
	}
}

// share is a·b/255, rounded.
func share(a, b uint32) uint32 {
	t := a*b + 128
	return (t>>8 + t) >> 8
}
