package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// ln 2 in two parts, of which the first is short.
const (
	ln2High = 0.69314718246459960938
	ln2Low  = -1.904654299957767878541e-9
)

// expTerms are the factors of the series after the first, by Horner's rule.
var expTerms = []struct {
	name  string
	value float32
}{{"c6", 1.0 / 720}, {"c5", 1.0 / 120}, {"c4", 1.0 / 24}, {"c3", 1.0 / 6}, {"c2", 1.0 / 2}, {"one", 1}, {"one", 1}}

// exp replaces each lane of each vector of x by e^x, as kernel/exp.go describes, in float32:
// n·ln2 is subtracted in two parts by fused multiply-add, so that r is rounded once, and the
// seven terms past 1 of the series are summed by Horner's rule. 2ⁿ is applied as two factors,
// because for n = 128 it is not a float32 itself.
//
// It is one long chain of instructions that wait for one another, so up to four vectors go
// through it side by side. That many have three registers each, and n is computed twice.
func exp(x ...VecVirtual) {
	r, p := vectors(x), vectors(x)
	c, t := YMM(), YMM()
	each := func(f func(i int)) {
		for i := range x {
			f(i)
		}
	}
	with := func(name string, value float32, f func(i int)) {
		VBROADCASTSS(constant(name, value), c)
		each(f)
	}
	// With the operands in this order, comparison, minimum and maximum let a NaN pass.
	clamp := func() {
		with("expMin", -88, func(i int) { VMAXPS(x[i], c, r[i]) })
		with("expMax", 89, func(i int) { VMINPS(r[i], c, r[i]) })
	}
	multiple := func(n []VecVirtual) {
		with("log2e", math.Log2E, func(i int) { VMULPS(r[i], c, n[i]) })
		each(func(i int) { VROUNDPS(U8(8), n[i], n[i]) }) // to nearest, no exception
	}
	clamp()
	multiple(p)
	with("ln2hi", ln2High, func(i int) { VFNMADD231PS(c, p[i], r[i]) })
	with("ln2lo", ln2Low, func(i int) { VFNMADD231PS(c, p[i], r[i]) })

	with("c7", 1.0/5040, func(i int) { VMOVAPS(c, p[i]) })
	for _, term := range expTerms {
		with(term.name, term.value, func(i int) { VFMADD213PS(c, r[i], p[i]) }) // p = p·r + c
	}

	clamp()
	multiple(r)
	with("expLow", -87.33654, func(i int) { VCMPPS(U8(0x11), c, x[i], x[i]) }) // x < c, quiet
	// The bits of 2^k: k added to the exponent of 1.
	with("one", 1, func(i int) {
		VCVTPS2DQ(r[i], r[i])
		VPSRAD(U8(1), r[i], t)
		VPSUBD(t, r[i], r[i])
		VPSLLD(U8(23), t, t)
		VPADDD(c, t, t)
		VMULPS(t, p[i], p[i])
		VPSLLD(U8(23), r[i], r[i])
		VPADDD(c, r[i], r[i])
		VMULPS(r[i], p[i], p[i])
		VANDNPS(p[i], x[i], x[i])
	})
}

// vectors returns as many new vectors as there are in x.
func vectors(x []VecVirtual) []VecVirtual {
	v := make([]VecVirtual, len(x))
	for i := range v {
		v[i] = YMM()
	}
	return v
}
