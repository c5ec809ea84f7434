package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/reg"
)

// activations writes SiLU and the tanh form of GELU, each alone and times a second input.
// Both are x/(1 + e^-z), with z = x and z = 2·√(2/π)·(x + 0.044715·x³).
func activations() {
	for _, a := range []struct {
		name, formula string
		minusZ        func(VecVirtual) VecVirtual
	}{{"silu", "x/(1 + e^-x)", minusSiLU}, {"geluTanh", "x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³)))", minusGELU}} {
		body := func(x []VecVirtual) VecVirtual {
			z := a.minusZ(x[0])
			exp(z)
			one := YMM()
			VBROADCASTSS(constant("one", 1), one)
			VADDPS(one, z, z)
			VDIVPS(z, x[0], z)
			if len(x) == 2 {
				VMULPS(x[1], z, z)
			}
			return z
		}
		activation(a.name, "AVX2", a.formula, elementwise, body)
	}
}

// activation writes an activation alone and times a second input, for one level of vectors.
func activation(name, level, formula string, loop func(n, out Register, in []Register, body func([]VecVirtual) VecVirtual), body func([]VecVirtual) VecVirtual) {
	alone, times := name+level, name+"Mul"+level
	function(alone, "func(y, x *float32, n int)", alone+" computes y = "+formula+" for n elements.")
	y, x := param("y"), param("x")
	loop(param("n"), y, []Register{x}, body)

	function(times, "func(y, x, up *float32, n int)", times+" computes y = up·"+formula+" for n elements.")
	y, x = param("y"), param("x")
	up := param("up")
	loop(param("n"), y, []Register{x, up}, body)
}

// exps writes y = e^x.
func exps() {
	function("expAVX2", "func(y, x *float32, n int)", "expAVX2 computes y = e^x for n elements.")
	y, x := param("y"), param("x")
	elementwise(param("n"), y, []Register{x}, func(v []VecVirtual) VecVirtual {
		exp(v[0])
		return v[0]
	})
}

// adds writes y += x.
func adds() {
	function("addAVX2", "func(y, x *float32, n int)", "addAVX2 computes y += x for n elements.")
	y, x := param("y"), param("x")
	from := GP64()
	MOVQ(y, from)
	elementwise(param("n"), y, []Register{from, x}, func(v []VecVirtual) VecVirtual {
		VADDPS(v[1], v[0], v[0])
		return v[0]
	})
}

// minusSiLU returns -z of SiLU.
func minusSiLU(x VecVirtual) VecVirtual {
	z := YMM()
	VXORPS(z, z, z)
	VSUBPS(x, z, z)
	return z
}

// minusGELU returns -z of the tanh form of GELU, x·(-c - 0.044715·c·x²).
func minusGELU(x VecVirtual) VecVirtual {
	z, c := YMM(), YMM()
	VMULPS(x, x, z)
	VBROADCASTSS(constant("geluCubic", -0.044715*1.5957691216057308), c)
	VMULPS(c, z, z)
	VBROADCASTSS(constant("geluLinear", -1.5957691216057308), c)
	VADDPS(c, z, z)
	VMULPS(x, z, z)
	return z
}
