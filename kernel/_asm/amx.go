package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// amxHelpers writes what AMX tiles want done before, by AVX2. The tiles themselves, which avo does
// not know, are in kernel/amx_amd64.s.
func amxHelpers() {
	roundBF16()
	copyRows()
}

// roundBF16 writes the rounding of half.F32ToBF16: half a step less one, plus the last kept bit, is
// added; a NaN keeps its upper half and becomes quiet.
func roundBF16() {
	function("roundBF16AVX2", "func(dst *uint16, x *float32, n int)",
		"roundBF16AVX2 rounds n values, a positive multiple of 16, to bfloat16, half to even.")
	dst, x, n := param("dst"), param("x"), param("n")
	one, half, quiet := YMM(), YMM(), YMM()
	VPCMPEQD(one, one, one)
	VPSRLD(U8(17), one, half) // 0x7fff
	VPSRLD(U8(31), one, one)
	VPSLLD(U8(22), one, quiet)
	v, t, nan := vectors(make([]VecVirtual, 2)), YMM(), YMM()
	Label("loop")
	for i := range v {
		VMOVUPS(Mem{Base: x, Disp: 32 * i}, v[i])
		VCMPPS(U8(3), v[i], v[i], nan) // unordered
		VPSRLD(U8(16), v[i], t)
		VPAND(one, t, t)
		VPADDD(half, t, t)
		VPADDD(v[i], t, t)
		VPOR(quiet, v[i], v[i])
		VBLENDVPS(nan, v[i], t, v[i])
		VPSRLD(U8(16), v[i], v[i])
	}
	VPACKUSDW(v[1], v[0], v[0])
	VPERMQ(U8(0b11_01_10_00), v[0], v[0])
	VMOVDQU(v[0], Mem{Base: dst})
	ADDQ(U8(64), x)
	ADDQ(U8(32), dst)
	SUBQ(U8(16), n)
	JNZ(LabelRef("loop"))
	done()
}

// copyRows writes the copy of weights to where tiles are loaded from, and asks memory for the columns
// that come next.
func copyRows() {
	function("copyRowsAVX2", "func(dst, src *uint16, stride, n int)",
		"copyRowsAVX2 copies n columns, a positive multiple of 32, of 32 rows that lie stride elements apart to rows 256 apart.")
	dst, src, stride := param("dst"), param("src"), param("stride")
	SHLQ(U8(1), stride)
	rows := GP64()
	MOVQ(U32(32), rows)
	to, from, n := GP64(), GP64(), GP64()
	v := vectors(make([]VecVirtual, 2))
	Label("row")
	MOVQ(dst, to)
	MOVQ(src, from)
	Load(Param("n"), n)
	Label("line")
	PREFETCHT0(Mem{Base: from, Disp: 512})
	for i := range v {
		VMOVDQU(Mem{Base: from, Disp: 32 * i}, v[i])
	}
	for i := range v {
		VMOVDQU(v[i], Mem{Base: to, Disp: 32 * i})
	}
	ADDQ(U8(64), from)
	ADDQ(U8(64), to)
	SUBQ(U8(32), n)
	JNZ(LabelRef("line"))
	ADDQ(stride, src)
	ADDQ(U32(512), dst)
	DECQ(rows)
	JNZ(LabelRef("row"))
	done()
}
