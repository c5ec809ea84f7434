package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// productsVNNI are those of AVX2 with sums of four products at once: the same panels and the same whole
// numbers, the same float32 afterwards. Q6_K, whose factors would have to multiply words of 32 bits,
// is left to AVX2.
var productsVNNI = []product{
	// One factor must be unsigned: w + 128 is, and 128·Σ x goes off again.
	{"VNNI", "Q8_0", 288, 0, 4, 8, func(r *qRegisters, v int) {
		VPXOR(repeated("signs", 0x80808080), r.w[v][0], r.w[v][0])
	}, stepVNNI, func(r *qRegisters, row, v int) {
		VPBROADCASTD(r.xAt(row, runEight), r.t)
		VPSLLD(U8(4), r.t, r.t)
		VPSUBD(r.t, r.sum[row][v], r.sum[row][v])
	}},
	{"VNNI", "Q4_K", 320, 288, 4, 8, nil, stepVNNI, func(*qRegisters, int, int) {}},
	{"VNNI", "Q4_0", 288, 0, 4, 8, nil, stepVNNI, func(r *qRegisters, row, v int) {
		minusEight(r, row, r.sum[row][v])
	}},
}

func stepVNNI(r *qRegisters, row, v, group int) {
	sum := r.sum[row][v]
	if group == 0 {
		VPXOR(sum, sum, sum)
	}
	VPDPBUSD_BCST(r.xAt(row, 4*group), r.w[v][0], sum)
}

func qtilesVNNI() { qtilesOf(productsVNNI) }
