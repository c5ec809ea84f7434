package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// backwards writes what only training needs: transposition, the gradients of a softmax, of norms and of
// the activations, and the update.
func backwards() {
	transposeBlock()
	normGrads()
	update()

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

// normGrads writes the two sums of a row, the pass that applies them, and the gradient of a gain.
func normGrads() {
	function("normGradSumsAVX2", "func(sums *float64, dy, x, gain *float32, n int, mean, scale float32)",
		"normGradSumsAVX2 writes Σ g and Σ g·x̂ in float64, g and x̂ being float32, to sums, n a positive multiple of 8.")
	mean, scale := spread("mean"), spread("scale")
	dy, x, gain, n := param("dy"), param("x"), param("gain"), param("n")
	sum := [2][2]VecVirtual{{YMM(), YMM()}, {YMM(), YMM()}}
	for _, s := range sum {
		for _, half := range s {
			VXORPD(half, half, half)
		}
	}
	g, normed, low, high := YMM(), YMM(), YMM(), YMM()
	Label("loop")
	VMOVUPS(Mem{Base: gain}, g)
	VMULPS(Mem{Base: dy}, g, g)
	VMOVUPS(Mem{Base: x}, normed)
	VSUBPS(mean, normed, normed)
	VMULPS(scale, normed, normed)
	for half := range 2 {
		VCVTPS2PD(g.AsX(), low)
		VCVTPS2PD(normed.AsX(), high)
		VADDPD(low, sum[0][half], sum[0][half])
		VFMADD231PD(low, high, sum[1][half])
		if half == 0 {
			VEXTRACTF128(U8(1), g, g.AsX())
			VEXTRACTF128(U8(1), normed, normed.AsX())
		}
	}
	for _, p := range []Register{dy, x, gain} {
		ADDQ(U8(32), p)
	}
	SUBQ(U8(8), n)
	JNZ(LabelRef("loop"))
	sums := param("sums")
	for i, s := range sum {
		VADDPD(s[1], s[0], s[0])
		VEXTRACTF128(U8(1), s[0], s[1].AsX())
		VADDPD(s[1].AsX(), s[0].AsX(), s[0].AsX())
		VPERMILPD(U8(1), s[0].AsX(), s[1].AsX())
		VADDSD(s[1].AsX(), s[0].AsX(), s[0].AsX())
		VMOVSD(s[0].AsX(), Mem{Base: sums, Disp: 8 * i})
	}
	done()

	function("normGradAVX2", "func(dx, dy, x, gain *float32, n int, mean, scale, shift, pull float32)",
		"normGradAVX2 computes dx += scale·(gain·dy - shift - ((x - mean)·scale)·pull) for n elements.")
	mean, scale = spread("mean"), spread("scale")
	shift, pull := spread("shift"), spread("pull")
	dx, dy, x, gain := param("dx"), param("dy"), param("x"), param("gain")
	in := GP64() // dx, as an input
	MOVQ(dx, in)
	elementwise(param("n"), dx, []Register{in, dy, x, gain}, func(v []VecVirtual) VecVirtual {
		VMULPS(v[3], v[1], v[1])
		VSUBPS(shift, v[1], v[1])
		VSUBPS(mean, v[2], v[2])
		VMULPS(scale, v[2], v[2])
		VMULPS(pull, v[2], v[2])
		VSUBPS(v[2], v[1], v[1])
		VMULPS(scale, v[1], v[1])
		VADDPS(v[1], v[0], v[0])
		return v[0]
	})

	function("gainGradAVX2", "func(sum, dy, x *float32, n int, mean, scale float32)",
		"gainGradAVX2 computes sum += dy·((x - mean)·scale) for n elements.")
	mean, scale = spread("mean"), spread("scale")
	to, dy, x := param("sum"), param("dy"), param("x")
	in = GP64()
	MOVQ(to, in)
	elementwise(param("n"), to, []Register{in, dy, x}, func(v []VecVirtual) VecVirtual {
		VSUBPS(mean, v[2], v[2])
		VMULPS(scale, v[2], v[2])
		VMULPS(v[1], v[2], v[2])
		VADDPS(v[2], v[0], v[0])
		return v[0]
	})
}

// update writes that of AdamW, operation by operation as updateGeneric: the bits are the same.
func update() {
	function("adamWAVX2", "func(p, m, v, grad *float32, n int, scale, keep, eps, first, beta2, second, size, root float32)",
		"adamWAVX2 is updateGeneric for a positive multiple of 8 elements.")
	var c [8]VecVirtual
	for i, name := range []string{"scale", "keep", "eps", "first", "beta2", "second", "size", "root"} {
		c[i] = spread(name)
	}
	scale, keep, eps, first, beta2, second, size, root := c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]
	p, m, v, g, n := param("p"), param("m"), param("v"), param("grad"), param("n")
	d, mean, square, t := YMM(), YMM(), YMM(), YMM()
	Label("loop")
	VMULPS(Mem{Base: g}, scale, d)
	VMOVUPS(Mem{Base: m}, mean)
	VSUBPS(mean, d, t)
	VMULPS(first, t, t)
	VADDPS(t, mean, mean)
	VMOVUPS(mean, Mem{Base: m})
	VMULPS(Mem{Base: v}, beta2, square)
	VMULPS(d, d, d)
	VMULPS(second, d, d)
	VADDPS(d, square, square)
	VMOVUPS(square, Mem{Base: v})
	VSQRTPS(square, square)
	VDIVPS(root, square, square)
	VADDPS(eps, square, square)
	VDIVPS(square, mean, mean)
	VMULPS(size, mean, mean)
	VMULPS(Mem{Base: p}, keep, t)
	VSUBPS(mean, t, t)
	VMOVUPS(t, Mem{Base: p})
	for _, r := range []Register{p, m, v, g} {
		ADDQ(U8(32), r)
	}
	SUBQ(U8(8), n)
	JNZ(LabelRef("loop"))
	done()
}
