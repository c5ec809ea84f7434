package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// widens writes what makes float32 of packed keys and values.
func widens() {
	function("widenBF16AVX2", "func(dst *float32, src *byte, n int)", "widenBF16AVX2 is widenBF16Generic for a positive multiple of eight values.")
	dst, src, n := param("dst"), param("src"), param("n")
	v := YMM()
	Label("loop")
	VPMOVZXWD(Mem{Base: src}, v)
	VPSLLD(U8(16), v, v)
	VMOVDQU(v, Mem{Base: dst})
	ADDQ(U8(16), src)
	ADDQ(U8(32), dst)
	SUBQ(U8(8), n)
	JNZ(LabelRef("loop"))
	done()

	function("widenQ8_0AVX2", "func(dst *float32, src *byte, blocks int)", "widenQ8_0AVX2 is widenQ8_0Generic for a positive number of blocks.")
	dst, src, n = param("dst"), param("src"), param("blocks")
	word, scale, v := GP32(), YMM(), YMM()
	Label("loop")
	MOVWLZX(Mem{Base: src}, word)
	VMOVD(word, scale.AsX())
	VCVTPH2PS(scale.AsX(), scale.AsX())
	VBROADCASTSS(scale.AsX(), scale)
	for i := range 4 {
		VPMOVSXBD(Mem{Base: src, Disp: 2 + 8*i}, v)
		VCVTDQ2PS(v, v)
		VMULPS(scale, v, v)
		VMOVUPS(v, Mem{Base: dst, Disp: 32 * i})
	}
	ADDQ(U8(34), src)
	ADDQ(I32(128), dst)
	DECQ(n)
	JNZ(LabelRef("loop"))
	done()
}
