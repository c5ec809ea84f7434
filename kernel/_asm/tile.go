package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// tileShapes are the products that are written: rows of x by vectors of eight outputs. Eight
// sums or more hide the latency of additions; twelve, two w and one x fill the registers.
// Shapes of one vector are for what is left over of 16 outputs.
var tileShapes = [][2]int{
	{1, 8}, {2, 4}, {3, 4},
	{1, 2}, {2, 2}, {3, 2}, {4, 2}, {5, 2}, {6, 2},
	{1, 1}, {2, 1}, {3, 1}, {4, 1}, {5, 1}, {6, 1},
}

// tiles writes the products of some rows of x with panels of sixteen outputs. Each sum has a
// lane of its own and takes its products one after the other, k rising, whatever the shape.
func tiles() {
	for _, shape := range tileShapes {
		tile(shape[0], shape[1])
	}
}

func tile(rows, vectors int) {
	name := fmt.Sprintf("tile%dx%d", rows, 8*vectors)
	function(name, "func(y *float32, ys int, x *float32, xs int, w *float32, step, panel, ahead, n int, fresh bool)",
		fmt.Sprintf("%s is tileFunc for %d rows and %d outputs.", name, rows, 8*vectors))
	fresh := Load(Param("fresh"), GP8())
	sum := make([][]VecVirtual, rows)
	for r := range sum {
		sum[r] = make([]VecVirtual, vectors)
		for v := range sum[r] {
			sum[r][v] = YMM()
		}
	}
	eachY := func(f func(y Mem, sum VecVirtual)) {
		y, ys := param("y"), param("ys")
		SHLQ(U8(2), ys)
		for r := range sum {
			for v := range sum[r] {
				f(Mem{Base: y, Disp: 32 * v}, sum[r][v])
			}
			if r < rows-1 {
				ADDQ(ys, y)
			}
		}
	}
	for r := range sum {
		for v := range sum[r] {
			VXORPS(sum[r][v], sum[r][v], sum[r][v])
		}
	}
	TESTB(fresh, fresh)
	JNZ(LabelRef("start"))
	eachY(func(y Mem, sum VecVirtual) { VMOVUPS(y, sum) })

	Label("start")
	x, xs := param("x"), param("xs")
	SHLQ(U8(2), xs)
	xAt := []Mem{{Base: x}, {Base: x, Index: xs, Scale: 1}, {Base: x, Index: xs, Scale: 2}}
	if rows > 3 {
		x3 := GP64()
		LEAQ(Mem{Base: xs, Index: xs, Scale: 2}, x3)
		ADDQ(x, x3)
		xAt = append(xAt, Mem{Base: x3}, Mem{Base: x3, Index: xs, Scale: 1}, Mem{Base: x3, Index: xs, Scale: 2})
	}
	advance := func(k int) {
		ADDQ(U8(4*k), xAt[0].Base)
		if rows > 3 {
			ADDQ(U8(4*k), xAt[3].Base)
		}
	}
	w, step := param("w"), param("step")
	SHLQ(U8(2), step)
	wAt := []Mem{{Base: w}, {Base: w, Disp: 32}}
	if vectors > 2 {
		panel := param("panel")
		SHLQ(U8(2), panel)
		wAt = append(wAt, Mem{Base: w, Index: panel, Scale: 1}, Mem{Base: w, Index: panel, Scale: 1, Disp: 32})
		if vectors > 4 {
			panel3 := GP64()
			LEAQ(Mem{Base: panel, Index: panel, Scale: 2}, panel3)
			wAt = append(wAt, Mem{Base: w, Index: panel, Scale: 2}, Mem{Base: w, Index: panel, Scale: 2, Disp: 32},
				Mem{Base: w, Index: panel3, Scale: 1}, Mem{Base: w, Index: panel3, Scale: 1, Disp: 32})
		}
	}
	one := func(k int) {
		at := func(r int) Mem {
			m := xAt[r]
			m.Disp = 4 * k
			return m
		}
		if vectors > 2 || rows == 1 { // x in registers, w from memory
			xv := make([]VecVirtual, rows)
			for r := range xv {
				xv[r] = YMM()
				VBROADCASTSS(at(r), xv[r])
			}
			for v := range vectors {
				if rows == 1 {
					VFMADD231PS(wAt[v], xv[0], sum[0][v])
					continue
				}
				wv := YMM()
				VMOVUPS(wAt[v], wv)
				for r := range xv {
					VFMADD231PS(wv, xv[r], sum[r][v])
				}
			}
		} else {
			wv := make([]VecVirtual, vectors)
			for v := range wv {
				wv[v] = YMM()
				VMOVUPS(wAt[v], wv[v])
			}
			for r := range rows {
				xv := YMM()
				VBROADCASTSS(at(r), xv)
				for v := range wv {
					VFMADD231PS(wv[v], xv, sum[r][v])
				}
			}
		}
		ADDQ(step, w)
	}
	tileLoop(func(ahead Register) {
		if rows < 6 {
			return
		}
		next := [2]Register{GP64(), GP64()}
		for i := range next {
			LEAQ(Mem{Base: xAt[3*i].Base, Index: ahead, Scale: 1}, next[i])
		}
		for r, m := range xAt {
			m.Base = next[r/3]
			PREFETCHT0(m)
		}
	}, one, advance, eachY)
}

// tileLoop writes the loop of a tile over n columns, and adds its sums to y unless that is fresh. one
// multiplies column k of those from x on, advance moves x on, prefetch asks for what lies
// ahead of it, and eachY goes through y and the sums.
func tileLoop(prefetch func(ahead Register), one, advance func(k int), eachY func(func(y Mem, sum VecVirtual))) {
	ahead, n := param("ahead"), param("n")
	SHLQ(U8(2), ahead)
	const unroll = 8
	SUBQ(U8(unroll), n)
	JLT(LabelRef("rest"))
	Label("loop")
	prefetch(ahead)
	for k := range unroll {
		one(k)
	}
	advance(unroll)
	SUBQ(U8(unroll), n)
	JGE(LabelRef("loop"))
	Label("rest")
	ADDQ(U8(unroll), n)
	JZ(LabelRef("store"))
	Label("single")
	one(0)
	advance(1)
	DECQ(n)
	JNZ(LabelRef("single"))

	Label("store")
	fresh := Load(Param("fresh"), GP8())
	TESTB(fresh, fresh)
	JZ(LabelRef("keep"))
	eachY(func(y Mem, sum VecVirtual) { VADDPS(y, sum, sum) })
	Label("keep")
	eachY(func(y Mem, sum VecVirtual) { VMOVUPS(sum, y) })
	done()
}
