package main

import "fmt"

// A run of x, as package kernel's xRun has it.
const (
	runSums = 32 // d, d·Σ, 8·Σ and the halves' Σ, after 32 int8
	runSize = 48
)

// qdots writes the products of up to four rows of int8 with four rows of blocks where they lie.
func qdots() {
	for rows := 1; rows <= 4; rows++ {
		qdot("Q8_0", 34, rows)
		qdot("Q4_0", 18, rows)
	}
}

// qdot multiplies and adds float32 apart, as portable Go does: the bits are the same.
func qdot(kind string, size, rows int) {
	name := fmt.Sprintf("dot%d%s", rows, kind)
	function(name, "y *float32, ys int, x *int8, xs int, w *byte, stride, blocks int", "",
		fmt.Sprintf("%s is qdotFunc for %d rows.", name, rows))
	const y, ys, x, xs, w, stride, n, t = 0, 1, 2, 6, 7, 11, 12, 13 // x and w take four
	for _, p := range []struct {
		name string
		r    int
	}{{"y", y}, {"ys", ys}, {"x", x}, {"xs", xs}, {"w", w}, {"stride", stride}, {"blocks", n}} {
		param(p.name, p.r)
	}
	for r := 1; r < rows; r++ {
		op("ADD R%d, R%d, R%d", xs, x+r-1, x+r)
	}
	for o := 1; o < 4; o++ {
		op("ADD R%d, R%d, R%d", stride, w+o-1, w+o)
	}
	const acc, wv, sum, xv, scale, mask, sums, dv = 0, 4, 12, 16, 18, 19, 20, 21 // wv: two for each output
	op("MOVD R%d, R%d", y, t)
	for r := range rows {
		load(acc+r, t, 0)
		op("ADD R%d<<2, R%d", ys, t)
	}
	four := kind == "Q4_0"
	if four {
		word(0x4F00E400|15<<5|mask, "movi v%d.16b, #15", mask)
	}
	label("loop")
	for o := range 4 {
		prefetch(w+o, ahead)
		loadHalf(scale, o, w+o)
		a, b := wv+2*o, wv+2*o+1
		loadAny(a, w+o, 2)
		if four {
			ushr4(b, a)
			and(a, a, mask)
		} else {
			loadAny(b, w+o, 18)
		}
		op("ADD $%d, R%d", size, w+o)
	}
	fcvtl(scale, scale)
	for r := range rows {
		load(xv, x+r, 0)
		load(xv+1, x+r, 16)
		load(sums, x+r, runSums)
		for o := range 4 {
			zero(sum + o)
			sdot(sum+o, wv+2*o, xv)
			sdot(sum+o, wv+2*o+1, xv+1)
		}
		addp(sum, sum, sum+1)
		addp(sum+2, sum+2, sum+3)
		addp(sum, sum, sum+2)
		if four { // nibbles are from 0 to 15
			dup(dv, sums, 2)
			sub(sum, sum, dv)
		}
		scvtf(sum, sum)
		dup(dv, sums, 0)
		fmul(dv, dv, scale)
		fmul(dv, dv, sum)
		fadd(acc+r, acc+r, dv)
		op("ADD $%d, R%d", runSize, x+r)
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
