package main

import "fmt"

// tileShapes are the products that are written: rows of x by outputs. Twenty-four sums, four w
// and four x fill the registers.
var tileShapes = [][2]int{
	{1, 64}, {2, 32}, {3, 32},
	{1, 16}, {2, 16}, {3, 16}, {4, 16}, {5, 16}, {6, 16},
	{1, 8}, {2, 8}, {3, 8}, {4, 8}, {5, 8}, {6, 8},
}

// tiles writes the products of some rows of x with panels of sixteen outputs. Each sum has a
// lane of its own and takes its products one after the other, k rising, whatever the shape.
func tiles() {
	for _, s := range tileShapes {
		tile(s[0], s[1])
	}
}

func tile(rows, outs int) {
	name := fmt.Sprintf("tile%dx%d", rows, outs)
	function(name, "y *float32, ys int, x *float32, xs int, w *float32, step, panel, ahead, n int, fresh bool", "",
		fmt.Sprintf("%s is tileFunc for %d rows and %d outputs.", name, rows, outs))
	const y, ys, xs, w, panel, step, ahead, n, fresh, t = 0, 1, 2, 3, 7, 8, 9, 10, 11, 12 // w takes R3 to R6
	x := []int{13, 14, 15, 16, 17, 19}
	const wv, xv = 24, 28
	vectors := outs / 4
	sum := func(r, v int) int { return r*vectors + v }
	param("y", y)
	param("ys", ys)
	param("x", x[0])
	param("xs", xs)
	param("w", w)
	param("step", step)
	param("ahead", ahead)
	param("n", n)
	op("MOVBU fresh+%d(FP), R%d", args["fresh"], fresh)
	for r := 1; r < rows; r++ {
		op("ADD R%d<<2, R%d, R%d", xs, x[r-1], x[r])
	}
	if outs > 16 {
		param("panel", panel)
		for p := 1; p < outs/16; p++ {
			op("ADD R%d<<2, R%d, R%d", panel, w+p-1, w+p)
		}
	}
	op("LSL $2, R%d", step)
	eachY := func(f func(r, v int)) {
		op("MOVD R%d, R%d", y, t)
		for r := range rows {
			for v := range vectors {
				f(r, v)
			}
			if r < rows-1 {
				op("ADD R%d<<2, R%d", ys, t)
			}
		}
	}
	for v := range rows * vectors {
		zero(v)
	}
	branch(fmt.Sprintf("CBNZ R%d,", fresh), "start")
	eachY(func(r, v int) { load(sum(r, v), t, 16*v) })
	label("start")
	// Up to four vectors of w are loaded at a time, and wait for all rows.
	one := func(k int) {
		group := min(4, vectors)
		if rows == 1 || outs > 16 { // x stays, w comes by
			for r := range rows {
				load1(xv+r, x[r], 4*k)
			}
		}
		for v0 := 0; v0 < vectors; v0 += group {
			for v := range group {
				load(wv+v, w+v0/4, 16*v)
			}
			for r := range rows {
				from := xv + r
				if rows > 1 && outs <= 16 {
					from = xv + r%4
					load1(from, x[r], 4*k)
				}
				for v := range group {
					fmlaAt(sum(r, v0+v), wv+v, from, 0)
				}
			}
		}
		for p := range max(1, outs/16) {
			op("ADD R%d, R%d", step, w+p)
		}
	}
	advance := func(k int) {
		for r := range rows {
			op("ADD $%d, R%d", 4*k, x[r])
		}
	}
	const unroll = 8
	op("SUBS $%d, R%d", unroll, n)
	branch("BLT", "rest")
	label("loop")
	if rows == 6 {
		for r := range rows {
			op("ADD R%d<<2, R%d, R%d", ahead, x[r], t)
			prefetch(t, 0)
		}
	}
	for k := range unroll {
		one(k)
	}
	advance(unroll)
	op("SUBS $%d, R%d", unroll, n)
	branch("BGE", "loop")
	label("rest")
	op("ADDS $%d, R%d", unroll, n)
	branch("BEQ", "store")
	label("single")
	one(0)
	advance(1)
	op("SUBS $1, R%d", n)
	branch("BNE", "single")
	label("store")
	branch(fmt.Sprintf("CBZ R%d,", fresh), "keep")
	eachY(func(r, v int) {
		load(wv, t, 16*v)
		fadd(sum(r, v), sum(r, v), wv)
	})
	label("keep")
	eachY(func(r, v int) { store(sum(r, v), t, 16*v) })
	ret()
}
