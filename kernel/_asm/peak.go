package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// peak writes a loop of twelve independent multiply-adds, what a product could do at best.
func peak() {
	function("peakAVX2", "func(n int)", "peakAVX2 does 12·n multiply-adds of eight lanes on zeros.")
	n := param("n")
	sum := make([]Op, 12)
	for i := range sum {
		sum[i] = YMM()
		VXORPS(sum[i], sum[i], sum[i])
	}
	a, b := YMM(), YMM()
	VXORPS(a, a, a)
	VXORPS(b, b, b)
	Label("loop")
	for _, s := range sum {
		VFMADD231PS(a, b, s)
	}
	DECQ(n)
	JNZ(LabelRef("loop"))
	done()
}
