package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The AVX-512 functions do what the AVX2 ones do, with the same additions in the same order, in
// vectors of sixteen: a sum that AVX2 keeps in two vectors is one here. So their bits are equal.

// zvectors returns new vectors of sixteen.
func zvectors(n int) []VecVirtual {
	v := make([]VecVirtual, n)
	for i := range v {
		v[i] = ZMM()
	}
	return v
}

// tileShapes512 are the products that are written: rows of x by vectors of sixteen outputs.
// Twenty-four sums leave room for four w and one x.
var tileShapes512 = [][2]int{{12, 2}, {12, 1}, {6, 4}, {6, 2}, {6, 1}}

func tiles512() {
	for _, s := range tileShapes512 {
		tile512(s[0], s[1])
	}
}

func tile512(rows, vectors int) {
	name := fmt.Sprintf("tileZ%dx%d", rows, 16*vectors)
	function(name, "func(y *float32, ys int, x *float32, xs int, w *float32, step, panel, ahead, n int, fresh bool)",
		fmt.Sprintf("%s is tileFunc for %d rows and %d outputs, by AVX-512.", name, rows, 16*vectors))
	fresh := Load(Param("fresh"), GP8())
	sum := make([][]VecVirtual, rows)
	for r := range sum {
		sum[r] = zvectors(vectors)
		for _, s := range sum[r] {
			VPXORD(s, s, s)
		}
	}
	// A vector of outputs is a panel of its own in w, and follows the last in y.
	eachY := func(f func(y Mem, sum VecVirtual)) {
		y, ys := param("y"), param("ys")
		SHLQ(U8(2), ys)
		for r := range sum {
			for v := range sum[r] {
				f(Mem{Base: y, Disp: 64 * v}, sum[r][v])
			}
			if r < rows-1 {
				ADDQ(ys, y)
			}
		}
	}
	TESTB(fresh, fresh)
	JNZ(LabelRef("start"))
	eachY(func(y Mem, sum VecVirtual) { VMOVUPS(y, sum) })

	Label("start")
	x, xs := param("x"), param("xs")
	SHLQ(U8(2), xs)
	var xAt []Mem
	var bases []Register
	for r := 0; r < rows; r += 3 {
		base := x
		if r > 0 {
			base = GP64()
			LEAQ(Mem{Base: xs, Index: xs, Scale: 2}, base)
			ADDQ(bases[len(bases)-1], base)
		}
		bases = append(bases, base)
		xAt = append(xAt, Mem{Base: base}, Mem{Base: base, Index: xs, Scale: 1}, Mem{Base: base, Index: xs, Scale: 2})
	}
	advance := func(k int) {
		for _, b := range bases {
			ADDQ(U8(4*k), b)
		}
	}
	w, step := param("w"), param("step")
	SHLQ(U8(2), step)
	wAt := []Mem{{Base: w}}
	if vectors > 1 {
		panel := param("panel")
		SHLQ(U8(2), panel)
		wAt = append(wAt, Mem{Base: w, Index: panel, Scale: 1})
		if vectors > 2 {
			panel3 := GP64()
			LEAQ(Mem{Base: panel, Index: panel, Scale: 2}, panel3)
			wAt = append(wAt, Mem{Base: w, Index: panel, Scale: 2}, Mem{Base: w, Index: panel3, Scale: 1})
		}
	}
	wv, xv := zvectors(vectors), ZMM()
	one := func(k int) {
		for v := range wv {
			VMOVUPS(wAt[v], wv[v])
		}
		for r, m := range xAt {
			m.Disp = 4 * k
			VBROADCASTSS(m, xv)
			for v := range wv {
				VFMADD231PS(wv[v], xv, sum[r][v])
			}
		}
		ADDQ(step, w)
	}
	tileLoop(func(ahead Register) {
		next := GP64()
		for _, m := range xAt {
			if m.Index == nil {
				LEAQ(Mem{Base: m.Base, Index: ahead, Scale: 1}, next)
			}
			m.Base = next
			PREFETCHT0(m)
		}
	}, one, advance, eachY)
}

// exp512 is exp for vectors of sixteen.
func exp512(x ...VecVirtual) {
	r, p, n := zvectors(len(x)), zvectors(len(x)), zvectors(len(x))
	c, t := ZMM(), ZMM()
	with := func(name string, value float32, f func(i int)) {
		VBROADCASTSS(constant(name, value), c)
		for i := range x {
			f(i)
		}
	}
	with("expMin", -88, func(i int) { VMAXPS(x[i], c, r[i]) })
	with("expMax", 89, func(i int) { VMINPS(r[i], c, r[i]) })
	with("log2e", math.Log2E, func(i int) {
		VMULPS(r[i], c, n[i])
		VRNDSCALEPS(U8(8), n[i], n[i]) // to nearest, no exception
	})
	with("ln2hi", ln2High, func(i int) { VFNMADD231PS(c, n[i], r[i]) })
	with("ln2lo", ln2Low, func(i int) { VFNMADD231PS(c, n[i], r[i]) })
	with("c7", 1.0/5040, func(i int) { VMOVAPS(c, p[i]) })
	for _, term := range expTerms {
		with(term.name, term.value, func(i int) { VFMADD213PS(c, r[i], p[i]) }) // p = p·r + c
	}
	with("one", 1, func(i int) {
		VCVTPS2DQ(n[i], n[i])
		VPSRAD(U8(1), n[i], t)
		VPSUBD(t, n[i], n[i])
		for _, k := range []VecVirtual{t, n[i]} {
			VPSLLD(U8(23), k, k)
			VPADDD(c, k, k)
			VMULPS(k, p[i], p[i])
		}
	})
	with("expLow", -87.33654, func(i int) {
		keep := K()
		VCMPPS(U8(0x15), c, x[i], keep) // not x < c, quiet
		VMOVAPS_Z(p[i], keep, x[i])
	})
}

// elementwise512 is elementwise for vectors of sixteen.
func elementwise512(n Register, out Register, in []Register, body func(x []VecVirtual) VecVirtual) {
	x := make([]VecVirtual, len(in))
	Label("loop")
	SUBQ(U8(16), n)
	JLT(LabelRef("tail"))
	for i, p := range in {
		x[i] = ZMM()
		VMOVUPS(Mem{Base: p}, x[i])
	}
	VMOVUPS(body(x), Mem{Base: out})
	for _, p := range append([]Register{out}, in...) {
		ADDQ(U8(64), p)
	}
	JMP(LabelRef("loop"))

	Label("tail")
	ADDQ(U8(16), n)
	JZ(LabelRef("done"))
	count, ones, mask := GP64(), GP64(), K()
	MOVQ(n, count)
	MOVQ(U32(0xffff), ones)
	SHLXQ(count, ones, ones)
	NOTQ(ones) // n ones, and others above sixteen
	KMOVW(ones.As32(), mask)
	for i, p := range in {
		x[i] = ZMM()
		VMOVUPS_Z(Mem{Base: p}, mask, x[i])
	}
	VMOVUPS(body(x), mask, Mem{Base: out})
	Label("done")
	done()
}

// zspread is spread for vectors of sixteen.
func zspread(name string) VecVirtual {
	v := ZMM()
	VBROADCASTSS(spread(name).AsX(), v)
	return v
}

func vectors512() {
	function("expAVX512", "func(y, x *float32, n int)", "expAVX512 computes y = e^x for n elements.")
	y, x := param("y"), param("x")
	elementwise512(param("n"), y, []Register{x}, func(v []VecVirtual) VecVirtual {
		exp512(v[0])
		return v[0]
	})

	function("addAVX512", "func(y, x *float32, n int)", "addAVX512 computes y += x for n elements.")
	y, x = param("y"), param("x")
	from := GP64()
	MOVQ(y, from)
	elementwise512(param("n"), y, []Register{from, x}, func(v []VecVirtual) VecVirtual {
		VADDPS(v[1], v[0], v[0])
		return v[0]
	})

	function("normalizeAVX512", "func(y, x, gain *float32, n int, mean, scale float32)",
		"normalizeAVX512 computes y = gain·((x - mean)·scale) for n elements.")
	mean, scale := zspread("mean"), zspread("scale")
	y, x = param("y"), param("x")
	gain := param("gain")
	elementwise512(param("n"), y, []Register{x, gain}, func(v []VecVirtual) VecVirtual {
		VSUBPS(mean, v[0], v[0])
		VMULPS(scale, v[0], v[0])
		VMULPS(v[1], v[0], v[0])
		return v[0]
	})
	activations512()
	softmax512()
	sum512(false)
	sum512(true)
}

// activations512 writes SiLU and the tanh form of GELU, see activations.
func activations512() {
	silu := func(x VecVirtual) VecVirtual {
		z := ZMM()
		VPXORD(z, z, z)
		VSUBPS(x, z, z)
		return z
	}
	gelu := func(x VecVirtual) VecVirtual {
		z := ZMM()
		VMULPS(x, x, z)
		VMULPS_BCST(constant("geluCubic", -0.044715*1.5957691216057308), z, z)
		VADDPS_BCST(constant("geluLinear", -1.5957691216057308), z, z)
		VMULPS(x, z, z)
		return z
	}
	for _, a := range []struct {
		name, formula string
		minusZ        func(VecVirtual) VecVirtual
	}{{"silu", "x/(1 + e^-x)", silu}, {"geluTanh", "x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³)))", gelu}} {
		body := func(x []VecVirtual) VecVirtual {
			z := a.minusZ(x[0])
			exp512(z)
			VADDPS_BCST(constant("one", 1), z, z)
			VDIVPS(z, x[0], z)
			if len(x) == 2 {
				VMULPS(x[1], z, z)
			}
			return z
		}
		activation(a.name, "AVX512", a.formula, elementwise512, body)
	}
}

func softmax512() {
	function("scaleMaxAVX512", "func(s *float32, n int, scale float32) float32",
		"scaleMaxAVX512 multiplies s by scale and returns the largest product, n a positive multiple of 8.")
	s, n := param("s"), param("n")
	scale, top, v := zspread("scale"), ZMM(), ZMM()
	VBROADCASTSS(constant("minusInf", float32(math.Inf(-1))), top)
	Label("loop")
	SUBQ(U8(16), n)
	JLT(LabelRef("half"))
	VMULPS(Mem{Base: s}, scale, v)
	VMOVUPS(v, Mem{Base: s})
	VMAXPS(top, v, top) // a NaN in v is dropped here, and comes back as e^NaN
	ADDQ(U8(64), s)
	JMP(LabelRef("loop"))
	Label("half")
	VEXTRACTF32X8(U8(1), top, v.AsY())
	VMAXPS(v.AsY(), top.AsY(), top.AsY())
	ADDQ(U8(16), n)
	JZ(LabelRef("reduce"))
	VMULPS(Mem{Base: s}, scale.AsY(), v.AsY())
	VMOVUPS(v.AsY(), Mem{Base: s})
	VMAXPS(top.AsY(), v.AsY(), top.AsY())
	Label("reduce")
	VEXTRACTF32X4(U8(1), top.AsY(), v.AsX())
	returnLargest(top, v)

	function("expSumAVX512", "func(s *float32, n int, top float32) float32",
		"expSumAVX512 replaces s by e^(s-top) and returns its sum, n a positive multiple of 8.")
	s, n = param("s"), param("n")
	shift, sum := zspread("top"), YMM()
	VXORPS(sum, sum, sum)
	x, high := zvectors(2), YMM()
	step := func(x []VecVirtual) {
		for i := range x {
			VMOVUPS(Mem{Base: s, Disp: 64 * i}, x[i])
			VSUBPS(shift, x[i], x[i])
		}
		exp512(x...)
		for i := range x {
			VMOVUPS(x[i], Mem{Base: s, Disp: 64 * i})
			VADDPS(x[i].AsY(), sum, sum) // eight lanes after the other, as AVX2 does
			VEXTRACTF32X8(U8(1), x[i], high)
			VADDPS(high, sum, sum)
		}
		ADDQ(I32(64*len(x)), s)
	}
	Label("pair")
	SUBQ(U8(32), n)
	JLT(LabelRef("rest"))
	step(x)
	JMP(LabelRef("pair"))
	Label("rest")
	ADDQ(U8(32), n)
	JZ(LabelRef("reduce"))
	SUBQ(U8(16), n)
	JLT(LabelRef("half"))
	step(x[:1])
	Label("half")
	TESTQ(U32(8), n)
	JZ(LabelRef("reduce"))
	VMOVUPS(Mem{Base: s}, x[0].AsY())
	VSUBPS(shift, x[0], x[0])
	exp512(x[0])
	VMOVUPS(x[0].AsY(), Mem{Base: s})
	VADDPS(x[0].AsY(), sum, sum)
	Label("reduce")
	reduce1(sum)
	Store(sum.AsX(), ReturnIndex(0))
	done()
}

// sum512 is sum64 with two of its four accumulators in a vector.
func sum512(squares bool) {
	if squares {
		function("sumSquaresAVX512", "func(x *float32, n int, mean float32) float64",
			"sumSquaresAVX512 returns Σ (x - mean)² in float64, the differences float32, n a positive multiple of 16.")
	} else {
		function("sumAVX512", "func(x *float32, n int) float64", "sumAVX512 returns Σ x in float64, n a positive multiple of 16.")
	}
	x, n := param("x"), param("n")
	var mean VecVirtual
	if squares {
		mean = spread("mean")
	}
	sum := zvectors(2)
	for _, s := range sum {
		VPXORD(s, s, s)
	}
	v, wide := YMM(), ZMM()
	Label("loop")
	for i := range 2 {
		VMOVUPS(Mem{Base: x, Disp: 32 * i}, v)
		if squares {
			VSUBPS(mean, v, v)
		}
		VCVTPS2PD(v, wide)
		if squares {
			VFMADD231PD(wide, wide, sum[i])
		} else {
			VADDPD(wide, sum[i], sum[i])
		}
	}
	ADDQ(U8(64), x)
	SUBQ(U8(16), n)
	JNZ(LabelRef("loop"))
	for _, s := range sum { // 0+1, 2+3
		VEXTRACTF64X4(U8(1), s, v)
		VADDPD(v, s.AsY(), s.AsY())
	}
	total := sum[0].AsX()
	VADDPD(sum[1].AsY(), sum[0].AsY(), sum[0].AsY())
	VEXTRACTF64X2(U8(1), sum[0].AsY(), v.AsX())
	VADDPD(v.AsX(), total, total)
	VPERMILPD(U8(1), total, v.AsX())
	VADDSD(v.AsX(), total, total)
	Store(total, ReturnIndex(0))
	done()
}
