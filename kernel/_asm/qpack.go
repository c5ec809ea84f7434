package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// qpacks writes what turns eight rows of blocks into half a panel, and what makes int8 of x.
func qpacks() {
	qpack("Q8_0", 34, func(r *packRegisters, at []Mem, dst Register) {
		for half := range 2 {
			transpose(r, at, 2+16*half)
			for i, v := range r.v[:4] {
				VMOVDQU(v, Mem{Base: dst, Disp: 64 * (4*half + i)})
			}
		}
		scales(r, at, 0)
		VMOVUPS(r.v[0], Mem{Base: dst, Disp: panelScales})
	})
	qpack("Q4_0", 18, func(r *packRegisters, at []Mem, dst Register) {
		transpose(r, at, 2)
		nibbles(r, dst)
		scales(r, at, 0)
		VMOVUPS(r.v[0], Mem{Base: dst, Disp: panelScales})
		VBROADCASTSS(constant("eight", 8), r.t[0]) // the value is d·(q - 8)
		VMULPS(r.t[0], r.v[0], r.v[0])
		VMOVUPS(r.v[0], Mem{Base: dst, Disp: panelMins})
	})
	quantize()
}

// nibbles stores the low halves of bytes, which are the first half of a block, and the high ones.
func nibbles(r *packRegisters, dst Register) {
	VPCMPEQW(r.mask, r.mask, r.mask)
	VPSRLW(U8(12), r.mask, r.mask)
	VPACKUSWB(r.mask, r.mask, r.mask) // 0x0f in every byte
	for i, v := range r.v[:4] {
		VPAND(r.mask, v, r.t[0])
		VMOVDQU(r.t[0], Mem{Base: dst, Disp: 64 * i})
		VPSRLW(U8(4), v, v)
		VPAND(r.mask, v, v)
		VMOVDQU(v, Mem{Base: dst, Disp: 64 * (4 + i)})
	}
}

// scales collects the half-precision scales of eight rows as float32.
func scales(r *packRegisters, at []Mem, disp int) {
	x, word := r.v[0].AsX(), GP32()
	for i, m := range at {
		m.Disp = disp
		if i == 0 {
			MOVWLZX(m, word)
			VMOVD(word, x)
			continue
		}
		VPINSRW(U8(i), m, x, x)
	}
	VCVTPH2PS(x, r.v[0])
}

func qpack(name string, size int, block func(r *packRegisters, at []Mem, dst Register)) {
	function("pack"+name, "func(dst, src *byte, stride, ahead, blocks int)",
		"pack"+name+" is qpackFunc.")
	dst, src, stride := param("dst"), param("src"), param("stride")
	at, bases := rowPointers(src, stride)
	ahead, n := param("ahead"), param("blocks")
	r := newPackRegisters()
	Label("loop")
	ask(at, bases, ahead, 0)
	block(r, at, dst)
	ADDQ(I32(panelBlock), dst)
	for _, b := range bases {
		ADDQ(U8(size), b)
	}
	DECQ(n)
	JNZ(LabelRef("loop"))
	done()
}

// quantize writes the rounding of blocks of 32 floats to int8.
func quantize() {
	function("quantizeAVX2", "func(q *int8, d, x *float32, blocks int)", "quantizeAVX2 is quantizeGeneric for a positive number of blocks.")
	q, d, x, n := param("q"), param("d"), param("x"), param("blocks")
	v := vectors(make([]VecVirtual, 4))
	magnitude, least, most, top, t := YMM(), YMM(), YMM(), YMM(), YMM()
	VPCMPEQD(magnitude, magnitude, magnitude)
	VPSRLD(U8(1), magnitude, magnitude)
	VBROADCASTSS(constant("leastBlock", 0x1p-100), least)
	VBROADCASTSS(constant("most", 127), most)
	Label("loop")
	for i := range v {
		VMOVUPS(Mem{Base: x, Disp: 32 * i}, v[i])
		if i == 0 {
			VANDPS(v[i], magnitude, top)
			continue
		}
		VANDPS(v[i], magnitude, t)
		VPMAXSD(t, top, top) // as integers, a NaN is larger than all
	}
	VPERM2I128(U8(1), top, top, t)
	VPMAXSD(t, top, top)
	VPSHUFD(U8(0b01_00_11_10), top, t)
	VPMAXSD(t, top, top)
	VPSHUFD(U8(0b10_11_00_01), top, t)
	VPMAXSD(t, top, top)
	VPCMPGTD(top, least, t) // nothing to see here
	VPANDN(top, t, top)
	scale := YMM()
	VDIVPS(most, top, scale)
	VDIVPS(top, most, top)
	VPANDN(top, t, top)
	for i := range v {
		VMULPS(v[i], top, v[i])
		VCVTPS2DQ(v[i], v[i])
	}
	VPACKSSDW(v[1], v[0], v[0])
	VPACKSSDW(v[3], v[2], v[2])
	VPACKSSWB(v[2], v[0], v[0]) // 0 8 16 24 4 12 20 28, in fours
	order := GLOBL("unpacked", RODATA|NOPTR)
	for i, w := range []uint32{0, 4, 1, 5, 2, 6, 3, 7} {
		DATA(4*i, U32(w))
	}
	VMOVDQU(order, t)
	VPERMD(v[0], t, v[0])
	VMOVDQU(v[0], Mem{Base: q})
	one := v[1]
	VPCMPEQB(one, one, one)
	VPABSB(one, one)
	VPMADDUBSW(v[0], one, v[0]) // pairs
	VPCMPEQW(one, one, one)
	VPSRLW(U8(15), one, one)
	VPMADDWD(one, v[0], v[0])
	VEXTRACTI128(U8(1), v[0], t.AsX())
	VPADDD(t.AsX(), v[0].AsX(), v[0].AsX())
	VPSHUFD(U8(0b01_00_11_10), v[0].AsX(), t.AsX())
	VPADDD(t.AsX(), v[0].AsX(), v[0].AsX())
	VPSHUFD(U8(0b10_11_00_01), v[0].AsX(), t.AsX())
	VPADDD(t.AsX(), v[0].AsX(), v[0].AsX())
	VCVTDQ2PS(v[0].AsX(), v[0].AsX())
	VMULSS(scale.AsX(), v[0].AsX(), v[0].AsX())
	VMOVSS(scale.AsX(), Mem{Base: d})
	VMOVSS(v[0].AsX(), Mem{Base: d, Disp: 4})
	ADDQ(U8(32), q)
	ADDQ(U8(8), d)
	ADDQ(I32(128), x)
	DECQ(n)
	JNZ(LabelRef("loop"))
	done()
}
