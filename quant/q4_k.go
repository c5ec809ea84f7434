package quant

import "math"

// superValues is the number of values in a block of the K types.
const superValues = 256

// Q4_K (spec/checkpoint.md §8.2): a block is
//
//	f16 d | f16 dmin | 12 bytes of 6-bit scales and minima | 128 bytes of codes
//	x = (d·scale)·q − (dmin·min)
//
// with a scale and a minimum for each of eight sub-blocks of 32.

func decodeQ4_K(x []float32, block []byte) {
	d, dmin := scaleOf(block), scaleOf(block[2:])
	packed, codes := block[4:16], block[16:144]
	for pair := range 4 {
		s, m := scaleMin(packed, 2*pair)
		d0, m0 := d*float32(s), dmin*float32(m)
		s, m = scaleMin(packed, 2*pair+1)
		d1, m1 := d*float32(s), dmin*float32(m)
		low, high := x[64*pair:64*pair+32], x[64*pair+32:64*pair+64]
		for i, b := range codes[32*pair : 32*pair+32] {
			low[i] = float32(d0*float32(b&15)) - m0
			high[i] = float32(d1*float32(b>>4)) - m1
		}
	}
}

// scaleMin unpacks the 6-bit scale and minimum of sub-block j.
func scaleMin(packed []byte, j int) (scale, least byte) {
	if j < 4 {
		return packed[j] & 63, packed[j+4] & 63
	}
	return packed[j+4]&15 | packed[j-4]>>6<<4, packed[j+4]>>4 | packed[j]>>6<<4
}

// putScaleMin is the inverse of scaleMin, on bytes that were zero.
func putScaleMin(packed []byte, j int, scale, least byte) {
	if j < 4 {
		packed[j] |= scale
		packed[j+4] |= least
		return
	}
	packed[j+4] = scale&15 | least<<4
	packed[j-4] |= scale >> 4 << 6
	packed[j] |= least >> 4 << 6
}

// encodeQ4_K fits every sub-block, rounds the scales and minima to 6 bits of the block's
// largest, and then takes the codes that are nearest with the rounded ones (§8.3).
func encodeQ4_K(block []byte, x []float32) bool {
	var codes [superValues]uint8
	var scales, minima [8]float32
	var mostScale, mostMin float32
	for j := range 8 {
		sub := (*[32]float32)(x[32*j:])
		scales[j], minima[j] = fitQ4_K(codes[32*j:32*j+32], sub, magnitudes(sub))
		mostScale, mostMin = max(mostScale, scales[j]), max(mostMin, minima[j])
	}
	ok := putScale(block, mostScale/63)
	ok = putScale(block[2:], mostMin/63) && ok
	d, dmin := scaleOf(block), scaleOf(block[2:])

	packed := block[4:16]
	clear(packed)
	perScale, perMin := toSixBits(mostScale), toSixBits(mostMin)
	for j := range 8 {
		scale := byte(nearIn(perScale*scales[j], 0, 63))
		least := byte(nearIn(perMin*minima[j], 0, 63))
		putScaleMin(packed, j, scale, least)
		step, low := d*float32(scale), dmin*float32(least)
		if step == 0 {
			continue // nothing to divide by: the first codes stay
		}
		for i, v := range x[32*j : 32*j+32] {
			codes[32*j+i] = uint8(nearCode((v+low)/step, 0, 15))
		}
	}
	putCodesQ4_K(block, &codes)
	return ok
}

func putCodesQ4_K(block []byte, codes *[superValues]uint8) {
	for pair := range 4 {
		for i := range 32 {
			block[16+32*pair+i] = codes[64*pair+i] | codes[64*pair+32+i]<<4
		}
	}
}

// magnitudes are llama.cpp's weights of an error where nothing is known of the inputs: rms(x) + |x|.
func magnitudes(x *[32]float32) *[32]float32 {
	squares := float32(0)
	for _, v := range x {
		squares += float32(v * v)
	}
	rms := float32(math.Sqrt(float64(squares / 32)))
	var w [32]float32
	for i, v := range x {
		w[i] = rms + abs(v)
	}
	return &w
}

// toSixBits returns what a scale is multiplied by so that most becomes 63.
func toSixBits(most float32) float32 {
	if most > 0 {
		return min(63/most, math.MaxFloat32)
	}
	return 0
}

// fitQ4_K finds scale and least ≥ 0 such that scale·code − least is near x, for codes from 0
// to 15, which it writes. The error Σ w(scale·code − least − x)² is minimized over 22 roundings: for each, the codes are fixed first and the line then fitted
// through them by weighted least squares. A better minimum is kept for the roundings that
// follow, as in llama.cpp.
func fitQ4_K(codes []uint8, v, weights *[32]float32) (scale, least float32) {
	const most = 15
	lo, hi := v[0], v[0]
	var sw, sx float32
	for i, v := range v {
		w := weights[i]
		sw += w
		sx += float32(w * v)
		lo, hi = min(lo, v), max(hi, v)
	}
	lo = min(lo, 0)
	if hi == lo {
		clear(codes)
		return 0, -lo
	}

	per := most / (hi - lo)
	scale = 1 / per
	taken, from := per, lo // of the codes that are kept
	best := float32(0)
	for i, v := range v {
		off := float32(scale*nearCode(float32(per*(v-lo)), 0, most)) + lo - v
		best += float32(weights[i] * float32(off*off))
	}
	var trial [32]float32
	for t := range 21 {
		per := (-1 + float32(0.1*float32(t)) + most) / (hi - lo)
		var sl, sll, sxl float32
		for i, v := range v {
			code := nearCode(float32(per*(v-lo)), 0, most)
			trial[i] = code
			wl := float32(weights[i] * code)
			sl += wl
			sll += float32(wl * code)
			sxl += float32(wl * v)
		}
		det := float32(sw*sll) - float32(sl*sl)
		if !(det > 0) {
			continue
		}
		slope := (float32(sw*sxl) - float32(sx*sl)) / det
		low := (float32(sll*sx) - float32(sl*sxl)) / det
		if low > 0 {
			low, slope = 0, sxl/sll
		}
		e := float32(0)
		for i, v := range v {
			off := float32(slope*trial[i]) + low - v
			e += float32(weights[i] * float32(off*off))
		}
		if e < best {
			taken, from = per, lo
			best, scale, lo = e, slope, low
		}
	}
	for i, v := range v {
		codes[i] = uint8(nearCode(float32(taken*(v-from)), 0, most))
	}
	return scale, -lo
}
