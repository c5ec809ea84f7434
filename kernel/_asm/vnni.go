package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// qtilesVNNI writes the products of some rows of int8 with a panel of sixteen outputs, see qtiles:
// the same panels, the same sums of integers, the same float32 afterwards.
func qtilesVNNI() {
	for _, rows := range []int{1, 2, 4, 8} {
		qtileVNNI("Q8", rows, false)
		qtileVNNI("Q4", rows, true)
	}
}

func qtileVNNI(kind string, rows int, four bool) {
	name := fmt.Sprintf("tileVNNI%s%dx16", kind, rows)
	function(name, "func(y *float32, ys int, x *int8, xs int, d *float32, ds int, w *byte, blocks int)",
		fmt.Sprintf("%s is qtileFunc for %d rows.", name, rows))
	x, xs := param("x"), param("xs")
	d, ds := param("d"), param("ds")
	w, blocks := param("w"), param("blocks")
	SHLQ(U8(2), ds)
	// Rows 0, 1, 2 and 4 from one register, 3, 5 and 7 from another, 6 from a third.
	rowsOf := func(base, stride Register) (at []Mem, bases []Register) {
		bases = []Register{base}
		at = []Mem{{Base: base}, {Base: base, Index: stride, Scale: 1}, {Base: base, Index: stride, Scale: 2}}
		if rows > 3 {
			third := GP64()
			LEAQ(Mem{Base: base, Index: stride, Scale: 2}, third)
			ADDQ(stride, third)
			bases = append(bases, third)
			sixth := GP64()
			LEAQ(Mem{Base: third, Index: stride, Scale: 2}, sixth)
			ADDQ(stride, sixth)
			bases = append(bases, sixth)
			at = append(at, Mem{Base: third}, Mem{Base: base, Index: stride, Scale: 4},
				Mem{Base: third, Index: stride, Scale: 2}, Mem{Base: sixth}, Mem{Base: third, Index: stride, Scale: 4})
		}
		return at[:rows], bases
	}
	xAt, xBases := rowsOf(x, xs)
	dAt, dBases := rowsOf(d, ds)
	acc, sum := zvectors(rows), zvectors(rows)
	eachY := func(f func(y Mem, acc VecVirtual)) {
		y, ys := param("y"), param("ys")
		SHLQ(U8(2), ys)
		for r, a := range acc {
			f(Mem{Base: y}, a)
			if r < rows-1 {
				ADDQ(ys, y)
			}
		}
	}
	eachY(func(y Mem, a VecVirtual) { VMOVUPS(y, a) })
	wv, t, flip := ZMM(), ZMM(), ZMM()
	if !four {
		bits := GP32()
		MOVL(U32(0x80808080), bits)
		VPBROADCASTD(bits, flip)
	}
	Label("loop")
	for r, s := range sum {
		if four {
			VPXORD(s, s, s)
			continue
		}
		// The weights are made w + 128, for one factor must be unsigned. d·Σq divided by d is
		// Σq, but for less than a rounding; 128 times that is subtracted beforehand. Where d is
		// zero, whatever comes of it is multiplied by zero.
		m := dAt[r]
		VMOVSS(Mem{Base: m.Base, Index: m.Index, Scale: m.Scale, Disp: 4}, t.AsX())
		VDIVSS(m, t.AsX(), t.AsX())
		VCVTPS2DQ(t.AsX(), t.AsX())
		VPSLLD(U8(7), t.AsX(), t.AsX())
		VPXORD(s, s, s)
		VPSUBD(t.AsX(), s.AsX(), t.AsX())
		VPBROADCASTD(t.AsX(), s)
	}
	for g := range 8 {
		VMOVDQU32(Mem{Base: w, Disp: 64 * g}, wv)
		if !four {
			VPXORD(flip, wv, wv)
		}
		for r, m := range xAt {
			m.Disp = 4 * g
			VPDPBUSD_BCST(m, wv, sum[r])
		}
	}
	for r, s := range sum {
		VCVTDQ2PS(s, s)
		VBROADCASTSS(dAt[r], t)
		VMULPS(Mem{Base: w, Disp: panelScales}, t, t)
		VFMADD231PS(t, s, acc[r])
		if four {
			m := dAt[r]
			m.Disp = 4
			VBROADCASTSS(m, t)
			VFNMADD231PS(Mem{Base: w, Disp: panelMins}, t, acc[r])
		}
	}
	for _, b := range xBases {
		ADDQ(U8(32), b)
	}
	for _, b := range dBases {
		ADDQ(U8(8), b)
	}
	ADDQ(I32(panelBlock), w)
	DECQ(blocks)
	JNZ(LabelRef("loop"))
	eachY(func(y Mem, a VecVirtual) { VMOVUPS(a, y) })
	done()
}
