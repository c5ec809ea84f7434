package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// prefetch is how many bytes ahead of its weights a product of few rows asks for them. Twice as
// many were measured to be worse where rows lie a power of two apart.
const prefetch = 512

// lanes is the number of partial sums of a chunk: the float32 in a vector.
const lanes = 8

// dots writes the products of few rows of x with rows of weights where they lie, and of two vectors.
func dots() {
	for _, e := range elements {
		for rows := 1; rows <= 3; rows++ {
			dot(e, rows, 4)
			dot(e, rows, 1)
		}
	}
	dotPair()
}

// dot writes the product of a chunk of some rows of x with some rows of w. Each of the rows·outs
// sums has one vector: lane l adds the products of k = l, l+8, …, and the lanes are then added to
// y one after another, as tiles add the parts of a chunk. Twelve sums at most leave registers for
// one w and three x.
func dot(e element, rows, outs int) {
	function(fmt.Sprintf("dot%dx%d%s", rows, outs, e.name), "func(y *float32, ys int, x *float32, xs int, w *"+e.goType+", ws, n int)",
		fmt.Sprintf("dot%dx%d%s is dotFunc for %d rows and %d outputs.", rows, outs, e.name, rows, outs))
	x, xs := param("x"), param("xs")
	SHLQ(U8(2), xs)
	xAt := []Mem{{Base: x}, {Base: x, Index: xs, Scale: 1}, {Base: x, Index: xs, Scale: 2}}
	w, ws := param("w"), param("ws")
	SHLQ(U8(shift(e.size)), ws)
	wAt := []Mem{{Base: w}}
	if outs == 4 {
		ws3 := GP64()
		LEAQ(Mem{Base: ws, Index: ws, Scale: 2}, ws3)
		wAt = append(wAt, Mem{Base: w, Index: ws, Scale: 1}, Mem{Base: w, Index: ws, Scale: 2}, Mem{Base: w, Index: ws3, Scale: 1})
	}
	n := param("n")

	sum := make([][]VecVirtual, rows)
	for r := range sum {
		sum[r] = vectors(make([]VecVirtual, outs))
		for _, s := range sum[r] {
			VXORPS(s, s, s)
		}
	}
	xv, wv := vectors(make([]VecVirtual, rows)), YMM()
	step := func(i int) {
		at := func(m Mem, size int) Mem { m.Disp = lanes * size * i; return m }
		for r, v := range xv {
			VMOVUPS(at(xAt[r], 4), v)
		}
		for o := range outs {
			e.load(at(wAt[o], e.size), wv)
			for r := range rows {
				VFMADD231PS(wv, xv[r], sum[r][o])
			}
		}
	}
	advance := func(steps int) {
		ADDQ(I32(4*lanes*steps), x)
		ADDQ(I32(e.size*lanes*steps), w)
	}
	line := 64 / e.size / lanes // steps in a cache line of w
	SUBQ(U8(line*lanes), n)
	JLT(LabelRef("rest"))
	Label("loop")
	for _, m := range wAt[:outs] {
		m.Disp = prefetch
		PREFETCHT0(m)
	}
	for i := range line {
		step(i)
	}
	advance(line)
	SUBQ(U8(line*lanes), n)
	JGE(LabelRef("loop"))
	Label("rest")
	ADDQ(U8(line*lanes), n)
	JZ(LabelRef("reduce"))
	Label("single")
	step(0)
	advance(1)
	SUBQ(U8(lanes), n)
	JNZ(LabelRef("single"))

	Label("reduce")
	y, ys := param("y"), param("ys")
	SHLQ(U8(2), ys)
	t := [4]VecVirtual{wv}
	copy(t[1:], vectors(make([]VecVirtual, 3)))
	for r := range rows {
		addLanes(y, sum[r], t)
		if r < rows-1 {
			ADDQ(ys, y)
		}
	}
	done()
}

// addLanes adds the eight lanes of one or four sums to as many elements of y, in order.
func addLanes(y Register, sum []VecVirtual, t [4]VecVirtual) {
	to := Mem{Base: y}
	total := t[3].AsX()
	switch len(sum) {
	case 4:
		transpose4(sum, t) // lane l of all, lane l+4 of all
		VMOVUPS(to, total)
		for _, s := range sum {
			VADDPS(s.AsX(), total, total)
		}
		for _, s := range sum {
			VEXTRACTF128(U8(1), s, s.AsX())
			VADDPS(s.AsX(), total, total)
		}
		VMOVUPS(total, to)
	case 1:
		s := sum[0]
		VMOVSS(to, total)
		for range 2 {
			VADDSS(s.AsX(), total, total)
			for _, lane := range []uint8{1, 2, 3} {
				VPERMILPS(U8(lane), s.AsX(), t[0].AsX())
				VADDSS(t[0].AsX(), total, total)
			}
			VEXTRACTF128(U8(1), s, s.AsX())
		}
		VMOVSS(total, to)
	}
}

// dotPair writes the product of two vectors in four sums of eight lanes, so that additions do
// not wait on one another.
func dotPair() {
	function("dotAVX2", "func(a, b *float32, n int) float32", "dotAVX2 returns Σ a·b, n a positive multiple of 32.")
	a, b, n := param("a"), param("b"), param("n")
	sum := vectors(make([]VecVirtual, 4))
	for _, s := range sum {
		VXORPS(s, s, s)
	}
	Label("loop")
	for i, s := range sum {
		v := YMM()
		VMOVUPS(Mem{Base: a, Disp: 32 * i}, v)
		VFMADD231PS(Mem{Base: b, Disp: 32 * i}, v, s)
	}
	ADDQ(I32(128), a)
	ADDQ(I32(128), b)
	SUBQ(U8(32), n)
	JNZ(LabelRef("loop"))
	VADDPS(sum[1], sum[0], sum[0])
	VADDPS(sum[3], sum[2], sum[2])
	VADDPS(sum[2], sum[0], sum[0])
	reduce1(sum[0])
	Store(sum[0].AsX(), ReturnIndex(0))
	done()
}

// reduce1 leaves the sum of the lanes of a in its first: (0+2)+(1+3) within each half, then
// the two halves.
func reduce1(a VecVirtual) {
	t := YMM()
	VPERMILPS(U8(0b00_00_11_10), a, t) // lanes 2 and 3 to 0 and 1
	VADDPS(t, a, a)
	VPERMILPS(U8(0b00_00_00_01), a, t)
	VADDPS(t, a, a)
	VEXTRACTF128(U8(1), a, t.AsX())
	VADDSS(t.AsX(), a.AsX(), a.AsX())
}
