package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// norms writes the two sums of a row, in float64, and the pass that applies them.
func norms() {
	function("sumAVX2", "func(x *float32, n int) float64",
		"sumAVX2 returns Σ x in float64, n a positive multiple of 16.")
	sum64(false)

	function("sumSquaresAVX2", "func(x *float32, n int, mean float32) float64",
		"sumSquaresAVX2 returns Σ (x - mean)² in float64, the differences float32, n a positive multiple of 16.")
	sum64(true)

	function("normalizeAVX2", "func(y, x, gain *float32, n int, mean, scale float32)",
		"normalizeAVX2 computes y = gain·((x - mean)·scale) for n elements.")
	mean, scale := spread("mean"), spread("scale")
	y, x, gain := param("y"), param("x"), param("gain")
	elementwise(param("n"), y, []Register{x, gain}, func(v []VecVirtual) VecVirtual {
		VSUBPS(mean, v[0], v[0])
		VMULPS(scale, v[0], v[0])
		VMULPS(v[1], v[0], v[0])
		return v[0]
	})
}

// sum64 writes a loop that adds sixteen values, or the squares of their distances to the
// mean, to four accumulators of four float64 each. Their sum is (0+1)+(2+3), then the lanes
// likewise, as for the lanes of one.
func sum64(squares bool) {
	x, n := param("x"), param("n")
	var mean VecVirtual
	if squares {
		mean = spread("mean")
	}
	sum := []VecVirtual{YMM(), YMM(), YMM(), YMM()}
	for _, s := range sum {
		VXORPD(s, s, s)
	}
	Label("loop")
	for i := range 2 {
		v := YMM()
		VMOVUPS(Mem{Base: x, Disp: 32 * i}, v)
		if squares {
			VSUBPS(mean, v, v)
		}
		low, high := YMM(), YMM()
		VCVTPS2PD(v.AsX(), low)
		VEXTRACTF128(U8(1), v, v.AsX())
		VCVTPS2PD(v.AsX(), high)
		if squares {
			VFMADD231PD(low, low, sum[2*i])
			VFMADD231PD(high, high, sum[2*i+1])
		} else {
			VADDPD(low, sum[2*i], sum[2*i])
			VADDPD(high, sum[2*i+1], sum[2*i+1])
		}
	}
	ADDQ(U8(64), x)
	SUBQ(U8(16), n)
	JNZ(LabelRef("loop"))
	VADDPD(sum[1], sum[0], sum[0])
	VADDPD(sum[3], sum[2], sum[2])
	VADDPD(sum[2], sum[0], sum[0])
	VEXTRACTF128(U8(1), sum[0], sum[1].AsX())
	VADDPD(sum[1].AsX(), sum[0].AsX(), sum[0].AsX())
	VPERMILPD(U8(1), sum[0].AsX(), sum[1].AsX())
	VADDSD(sum[1].AsX(), sum[0].AsX(), sum[0].AsX())
	Store(sum[0].AsX(), ReturnIndex(0))
	done()
}
