package imageproc

// The conversions of Pillow's Convert.c to RGB, row by row: dst has three bytes a
// pixel, src what the name says. Formats share them.

// rowConverter writes w pixels to dst from a row of samples as a file stores them.
type rowConverter func(dst, src []byte, w int)

func fromRGB(dst, src []byte, w int) { copy(dst[:3*w], src) }

// fromGray copies the sample to all three channels.
func fromGray(dst, src []byte, w int) {
	dst = dst[:3*w]
	for i, v := range src[:w] {
		d := dst[3*i : 3*i+3]
		d[0], d[1], d[2] = v, v, v
	}
}

// fromGrayAlpha and fromRGBA drop alpha: a transparent pixel shows its hidden colour.
func fromGrayAlpha(dst, src []byte, w int) {
	for i := range w {
		v := src[2*i]
		d := dst[3*i : 3*i+3]
		d[0], d[1], d[2] = v, v, v
	}
}

func fromRGBA(dst, src []byte, w int) {
	for i := range w {
		copy(dst[3*i:3*i+3], src[4*i:4*i+3])
	}
}

// fromGray16 clips samples of two bytes: 256 and more are 255. It is what Pillow's
// mode I;16 does, and not v>>8.
func fromGray16(high, low int) rowConverter {
	return func(dst, src []byte, w int) {
		for i := range w {
			v := src[2*i+low]
			if src[2*i+high] != 0 {
				v = 255
			}
			d := dst[3*i : 3*i+3]
			d[0], d[1], d[2] = v, v, v
		}
	}
}

// fromHighBytes takes the high byte of each of the first samples of a pixel of n
// 16-bit samples; a single one is gray.
func fromHighBytes(n, colors, high int) rowConverter {
	return func(dst, src []byte, w int) {
		for i := range w {
			s, d := src[2*n*i+high:], dst[3*i:3*i+3]
			if colors == 1 {
				d[0], d[1], d[2] = s[0], s[0], s[0]
			} else {
				d[0], d[1], d[2] = s[0], s[2], s[4]
			}
		}
	}
}

// A palette holds 256 colours; those that a file does not give are black.
type palette [256][3]byte

// paletteOf reads colours of three bytes, R G B.
func paletteOf(colors []byte) (p palette) {
	for i := 0; i < len(p) && 3*i+3 <= len(colors); i++ {
		copy(p[i][:], colors[3*i:])
	}
	return p
}

// grayPalette is the one of indexed samples that are gray of the given depth: 1 bit
// gives 0 and 255, 2 bits v·85, 4 bits v·17.
func grayPalette(bits int) (p palette) {
	top := 1<<bits - 1
	for i := range top + 1 {
		v := byte(i * 255 / top)
		p[i] = [3]byte{v, v, v}
	}
	return p
}

// fromPalette looks up samples of 1, 2, 4 or 8 bits, the first in the highest bits.
func fromPalette(p *palette, bits int) rowConverter {
	return func(dst, src []byte, w int) {
		mask := byte(1<<bits - 1)
		for i := range w {
			at := i * bits
			v := src[at>>3] >> (8 - bits - at&7) & mask
			copy(dst[3*i:3*i+3], p[v][:])
		}
	}
}

// fromCMYK: with nk = 255−K, each of R, G, B is nk less the product of ink and nk.
func fromCMYK(dst, src []byte, w int) {
	for i := range w {
		s, d := src[4*i:4*i+4], dst[3*i:3*i+3]
		nk := 255 - int(s[3])
		for c := range d {
			d[c] = byte(min(max(nk-mulDiv255(int(s[c]), nk), 0), 255))
		}
	}
}

// mulDiv255 is a·b/255 rounded, as Pillow computes it without a division.
func mulDiv255(a, b int) int {
	t := a*b + 128
	return (t>>8 + t) >> 8
}
