package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// element is a type that weights are stored in. widen takes a vector whose lanes hold four
// bytes each of eight outputs, and hands on vectors of one k each, in order. It may use t[0].
type element struct {
	name, goType string
	size         int // in bytes
	load         func(from Mem, to VecVirtual)
	mask         func(VecVirtual)
	widen        func(r *packRegisters, v VecVirtual, use func(VecVirtual))
}

// packRegisters are allotted once for all the steps of a loop: left to itself, avo
// spreads over registers that only AVX-512 has.
type packRegisters struct {
	v    [8]VecVirtual
	t    [4]VecVirtual
	mask VecVirtual
}

func newPackRegisters() *packRegisters {
	r := &packRegisters{mask: YMM()}
	for i := range r.v {
		r.v[i] = YMM()
	}
	for i := range r.t {
		r.t[i] = YMM()
	}
	return r
}

var elements = []element{
	{"F32", "float32", 4, func(from Mem, to VecVirtual) { VMOVUPS(from, to) }, func(VecVirtual) {}, func(r *packRegisters, v VecVirtual, use func(VecVirtual)) { use(v) }},
	{"BF16", "uint16", 2, func(from Mem, to VecVirtual) { VPMOVZXWD(from, to); VPSLLD(U8(16), to, to) }, func(mask VecVirtual) {
		VPCMPEQD(mask, mask, mask)
		VPSLLD(U8(16), mask, mask)
	}, func(r *packRegisters, v VecVirtual, use func(VecVirtual)) {
		even := r.t[0]
		VPSLLD(U8(16), v, even)
		use(even)
		VPAND(r.mask, v, v)
		use(v)
	}},
	{"F16", "uint16", 2, func(from Mem, to VecVirtual) { VCVTPH2PS(from, to) }, func(mask VecVirtual) {
		VPCMPEQD(mask, mask, mask)
		VPSRLD(U8(16), mask, mask)
	}, func(r *packRegisters, v VecVirtual, use func(VecVirtual)) {
		even, odd := r.t[0], v
		VPAND(r.mask, v, even)
		VPSRLD(U8(16), v, odd)
		VPACKUSDW(odd, even, even)            // even 0-3, odd 0-3, even 4-7, odd 4-7
		VPERMQ(U8(0b11_01_10_00), even, even) // even, odd
		VEXTRACTI128(U8(1), even, odd.AsX())
		VCVTPH2PS(even.AsX(), even)
		use(even)
		VCVTPH2PS(odd.AsX(), odd)
		use(odd)
	}},
}

// packs writes what turns rows of weights into half a panel: in the order of tiles, lane after
// lane of a chunk, or in that of columns, as attention wants its keys.
func packs() {
	for _, e := range elements {
		pack("pack"+e.name, e, partStride, 64)
	}
	pack("packKeys", elements[0], 64, 8*64)
	part()
}

// part writes what puts a row of x into the order of tiles: walk sees 64 columns as eight
// rows of eight.
func part() {
	function("partRow", "func(dst *float32, part int, x *float32, n int)",
		"partRow writes x[8·i+l], 8·i+l < n, to dst[part·l+i], n a positive multiple of 64.")
	dst, stride := param("dst"), param("part")
	SHLQ(U8(2), stride)
	to, bases := rowPointers(dst, stride)
	x, n := param("x"), param("n")
	r := newPackRegisters()
	from := make([]Mem, 8)
	for i := range from {
		from[i] = Mem{Base: x, Disp: 32 * i}
	}
	Label("loop")
	l := 0
	walk(r, elements[0], from, 0, func(v VecVirtual) {
		VMOVUPS(v, to[l])
		l++
	})
	ADDQ(I32(4*64), x)
	for _, b := range bases {
		ADDQ(U8(32), b)
	}
	SUBQ(I32(64), n)
	JNZ(LabelRef("loop"))
	done()
}

// partStride is the number of bytes from one part of a panel, that is lane of a chunk, to the next.
const partStride = 145 * 64

// rowPointers returns the addresses of eight rows that lie stride bytes apart.
func rowPointers(src, stride Register) (at []Mem, bases []Register) {
	stride3, src4 := GP64(), GP64()
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, stride3)
	LEAQ(Mem{Base: src, Index: stride, Scale: 4}, src4)
	for _, base := range []Register{src, src4} {
		at = append(at, Mem{Base: base}, Mem{Base: base, Index: stride, Scale: 1},
			Mem{Base: base, Index: stride, Scale: 2}, Mem{Base: base, Index: stride3, Scale: 1})
	}
	return at, []Register{src, src4}
}

// transpose loads 16 bytes of each of eight rows into four vectors: the first gets the first four
// bytes of every row in its lanes, and so on.
func transpose(r *packRegisters, at []Mem, disp int) {
	for i, v := range r.v[:4] {
		low, high := at[i], at[i+4]
		low.Disp, high.Disp = disp, disp
		VMOVDQU(low, v.AsX())
		VINSERTI128(U8(1), high, v, v)
	}
	transpose4(r.v[:4], r.t)
}

// transpose4 transposes four by four words of 32 bits in each half of the vectors.
func transpose4(v []VecVirtual, t [4]VecVirtual) {
	VPUNPCKLDQ(v[1], v[0], t[0]) // a0 b0 a1 b1
	VPUNPCKHDQ(v[1], v[0], t[1]) // a2 b2 a3 b3
	VPUNPCKLDQ(v[3], v[2], t[2]) // c0 d0 c1 d1
	VPUNPCKHDQ(v[3], v[2], t[3])
	VPUNPCKLQDQ(t[2], t[0], v[0]) // a0 b0 c0 d0
	VPUNPCKHQDQ(t[2], t[0], v[1])
	VPUNPCKLQDQ(t[3], t[1], v[2])
	VPUNPCKHQDQ(t[3], t[1], v[3])
}

// walk loads 32 bytes of each of eight rows and uses them k by k. Rows are often a power of
// two apart, where the first-level cache has eight places for all of them: a line is
// better read in two loads than in four.
func walk(r *packRegisters, e element, at []Mem, disp int, use func(v VecVirtual)) {
	for i, v := range r.v {
		m := at[i]
		m.Disp += disp
		VMOVDQU(m, v)
	}
	transpose4(r.v[:4], r.t)
	transpose4(r.v[4:], r.t)
	e.mask(r.mask)
	for i := range 4 {
		VPERM2I128(U8(0x20), r.v[i+4], r.v[i], r.t[1])
		VPERM2I128(U8(0x31), r.v[i+4], r.v[i], r.v[i]) // the second half waits
		e.widen(r, r.t[1], use)
	}
	for _, v := range r.v[:4] {
		e.widen(r, v, use)
	}
}

// pack writes eight columns of a panel from eight rows of weights. Columns k to k+8 go to places
// stride bytes apart, the next eight step bytes on. It does not prefetch: where walk's rows share
// the places of a cache, more of them at a time push one another out.
func pack(name string, e element, stride, step int) {
	per := 16 / e.size // of k in 16 bytes
	function(name, "func(dst *float32, src *"+e.goType+", stride, n int)",
		name+" is packFunc.")
	dst, src, rowStride := param("dst"), param("src"), param("stride")
	SHLQ(U8(shift(e.size)), rowStride)
	at, bases := rowPointers(src, rowStride)
	n := param("n")
	r := newPackRegisters()
	k := 0
	store := func(v VecVirtual) {
		VMOVUPS(v, Mem{Base: dst, Disp: k%lanes*stride + k/lanes*step})
		k++
	}
	advance := func(columns int) {
		ADDQ(I32(columns/lanes*step), dst)
		for _, b := range bases {
			ADDQ(U8(columns*e.size), b)
		}
	}
	SUBQ(I32(64/e.size), n)
	JLT(LabelRef("rest"))
	Label("loop")
	walk(r, e, at, 0, store)
	walk(r, e, at, 32, store)
	advance(64 / e.size)
	SUBQ(I32(64/e.size), n)
	JGE(LabelRef("loop"))
	Label("rest")
	ADDQ(I32(64/e.size), n)
	JZ(LabelRef("done"))
	Label("single")
	k = 0
	for i := range lanes / per {
		transpose(r, at, 16*i)
		e.mask(r.mask)
		for _, v := range r.v[:4] {
			e.widen(r, v, store)
		}
	}
	advance(lanes)
	SUBQ(I32(lanes), n)
	JNZ(LabelRef("single"))
	Label("done")
	done()
}

// ask prefetches a line of each of eight rows, ahead bytes on.
func ask(at []Mem, bases []Register, ahead Register, disp int) {
	next := GP64()
	for i, m := range at {
		if i%4 == 0 {
			LEAQ(Mem{Base: bases[i/4], Index: ahead, Scale: 1}, next)
		}
		m.Base, m.Disp = next, disp
		PREFETCHT0(m)
	}
}

func shift(size int) int {
	if size == 4 {
		return 2
	}
	return 1
}
