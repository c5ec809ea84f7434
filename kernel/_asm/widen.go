package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// widens writes the conversion of whole vectors of weights to float32, each vector step
// elements after the one before.
func widens() {
	for _, e := range elements {
		function("widen"+e.name+"AVX2", "func(dst *float32, step int, src *"+e.goType+", n int)",
			"widen"+e.name+"AVX2 converts n elements, n a positive multiple of 8, to vectors that begin step elements apart.")
		dst, step, src, n := param("dst"), param("step"), param("src"), param("n")
		SHLQ(U8(2), step)
		Label("loop")
		v := YMM()
		e.load(Mem{Base: src}, v)
		VMOVUPS(v, Mem{Base: dst})
		ADDQ(U8(8*e.size), src)
		ADDQ(step, dst)
		SUBQ(U8(8), n)
		JNZ(LabelRef("loop"))
		done()
	}
}
