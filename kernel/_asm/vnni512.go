package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// rowsVNNI512 is the most rows of a product in vectors of 512 bits.
const rowsVNNI512 = 8

// qtilesVNNI512 writes products of up to eight rows with two panels, side by side in one vector: the whole numbers
// and the additions of AVX2.
func qtilesVNNI512() {
	for i := range productsVNNI {
		for rows := 1; rows <= rowsVNNI512; rows++ {
			qtileVNNI512(&productsVNNI[i], rows)
		}
	}
}

func qtileVNNI512(p *product, rows int) {
	name := fmt.Sprintf("tileVNNI512%s_%dx16", p.name, rows)
	function(name, "func(y *float32, ys int, x *int8, w *byte, panel, runs int)",
		fmt.Sprintf("%s is qtileFunc for %d rows and 16 outputs.", name, rows))
	x, w, panel := param("x"), param("w"), param("panel")
	runs := param("runs")
	acc, sum := zvectors(rows), zvectors(rows)
	eachY := func(do func(y Mem, acc VecVirtual)) {
		y, ys := param("y"), param("ys")
		SHLQ(U8(2), ys)
		for r := range acc {
			do(Mem{Base: y}, acc[r])
			if r < rows-1 {
				ADDQ(ys, y)
			}
		}
	}
	eachY(func(y Mem, acc VecVirtual) { VMOVUPS(y, acc) })
	xAt := func(row, disp int) Mem { return Mem{Base: x, Disp: row*runSize + disp} }
	both := func(disp int, v VecVirtual) { // of a panel, and of the one after it
		VMOVDQU32(Mem{Base: w, Disp: disp}, v.AsY())
		VINSERTI64X4(U8(1), Mem{Base: w, Index: panel, Scale: 1, Disp: disp}, v, v)
	}
	wv, t := zvectors(2), ZMM()
	scale, least, signs := ZMM(), ZMM(), ZMM()
	if p.name == "Q8_0" {
		VBROADCASTSS(repeated("signs", 0x80808080), signs)
	}
	Label("loop")
	for g := range 8 {
		v := wv[g%2]
		both(32*g, v)
		if p.name == "Q8_0" { // see productsVNNI
			VPXORD(signs, v, v)
		}
		for r, s := range sum {
			if g == 0 {
				VPXORD(s, s, s)
			}
			VPDPBUSD_BCST(xAt(r, 4*g), v, s)
		}
	}
	both(panelScale, scale)
	if p.least != 0 {
		both(p.least, least)
	}
	for r, s := range sum {
		switch p.name {
		case "Q8_0":
			VPSLLD_BCST(U8(4), xAt(r, runEight), t)
			VPSUBD(t, s, s)
		case "Q4_0":
			VPSUBD_BCST(xAt(r, runEight), s, s)
		}
		VCVTDQ2PS(s, s)
		VMULPS_BCST(xAt(r, runD), scale, t)
		VFMADD231PS(s, t, acc[r])
		if p.least != 0 {
			VFNMADD231PS_BCST(xAt(r, runSums), least, acc[r])
		}
	}
	ADDQ(I32(rows*runSize), x)
	ADDQ(I32(p.size), w)
	DECQ(runs)
	JNZ(LabelRef("loop"))
	eachY(func(y Mem, acc VecVirtual) { VMOVUPS(acc, y) })
	done()
}
