package jpeg

import (
	"encoding/binary"
	"math"
)

// The inverse transform is that of libjpeg's jidctint (Loeffler, Ligtenberg and
// Moschytz, ICASSP 1989), in the arithmetic of its SIMD versions, which make the
// reference's pixels: coefficients and the sums of two of them have 16 bits and wrap,
// products and their sums have 32, and the first pass saturates at 16. Only corrupt
// files reach those bounds.

// Constants of 13 fractional bits.
const (
	fix0_298631336 = 2446
	fix0_390180644 = 3196
	fix0_541196100 = 4433
	fix0_765366865 = 6270
	fix0_899976223 = 7373
	fix1_175875602 = 9633
	fix1_501321110 = 12299
	fix1_847759065 = 15137
	fix1_961570560 = 16069
	fix2_053119869 = 16819
	fix2_562915447 = 20995
	fix3_072711026 = 25172
)

const (
	firstRow = 1<<0 | 1<<1 | 1<<5 | 1<<6 | 1<<14 | 1<<15 | 1<<27 | 1<<28 // of a block, as bits in zigzag order
	corner   = 1<<10 - 1                                                 // coefficients whose row and column add to 3 or less
)

// idctGeneric is idct in portable Go. It transforms b, dequantized, to 8 rows of 8 samples at dst[0], dst[stride], ….
// Bit k of used is set where coefficient k of the zigzag order may differ from zero.
func idctGeneric(dst []byte, stride int, b *block, used uint64) {
	switch {
	case used <= 1:
		idctDC(dst, stride, b[0])
	case used&^firstRow == 0:
		idctFirstRow(dst, stride, b)
	case used&^corner == 0:
		idctCorner(dst, stride, b)
	default:
		idctFull(dst, stride, b)
	}
}

// idctDC is idctFull of a block with one coefficient.
func idctDC(dst []byte, stride int, dc int16) {
	w := uint64(clamp((int32(dc<<2)+16)>>5+128)) * 0x0101010101010101
	for y := range 8 {
		binary.LittleEndian.PutUint64(dst[y*stride:], w)
	}
}

// idctFirstRow is idctFull of a block with coefficients in its first row alone. The
// reference then scales by a shift that wraps, where it saturates otherwise.
func idctFirstRow(dst []byte, stride int, b *block) {
	var row [8]byte
	putRow(row[:], int32(b[0]<<2), int32(b[1]<<2), int32(b[2]<<2), int32(b[3]<<2),
		int32(b[4]<<2), int32(b[5]<<2), int32(b[6]<<2), int32(b[7]<<2))
	w := binary.LittleEndian.Uint64(row[:])
	for y := range 8 {
		binary.LittleEndian.PutUint64(dst[y*stride:], w)
	}
}

// idctCorner is idctFull of a block with coefficients in its upper left quarter alone.
func idctCorner(dst []byte, stride int, b *block) {
	var ws [8][4]int32
	for x := range 4 {
		v0, v1, v2, v3, v4, v5, v6, v7 := transform4(int32(b[x]), int32(b[8+x]), int32(b[16+x]), int32(b[24+x]))
		ws[0][x], ws[1][x], ws[2][x], ws[3][x] = descale(v0), descale(v1), descale(v2), descale(v3)
		ws[4][x], ws[5][x], ws[6][x], ws[7][x] = descale(v4), descale(v5), descale(v6), descale(v7)
	}
	for y := range ws {
		w := &ws[y]
		v0, v1, v2, v3, v4, v5, v6, v7 := transform4(w[0], w[1], w[2], w[3])
		d := dst[y*stride:][:8]
		d[0], d[1], d[2], d[3] = sample(v0), sample(v1), sample(v2), sample(v3)
		d[4], d[5], d[6], d[7] = sample(v4), sample(v5), sample(v6), sample(v7)
	}
}

func idctFull(dst []byte, stride int, b *block) {
	var ws [8][8]int32
	for x := range 8 {
		if b[8+x]|b[16+x]|b[24+x]|b[32+x]|b[40+x]|b[48+x]|b[56+x] == 0 {
			v := saturate(int32(b[x]) << 2)
			ws[0][x], ws[1][x], ws[2][x], ws[3][x] = v, v, v, v
			ws[4][x], ws[5][x], ws[6][x], ws[7][x] = v, v, v, v
			continue
		}
		v0, v1, v2, v3, v4, v5, v6, v7 := transform8(int32(b[x]), int32(b[8+x]), int32(b[16+x]), int32(b[24+x]),
			int32(b[32+x]), int32(b[40+x]), int32(b[48+x]), int32(b[56+x]))
		ws[0][x], ws[1][x], ws[2][x], ws[3][x] = descale(v0), descale(v1), descale(v2), descale(v3)
		ws[4][x], ws[5][x], ws[6][x], ws[7][x] = descale(v4), descale(v5), descale(v6), descale(v7)
	}
	for y := range ws {
		w := &ws[y]
		putRow(dst[y*stride:], w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7])
	}
}

// putRow is a row of the second pass.
func putRow(dst []byte, w0, w1, w2, w3, w4, w5, w6, w7 int32) {
	v0, v1, v2, v3, v4, v5, v6, v7 := transform8(w0, w1, w2, w3, w4, w5, w6, w7)
	d := dst[:8]
	d[0], d[1], d[2], d[3] = sample(v0), sample(v1), sample(v2), sample(v3)
	d[4], d[5], d[6], d[7] = sample(v4), sample(v5), sample(v6), sample(v7)
}

// transform8 is the transform of 8 points, without its scaling by 2^-13 (processor.md §5.2).
func transform8(v0, v1, v2, v3, v4, v5, v6, v7 int32) (_, _, _, _, _, _, _, _ int32) {
	t1 := (v2 + v6) * fix0_541196100
	t2, t3 := t1-v6*fix1_847759065, t1+v2*fix0_765366865
	t0, t1 := int32(int16(v0+v4))<<13, int32(int16(v0-v4))<<13
	a0, a1, a2, a3 := t0+t3, t1+t2, t1-t2, t0-t3

	z1, z2 := (v7+v1)*-fix0_899976223, (v5+v3)*-fix2_562915447
	z3, z4 := int32(int16(v7+v3)), int32(int16(v5+v1))
	z5 := (z3 + z4) * fix1_175875602
	z3, z4 = z5-z3*fix1_961570560, z5-z4*fix0_390180644
	b3, b2 := v7*fix0_298631336+z1+z3, v5*fix2_053119869+z2+z4
	b1, b0 := v3*fix3_072711026+z2+z3, v1*fix1_501321110+z1+z4

	return a0 + b0, a1 + b1, a2 + b2, a3 + b3, a3 - b3, a2 - b2, a1 - b1, a0 - b0
}

// transform4 is transform8 with v4 to v7 zero.
func transform4(v0, v1, v2, v3 int32) (_, _, _, _, _, _, _, _ int32) {
	t2, t3 := v2*fix0_541196100, v2*(fix0_541196100+fix0_765366865)
	t0 := v0 << 13
	a0, a1, a2, a3 := t0+t3, t0+t2, t0-t2, t0-t3

	z1, z2 := v1*-fix0_899976223, v3*-fix2_562915447
	z5 := (v3 + v1) * fix1_175875602
	z3, z4 := z5-v3*fix1_961570560, z5-v1*fix0_390180644
	b3, b2 := z1+z3, z2+z4
	b1, b0 := v3*fix3_072711026+z2+z3, v1*fix1_501321110+z1+z4

	return a0 + b0, a1 + b1, a2 + b2, a3 + b3, a3 - b3, a2 - b2, a1 - b1, a0 - b0
}

// descale rounds a result of the first pass, keeping 2 fractional bits.
func descale(v int32) int32 { return saturate((v + 1<<10) >> 11) }

// sample rounds a result of the second pass: those bits, 13 of the constants and 3 of
// the transform's scale fall away.
func sample(v int32) uint8 { return clamp((v+1<<17)>>18 + 128) }

func saturate(v int32) int32 {
	if v != int32(int16(v)) {
		return math.MaxInt16 ^ v>>31
	}
	return v
}

func clamp(v int32) uint8 {
	if uint32(v) > 255 {
		return uint8(^v >> 31)
	}
	return uint8(v)
}
