package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// peaks512 writes the limits of vectors of 512 bits, see peaks.
func peaks512() {
	function("peakF32AVX512", "func(x, w *float32, n, times int)",
		"peakF32AVX512 does, times times, 12·n multiply-adds of sixteen lanes on x [n/2, 12] and w [n/2, 32], n even.")
	x, w, n, times := param("x"), param("w"), param("n"), param("times")
	sum := zvectors(24)
	for _, s := range sum {
		VPXORD(s, s, s)
	}
	a, b, c := ZMM(), ZMM(), ZMM()
	xi, wi, k := GP64(), GP64(), GP64()
	Label("again")
	MOVQ(x, xi)
	MOVQ(w, wi)
	MOVQ(n, k)
	Label("step")
	VMOVUPS(Mem{Base: wi}, a)
	VMOVUPS(Mem{Base: wi, Disp: 64}, b)
	for r := range 12 {
		VBROADCASTSS(Mem{Base: xi, Disp: 4 * r}, c)
		VFMADD231PS(a, c, sum[2*r])
		VFMADD231PS(b, c, sum[2*r+1])
	}
	ADDQ(U8(48), xi)
	ADDQ(U32(128), wi)
	SUBQ(U8(2), k)
	JNZ(LabelRef("step"))
	DECQ(times)
	JNZ(LabelRef("again"))
	done()
	multiplyAddFours("peakInt8VNNI", ZMM)
}

// multiplyAddFours is the inside of a product of four rows with so many outputs as a vector has sums, three times: per four
// values three vectors of weights, four broadcasts, and twelve instructions that multiply and add.
func multiplyAddFours(name string, vector func() VecVirtual) {
	function(name, "func(x, w *byte, n, times int)",
		name+" does, times times, 12·n sums of fours of products, in every lane, on x [n, 16] and w [n, 192 or 96].")
	x, w, n, times := param("x"), param("w"), param("n"), param("times")
	var sum [12]VecVirtual
	for i := range sum {
		sum[i] = vector()
		if sum[i].Size() == 64 {
			VPXORD(sum[i], sum[i], sum[i])
		} else {
			VPXOR(sum[i], sum[i], sum[i])
		}
	}
	size := int(sum[0].Size())
	var p [3]VecVirtual
	for i := range p {
		p[i] = vector()
	}
	q := vector()
	xi, wi, k := GP64(), GP64(), GP64()
	Label("again")
	MOVQ(x, xi)
	MOVQ(w, wi)
	MOVQ(n, k)
	Label("step")
	for i := range p {
		if at := (Mem{Base: wi, Disp: size * i}); size == 64 {
			VMOVDQU32(at, p[i])
		} else {
			VMOVDQU(at, p[i])
		}
	}
	for r := range 4 {
		VPBROADCASTD(Mem{Base: xi, Disp: 4 * r}, q)
		for i := range p {
			VPDPBUSD(q, p[i], sum[3*r+i])
		}
	}
	ADDQ(U8(16), xi)
	ADDQ(U32(uint32(3*size)), wi)
	DECQ(k)
	JNZ(LabelRef("step"))
	DECQ(times)
	JNZ(LabelRef("again"))
	done()
}
