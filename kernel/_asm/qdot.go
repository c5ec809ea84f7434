package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// qdots writes the products of one row of int8 with eight rows of blocks where they lie. Integers
// add up to the same whatever the order; what is done in float32 is what qtile does.
func qdots() {
	qdot("Q8_0", 34, func(r *qdotRegisters, at []Mem, x Register) {
		VMOVDQU(Mem{Base: x}, r.x[0])
		for i, m := range at {
			m.Disp = 2
			w := r.sum[i/4][i%4]
			VMOVDQU(m, w)
			VPABSB(w, r.t)
			VPSIGNB(w, r.x[0], w)
			VPMADDUBSW(w, r.t, w)
			VPMADDWD(r.ones, w, w)
			if i%4 == 3 {
				addAcross(r.sum[i/4], r.t, VPADDD)
			}
		}
		// The lower halves of both, and the upper ones.
		a, b := r.sum[0][0], r.sum[1][0]
		VPERM2I128(U8(0x20), b, a, r.t)
		VPERM2I128(U8(0x31), b, a, a)
		VPADDD(r.t, a, a)
	})
	qdot("Q4_0", 18, func(r *qdotRegisters, at []Mem, x Register) {
		VBROADCASTI128(Mem{Base: x}, r.x[0])
		VBROADCASTI128(Mem{Base: x, Disp: 16}, r.x[1])
		for i := range 4 {
			low, high := at[i], at[i+4]
			low.Disp, high.Disp = 2, 2
			w := r.sum[0][i]
			VMOVDQU(low, w.AsX())
			VINSERTI128(U8(1), high, w, w)
			VPAND(r.mask, w, r.t)
			VPSRLW(U8(4), w, w)
			VPAND(r.mask, w, w)
			VPMADDUBSW(r.x[0], r.t, r.t)
			VPMADDUBSW(r.x[1], w, w)
			VPADDW(r.t, w, w)
		}
		addAcross(r.sum[0], r.t, VPADDW)
		VPMADDWD(r.ones, r.sum[0][0], r.sum[0][0])
		VPBROADCASTD(Mem{Base: x, Disp: runEight}, r.t)
		VPSUBD(r.t, r.sum[0][0], r.sum[0][0])
	})
}

type qdotRegisters struct {
	x             [2]VecVirtual
	sum           [2][]VecVirtual
	ones, mask, t VecVirtual
}

// addAcross adds up each half of four vectors: the sums of a, b, c and d, as words of 32 bits or as two
// of 16 bits, are then in each half of a.
func addAcross(v []VecVirtual, t VecVirtual, add func(...Op)) {
	for _, pair := range [][2]VecVirtual{{v[0], v[1]}, {v[2], v[3]}} {
		VPUNPCKLDQ(pair[1], pair[0], t) // a0 b0 a1 b1
		VPUNPCKHDQ(pair[1], pair[0], pair[0])
		add(t, pair[0], pair[0])
	}
	VPUNPCKLQDQ(v[2], v[0], t)
	VPUNPCKHQDQ(v[2], v[0], v[0])
	add(t, v[0], v[0])
}

func qdot(name string, size int, block func(r *qdotRegisters, at []Mem, x Register)) {
	function("dot"+name, "func(y *float32, x *int8, w *byte, stride, ahead, runs int)", "dot"+name+" is qdotFunc.")
	y, x := param("y"), param("x")
	w, stride := param("w"), param("stride")
	at, bases := rowPointers(w, stride)
	ahead, n := param("ahead"), param("runs")
	r := &qdotRegisters{x: [2]VecVirtual{YMM(), YMM()}, ones: YMM(), t: YMM()}
	r.sum[0] = vectors(make([]VecVirtual, 4))
	VPCMPEQW(r.ones, r.ones, r.ones)
	if name == "Q4_0" {
		r.mask = YMM()
		VPSRLW(U8(12), r.ones, r.mask)
		VPACKUSWB(r.mask, r.mask, r.mask)
	} else {
		r.sum[1] = vectors(make([]VecVirtual, 4))
	}
	VPSRLW(U8(15), r.ones, r.ones)
	acc, scale := YMM(), YMM()
	VMOVUPS(Mem{Base: y}, acc)
	one := func() {
		block(r, at, x)
		sum, t := r.sum[0][0], r.t
		VCVTDQ2PS(sum, sum)
		halves(at, 0, scale.AsX())
		VCVTPH2PS(scale.AsX(), scale)
		VBROADCASTSS(Mem{Base: x, Disp: runD}, t)
		VMULPS(scale, t, t)
		VFMADD231PS(t, sum, acc)
		ADDQ(U8(runSize), x)
		for _, b := range bases {
			ADDQ(U8(size), b)
		}
	}
	// A cache line holds several of the smaller blocks: asking once for two of them will do.
	Label("loop")
	ask(at, bases, ahead, 0)
	one()
	DECQ(n)
	JZ(LabelRef("done"))
	if 2*size > 64 {
		ask(at, bases, ahead, 0)
	}
	one()
	DECQ(n)
	JNZ(LabelRef("loop"))
	Label("done")
	VMOVUPS(acc, Mem{Base: y})
	done()
}
