package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// resize writes the two passes of the resampler. A coefficient of 22 fractional bits is
// split into 15 lower bits and the rest, both of 16 bits with sign: VPMADDWD takes two
// samples times either, and the sums, shifted back, add up to the portable code's.
func resize() {
	resizeRows()
	mixRows()
}

// resizeRows writes the horizontal pass.
func resizeRows() {
	function("resizeRowsAVX2", "func(dst, src *[4]*byte, lo *int32, k *int16, groups, n int)",
		"resizeRowsAVX2 makes n > 0 pixels of each of 4 rows. Pixel i weighs 4·groups pixels from lo[i] on. k has for each group of each pixel 4 lower, then 4 upper parts. A byte after each row is overwritten, and 4 are read after the pixels.")
	dst, src, lo, k, groups, n := param("dst"), param("src"), param("lo"), param("k"), param("groups"), param("n")
	var from [4]Register
	for r := range from {
		from[r] = GP64()
		MOVQ(Mem{Base: src, Disp: 8 * r}, from[r])
	}
	pair := YMM() // r r g g b b of pixels 0 and 1, then of 2 and 3, as words
	VMOVDQU(bytes("pixels",
		0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1,
		6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1), pair)
	out := GP64() // 3·i
	XORQ(out, out)
	Label("pixel")
	at := GP64()
	MOVLQSX(Mem{Base: lo}, at)
	LEAQ(Mem{Base: at, Index: at, Scale: 2}, at)
	var low, high [4]VecVirtual
	for r := range low {
		low[r], high[r] = zero(), zero()
	}
	left := GP64()
	MOVQ(groups, left)
	Label("group")
	kLow, kHigh := YMM(), YMM()
	VBROADCASTI128(Mem{Base: k}, kHigh)
	VPSHUFB(bytes("kLow", repeated(0, 1, 2, 3)...), kHigh, kLow)
	VPSHUFB(bytes("kHigh", repeated(8, 9, 10, 11)...), kHigh, kHigh)
	for r := range low {
		x, y := YMM(), YMM()
		VBROADCASTI128(Mem{Base: from[r], Index: at, Scale: 1}, x)
		VPSHUFB(pair, x, x)
		VPMADDWD(kLow, x, y)
		VPMADDWD(kHigh, x, x)
		VPADDD(y, low[r], low[r])
		VPADDD(x, high[r], high[r])
	}
	ADDQ(U8(16), k)
	ADDQ(U8(12), at)
	DECQ(left)
	JNZ(LabelRef("group"))
	var sum [4]VecVirtual
	for r := range sum {
		v := high[r]
		VPSLLD(U8(15), v, v)
		VPADDD(low[r], v, v)
		VEXTRACTI128(U8(1), v, low[r].AsX())
		VPADDD(low[r].AsX(), v.AsX(), v.AsX())
		round(v.AsX())
		sum[r] = v
	}
	VPACKSSDW(sum[1].AsX(), sum[0].AsX(), sum[0].AsX())
	VPACKSSDW(sum[3].AsX(), sum[2].AsX(), sum[2].AsX())
	VPACKUSWB(sum[2].AsX(), sum[0].AsX(), sum[0].AsX())
	for r := range sum {
		to := GP64()
		MOVQ(Mem{Base: dst, Disp: 8 * r}, to)
		VPEXTRD(U8(r), sum[0].AsX(), Mem{Base: to, Index: out, Scale: 1})
	}
	ADDQ(U8(3), out)
	ADDQ(U8(4), lo)
	DECQ(n)
	JNZ(LabelRef("pixel"))
	done()
}

// mixRows writes the vertical pass.
func mixRows() {
	function("mixRowsAVX2", "func(dst *byte, rows *[]byte, k *uint32, pairs int, n int)",
		"mixRowsAVX2 weighs 2·pairs rows of 32·n bytes, n > 0. k has for each pair of rows the two lower parts, then the two upper ones.")
	dst, rows, k, pairs, n := param("dst"), param("rows"), param("k"), param("pairs"), param("n")
	x := GP64()
	XORQ(x, x)
	nought := zero()
	Label("column")
	var l, h [4]VecVirtual
	for i := range l {
		l[i], h[i] = zero(), zero()
	}
	row, kp, left := GP64(), GP64(), GP64()
	MOVQ(rows, row)
	MOVQ(k, kp)
	MOVQ(pairs, left)
	Label("pair")
	a, b := GP64(), GP64()
	MOVQ(Mem{Base: row}, a)
	MOVQ(Mem{Base: row, Disp: 24}, b)
	both, second := YMM(), YMM()
	VMOVDQU(Mem{Base: a, Index: x, Scale: 1}, both)
	VMOVDQU(Mem{Base: b, Index: x, Scale: 1}, second)
	for half := range 2 {
		q := YMM()
		if half == 0 {
			VPUNPCKLBW(second, both, q)
		} else {
			VPUNPCKHBW(second, both, q)
		}
		for quarter := range 2 {
			v, w := YMM(), YMM()
			if quarter == 0 {
				VPUNPCKLBW(nought, q, v)
			} else {
				VPUNPCKHBW(nought, q, v)
			}
			VPBROADCASTD(Mem{Base: kp}, w)
			VPMADDWD(w, v, w)
			VPADDD(w, l[2*half+quarter], l[2*half+quarter])
			VPBROADCASTD(Mem{Base: kp, Disp: 4}, w)
			VPMADDWD(w, v, v)
			VPADDD(v, h[2*half+quarter], h[2*half+quarter])
		}
	}
	ADDQ(U8(48), row)
	ADDQ(U8(8), kp)
	DECQ(left)
	JNZ(LabelRef("pair"))
	for i, v := range h {
		VPSLLD(U8(15), v, v)
		VPADDD(l[i], v, v)
		round(v)
	}
	VPACKSSDW(h[1], h[0], h[0])
	VPACKSSDW(h[3], h[2], h[2])
	VPACKUSWB(h[2], h[0], h[0])
	VMOVDQU(h[0], Mem{Base: dst, Index: x, Scale: 1})
	ADDQ(U8(32), x)
	DECQ(n)
	JNZ(LabelRef("column"))
	done()
}

// round brings sums to integers; packing them clips them to bytes.
func round(v Op) {
	half := dwords("half", 1<<21)
	VPADDD(half, v, v)
	VPSRAD(U8(22), v, v)
}

// repeated gives the places that bring a pair of coefficients before each of four sums of
// the lower half, and the pair after it for the upper.
func repeated(pair ...int) (places []int) {
	for i := range 32 {
		places = append(places, pair[i%4]+4*(i/16))
	}
	return places
}
