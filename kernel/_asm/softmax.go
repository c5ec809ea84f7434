package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// softmax writes the two passes over a row of scores, whole vectors both.
func softmax() {
	function("scaleMaxAVX2", "func(s *float32, n int, scale float32) float32",
		"scaleMaxAVX2 multiplies s by scale and returns the largest product, n a positive multiple of 8.")
	s, n := param("s"), param("n")
	scale, top, v := spread("scale"), YMM(), YMM()
	VBROADCASTSS(constant("minusInf", float32(math.Inf(-1))), top)
	Label("loop")
	VMULPS(Mem{Base: s}, scale, v)
	VMOVUPS(v, Mem{Base: s})
	VMAXPS(top, v, top) // a NaN in v is dropped here, and comes back as e^NaN
	ADDQ(U8(32), s)
	SUBQ(U8(8), n)
	JNZ(LabelRef("loop"))
	VEXTRACTF128(U8(1), top, v.AsX())
	returnLargest(top, v)

	function("expSumAVX2", "func(s *float32, n int, top float32) float32",
		"expSumAVX2 replaces s by e^(s-top) and returns its sum, n a positive multiple of 8.")
	s, n = param("s"), param("n")
	shift, sum := spread("top"), YMM()
	VXORPS(sum, sum, sum)
	x := vectors(make([]VecVirtual, 4))
	step := func(x []VecVirtual) {
		for i := range x {
			VMOVUPS(Mem{Base: s, Disp: 32 * i}, x[i])
			VSUBPS(shift, x[i], x[i])
		}
		exp(x...)
		for i := range x {
			VMOVUPS(x[i], Mem{Base: s, Disp: 32 * i})
			VADDPS(x[i], sum, sum) // one vector after the other, however many go side by side
		}
		ADDQ(I32(32*len(x)), s)
	}
	Label("quad")
	SUBQ(U8(32), n)
	JLT(LabelRef("rest"))
	step(x)
	JMP(LabelRef("quad"))
	Label("rest")
	ADDQ(U8(32), n)
	JZ(LabelRef("reduce"))
	Label("single")
	step(x[:1])
	SUBQ(U8(8), n)
	JNZ(LabelRef("single"))
	Label("reduce")
	reduce1(sum)
	Store(sum.AsX(), ReturnIndex(0))
	done()
}

// returnLargest ends a function with the largest of the lower four lanes of top, and of v.
func returnLargest(top, v VecVirtual) {
	VMAXPS(v.AsX(), top.AsX(), top.AsX())
	VPERMILPS(U8(0b00_00_11_10), top.AsX(), v.AsX())
	VMAXPS(v.AsX(), top.AsX(), top.AsX())
	VPERMILPS(U8(0b00_00_00_01), top.AsX(), v.AsX())
	VMAXSS(v.AsX(), top.AsX(), top.AsX())
	Store(top.AsX(), ReturnIndex(0))
	done()
}
