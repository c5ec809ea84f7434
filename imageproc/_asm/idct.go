package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// idct writes the inverse transform of a whole block. A vector holds two rows of eight
// numbers of 16 bits, in each half four of the one, then four of the other:
//
//	a0 a1 a2 a3 b0 b1 b2 b3 | a4 a5 a6 a7 b4 b5 b6 b7
//
// so that interleaving the lower (or the upper) quarters of two vectors makes eight pairs
// for VPMADDWD, and its sums of 32 bits fill one vector.
func idct() {
	function("idctAVX2", "func(dst *byte, stride int, b *int16)",
		"idctAVX2 transforms the 64 coefficients at b to 8 rows of 8 samples that begin stride bytes apart.")
	dst, stride, b := param("dst"), param("stride"), param("b")
	var t [4]VecVirtual
	for i := range t {
		t[i] = YMM()
		VPERMQ(U8(0b11_01_10_00), Mem{Base: b, Disp: 32 * i}, t[i])
	}
	store(dst, stride, pass(transpose(pass(t, 11)), 18))
	done()
}

// pass transforms columns, eight at once, and rounds the results by shift bits. What it
// returns are rows by twos.
func pass(t [4]VecVirtual, shift int) [4]VecVirtual {
	const ( // of 13 fractional bits, as in package jpeg
		c0298, c0390, c0541, c0765, c0899, c1175 = 2446, 3196, 4433, 6270, 7373, 9633
		c1501, c1847, c1961, c2053, c2562, c3072 = 12299, 15137, 16069, 16819, 20995, 25172
	)
	// Sums of two wrap at 16 bits.
	s0415, d04, s2637 := YMM(), YMM(), YMM()
	VPADDW(t[2], t[0], s0415)
	VPSUBW(t[2], t[0], d04)
	VPADDW(t[3], t[1], s2637)
	z34 := upper(s2637, s0415)
	p26, p53, p71 := lower(t[1], t[3]), upper(t[2], t[1]), upper(t[3], t[0])

	nought := zero()
	t0, t1 := lower(nought, s0415), lower(nought, d04)
	for _, v := range []VecVirtual{t0, t1} {
		VPSRAD(U8(3), v, v) // from 16 fractional bits to 13
		VPADDD(dwords(fmt.Sprintf("half%d", shift), 1<<(shift-1)), v, v)
	}
	t3, t2 := products(p26, c0541+c0765, c0541), products(p26, c0541, c0541-c1847)
	a0, a3 := butterfly(t0, t3)
	a1, a2 := butterfly(t1, t2)

	z3, z4 := products(z34, c1175-c1961, c1175), products(z34, c1175, c1175-c0390)
	b3, b0 := products(p71, c0298-c0899, -c0899), products(p71, -c0899, c1501-c0899)
	b2, b1 := products(p53, c2053-c2562, -c2562), products(p53, -c2562, c3072-c2562)
	VPADDD(z3, b3, b3)
	VPADDD(z4, b0, b0)
	VPADDD(z4, b2, b2)
	VPADDD(z3, b1, b1)

	o0, o7 := butterfly(a0, b0)
	o1, o6 := butterfly(a1, b1)
	o2, o5 := butterfly(a2, b2)
	o3, o4 := butterfly(a3, b3)
	o := []VecVirtual{o0, o1, o2, o3, o4, o5, o6, o7}
	var out [4]VecVirtual
	for i := range out {
		low, high := o[2*i], o[2*i+1]
		VPSRAD(U8(shift), low, low)
		VPSRAD(U8(shift), high, high)
		VPACKSSDW(high, low, low)
		out[i] = low
	}
	return out
}

// lower interleaves the lower quarters of a and b: pairs, a's first.
func lower(a, b VecVirtual) VecVirtual {
	v := YMM()
	VPUNPCKLWD(b, a, v)
	return v
}

func upper(a, b VecVirtual) VecVirtual {
	v := YMM()
	VPUNPCKHWD(b, a, v)
	return v
}

// products returns a·x + b·y of pairs (x, y).
func products(pairs VecVirtual, a, b int) VecVirtual {
	v := YMM()
	VPMADDWD(words(fmt.Sprintf("by%d_%d", uint16(a), uint16(b)), a, b), pairs, v)
	return v
}

// butterfly returns a+b and, in place of a, a−b.
func butterfly(a, b VecVirtual) (sum, difference VecVirtual) {
	sum = YMM()
	VPADDD(b, a, sum)
	VPSUBD(b, a, a)
	return sum, a
}

// transpose makes columns by twos of rows by twos.
func transpose(r [4]VecVirtual) (t [4]VecVirtual) {
	for half := range 2 {
		pick := U8(0x20 + 0x11*half) // columns 0 to 3 of both, or 4 to 7
		r0145, r2367 := YMM(), YMM()
		VPERM2I128(pick, r[2], r[0], r0145)
		VPERM2I128(pick, r[3], r[1], r2367)
		even, odd := lower(r0145, r2367), upper(r0145, r2367)
		t[2*half], t[2*half+1] = lower(even, odd), upper(even, odd)
	}
	return t
}

// store brings columns by twos to 8 bits around 128 and writes their rows.
func store(dst, stride Register, c [4]VecVirtual) {
	mid := YMM()
	VMOVDQU(bytes("mid", 0x80), mid)
	for i := range 2 { // four columns, each of four rows in one half and four in the other
		v := c[2*i]
		VPACKSSWB(c[2*i+1], v, v)
		VPXOR(mid, v, v)
		VPSHUFB(bytes("square", 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), v, v)
	}
	low, high := YMM(), YMM() // rows 0 1 4 5, and 2 3 6 7
	VPUNPCKLDQ(c[2], c[0], low)
	VPUNPCKHDQ(c[2], c[0], high)
	for half := range 2 {
		for _, v := range []VecVirtual{low, high} {
			x := v.AsX()
			if half == 1 {
				VEXTRACTI128(U8(1), v, x)
			}
			VMOVQ(x, Mem{Base: dst})
			VMOVHPS(x, Mem{Base: dst, Index: stride, Scale: 1})
			if half == 0 || v == low {
				LEAQ(Mem{Base: dst, Index: stride, Scale: 2}, dst)
			}
		}
	}
}
