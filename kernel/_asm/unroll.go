package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// unroller writes what turns a row of blocks into runs of a panel of AMX, kernel's blockTiles: 32 whole
// numbers as they follow one another, at q, and at scale what the run has of numbers in float32, sixteen
// outputs' side by side. A run is size bytes after the last.
type unroller struct {
	size          int
	q, scale, src Register
}

func (u *unroller) qAt(run int) Mem           { return Mem{Base: u.q, Disp: run * u.size} }
func (u *unroller) scaleAt(run, kind int) Mem { return Mem{Base: u.scale, Disp: run*u.size + 64*kind} }
func (u *unroller) srcAt(disp int) Mem        { return Mem{Base: u.src, Disp: disp} }

func unrolls() {
	unroll("Q8_0", 576, 34, 1, unrollQ8_0)
	unroll("Q4_0", 576, 18, 1, unrollQ4_0)
	unroll("Q4_K", 640, 144, 8, unrollQ4_K)
	unroll("Q6_K", 704, 210, 8, unrollQ6_K)
}

func unroll(name string, size, bytes, runs int, block func(*unroller)) {
	function("unroll"+name, "func(q *byte, scale *float32, src *byte, blocks int)", "unroll"+name+" is unrollFunc for a positive number of blocks.")
	u := &unroller{size: size, q: param("q"), scale: param("scale"), src: param("src")}
	n := param("blocks")
	Label("loop")
	PREFETCHT0(u.srcAt(512))
	if bytes > 64 {
		PREFETCHT0(u.srcAt(576))
		PREFETCHT0(u.srcAt(640))
	}
	block(u)
	ADDQ(U32(runs*size), u.q)
	ADDQ(U32(runs*size), u.scale)
	ADDQ(U32(bytes), u.src)
	DECQ(n)
	JNZ(LabelRef("loop"))
	done()
}

// wide returns float32 of the half at disp, in the lowest lane.
func (u *unroller) wide(disp int) VecVirtual {
	word, v := GP32(), XMM()
	MOVWLZX(u.srcAt(disp), word)
	VMOVD(word, v)
	VCVTPH2PS(v, v)
	return v
}

func unrollQ8_0(u *unroller) {
	v := YMM()
	VMOVDQU(u.srcAt(2), v)
	VMOVDQU(v, u.qAt(0))
	VMOVSS(u.wide(0), u.scaleAt(0, 0))
}

func unrollQ4_0(u *unroller) {
	v, high := YMM(), YMM()
	VMOVDQU(u.srcAt(2), v.AsX())
	VPSRLW(U8(4), v.AsX(), high.AsX())
	VINSERTI128(U8(1), high.AsX(), v, v)
	VPAND(repeated("nibbles", 0x0f0f0f0f), v, v)
	VPSUBB(repeated("eights", 0x08080808), v, v)
	VMOVDQU(v, u.qAt(0))
	VMOVSS(u.wide(0), u.scaleAt(0, 0))
}

// each stores the eight lanes of v, one to a run.
func (u *unroller) each(v VecVirtual, kind int) {
	for i := range 8 {
		if i == 4 {
			VEXTRACTF128(U8(1), v, v.AsX())
		}
		VEXTRACTPS(U8(i%4), v.AsX(), u.scaleAt(i, kind))
	}
}

// unrollQ4_K: see kernel's unpackQ4_K.
func unrollQ4_K(u *unroller) {
	word := func(disp int) Register {
		w := GP32()
		MOVL(u.srcAt(disp), w)
		return w
	}
	heads := func(at, shift int, d VecVirtual, kind int) {
		low, high, last := word(at), GP32(), word(12)
		MOVL(low, high)
		ANDL(U32(0x3f3f3f3f), low)
		SHRL(U8(2), high)
		ANDL(U32(0x30303030), high)
		if shift > 0 {
			SHRL(U8(uint8(shift)), last)
		}
		ANDL(U32(0x0f0f0f0f), last)
		ORL(last, high)
		v := YMM()
		VMOVD(low, v.AsX())
		VPINSRD(U8(1), high, v.AsX(), v.AsX())
		VPMOVZXBD(v.AsX(), v)
		VCVTDQ2PS(v, v)
		VMULPS(d, v, v)
		u.each(v, kind)
	}
	for kind, at := range []int{4, 8} {
		d := YMM()
		VBROADCASTSS(u.wide(2*kind), d)
		heads(at, 4*kind, d, kind)
	}
	low, high := YMM(), YMM()
	for i := range 4 {
		VMOVDQU(u.srcAt(16+32*i), low)
		VPSRLW(U8(4), low, high)
		for j, v := range []VecVirtual{low, high} {
			VPAND(repeated("nibbles", 0x0f0f0f0f), v, v)
			VMOVDQU(v, u.qAt(2*i+j))
		}
	}
}

// unrollQ6_K: see kernel's unpackQ6_K.
func unrollQ6_K(u *unroller) {
	low, high := vectors(make([]VecVirtual, 2)), YMM()
	v, t := YMM(), YMM()
	for n := range 2 {
		VMOVDQU(u.srcAt(64*n), low[0])
		VMOVDQU(u.srcAt(64*n+32), low[1])
		VMOVDQU(u.srcAt(128+32*n), high)
		for j := range 4 {
			switch j {
			case 0:
				VPSLLW(U8(4), high, t)
			case 1:
				VPSLLW(U8(2), high, t)
			case 2:
				VMOVDQA(high, t)
			case 3:
				VPSRLW(U8(2), high, t)
			}
			VPAND(repeated("highBits", 0x30303030), t, t)
			if j < 2 {
				VPAND(repeated("nibbles", 0x0f0f0f0f), low[j], v)
			} else {
				VPSRLW(U8(4), low[j-2], v)
				VPAND(repeated("nibbles", 0x0f0f0f0f), v, v)
			}
			VPOR(t, v, v)
			VPSUBB(repeated("thirtyTwos", 0x20202020), v, v)
			VMOVDQU(v, u.qAt(4*n+j))
		}
	}
	// The factors of the first halves of runs are the even ones, those of the second the odd ones.
	for kind := 1; kind <= 2; kind++ {
		VMOVDQU(u.srcAt(192), v.AsX())
		if kind == 1 {
			VPSLLW(U8(8), v.AsX(), v.AsX())
		}
		VPSRAW(U8(8), v.AsX(), v.AsX())
		VPMOVSXWD(v.AsX(), v)
		VCVTDQ2PS(v, v)
		u.each(v, kind)
	}
	d := u.wide(208)
	for i := range 8 {
		VMOVSS(d, u.scaleAt(i, 0))
	}
}
