package main

import "fmt"

// element is a type that weights are stored in; load puts eight of them, as float32, in v and next.
type element struct {
	name, goType string
	size         int
	load         func(v, next, base, at int)
}

var elements = []element{
	{"F32", "float32", 4, func(v, next, base, at int) {
		load(v, base, at)
		load(next, base, at+16)
	}},
	{"BF16", "uint16", 2, func(v, next, base, at int) {
		load(v, base, at)
		shll216(next, v)
		shll16(v, v)
	}},
	{"F16", "uint16", 2, func(v, next, base, at int) {
		load(v, base, at)
		fcvtl2(next, v)
		fcvtl(v, v)
	}},
}

// ahead is how many bytes ahead of its weights a product of few rows asks for them.
const ahead = 512

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

// dot writes the product of a chunk of some rows of x with some rows of w. A sum is two vectors,
// lane l of eight adds the products of k = l, l+8, …; the lanes are then added to y one after
// another, as tiles add the parts of a chunk.
func dot(e element, rows, outs int) {
	name := fmt.Sprintf("dot%dx%d%s", rows, outs, e.name)
	function(name, "y *float32, ys int, x *float32, xs int, w *"+e.goType+", ws, n int", "",
		fmt.Sprintf("%s is dotFunc for %d rows and %d outputs.", name, rows, outs))
	const y, ys, x, xs, w, ws, n = 0, 1, 2, 5, 6, 10, 11 // x takes R2 to R4, w R6 to R9
	const wide, xv = 24, 26                              // two and six vectors; before them are the sums
	sum := func(r, o int) int { return 2 * (r*outs + o) }
	for _, p := range []struct {
		name string
		r    int
	}{{"y", y}, {"ys", ys}, {"x", x}, {"xs", xs}, {"w", w}, {"ws", ws}, {"n", n}} {
		param(p.name, p.r)
	}
	for r := 1; r < rows; r++ {
		op("ADD R%d<<2, R%d, R%d", xs, x+r-1, x+r)
	}
	for o := 1; o < outs; o++ {
		op("ADD R%d<<%d, R%d, R%d", ws, map[int]int{2: 1, 4: 2}[e.size], w+o-1, w+o)
	}
	for v := range 2 * rows * outs {
		zero(v)
	}
	step := func(i int) {
		for r := range rows {
			load(xv+2*r, x+r, 32*i)
			load(xv+2*r+1, x+r, 32*i+16)
		}
		for o := range outs {
			e.load(wide, wide+1, w+o, 8*e.size*i)
			for r := range rows {
				fmla(sum(r, o), wide, xv+2*r)
				fmla(sum(r, o)+1, wide+1, xv+2*r+1)
			}
		}
	}
	advance := func(steps int) {
		for r := range rows {
			op("ADD $%d, R%d", 32*steps, x+r)
		}
		for o := range outs {
			op("ADD $%d, R%d", 8*e.size*steps, w+o)
		}
	}
	line := 64 / e.size / 8 // steps in a cache line of w
	op("SUBS $%d, R%d", 8*line, n)
	branch("BLT", "rest")
	label("loop")
	for o := range outs {
		prefetch(w+o, ahead)
	}
	for i := range line {
		step(i)
	}
	advance(line)
	op("SUBS $%d, R%d", 8*line, n)
	branch("BGE", "loop")
	label("rest")
	op("ADDS $%d, R%d", 8*line, n)
	branch("BEQ", "reduce")
	label("single")
	step(0)
	advance(1)
	op("SUBS $8, R%d", n)
	branch("BNE", "single")

	label("reduce")
	const total = 28
	for r := range rows {
		if outs == 4 {
			load(total, y, 0)
			for half := range 2 {
				a := [4]int{sum(r, 0) + half, sum(r, 1) + half, sum(r, 2) + half, sum(r, 3) + half}
				transpose4(a, [4]int{24, 25, 26, 27})
				for _, v := range a {
					fadd(total, total, v)
				}
			}
			store(total, y, 0)
		} else {
			load1(total, y, 0)
			for i := range 8 {
				lane(24, sum(r, 0)+i/4, i%4)
				fadds(total, total, 24)
			}
			store1(total, y, 0)
		}
		if r < rows-1 {
			op("ADD R%d<<2, R%d", ys, y)
		}
	}
	ret()
}

// dotPair writes the product of two vectors in four sums of eight lanes, so that additions do
// not wait on one another.
func dotPair() {
	function("dotNEON", "a, b *float32, n int", "float32", "dotNEON returns Σ a·b, n a positive multiple of 32.")
	const a, b, n = 0, 1, 2
	param("a", a)
	param("b", b)
	param("n", n)
	for v := range 8 {
		zero(v)
	}
	label("loop")
	for i := range 8 {
		load(16, a, 16*i)
		load(17, b, 16*i)
		fmla(i, 16, 17)
	}
	op("ADD $128, R%d", a)
	op("ADD $128, R%d", b)
	op("SUBS $32, R%d", n)
	branch("BNE", "loop")
	for half := range 2 {
		fadd(half, half, half+2)
		fadd(half+4, half+4, half+6)
		fadd(half, half, half+4)
	}
	reduce(0, 1)
	op("FMOVS F0, ret+%d(FP)", args["ret"])
	ret()
}

// reduce leaves the sum of the eight lanes of low and high in the first of low: (0+2)+(1+3) within
// each, then the two. It uses v31.
func reduce(low, high int) {
	for _, v := range []int{low, high} {
		ext(31, v, v, 8)
		fadd(v, v, 31)
		ext(31, v, v, 4)
		fadd(v, v, 31)
	}
	fadds(low, low, high)
}

// peak writes multiply-adds that wait for nothing.
func peak() {
	loop := func(name, doc string, product func(d, n, m int)) {
		function(name, "n int", "", doc)
		param("n", 0)
		for v := range 26 {
			zero(v)
		}
		label("loop")
		for v := range 24 {
			product(v, 24, 25)
		}
		op("SUBS $1, R0")
		branch("BNE", "loop")
		ret()
	}
	loop("peakNEON", "peakNEON does 24·n multiply-adds of four lanes on zeros.", fmla)
	loop("peakDotProd", "peakDotProd does 24·n sums of sixteen products of int8 on zeros.", sdot)
}
