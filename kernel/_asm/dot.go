package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// element is a type that weights are stored in, and how eight of them become float32.
type element struct {
	name, goType string
	size         int // in bytes
	load         func(from Mem, to VecVirtual)
}

// packed stands for float32 weights that package kernel has laid out for the product of four
// outputs: eight values of the first, eight of the second, …, then the next eight of each.
// Memory is read in one stream, which the processor foresees, and the last eight are whole.
var packed = element{"Packed", "float32", 4, func(from Mem, to VecVirtual) { VMOVUPS(from, to) }}

var elements = []element{
	{"F32", "float32", 4, func(from Mem, to VecVirtual) { VMOVUPS(from, to) }},
	{"BF16", "uint16", 2, func(from Mem, to VecVirtual) { VPMOVZXWD(from, to); VPSLLD(U8(16), to, to) }},
	{"F16", "uint16", 2, func(from Mem, to VecVirtual) { VCVTPH2PS(from, to) }},
}

func dots() {
	for _, e := range elements {
		for _, outs := range []int{4, 1} {
			for rows := 1; rows <= 3; rows++ {
				dot(e, rows, outs)
			}
		}
	}
	for rows := 1; rows <= 3; rows++ {
		dot(packed, rows, 4)
	}
}

// dot writes the product of some rows of x with some rows of w. Each of the rows·outs sums has
// one accumulator of eight lanes, so its order is the same in every one of these functions:
// lane l adds the products k = l, l+8, …; then (0+2)+(1+3) within each half of the lanes,
// then the two halves, then y. Twelve accumulators, three x and one w fill the sixteen registers.
func dot(e element, rows, outs int) {
	signature, isPacked := fmt.Sprintf("func(y *float32, ys int, x *float32, xs int, w *%s, ws int, n int)", e.goType), e.name == packed.name
	if isPacked {
		signature = "func(y *float32, ys int, x *float32, xs int, w *float32, n int)"
	}
	function(fmt.Sprintf("dot%dx%d%s", rows, outs, e.name), signature,
		fmt.Sprintf("dot%dx%d%s adds Σ x[r·xs+k]·w[o·ws+k], k < n, to y[r·ys+o] for %d rows and %d outputs.", rows, outs, e.name, rows, outs))
	x, xs := param("x"), param("xs")
	n := param("n")
	SHLQ(U8(2), xs)
	xAt := [...]Mem{{Base: x}, {Base: x, Index: xs, Scale: 1}, {Base: x, Index: xs, Scale: 2}}
	w, advance := param("w"), 8*e.size
	wAt := [...]Mem{{Base: w}, {Base: w, Disp: 32}, {Base: w, Disp: 64}, {Base: w, Disp: 96}}
	if isPacked {
		advance *= 4
	} else {
		ws, ws3 := param("ws"), GP64()
		SHLQ(U8(shift(e.size)), ws)
		if outs == 4 {
			LEAQ(Mem{Base: ws, Index: ws, Scale: 2}, ws3)
		}
		wAt = [...]Mem{{Base: w}, {Base: w, Index: ws, Scale: 1}, {Base: w, Index: ws, Scale: 2}, {Base: w, Index: ws3, Scale: 1}}
	}

	sum := make([][]VecVirtual, rows)
	for r := range sum {
		sum[r] = make([]VecVirtual, outs)
		for o := range sum[r] {
			sum[r][o] = YMM()
			VXORPS(sum[r][o], sum[r][o], sum[r][o])
		}
	}
	step := func(loadX, loadW func(Mem, VecVirtual)) {
		xv := make([]VecVirtual, rows)
		for r := range xv {
			xv[r] = YMM()
			loadX(xAt[r], xv[r])
		}
		for o := range outs {
			wv := YMM()
			loadW(wAt[o], wv)
			for r := range xv {
				VFMADD231PS(wv, xv[r], sum[r][o])
			}
		}
	}

	Label("loop")
	SUBQ(U8(8), n)
	JLT(LabelRef("tail"))
	step(elements[0].load, e.load)
	if rows == 1 && !isPacked { // a single row waits for memory
		for o := range outs {
			at := wAt[o]
			at.Disp = prefetch
			PREFETCHT0(at)
		}
	}
	ADDQ(U8(32), x)
	ADDQ(I32(advance), w)
	JMP(LabelRef("loop"))

	Label("tail")
	ADDQ(U8(8), n)
	if e.size == 4 { // Go gives the others whole vectors only
		JZ(LabelRef("reduce"))
		at := GP64()
		LEAQ(tailTable(), at)
		NEGQ(n)
		LEAQ(Mem{Base: at, Index: n, Scale: 4, Disp: 32}, at)
		// The mask takes the register it makes room in: there is no seventeenth.
		masked := func(from Mem, to VecVirtual) {
			VMOVUPS(Mem{Base: at}, to)
			VMASKMOVPS(from, to, to)
		}
		if isPacked {
			step(masked, e.load)
		} else {
			step(masked, masked)
		}
	}

	Label("reduce")
	y, ys := param("y"), param("ys")
	SHLQ(U8(2), ys)
	for r := range rows {
		if outs == 4 {
			reduce4(sum[r])
			VADDPS(Mem{Base: y}, sum[r][0].AsX(), sum[r][0].AsX())
			VMOVUPS(sum[r][0].AsX(), Mem{Base: y})
		} else {
			reduce1(sum[r][0])
			VADDSS(Mem{Base: y}, sum[r][0].AsX(), sum[r][0].AsX())
			VMOVSS(sum[r][0].AsX(), Mem{Base: y})
		}
		if r < rows-1 {
			ADDQ(ys, y)
		}
	}
	done()
}

// prefetch is how many bytes ahead a product of one row asks for. Between half and two
// kilobytes nothing to choose was measured; much more than that is too early.
const prefetch = 1024

func shift(size int) int {
	if size == 4 {
		return 2
	}
	return 1
}

// reduce4 leaves the sums of the lanes of a, b, c, d in the four lanes of the lower half of a.
func reduce4(s []VecVirtual) {
	a, b, c, d := s[0], s[1], s[2], s[3]
	t := YMM()
	// Lanes of one half: a0 b0 a1 b1, a2 b2 a3 b3; their sum is a02 b02 a13 b13.
	VUNPCKLPS(b, a, t)
	VUNPCKHPS(b, a, a)
	VADDPS(a, t, a)
	VUNPCKLPS(d, c, t)
	VUNPCKHPS(d, c, c)
	VADDPS(c, t, c)
	// a02 b02 c02 d02, a13 b13 c13 d13.
	VUNPCKLPD(c, a, t)
	VUNPCKHPD(c, a, a)
	VADDPS(a, t, a)
	VEXTRACTF128(U8(1), a, t.AsX())
	VADDPS(t.AsX(), a.AsX(), a.AsX())
}

// reduce1 leaves the sum of the lanes of a in its first, in the order of reduce4.
func reduce1(a VecVirtual) {
	t := YMM()
	VPERMILPS(U8(0b00_00_11_10), a, t) // lanes 2 and 3 to 0 and 1
	VADDPS(t, a, a)
	VPERMILPS(U8(0b00_00_00_01), a, t)
	VADDPS(t, a, a)
	VEXTRACTF128(U8(1), a, t.AsX())
	VADDSS(t.AsX(), a.AsX(), a.AsX())
}
