package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// upsample writes the triangle filters, 32 samples at a time. Bytes that VPUNPCKLBW and
// VPUNPCKHBW bring together are weighed 3 : 1 by VPMADDUBSW into 16 bits.
func upsample() {
	function("upsampleH2V1AVX2", "func(dst, src *byte, n int)",
		"upsampleH2V1AVX2 doubles 32·n samples, n > 0, in width; it reads one before and one after them.")
	dst, src, n := param("dst"), param("src"), param("n")
	Label("loop")
	s, before, after := YMM(), YMM(), YMM()
	VMOVDQU(Mem{Base: src}, s)
	VMOVDQU(Mem{Base: src, Disp: -1}, before)
	VMOVDQU(Mem{Base: src, Disp: 1}, after)
	var out [2]VecVirtual
	for i := range out {
		left, right := weigh(s, before, i), weigh(s, after, i)
		VPADDW(words("one", 1), left, left)
		VPADDW(words("two", 2), right, right)
		out[i] = alternate(left, right, 2)
	}
	storeDoubled(dst, out)
	ADDQ(U8(32), src)
	ADDQ(U8(64), dst)
	DECQ(n)
	JNZ(LabelRef("loop"))
	done()

	function("upsampleH1V2AVX2", "func(dst, near, far *byte, n int, bias uint16)",
		"upsampleH1V2AVX2 computes (3·near + far + bias)/4 of 32·n samples, n > 0.")
	dst, near, far, n := param("dst"), param("near"), param("far"), param("n")
	at, err := Param("bias").Resolve()
	if err != nil {
		panic(err)
	}
	bias := YMM()
	VPBROADCASTW(at.Addr, bias)
	Label("loop")
	a, b := YMM(), YMM()
	VMOVDQU(Mem{Base: near}, a)
	VMOVDQU(Mem{Base: far}, b)
	for i := range out {
		out[i] = weigh(a, b, i)
		VPADDW(bias, out[i], out[i])
		VPSRLW(U8(2), out[i], out[i])
	}
	VPACKUSWB(out[1], out[0], a)
	VMOVDQU(a, Mem{Base: dst})
	ADDQ(U8(32), near)
	ADDQ(U8(32), far)
	ADDQ(U8(32), dst)
	DECQ(n)
	JNZ(LabelRef("loop"))
	done()

	function("upsampleH2V2AVX2", "func(dst, near, far *byte, n int)",
		"upsampleH2V2AVX2 doubles 32·n samples, n > 0, in width, of two rows weighed 3 to 1; it reads one before and one after them.")
	dst, near, far, n = param("dst"), param("near"), param("far"), param("n")
	Label("loop")
	var sums [3][2]VecVirtual // at the sample before, here, at the one after
	for j := range sums {
		a, b := YMM(), YMM()
		VMOVDQU(Mem{Base: near, Disp: j - 1}, a)
		VMOVDQU(Mem{Base: far, Disp: j - 1}, b)
		sums[j] = [2]VecVirtual{weigh(a, b, 0), weigh(a, b, 1)}
	}
	for i := range out {
		this, left, right := YMM(), sums[0][i], sums[2][i]
		VPADDW(sums[1][i], sums[1][i], this)
		VPADDW(sums[1][i], this, this)
		VPADDW(this, left, left)
		VPADDW(this, right, right)
		VPADDW(words("eight", 8), left, left)
		VPADDW(words("seven", 7), right, right)
		out[i] = alternate(left, right, 4)
	}
	storeDoubled(dst, out)
	ADDQ(U8(32), near)
	ADDQ(U8(32), far)
	ADDQ(U8(64), dst)
	DECQ(n)
	JNZ(LabelRef("loop"))
	done()
}

// weigh returns 3a + b of the lower (half 0) or upper quarters of a and b.
func weigh(a, b VecVirtual, half int) VecVirtual {
	v := YMM()
	if half == 0 {
		VPUNPCKLBW(b, a, v)
	} else {
		VPUNPCKHBW(b, a, v)
	}
	VPMADDUBSW(bytes("threeone", 3, 1), v, v)
	return v
}

// alternate shifts sums that fill a byte after that, and returns bytes left, right, left, ….
func alternate(left, right VecVirtual, shift int) VecVirtual {
	VPSRLW(U8(shift), left, left)
	VPSRLW(U8(shift), right, right)
	VPSLLW(U8(8), right, right)
	VPOR(left, right, left)
	return left
}

// storeDoubled writes 64 bytes, of which v has quarters 0 and 2, 1 and 3.
func storeDoubled(dst Register, v [2]VecVirtual) {
	low, high := YMM(), YMM()
	VPERM2I128(U8(0x20), v[1], v[0], low)
	VPERM2I128(U8(0x31), v[1], v[0], high)
	VMOVDQU(low, Mem{Base: dst})
	VMOVDQU(high, Mem{Base: dst, Disp: 32})
}
