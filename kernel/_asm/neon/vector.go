package main

import "math"

// vectors writes what goes over a slice element by element, and the sums over one.
func vectors() {
	exps()
	activations()
	adds()
	softmax()
	norms()
	quantize()
}

// exponential has the constants of exp in registers.
var exponential = map[string]int{}

var expConstants = []struct {
	name  string
	value float32
}{
	{"min", -88}, {"max", 89}, {"log2e", 1.44269504088896340736}, {"ln2hi", 0.69314718246459960938}, {"ln2lo", -1.904654299957767878541e-9},
	{"c7", 1.0 / 5040}, {"c6", 1.0 / 720}, {"c5", 1.0 / 120}, {"c4", 1.0 / 24}, {"c3", 1.0 / 6}, {"c2", 1.0 / 2}, {"one", 1},
	{"low", -87.33654},
}

// loadExponential puts them into v16 to v28.
func loadExponential() {
	for i, c := range expConstants {
		exponential[c.name] = 16 + i
		constant(c.value, 16+i)
	}
}

// exp replaces x by e^x, by the steps of the AVX2 version: see kernel/_asm/exp.go. It uses four
// registers from t on.
func exp(x, t int) {
	c := func(name string) int { return exponential[name] }
	r, n, p, q := t, t+1, t+2, t+3
	fmax(r, x, c("min"))
	fmin(r, r, c("max"))
	fmul(n, r, c("log2e"))
	frintn(n, n)
	fmls(r, n, c("ln2hi"))
	fmls(r, n, c("ln2lo"))
	mov(p, c("c7"))
	for _, name := range []string{"c6", "c5", "c4", "c3", "c2", "one", "one"} {
		mov(q, c(name))
		fmla(q, p, r)
		p, q = q, p
	}
	// 2ⁿ as two factors: k added to the exponent of 1.
	fcvtns(n, n)
	sshr(r, n, 1)
	sub(n, n, r)
	for _, k := range []int{r, n} {
		shl(k, k, 23)
		add(k, k, c("one"))
		fmul(p, p, k)
	}
	fcmgt(r, c("low"), x)
	bic(x, p, r)
}

// elementwise writes a loop over n elements: four at a time, then one, through the same
// instructions. in and out are registers of addresses; body gets the inputs in v0, v1, …
// and leaves the output in v0.
func elementwise(n, out int, in []int, body func()) {
	op("SUBS $4, R%d", n)
	branch("BLT", "rest")
	label("loop")
	for i, r := range in {
		load(i, r, 0)
		op("ADD $16, R%d", r)
	}
	body()
	store(0, out, 0)
	op("ADD $16, R%d", out)
	op("SUBS $4, R%d", n)
	branch("BGE", "loop")
	label("rest")
	op("ADDS $4, R%d", n)
	branch("BEQ", "done")
	label("single")
	for i, r := range in {
		load1(i, r, 0)
		op("ADD $4, R%d", r)
	}
	body()
	store1(0, out, 0)
	op("ADD $4, R%d", out)
	op("SUBS $1, R%d", n)
	branch("BNE", "single")
	label("done")
	ret()
}

// exps writes y = e^x.
func exps() {
	function("expNEON", "y, x *float32, n int", "", "expNEON computes y = e^x for n elements.")
	param("y", 0)
	param("x", 1)
	param("n", 2)
	loadExponential()
	elementwise(2, 0, []int{1}, func() { exp(0, 2) })
}

// activations writes SiLU and the tanh form of GELU, each alone and times a second input.
// Both are x/(1 + e^-z), with z = x and z = 2·√(2/π)·(x + 0.044715·x³).
func activations() {
	const cubic, linear = 29, 30
	for _, a := range []struct {
		name, formula string
		minusZ        func() // of v0, to v6
	}{
		{"silu", "x/(1 + e^-x)", func() { fneg(6, 0) }},
		{"geluTanh", "x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³)))", func() {
			fmul(6, 0, 0)
			fmul(6, 6, cubic)
			fadd(6, 6, linear)
			fmul(6, 6, 0)
		}},
	} {
		for _, inputs := range []int{1, 2} {
			if inputs == 1 {
				function(a.name+"NEON", "y, x *float32, n int", "", a.name+"NEON computes y = "+a.formula+" for n elements.")
			} else {
				function(a.name+"MulNEON", "y, x, up *float32, n int", "", a.name+"MulNEON computes y = up·"+a.formula+" for n elements.")
				param("up", 3)
			}
			param("y", 0)
			param("x", 1)
			param("n", 2)
			loadExponential()
			constant(-0.044715*1.5957691216057308, cubic)
			constant(-1.5957691216057308, linear)
			elementwise(2, 0, []int{1, 3}[:inputs], func() {
				a.minusZ()
				exp(6, 2)
				fadd(6, 6, exponential["one"])
				fdiv(0, 0, 6)
				if inputs == 2 {
					fmul(0, 0, 1)
				}
			})
		}
	}
}

// adds writes y += x.
func adds() {
	function("addNEON", "y, x *float32, n int", "", "addNEON computes y += x for n elements.")
	param("y", 0)
	param("x", 1)
	param("n", 2)
	op("MOVD R0, R3")
	elementwise(2, 0, []int{3, 1}, func() { fadd(0, 0, 1) })
}

// softmax writes the two passes over a row of scores.
func softmax() {
	function("scaleMaxNEON", "s *float32, n int, scale float32", "float32",
		"scaleMaxNEON multiplies s by scale and returns the largest product, n a positive multiple of 8.")
	param("s", 0)
	param("n", 1)
	spread("scale", 2)
	constant(float32(math.Inf(-1)), 0)
	mov(1, 0)
	label("loop")
	for i := range 2 {
		load(3, 0, 16*i)
		fmul(3, 3, 2)
		store(3, 0, 16*i)
		fmaxnm(i, i, 3) // a NaN is dropped here, and comes back as e^NaN
	}
	op("ADD $32, R0")
	op("SUBS $8, R1")
	branch("BNE", "loop")
	fmaxnm(0, 0, 1)
	fmaxnmv(0, 0)
	op("FMOVS F0, ret+%d(FP)", args["ret"])
	ret()

	function("expSumNEON", "s *float32, n int, top float32", "float32",
		"expSumNEON replaces s by e^(s-top) and returns its sum, n a positive multiple of 8.")
	param("s", 0)
	param("n", 1)
	spread("top", 12)
	loadExponential()
	zero(13)
	zero(14)
	label("loop")
	for i := range 2 {
		load(i, 0, 16*i)
		fsub(i, i, 12)
		exp(i, 2+4*i)
		store(i, 0, 16*i)
		fadd(13+i, 13+i, i)
	}
	op("ADD $32, R0")
	op("SUBS $8, R1")
	branch("BNE", "loop")
	reduce(13, 14)
	op("FMOVS F13, ret+%d(FP)", args["ret"])
	ret()
}

// norms writes the two sums of a row, in float64, and the pass that applies them.
func norms() {
	for _, squares := range []bool{false, true} {
		if squares {
			function("sumSquaresNEON", "x *float32, n int, mean float32", "float64",
				"sumSquaresNEON returns Σ (x - mean)² in float64, the differences float32, n a positive multiple of 16.")
			spread("mean", 16)
		} else {
			function("sumNEON", "x *float32, n int", "float64", "sumNEON returns Σ x in float64, n a positive multiple of 16.")
		}
		param("x", 0)
		param("n", 1)
		for v := range 8 {
			zero(v)
		}
		label("loop")
		for i := range 4 { // four accumulators of four float64
			load(8, 0, 16*i)
			if squares {
				fsub(8, 8, 16)
			}
			fcvtl264(9, 8)
			fcvtl64(8, 8)
			for half, v := range []int{8, 9} {
				if squares {
					fmla64(2*i+half, v, v)
				} else {
					fadd64(2*i+half, 2*i+half, v)
				}
			}
		}
		op("ADD $64, R0")
		op("SUBS $16, R1")
		branch("BNE", "loop")
		for half := range 2 { // (0+1)+(2+3)
			fadd64(half, half, half+2)
			fadd64(half+4, half+4, half+6)
			fadd64(half, half, half+4)
		}
		fadd64(0, 0, 1)
		faddpd(0, 0)
		op("FMOVD F0, ret+%d(FP)", args["ret"])
		ret()
	}

	function("normalizeNEON", "y, x, gain *float32, n int, mean, scale float32", "", "normalizeNEON computes y = gain·((x - mean)·scale) for n elements.")
	param("y", 0)
	param("x", 1)
	param("gain", 2)
	param("n", 3)
	spread("mean", 2)
	spread("scale", 3)
	elementwise(3, 0, []int{1, 2}, func() {
		fsub(0, 0, 2)
		fmul(0, 0, 3)
		fmul(0, 0, 1)
	})
}

// quantize writes the rounding of runs of 32 floats to int8.
func quantize() {
	function("quantizeNEON", "to *int8, step int, x *float32, runs int", "", "quantizeNEON is quantizeGeneric for a positive number of runs.")
	const to, step, x, n, size = 0, 1, 2, 3, 4
	const v, top, t, scale, inverse, most, least = 0, 8, 9, 10, 11, 12, 13
	param("to", to)
	param("step", step)
	param("x", x)
	param("runs", n)
	op("MOVD $%d, R%d", runSize, size)
	op("MUL R%d, R%d", size, step)
	constant(127, most)
	constant(0x1p-100, least)
	label("loop")
	for i := range 8 {
		load(v+i, x, 16*i)
		if i == 0 {
			fabs(top, v)
			continue
		}
		fabs(t, v+i)
		smax(top, top, t) // as integers, a NaN is larger than all
	}
	smaxv(top, top)
	dup(top, top, 0)
	cmgt(t, least, top) // nothing to see here
	fdiv(scale, top, most)
	fdiv(inverse, most, top)
	bic(scale, scale, t)
	bic(inverse, inverse, t)
	for i := range 8 {
		fmul(v+i, v+i, inverse)
		fcvtns(v+i, v+i)
	}
	for half, sum := range []int{top, t} {
		first := v + 4*half
		add(sum, first, first+1)
		add(sum, sum, first+2)
		add(sum, sum, first+3)
	}
	addp(t, top, t)
	addp(t, t, t) // Σ of each half
	addp(top, t, t)
	sqxtn4h(t, t)
	store1(scale, to, runSums)
	store1(t, to, runSums+12)
	shl(t, top, 3)
	store1(t, to, runSums+8)
	scvtf(top, top)
	fmul(top, top, scale)
	store1(top, to, runSums+4)
	for i := range 4 {
		sqxtn4h(v+2*i, v+2*i)
		sqxtn8h(v+2*i, v+2*i+1)
	}
	for i := range 2 {
		sqxtn8b(v+4*i, v+4*i)
		sqxtn16b(v+4*i, v+4*i+2)
		store(v+4*i, to, 16*i)
	}
	op("ADD R%d, R%d", step, to)
	op("ADD $128, R%d", x)
	op("SUBS $1, R%d", n)
	branch("BNE", "loop")
	ret()
}
