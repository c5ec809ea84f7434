package quant

// Q6_K (spec/checkpoint.md §8.2): a block is
//
//	128 bytes of low nibbles | 64 bytes of high pairs | 16 × i8 scales | f16 d
//	x = (d·scale)·(q − 32)
//
// with a scale for every 16 values. In half n = 0, 1 of the block, the l-th of 32 bytes of
// high pairs serves the values l, l+32, l+64 and l+96; low nibbles of bytes l and l+32
// serve the first two, their high nibbles the others.

func decodeQ6_K(x []float32, block []byte) {
	d := scaleOf(block[208:])
	for n := range 2 {
		low, pairs, scales := block[64*n:64*n+64], block[128+32*n:160+32*n], block[192+8*n:200+8*n]
		y := x[128*n : 128*n+128]
		for l, h := range pairs {
			a, b := low[l], low[l+32]
			at := l / 16
			y[l] = d * float32(int8(scales[at])) * float32(int32(a&15|h&3<<4)-32)
			y[l+32] = d * float32(int8(scales[at+2])) * float32(int32(b&15|h>>2&3<<4)-32)
			y[l+64] = d * float32(int8(scales[at+4])) * float32(int32(a>>4|h>>4&3<<4)-32)
			y[l+96] = d * float32(int8(scales[at+6])) * float32(int32(b>>4|h>>6<<4)-32)
		}
	}
}

// tiny is the magnitude below which values count as zeros (§8.3).
const tiny = 1e-15

// encodeQ6_K fits every 16 values, rounds the scales to 8 bits of the one of largest
// magnitude, and then takes the codes that are nearest with the rounded ones (§8.3).
func encodeQ6_K(block []byte, x []float32) bool {
	if abs(x[largest(x)]) > 65504*128*32 { // more than any scale reaches; cubes of far larger ones overflow below
		return false
	}
	var codes [superValues]uint8
	var scales [16]float32
	for j := range scales {
		sub := (*[16]float32)(x[16*j:])
		var squares [16]float32
		for i, v := range sub {
			squares[i] = float32(v * v)
		}
		scales[j] = fitQ6_K(codes[16*j:16*j+16], sub, &squares)
	}
	most := scales[largest(scales[:])]
	clear(block)
	if abs(most) < tiny {
		return true
	}
	per := -128 / most
	ok := putScale(block[208:], 1/per)
	d := scaleOf(block[208:])
	for j, s := range scales {
		scale := int8(nearIn(float32(per*s), -128, 127))
		block[192+j] = byte(scale)
		step := d * float32(scale)
		if step == 0 {
			continue // nothing to divide by: the first codes stay
		}
		for i, v := range x[16*j : 16*j+16] {
			codes[16*j+i] = uint8(nearCode(v/step, -32, 31) + 32)
		}
	}
	putCodesQ6_K(block, &codes)
	return ok
}

func putCodesQ6_K(block []byte, codes *[superValues]uint8) {
	clear(block[:192])
	for n := range 2 {
		q := codes[128*n : 128*n+128]
		for l := range 32 {
			block[64*n+l] = q[l]&15 | q[l+64]<<4
			block[64*n+32+l] = q[l+32]&15 | q[l+96]<<4
			block[128+32*n+l] = q[l]>>4 | q[l+32]>>4<<2 | q[l+64]>>4<<4 | q[l+96]>>4<<6
		}
	}
}

// fitQ6_K finds the scale for which scale·(code − 32) is nearest to x, in the sum of squares
// weighted with weights, over 19 roundings; it writes the codes, from 0 to 63. With the codes
// fixed the best scale is Σwxl/Σwl², and the error falls as (Σwxl)²/Σwl² rises.
func fitQ6_K(codes []uint8, v, weights *[16]float32) (scale float32) {
	m := v[largest(v[:])]
	if abs(m) < tiny {
		clear(codes)
		return 0
	}
	var weighted [16]float32
	for i, v := range v {
		weighted[i] = float32(weights[i] * v)
	}
	sums := func(per float32) (sxl, sll float32) {
		for i, v := range v {
			l := nearCode(float32(per*v), -32, 31)
			sxl += float32(weighted[i] * l)
			sll += float32(float32(weights[i]*l) * l)
		}
		return sxl, sll
	}
	taken := -32 / m
	sxl, sll := sums(taken)
	if sll > 0 {
		scale = sxl / sll
	}
	best := scale * sxl
	for t := -9; t <= 9; t++ {
		if t == 0 {
			continue
		}
		per := -(32 + float32(0.1*float32(t))) / m
		sxl, sll := sums(per)
		if sll > 0 && float32(sxl*sxl) > float32(best*sll) {
			scale = sxl / sll
			best = scale * sxl
			taken = per
		}
	}
	for i, v := range v {
		codes[i] = uint8(nearCode(float32(taken*v), -32, 31) + 32)
	}
	return scale
}
