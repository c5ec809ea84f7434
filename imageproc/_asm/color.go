package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// color writes JFIF's equations, 32 pixels at a time, in 16 bits: with u, v the chroma
// less 128, the factors of 16 fractional bits are split into a whole number and a rest,
//
//	R = y + v + round(26345·v/2¹⁶)
//	G = y − v + round((18734·v − 22554·u)/2¹⁶)
//	B = y + 2u − round(14942·u/2¹⁶)
//
// VPMULHRSW rounds at 2¹⁵, so red and blue take half the rest. 26345 is odd: 13173 gives
// the same for every v from −128 to 127.
func color() {
	function("ycbcrToRGBAVX2", "func(dst, y, cb, cr *byte, n int)",
		"ycbcrToRGBAVX2 converts 32·n pixels, n > 0, to 3 bytes each.")
	dst, luma, cb, cr, n := param("dst"), param("y"), param("cb"), param("cr"), param("n")
	nought, mid := zero(), YMM()
	VMOVDQU(bytes("mid", 0x80), mid)

	Label("loop")
	y, u, v := YMM(), YMM(), YMM()
	VMOVDQU(Mem{Base: luma}, y)
	VPXOR(Mem{Base: cb}, mid, u)
	VPXOR(Mem{Base: cr}, mid, v)
	var red, green, blue [2]VecVirtual
	for i := range 2 {
		unpack := VPUNPCKLBW
		if i == 1 {
			unpack = VPUNPCKHBW
		}
		yi, ui, vi := YMM(), YMM(), YMM()
		unpack(nought, y, yi)
		unpack(u, nought, ui) // times 256, which the shift takes away
		unpack(v, nought, vi)
		VPSRAW(U8(8), ui, ui)
		VPSRAW(U8(8), vi, vi)

		g, upper := YMM(), YMM()
		VPUNPCKLWD(vi, ui, g)
		VPUNPCKHWD(vi, ui, upper)
		for _, x := range []VecVirtual{g, upper} {
			VPMADDWD(words("green", -22554, 18734), x, x)
			VPADDD(dwords("half", 1<<15), x, x)
			VPSRAD(U8(16), x, x)
		}
		VPACKSSDW(upper, g, g)
		VPSUBW(vi, g, g)
		VPADDW(yi, g, g)

		r, b := YMM(), YMM()
		VPMULHRSW(words("red", 13173), vi, r)
		VPADDW(vi, r, r)
		VPADDW(yi, r, r)
		VPMULHRSW(words("blue", -7471), ui, b)
		VPADDW(ui, ui, ui)
		VPADDW(ui, b, b)
		VPADDW(yi, b, b)
		red[i], green[i], blue[i] = r, g, b
	}
	for _, c := range [][2]VecVirtual{red, green, blue} {
		VPACKUSWB(c[1], c[0], c[0]) // clips
	}
	storeInterleaved(dst, [3]VecVirtual{red[0], green[0], blue[0]})
	ADDQ(U8(32), luma)
	ADDQ(U8(32), cb)
	ADDQ(U8(32), cr)
	ADDQ(U8(96), dst)
	DECQ(n)
	JNZ(LabelRef("loop"))
	done()
}

// storeInterleaved writes 96 bytes r g b r g b …. Of the 48 that a half of the vectors
// makes, byte 16j+i is of channel (i+j) mod 3: over the three j, each place i of a
// channel is used once. So a channel is permuted once, and blends do the rest.
func storeInterleaved(dst Register, rgb [3]VecVirtual) {
	for c, v := range rgb {
		places := make([]int, 16)
		for i := range places {
			j := (c - i%3 + 3) % 3
			places[i] = (16*j + i) / 3
		}
		VPSHUFB(bytes([]string{"placesR", "placesG", "placesB"}[c], places...), v, v)
	}
	masks := [3]VecVirtual{}
	for k := range masks { // places i with i mod 3 = k
		mask := make([]int, 48)
		for i := k; i < len(mask); i += 3 {
			mask[i] = 0xff
		}
		masks[k] = YMM()
		VMOVDQU(bytes([]string{"thirds0", "thirds1", "thirds2"}[k], mask[:16]...), masks[k])
	}
	var out [3]VecVirtual
	for j := range out {
		v := YMM()
		VPBLENDVB(masks[(4-j)%3], rgb[1], rgb[0], v)
		VPBLENDVB(masks[(5-j)%3], rgb[2], v, v)
		out[j] = v
	}
	for j, v := range out {
		VMOVDQU(v.AsX(), Mem{Base: dst, Disp: 16 * j})
		VEXTRACTI128(U8(1), v, Mem{Base: dst, Disp: 48 + 16*j})
	}
}
