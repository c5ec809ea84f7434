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
	qdotQ4_K()
	qdotQ6_K()
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

// asking is what the functions ask memory for meanwhile: eight lines, step bytes apart, and then those
// that are on bytes behind them.
type asking struct{ next, step, step3, on Register }

func newAsking(w Register) *asking {
	a := &asking{param("ahead"), param("step"), GP64(), param("on")}
	ADDQ(w, a.next)
	LEAQ(Mem{Base: a.step, Index: a.step, Scale: 2}, a.step3)
	return a
}

// ask prefetches lines of 64 bytes, so many from each of the eight places on.
func (a *asking) ask(lines int) {
	next4 := GP64()
	LEAQ(Mem{Base: a.next, Index: a.step, Scale: 4}, next4)
	for _, base := range []Register{a.next, next4} {
		for line := range lines {
			for _, m := range []Mem{{}, {Index: a.step, Scale: 1}, {Index: a.step, Scale: 2}, {Index: a.step3, Scale: 1}} {
				m.Base, m.Disp = base, 64*line
				PREFETCHT0(m)
			}
		}
	}
	ADDQ(a.on, a.next)
}

func qdot(name string, size int, block func(r *qdotRegisters, at []Mem, x Register)) {
	function("dot"+name, "func(y *float32, x *int8, w *byte, stride, ahead, step, on, blocks int)", "dot"+name+" is qdotFunc.")
	y, x := param("y"), param("x")
	w, stride := param("w"), param("stride")
	at, bases := rowPointers(w, stride)
	a, n := newAsking(w), param("blocks")
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
	a.ask(1)
	one()
	DECQ(n)
	JZ(LabelRef("done"))
	if 2*size > 64 {
		a.ask(1)
	}
	one()
	DECQ(n)
	JNZ(LabelRef("loop"))
	Label("done")
	VMOVUPS(acc, Mem{Base: y})
	done()
}

// qdotQ4_K writes the product with blocks of Q4_K: packQ4_K and its tile in one, without the panel
// between them.
func qdotQ4_K() {
	function("dotQ4_K", "func(y *float32, x *int8, w *byte, stride, ahead, step, on, blocks int)", "dotQ4_K is qdotFunc.")
	y, x := param("y"), param("x")
	w, stride := param("w"), param("stride")
	at, bases := rowPointers(w, stride)
	a, n := newAsking(w), param("blocks")
	r := newPackRegisters()
	heads := AllocLocal(16 * 32) // scale and least of each run
	Label("loop")
	a.ask(3)
	headQ4_K(r, at, func(run int, least bool, v VecVirtual) {
		to := heads
		to = to.Offset(64 * run)
		if least {
			to = to.Offset(32)
		}
		VMOVUPS(v, to)
	})
	acc, low, high, v := r.mask, r.v[4], r.v[5], r.v[6]
	VMOVUPS(Mem{Base: y}, acc)
	for pair := range 4 {
		for half := range 2 {
			transpose(r, at, 16+16*(2*pair+half))
			for j, w := range r.v[:4] {
				first := half == 0 && j == 0
				for i, sum := range []VecVirtual{low, high} {
					t := r.t[i]
					if i == 1 {
						VPSRLW(U8(4), w, w)
					}
					VPAND(repeated("nibbles", 0x0f0f0f0f), w, t)
					VPBROADCASTD(Mem{Base: x, Disp: (2*pair+i)*runSize + 16*half + 4*j}, v)
					if first {
						VPMADDUBSW(v, t, sum)
						continue
					}
					VPMADDUBSW(v, t, t)
					VPADDW(t, sum, sum)
				}
			}
		}
		for i, sum := range []VecVirtual{low, high} {
			run := 2*pair + i
			VPMADDWD(repeated("ones", 0x00010001), sum, sum)
			VCVTDQ2PS(sum, sum)
			VBROADCASTSS(Mem{Base: x, Disp: run*runSize + runD}, v)
			VMULPS(heads.Offset(64*run), v, v)
			VFMADD231PS(v, sum, acc)
			VBROADCASTSS(Mem{Base: x, Disp: run*runSize + runSums}, v)
			VFNMADD231PS(heads.Offset(64*run+32), v, acc)
		}
	}
	VMOVUPS(acc, Mem{Base: y})
	ADDQ(I32(8*runSize), x)
	for _, b := range bases {
		ADDQ(I32(144), b)
	}
	DECQ(n)
	JNZ(LabelRef("loop"))
	done()
}

// qdotQ6_K writes the product with blocks of Q6_K: packQ6_K and its tile in one.
func qdotQ6_K() {
	function("dotQ6_K", "func(y *float32, x *int8, w *byte, stride, ahead, step, on, blocks int)", "dotQ6_K is qdotFunc.")
	y, x := param("y"), param("x")
	w, stride := param("w"), param("stride")
	at, bases := rowPointers(w, stride)
	a, n := newAsking(w), param("blocks")
	r := newPackRegisters()
	sums := vectors(make([]VecVirtual, 4))
	scale := AllocLocal(5 * 32)
	factors := func(run, which int, to VecVirtual) {
		VMOVDQU(scale.Offset(32*(1+run/2)), to)
		factorQ6_K(to, run, which, to)
	}
	Label("loop")
	a.ask(4)
	transpose(r, at, 192)
	for i, v := range r.v[:4] {
		VMOVDQU(v, scale.Offset(32*(1+i)))
	}
	halves(at, 208, r.v[0].AsX())
	VCVTPH2PS(r.v[0].AsX(), r.v[0])
	VMOVUPS(r.v[0], scale)
	low, high := r.v[:4], r.v[4:]
	for part := range 2 { // four runs
		for half := range 2 {
			transpose(r, at, 128+32*part+16*half)
			for j := range 4 {
				VMOVDQA(low[j], high[j])
			}
			for second := range 2 {
				transpose(r, at, 64*part+32*second+16*half)
				for _, quarter := range []int{second, second + 2} {
					run := 4*part + quarter
					pair, t, u, v := r.t[0], r.t[1], r.t[2], r.t[3]
					for j := range 4 {
						sixBits(low[j], high[j], quarter, t, u)
						VPBROADCASTD(Mem{Base: x, Disp: run*runSize + 16*half + 4*j}, v)
						if j%2 == 0 {
							VPMADDUBSW(v, t, pair)
							continue
						}
						VPMADDUBSW(v, t, t)
						VPADDW(t, pair, pair)
						factors(run, half, t)
						if half == 0 && j == 1 {
							VPMADDWD(t, pair, sums[quarter])
							continue
						}
						VPMADDWD(t, pair, pair)
						VPADDD(pair, sums[quarter], sums[quarter])
					}
				}
			}
		}
		acc, t := r.v[0], r.t[0]
		VMOVUPS(Mem{Base: y}, acc)
		for quarter, sum := range sums {
			run := 4*part + quarter
			factors(run, 2, t)
			VPBROADCASTD(Mem{Base: x, Disp: run*runSize + runHalf}, r.t[1])
			VPMADDWD(r.t[1], t, t)
			VPSUBD(t, sum, sum)
			VCVTDQ2PS(sum, sum)
			VBROADCASTSS(Mem{Base: x, Disp: run*runSize + runD}, t)
			VMULPS(scale, t, t)
			VFMADD231PS(t, sum, acc)
		}
		VMOVUPS(acc, Mem{Base: y})
	}
	ADDQ(I32(8*runSize), x)
	for _, b := range bases {
		ADDQ(I32(210), b)
	}
	DECQ(n)
	JNZ(LabelRef("loop"))
	done()
}
