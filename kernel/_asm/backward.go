package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// backwards writes what only training needs: transposition, the gradient of a softmax, and those
// of the activations.
func backwards() {
	transposeBlock()

	function("scoreGradAVX2", "func(ds, p, dp *float32, n int, delta, scale float32)",
		"scoreGradAVX2 computes ds = p·(dp - delta)·scale for n elements.")
	delta, scale := spread("delta"), spread("scale")
	ds, p, dp := param("ds"), param("p"), param("dp")
	elementwise(param("n"), ds, []Register{p, dp}, func(v []VecVirtual) VecVirtual {
		VSUBPS(delta, v[1], v[1])
		VMULPS(v[0], v[1], v[1])
		VMULPS(scale, v[1], v[1])
		return v[1]
	})

	// With s = 1/(1 + e^-z), the activation is x·s, and its derivative s·(1 + x·z'·(1 - s)).
	for _, a := range []struct {
		name   string
		minusZ func(x VecVirtual) VecVirtual
		slopeX func(x VecVirtual) // x becomes x·z'
	}{{"silu", minusSiLU, func(VecVirtual) {}}, {"geluTanh", minusGELU, func(x VecVirtual) {
		z, c := YMM(), YMM()
		VMULPS(x, x, z)
		VBROADCASTSS(constant("geluCubicSlope", 3*0.044715*1.5957691216057308), c)
		VMULPS(c, z, z)
		VBROADCASTSS(constant("geluSlope", 1.5957691216057308), c)
		VADDPS(c, z, z)
		VMULPS(z, x, x)
	}}} {
		body := func(x []VecVirtual) VecVirtual {
			s := a.minusZ(x[0])
			exp(s)
			one, rest := YMM(), YMM()
			VBROADCASTSS(constant("one", 1), one)
			VADDPS(one, s, s)
			VDIVPS(s, one, s)
			VSUBPS(s, one, rest)
			a.slopeX(x[0])
			VMULPS(rest, x[0], x[0])
			VADDPS(one, x[0], x[0])
			VMULPS(s, x[0], x[0])
			for _, by := range x[1:] {
				VMULPS(by, x[0], x[0])
			}
			return x[0]
		}
		function(a.name+"GradAVX2", "func(dx, x, dy *float32, n int)", a.name+"GradAVX2 computes dx = dy·a'(x) for n elements.")
		dx, x, dy := param("dx"), param("x"), param("dy")
		elementwise(param("n"), dx, []Register{x, dy}, body)

		function(a.name+"MulGradAVX2", "func(dx, x, dy, up *float32, n int)", a.name+"MulGradAVX2 computes dx = dy·up·a'(x) for n elements.")
		dx, x, dy = param("dx"), param("x"), param("dy")
		up := param("up")
		elementwise(param("n"), dx, []Register{x, dy, up}, body)
	}
}

// transposeBlock writes the transposition of eight rows.
func transposeBlock() {
	function("transposeAVX2", "func(dst *float32, to int, src *float32, from, n int)",
		"transposeAVX2 writes src[from·i+j] to dst[to·j+i] for i < 8 and j < n, n a positive multiple of 8.")
	dst, to := param("dst"), param("to")
	SHLQ(U8(2), to)
	src, from := param("src"), param("from")
	SHLQ(U8(2), from)
	at, bases := rowPointers(src, from)
	n := param("n")
	r := newPackRegisters()
	Label("loop")
	walk(r, elements[0], at, 0, func(v VecVirtual) {
		VMOVUPS(v, Mem{Base: dst})
		ADDQ(to, dst)
	})
	for _, b := range bases {
		ADDQ(U8(32), b)
	}
	SUBQ(U8(8), n)
	JNZ(LabelRef("loop"))
	done()
}
