package main

import "fmt"

// qdots writes the products of up to three rows of int8 with four rows of blocks where they lie.
func qdots() {
	for rows := 1; rows <= 3; rows++ {
		qdot("Q8_0", 34, rows)
		qdot("Q4_0", 18, rows)
	}
}

func qdot(kind string, size, rows int) {
	name := fmt.Sprintf("dot%d%s", rows, kind)
	function(name, "y *float32, ys int, x *int8, xs int, d *float32, ds int, w *byte, stride, blocks int", "",
		fmt.Sprintf("%s is qdotFunc for %d rows.", name, rows))
	const y, ys, x, xs, d, ds, w, stride, n, t = 0, 1, 2, 5, 6, 9, 10, 14, 15, 16 // x and d take three, w four
	for _, p := range []struct {
		name string
		r    int
	}{{"y", y}, {"ys", ys}, {"x", x}, {"xs", xs}, {"d", d}, {"ds", ds}, {"w", w}, {"stride", stride}, {"blocks", n}} {
		param(p.name, p.r)
	}
	for r := 1; r < rows; r++ {
		op("ADD R%d, R%d, R%d", xs, x+r-1, x+r)
		op("ADD R%d<<2, R%d, R%d", ds, d+r-1, d+r)
	}
	for o := 1; o < 4; o++ {
		op("ADD R%d, R%d, R%d", stride, w+o-1, w+o)
	}
	const acc, wv, sum, xv, scale, mins, mask, dv = 0, 4, 12, 16, 18, 19, 20, 21 // wv: two for each output
	op("MOVD R%d, R%d", y, t)
	for r := range rows {
		load(acc+r, t, 0)
		op("ADD R%d<<2, R%d", ys, t)
	}
	four := kind == "Q4_0"
	if four {
		word(0x4F00E400|15<<5|mask, "movi v%d.16b, #15", mask)
		constant(8, 22)
	}
	label("loop")
	for o := range 4 {
		prefetch(w+o, ahead)
		loadHalf(scale, o, w+o)
		a, b := wv+2*o, wv+2*o+1
		if four {
			loadAny(a, w+o, 2)
			ushr4(b, a)
			and(a, a, mask)
		} else {
			loadAny(a, w+o, 2)
			loadAny(b, w+o, 18)
		}
		op("ADD $%d, R%d", size, w+o)
	}
	fcvtl(scale, scale)
	if four {
		fmul(mins, scale, 22)
	}
	for r := range rows {
		load(xv, x+r, 0)
		load(xv+1, x+r, 16)
		for o := range 4 {
			zero(sum + o)
			sdot(sum+o, wv+2*o, xv)
			sdot(sum+o, wv+2*o+1, xv+1)
		}
		addp(sum, sum, sum+1)
		addp(sum+2, sum+2, sum+3)
		addp(sum, sum, sum+2)
		scvtf(sum, sum)
		load1(dv, d+r, 0)
		dup(dv, dv, 0)
		fmul(dv, dv, scale)
		fmla(acc+r, sum, dv)
		if four {
			load1(dv, d+r, 4)
			dup(dv, dv, 0)
			fmls(acc+r, mins, dv)
		}
		op("ADD $32, R%d", x+r)
		op("ADD $8, R%d", d+r)
	}
	op("SUBS $1, R%d", n)
	branch("BNE", "loop")
	for r := range rows {
		store(acc+r, y, 0)
		if r < rows-1 {
			op("ADD R%d<<2, R%d", ys, y)
		}
	}
	ret()
}
