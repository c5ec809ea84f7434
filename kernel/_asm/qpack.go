package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// qpacks writes what turns the blocks of eight rows into a panel, and what makes int8 of x.
func qpacks() {
	qpack("Q8_0", 34, func(r *packRegisters, at []Mem, dst Register) {
		for half := range 2 {
			transpose(r, at, 2+16*half)
			for i, v := range r.v[:4] {
				VMOVDQU(v, Mem{Base: dst, Disp: 32 * (4*half + i)})
			}
		}
		halves(at, 0, r.v[0].AsX())
		VCVTPH2PS(r.v[0].AsX(), r.v[0])
		VMOVUPS(r.v[0], Mem{Base: dst, Disp: panelScale})
	})
	qpack("Q6_K", 210, packQ6_K)
	qpack("Q4_K", 144, packQ4_K)
	qpack("Q4_0", 18, func(r *packRegisters, at []Mem, dst Register) {
		transpose(r, at, 2)
		for i, v := range r.v[:4] {
			twoNibbles(r, v, Mem{Base: dst, Disp: 32 * i}, Mem{Base: dst, Disp: 32 * (4 + i)})
		}
		halves(at, 0, r.v[0].AsX())
		VCVTPH2PS(r.v[0].AsX(), r.v[0])
		VMOVUPS(r.v[0], Mem{Base: dst, Disp: panelScale})
	})
	quantize()
}

// twoNibbles stores the low halves of bytes and the high ones.
func twoNibbles(r *packRegisters, v VecVirtual, low, high Mem) {
	VPAND(repeated("nibbles", 0x0f0f0f0f), v, r.t[0])
	VMOVDQU(r.t[0], low)
	VPSRLW(U8(4), v, v)
	VPAND(repeated("nibbles", 0x0f0f0f0f), v, v)
	VMOVDQU(v, high)
}

// halves collects a word of each of eight rows.
func halves(at []Mem, disp int, to Register) {
	for i, m := range at {
		m.Disp = disp
		if i == 0 {
			word := GP32()
			MOVWLZX(m, word)
			VMOVD(word, to)
			continue
		}
		VPINSRW(U8(i), m, to, to)
	}
}

// headQ4_K hands on what the runs of a block have: scales, and minima.
func headQ4_K(r *packRegisters, at []Mem, put func(run int, least bool, v VecVirtual)) {
	// The four words of a block's head: d and dmin, then twelve bytes.
	transpose(r, at, 0)
	d, low, least, last := r.v[0], r.v[1], r.v[2], r.v[3]
	t, u := r.t[0], r.t[1]
	VPAND(repeated("lowWords", 0x0000ffff), d, t)
	VPSRLD(U8(16), d, u)
	VPACKUSDW(u, t, t)
	VPERMQ(U8(0b11_01_10_00), t, t)
	dmin := r.v[4]
	VEXTRACTI128(U8(1), t, u.AsX())
	VCVTPH2PS(t.AsX(), d)
	VCVTPH2PS(u.AsX(), dmin)
	sixBits := repeated("sixBits", 0x3f3f3f3f)
	store := func(bytes, by VecVirtual, run int, least bool) {
		for i := range 4 { // byte i of each word
			if i == 3 {
				VPSRLD(U8(24), bytes, u)
			} else {
				VPSRLD(U8(8*i), bytes, u)
				VPAND(repeated("lowBytes", 0xff), u, u)
			}
			VCVTDQ2PS(u, u)
			VMULPS(by, u, u)
			put(run+i, least, u)
		}
	}
	VPAND(sixBits, low, t)
	store(t, d, 0, false)
	VPAND(sixBits, least, t)
	store(t, dmin, 0, true)
	VPAND(repeated("nibbles", 0x0f0f0f0f), last, t)
	VPSRLD(U8(2), low, low)
	VPAND(repeated("highBits", 0x30303030), low, low)
	VPOR(low, t, t)
	store(t, d, 4, false)
	VPSRLD(U8(4), last, t)
	VPAND(repeated("nibbles", 0x0f0f0f0f), t, t)
	VPSRLD(U8(2), least, least)
	VPAND(repeated("highBits", 0x30303030), least, least)
	VPOR(least, t, t)
	store(t, dmin, 4, true)
}

// packQ4_K: see quant/q4_k.go for the block.
func packQ4_K(r *packRegisters, at []Mem, dst Register) {
	headQ4_K(r, at, func(run int, least bool, v VecVirtual) {
		to := Mem{Base: dst, Disp: run*320 + panelScale}
		if least {
			to.Disp += 32
		}
		VMOVUPS(v, to)
	})
	for i := range 8 {
		transpose(r, at, 16+16*i)
		for j, v := range r.v[:4] {
			low := Mem{Base: dst, Disp: i/2*2*320 + 32*(i%2*4+j)}
			high := low
			high.Disp += 320
			twoNibbles(r, v, low, high)
		}
	}
}

// packQ6_K: see quant/q6_k.go for the block.
func packQ6_K(r *packRegisters, at []Mem, dst Register) {
	high, low := r.v[4:], r.v[:4]
	for i := range 4 { // sixteen bytes of pairs of high bits, which four runs share
		transpose(r, at, 128+16*i)
		for j := range 4 {
			VMOVDQA(low[j], high[j])
		}
		for second := range 2 { // the runs of the first and third quarter, then the others
			transpose(r, at, 64*(i/2)+32*second+16*(i%2))
			for j, v := range low {
				to := Mem{Base: dst, Disp: (i/2*4+second)*384 + 32*(i%2*4+j)}
				sixBits(v, high[j], second, r.t[0], r.t[1])
				VMOVDQU(r.t[0], to)
				sixBits(v, high[j], second+2, r.t[0], r.t[1])
				to.Disp += 2 * 384
				VMOVDQU(r.t[0], to)
			}
		}
	}
	transpose(r, at, 192)
	for run := range 8 {
		for which := range 3 {
			factorQ6_K(r.v[run/2], run, which, r.t[0])
			VMOVDQU(r.t[0], Mem{Base: dst, Disp: run*384 + 256 + 32*(1+which)})
		}
	}
	halves(at, 208, r.v[0].AsX())
	VCVTPH2PS(r.v[0].AsX(), r.v[0])
	for i := range 8 {
		VMOVUPS(r.v[0], Mem{Base: dst, Disp: i*384 + 256})
	}
}

// sixBits writes what a quarter of the runs of half a block has to t: nibbles of low, and pairs of bits of high
// above them. The third and fourth quarter spoil low.
func sixBits(low, high VecVirtual, quarter int, t, u VecVirtual) {
	switch quarter {
	case 0:
		VPSLLW(U8(4), high, u)
	case 1:
		VPSLLW(U8(2), high, u)
	case 3:
		VPSRLW(U8(2), high, u)
	}
	if quarter == 2 {
		VPAND(repeated("highBits", 0x30303030), high, u)
	} else {
		VPAND(repeated("highBits", 0x30303030), u, u)
	}
	if quarter >= 2 {
		VPSRLW(U8(4), low, low)
	}
	VPAND(repeated("nibbles", 0x0f0f0f0f), low, t)
	VPOR(u, t, t)
}

// factorQ6_K writes pairs of factors of a run: 0, of its first half, 1, of its second, 2, 32 times both. Each word of
// the scales has those of two runs.
func factorQ6_K(words VecVirtual, run, which int, to VecVirtual) {
	j := 2 * (run % 2)
	switch which {
	case 2:
		VPSHUFB(factorBytes(j, j+1), words, to)
		VPSRAW(U8(3), to, to)
	default:
		VPSHUFB(factorBytes(j+which, j+which), words, to)
		VPSRAW(U8(8), to, to)
	}
}

// factorBytes is the shuffle that puts bytes a and b of each word into the upper halves of its two
// halves.
func factorBytes(a, b int) Mem {
	name := "factors" + string(rune('0'+a)) + string(rune('0'+b))
	if m, ok := constants[name]; ok {
		return m
	}
	m := GLOBL(name, RODATA|NOPTR)
	for i := range 8 {
		at := uint32(i % 4 * 4)
		DATA(4*i, U32(0x80|(at+uint32(a))<<8|0x80<<16|(at+uint32(b))<<24))
	}
	constants[name] = m
	return m
}

func qpack(name string, size int, block func(r *packRegisters, at []Mem, dst Register)) {
	function("pack"+name, "func(dst, src *byte, stride, ahead, blocks int)",
		"pack"+name+" is qpackFunc.")
	dst, src, stride := param("dst"), param("src"), param("stride")
	at, bases := rowPointers(src, stride)
	ahead, n := param("ahead"), param("blocks")
	r := newPackRegisters()
	Label("loop")
	for line := 0; line < size; line += 64 {
		ask(at, bases, ahead, line)
	}
	block(r, at, dst)
	runs := 1
	if size > 34 {
		runs = 8
	}
	for _, p := range products {
		if p.name == name {
			ADDQ(I32(runs*p.size), dst)
		}
	}
	for _, b := range bases {
		ADDQ(I32(size), b)
	}
	DECQ(n)
	JNZ(LabelRef("loop"))
	done()
}

// quantize writes the rounding of runs of 32 floats to int8.
func quantize() {
	function("quantizeAVX2", "func(to *int8, step int, x *float32, runs int)", "quantizeAVX2 is quantizeGeneric for a positive number of runs.")
	to, step, x, n := param("to"), param("step"), param("x"), param("runs")
	IMUL3Q(U8(runSize), step, step)
	v := vectors(make([]VecVirtual, 4))
	magnitude, least, most, top, t := YMM(), YMM(), YMM(), YMM(), YMM()
	VPCMPEQD(magnitude, magnitude, magnitude)
	VPSRLD(U8(1), magnitude, magnitude)
	VBROADCASTSS(constant("leastRun", 0x1p-100), least)
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
	VMOVDQU(v[0], Mem{Base: to})
	one := v[1]
	VPCMPEQB(one, one, one)
	VPABSB(one, one)
	VPMADDUBSW(v[0], one, v[0]) // pairs
	VPMADDWD(repeated("ones", 0x00010001), v[0], v[0])
	VPSHUFD(U8(0b01_00_11_10), v[0], t)
	VPADDD(t, v[0], v[0])
	VPSHUFD(U8(0b10_11_00_01), v[0], t)
	VPADDD(t, v[0], v[0]) // the sum of each half
	VEXTRACTI128(U8(1), v[0], t.AsX())
	pair := v[3]
	VPSLLD(U8(16), t.AsX(), pair.AsX())
	VPBLENDW(U8(0b01), v[0].AsX(), pair.AsX(), pair.AsX())
	VMOVD(pair.AsX(), Mem{Base: to, Disp: runHalf})
	VPADDD(t.AsX(), v[0].AsX(), v[0].AsX())
	VPSLLD(U8(3), v[0].AsX(), t.AsX())
	VMOVD(t.AsX(), Mem{Base: to, Disp: runEight})
	VCVTDQ2PS(v[0].AsX(), v[0].AsX())
	VMULSS(scale.AsX(), v[0].AsX(), v[0].AsX())
	VMOVSS(scale.AsX(), Mem{Base: to, Disp: runD})
	VMOVSS(v[0].AsX(), Mem{Base: to, Disp: runSums})
	ADDQ(step, to)
	ADDQ(I32(128), x)
	DECQ(n)
	JNZ(LabelRef("loop"))
	done()
}
