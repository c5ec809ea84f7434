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
	pairBF16()
}

// bf16Rounder is what rounding to bfloat16 needs: see half.F32ToBF16.
type bf16Rounder struct{ one, half, quiet, t, nan VecVirtual }

func newBF16Rounder() *bf16Rounder {
	r := &bf16Rounder{YMM(), YMM(), YMM(), YMM(), YMM()}
	VPCMPEQD(r.one, r.one, r.one)
	VPSRLD(U8(17), r.one, r.half) // 0x7fff
	VPSRLD(U8(31), r.one, r.one)
	VPSLLD(U8(22), r.one, r.quiet)
	return r
}

// round leaves the result in the upper halves of v. Half a step less one, plus the last kept bit, is
// added; a NaN keeps its upper half and becomes quiet.
func (r *bf16Rounder) round(v VecVirtual) {
	VCMPPS(U8(3), v, v, r.nan) // unordered
	VPSRLD(U8(16), v, r.t)
	VPAND(r.one, r.t, r.t)
	VPADDD(r.half, r.t, r.t)
	VPADDD(v, r.t, r.t)
	VPOR(r.quiet, v, v)
	VBLENDVPS(r.nan, v, r.t, v)
}

func roundBF16() {
	function("roundBF16AVX2", "func(dst *uint16, x *float32, n int)",
		"roundBF16AVX2 rounds n values, a positive multiple of 16, to bfloat16, half to even.")
	dst, x, n := param("dst"), param("x"), param("n")
	r := newBF16Rounder()
	v := vectors(make([]VecVirtual, 2))
	Label("loop")
	for i := range v {
		VMOVUPS(Mem{Base: x, Disp: 32 * i}, v[i])
		r.round(v[i])
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

// pairBF16 writes two rows as pairs, sixteen to a panel.
func pairBF16() {
	function("pairBF16AVX2", "func(dst *uint32, panel int, a, b *float32, n int)",
		"pairBF16AVX2 rounds n values of two rows, a positive multiple of 16, to bfloat16, and writes them in pairs, sixteen to each of panels so many pairs apart.")
	dst, panel := param("dst"), param("panel")
	SHLQ(U8(2), panel)
	a, b, n := param("a"), param("b"), param("n")
	r := newBF16Rounder()
	v, w := YMM(), YMM()
	Label("loop")
	for i := range 2 {
		VMOVUPS(Mem{Base: a, Disp: 32 * i}, v)
		VMOVUPS(Mem{Base: b, Disp: 32 * i}, w)
		r.round(v)
		r.round(w)
		VPSRLD(U8(16), v, v)
		VPBLENDW(U8(0b10101010), w, v, v)
		VMOVDQU(v, Mem{Base: dst, Disp: 32 * i})
	}
	ADDQ(U8(64), a)
	ADDQ(U8(64), b)
	ADDQ(panel, dst)
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
