package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// codes writes what makes float32 of codes. The sixteen values that a code of 4 bits may stand for are
// kept as planes: vectors of their first bytes, of their second ones, and so on, in which one
// instruction looks up 32 codes. Four planes then interleave to float32.
func codes() {
	for _, round := range []string{"F32", "BF16", "F16"} {
		nf4(round)
	}
	int4()
	int8s()
	nestedScales()
}

// bytes32 returns the address of 32 read-only bytes, sixteen twice.
func bytes32(name string, b [16]byte) Mem {
	if m, ok := constants[name]; ok {
		return m
	}
	m := GLOBL(name, RODATA|NOPTR)
	for i := range 32 {
		DATA(i, U8(b[i%16]))
	}
	constants[name] = m
	return m
}

// words32 returns the address of eight read-only words.
func words32(name string, words [8]uint32) Mem {
	if m, ok := constants[name]; ok {
		return m
	}
	m := GLOBL(name, RODATA|NOPTR)
	for i, w := range words {
		DATA(4*i, U32(w))
	}
	constants[name] = m
	return m
}

// halfOrder brings codes, of which the lower half of a vector holds the first sixteen, to where the
// interleaving of both halves at once leaves values in order: four codes to the lower half, four to
// the upper one.
func halfOrder() VecVirtual {
	v := YMM()
	VMOVDQU(words32("halfOrder", [8]uint32{0, 2, 4, 6, 1, 3, 5, 7}), v)
	return v
}

// planes interleaves what two or four planes, the last two of four bytes, say to the codes in u, and
// hands on four vectors of float32 in order.
func planes(u VecVirtual, plane []VecVirtual, t [4]VecVirtual, zero VecVirtual, use func(i int, v VecVirtual)) {
	look := func(p, to VecVirtual) { VPSHUFB(u, p, to) }
	last := plane[len(plane)-2:]
	look(last[0], t[0])
	look(last[1], t[1])
	VPUNPCKLBW(t[1], t[0], t[2]) // the upper two bytes of values 0 to 7 of each half
	VPUNPCKHBW(t[1], t[0], t[3])
	low := []VecVirtual{zero, zero}
	out := t[1]
	if len(plane) == 4 {
		look(plane[0], t[0])
		look(plane[1], t[1])
		VPUNPCKLBW(t[1], t[0], u)
		VPUNPCKHBW(t[1], t[0], t[0])
		low = []VecVirtual{u, t[0]}
	}
	for i, high := range t[2:] {
		VPUNPCKLWD(high, low[i], out)
		use(2*i, out)
		VPUNPCKHWD(high, low[i], out)
		use(2*i+1, out)
	}
}

// nf4 writes a loop over units of 64 codes that share a scale. For each the values of all codes are
// computed, rounded, and made planes of.
func nf4(round string) {
	function("widenNF4"+round, "func(dst *float32, codes *byte, table, scales *float32, units int)",
		"widenNF4"+round+" writes 64 values for each of a positive number of scales, rounded to the type in its name.")
	dst, src, table, scales, units := param("dst"), param("codes"), param("table"), param("scales"), param("units")
	tables := vectors(make([]VecVirtual, 2)) // codes 0 to 3 and 8 to 11, 4 to 7 and 12 to 15
	for i, v := range tables {
		VMOVUPS(Mem{Base: table, Disp: 16 * i}, v.AsX())
		VINSERTF128(U8(1), Mem{Base: table, Disp: 32 + 16*i}, v, v)
	}
	plane := vectors(make([]VecVirtual, 4))
	t := [4]VecVirtual(vectors(make([]VecVirtual, 4)))
	order, zero, u, next := halfOrder(), YMM(), YMM(), YMM()
	if round == "BF16" {
		plane = plane[:2]
		VPXOR(zero, zero, zero)
	}
	spread := func(from VecVirtual, at int) { // bytes of codes 0 to 7, of another plane, then both for 8 to 15
		VPERMQ(U8(0b10_00_10_00), from, plane[at])
		VPERMQ(U8(0b11_01_11_01), from, plane[at+1])
	}
	Label("loop")
	VBROADCASTSS(Mem{Base: scales}, t[0])
	VMULPS(t[0], tables[1], t[1])
	VMULPS(t[0], tables[0], t[0])
	switch round {
	case "BF16":
		for _, v := range t[:2] { // to nearest even
			VPSRLD(U8(16), v, t[2])
			VPAND(repeated("ones32", 1), t[2], t[2])
			VPADDD(repeated("halfBF16", 0x7fff), t[2], t[2])
			VPADDD(t[2], v, v)
			VPSRLD(U8(16), v, v)
		}
		VPACKUSDW(t[1], t[0], t[0])
		VPSHUFB(bytes32("splitWords", [16]byte{0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15}), t[0], t[0])
		spread(t[0], 0)
	default:
		split := bytes32("splitFloats", [16]byte{0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15})
		for _, v := range t[:2] {
			if round == "F16" {
				VCVTPS2PH(U8(0), v, v.AsX())
				VCVTPH2PS(v.AsX(), v)
			}
			VPSHUFB(split, v, v)
		}
		VPUNPCKLDQ(t[1], t[0], t[2])
		VPUNPCKHDQ(t[1], t[0], t[3])
		spread(t[2], 0)
		spread(t[3], 2)
	}
	VMOVDQU(Mem{Base: src}, next)
	VPSRLW(U8(4), next, u)
	nibbles := repeated("nibbles", 0x0f0f0f0f)
	VPAND(nibbles, u, u)
	VPAND(nibbles, next, t[0])
	VPUNPCKHBW(t[0], u, next) // codes 16 to 31, and 48 to 63
	VPUNPCKLBW(t[0], u, u)
	for second, v := range []VecVirtual{u, next} {
		VPERMD(v, order, v)
		planes(v, plane, t, zero, func(i int, v VecVirtual) {
			VMOVUPS(v, Mem{Base: dst, Disp: 64*second + 128*(i/2) + 32*(i%2)})
		})
	}
	ADDQ(U8(4), scales)
	ADDQ(U8(32), src)
	ADDQ(I32(256), dst)
	DECQ(units)
	JNZ(LabelRef("loop"))
	done()
}

// int4 writes a loop over runs of 32 codes: (q - zero)·scale is q·scale - zero·scale, for both
// products are exact.
func int4() {
	function("widenInt4AVX2", "func(dst *float32, codes *byte, scales *uint16, zeros *byte, runs, left, per int)",
		"widenInt4AVX2 writes 32 values for each of a positive number of runs. The first scale and zero are for left of them, later ones for per each.")
	dst, src, scales, zeros := param("dst"), param("codes"), param("scales"), param("zeros")
	runs, left, per := param("runs"), param("left"), param("per")
	// The upper two bytes of a float32 from 0 to 15 are all there is of it.
	var low, high [16]byte
	for q := range 16 {
		bits := math.Float32bits(float32(q))
		low[q], high[q] = byte(bits>>16), byte(bits>>24)
	}
	plane := vectors(make([]VecVirtual, 2))
	VMOVDQU(bytes32("wholeLow", low), plane[0])
	VMOVDQU(bytes32("wholeHigh", high), plane[1])
	t := [4]VecVirtual(vectors(make([]VecVirtual, 4)))
	order, zero, u, scale, offset := halfOrder(), YMM(), YMM(), YMM(), YMM()
	VPXOR(zero, zero, zero)
	word := GP32()
	Label("group")
	MOVWLZX(Mem{Base: scales}, word)
	VMOVD(word, scale.AsX())
	VCVTPH2PS(scale.AsX(), scale.AsX())
	MOVBLZX(Mem{Base: zeros}, word)
	VMOVD(word, offset.AsX())
	VCVTDQ2PS(offset.AsX(), offset.AsX())
	VMULSS(scale.AsX(), offset.AsX(), offset.AsX())
	VBROADCASTSS(scale.AsX(), scale)
	VBROADCASTSS(offset.AsX(), offset)
	ADDQ(U8(2), scales)
	INCQ(zeros)
	Label("run")
	VMOVDQU(Mem{Base: src}, t[0].AsX())
	VPSRLW(U8(4), t[0].AsX(), u.AsX())
	nibbles := repeated("nibbles", 0x0f0f0f0f)
	VPAND(nibbles, u.AsX(), u.AsX())
	VPAND(nibbles, t[0].AsX(), t[0].AsX())
	VPUNPCKHBW(t[0].AsX(), u.AsX(), t[1].AsX())
	VPUNPCKLBW(t[0].AsX(), u.AsX(), u.AsX())
	VINSERTI128(U8(1), t[1].AsX(), u, u)
	VPERMD(u, order, u)
	planes(u, plane, t, zero, func(i int, v VecVirtual) {
		VFMSUB213PS(offset, scale, v)
		VMOVUPS(v, Mem{Base: dst, Disp: 32 * i})
	})
	ADDQ(U8(16), src)
	ADDQ(I32(128), dst)
	DECQ(runs)
	JZ(LabelRef("done"))
	DECQ(left)
	JNZ(LabelRef("run"))
	MOVQ(per, left)
	JMP(LabelRef("group"))
	Label("done")
	done()
}

func int8s() {
	function("widenInt8AVX2", "func(dst *float32, codes *byte, n int, scale, inverse float32)",
		"widenInt8AVX2 writes (q·scale)·inverse for a positive multiple of eight codes.")
	dst, src, n := param("dst"), param("codes"), param("n")
	scale, inverse, v := spread("scale"), spread("inverse"), YMM()
	Label("loop")
	VPMOVSXBD(Mem{Base: src}, v)
	VCVTDQ2PS(v, v)
	VMULPS(scale, v, v)
	VMULPS(inverse, v, v)
	VMOVUPS(v, Mem{Base: dst})
	ADDQ(U8(8), src)
	ADDQ(U8(32), dst)
	SUBQ(U8(8), n)
	JNZ(LabelRef("loop"))
	done()
}

func nestedScales() {
	function("nestedScalesAVX2", "func(dst *float32, codes *byte, table *float32, n int, scale, offset float32)",
		"nestedScalesAVX2 writes table[code]·scale + offset for a positive number of codes, in two roundings.")
	dst, src, table, n := param("dst"), param("codes"), param("table"), param("n")
	scale, offset, v, code := spread("scale").AsX(), spread("offset").AsX(), XMM(), GP64()
	Label("loop")
	MOVBQZX(Mem{Base: src}, code)
	VMOVSS(Mem{Base: table, Index: code, Scale: 4}, v)
	VMULSS(scale, v, v)
	VADDSS(offset, v, v)
	VMOVSS(v, Mem{Base: dst})
	INCQ(src)
	ADDQ(U8(4), dst)
	DECQ(n)
	JNZ(LabelRef("loop"))
	done()
}
