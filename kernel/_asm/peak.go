package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// peaks writes the limits that products are compared with: loops of nothing but the
// instructions they cannot do without, on operands that the first-level cache holds.
func peaks() {
	multiplyAdd()
	multiplyAddBytes()
	read()
}

// multiplyAdd is the inside of a product of six rows with sixteen outputs: per k two vectors
// of weights, six broadcasts and twelve multiply-adds.
func multiplyAdd() {
	function("peakF32AVX2", "func(x, w *float32, n, times int)",
		"peakF32AVX2 does, times times, 12·n multiply-adds of eight lanes on x [n, 6] and w [n, 16].")
	x, w, n, times := param("x"), param("w"), param("n"), param("times")
	sum := make([]Op, 12)
	for i := range sum {
		sum[i] = YMM()
		VXORPS(sum[i], sum[i], sum[i])
	}
	a, b, c := YMM(), YMM(), YMM()
	xi, wi, k := GP64(), GP64(), GP64()
	Label("again")
	MOVQ(x, xi)
	MOVQ(w, wi)
	MOVQ(n, k)
	Label("step")
	VMOVUPS(Mem{Base: wi}, a)
	VMOVUPS(Mem{Base: wi, Disp: 32}, b)
	for r := range 6 {
		VBROADCASTSS(Mem{Base: xi, Disp: 4 * r}, c)
		VFMADD231PS(a, c, sum[2*r])
		VFMADD231PS(b, c, sum[2*r+1])
	}
	ADDQ(Imm(24), xi)
	ADDQ(Imm(64), wi)
	DECQ(k)
	JNZ(LabelRef("step"))
	DECQ(times)
	JNZ(LabelRef("again"))
	done()
}

// multiplyAddBytes multiplies bytes without sign by bytes with one, adds pairs to 16 bits and
// pairs of those to 32: three instructions for 32 products.
func multiplyAddBytes() {
	function("peakInt8AVX2", "func(x, w *byte, n, times int)",
		"peakInt8AVX2 does, times times, 8·n times 32 multiply-adds on x [n, 32] and w [n, 8, 32].")
	x, w, n, times := param("x"), param("w"), param("n"), param("times")
	sum := make([]Op, 8)
	for i := range sum {
		sum[i] = YMM()
		VPXOR(sum[i], sum[i], sum[i])
	}
	ones, q := YMM(), YMM()
	VPCMPEQW(ones, ones, ones)
	VPSRLW(Imm(15), ones, ones)
	xi, wi, k := GP64(), GP64(), GP64()
	Label("again")
	MOVQ(x, xi)
	MOVQ(w, wi)
	MOVQ(n, k)
	Label("step")
	VMOVDQU(Mem{Base: xi}, q)
	for i := range sum {
		p := YMM()
		VPMADDUBSW(Mem{Base: wi, Disp: 32 * i}, q, p)
		VPMADDWD(ones, p, p)
		VPADDD(p, sum[i], sum[i])
	}
	ADDQ(Imm(32), xi)
	ADDQ(U32(256), wi)
	DECQ(k)
	JNZ(LabelRef("step"))
	DECQ(times)
	JNZ(LabelRef("again"))
	done()
}

// readAhead is how far in front of the reading memory is asked, in bytes.
const readAhead = 2048

// read brings memory into the registers.
func read() {
	function("readAVX2", "func(p *byte, n int)", "readAVX2 reads n bytes, a positive number of 256s.")
	p, n := param("p"), param("n")
	sum := make([]Op, 4)
	for i := range sum {
		sum[i] = YMM()
		VPXOR(sum[i], sum[i], sum[i])
	}
	Label("step")
	for i := range 8 {
		if i%2 == 0 {
			PREFETCHT0(Mem{Base: p, Disp: readAhead + 32*i})
		}
		VPXOR(Mem{Base: p, Disp: 32 * i}, sum[i%4], sum[i%4])
	}
	ADDQ(U32(256), p)
	SUBQ(U32(256), n)
	JNZ(LabelRef("step"))
	done()
}
