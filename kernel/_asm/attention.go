package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// attention writes the weighted sum of rows for each number of vectors that fits the
// registers: the sums stay there while all the rows pass by.
func attention() {
	for vectors := 1; vectors <= 12; vectors++ {
		function(fmt.Sprintf("weightedSum%d", vectors), "func(out, p, v *float32, stride, n int)",
			fmt.Sprintf("weightedSum%d adds Σ p[j]·v[j·stride+c], j < n, to out[c] for c < %d, n positive.", vectors, 8*vectors))
		out, p, v, stride, n := param("out"), param("p"), param("v"), param("stride"), param("n")
		SHLQ(U8(2), stride)
		sum := make([]Op, vectors)
		for i := range sum {
			sum[i] = YMM()
			VMOVUPS(Mem{Base: out, Disp: 32 * i}, sum[i])
		}
		Label("loop")
		weight := YMM()
		VBROADCASTSS(Mem{Base: p}, weight)
		for i := range sum {
			VFMADD231PS(Mem{Base: v, Disp: 32 * i}, weight, sum[i])
		}
		ADDQ(U8(4), p)
		ADDQ(stride, v)
		DECQ(n)
		JNZ(LabelRef("loop"))
		for i := range sum {
			VMOVUPS(sum[i], Mem{Base: out, Disp: 32 * i})
		}
		done()
	}
}
