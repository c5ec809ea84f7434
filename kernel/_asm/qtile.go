package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// A block of a panel of quantized weights: for each four columns, four bytes of each of sixteen
// outputs; then sixteen scales, and for four-bit weights sixteen minima.
const (
	panelScales = 512
	panelMins   = panelScales + 64
	panelBlock  = panelMins + 64
)

// qtiles writes the products of some rows of int8 with a panel of sixteen outputs.
func qtiles() {
	for rows := 1; rows <= 4; rows++ {
		qtile("Q8", rows, q8)
		qtile("Q4", rows, q4)
	}
}

// quantized is a way to multiply bytes. add adds to sum the products of four columns of eight
// outputs with the same of a row; finish makes sums of 32 bits of it.
type quantized struct {
	hasMin bool
	load   func(r *qRegisters, v int) // after w[v] is loaded
	add    func(r *qRegisters, v int, x, sum VecVirtual, first bool)
	finish func(r *qRegisters, sum VecVirtual)
}

type qRegisters struct {
	w, magnitude [2]VecVirtual
	ones, t      VecVirtual // sixteen 1s; free
}

// q8: |w| times ±x, at most 128·127·2 in 16 bits, then pairs of those in 32.
var q8 = quantized{
	load: func(r *qRegisters, v int) { VPABSB(r.w[v], r.magnitude[v]) },
	add: func(r *qRegisters, v int, x, sum VecVirtual, first bool) {
		VPSIGNB(r.w[v], x, r.t)
		VPMADDUBSW(r.t, r.magnitude[v], r.t)
		if first {
			VPMADDWD(r.ones, r.t, sum)
			return
		}
		VPMADDWD(r.ones, r.t, r.t)
		VPADDD(r.t, sum, sum)
	},
	finish: func(*qRegisters, VecVirtual) {},
}

// q4: weights from 0 to 15 leave room for a whole block in 16 bits: 15·127·2·8 = 30480.
var q4 = quantized{
	hasMin: true,
	load:   func(*qRegisters, int) {},
	add: func(r *qRegisters, v int, x, sum VecVirtual, first bool) {
		if first {
			VPMADDUBSW(x, r.w[v], sum)
			return
		}
		VPMADDUBSW(x, r.w[v], r.t)
		VPADDW(r.t, sum, sum)
	},
	finish: func(r *qRegisters, sum VecVirtual) { VPMADDWD(r.ones, sum, sum) },
}

func qtile(kind string, rows int, q quantized) {
	name := fmt.Sprintf("tile%s%dx16", kind, rows)
	function(name, "func(y *float32, ys int, x *int8, xs int, d *float32, ds int, w *byte, blocks int)",
		fmt.Sprintf("%s is qtileFunc for %d rows.", name, rows))
	x, xs := param("x"), param("xs")
	y, ys := param("y"), param("ys")
	d, ds := param("d"), param("ds")
	w, blocks := param("w"), param("blocks")
	SHLQ(U8(2), ys)
	SHLQ(U8(2), ds)
	indexed := func(base, stride Register) []Mem {
		at := []Mem{{Base: base}, {Base: base, Index: stride, Scale: 1}, {Base: base, Index: stride, Scale: 2}}
		if rows == 4 {
			stride3 := GP64()
			LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, stride3)
			at = append(at, Mem{Base: base, Index: stride3, Scale: 1})
		}
		return at
	}
	xAt, yAt, dAt := indexed(x, xs), indexed(y, ys), indexed(d, ds)
	at := func(m Mem, disp int) Mem { m.Disp = disp; return m }

	r := &qRegisters{w: [2]VecVirtual{YMM(), YMM()}, ones: YMM(), t: YMM()}
	if !q.hasMin {
		r.magnitude = [2]VecVirtual{YMM(), YMM()}
	}
	VPCMPEQW(r.ones, r.ones, r.ones)
	VPSRLW(U8(15), r.ones, r.ones)
	xv := YMM()
	sum, acc := make([][2]VecVirtual, rows), make([][2]VecVirtual, rows)
	kept := rows <= 2 // in registers, where there are enough
	for i := range rows {
		sum[i] = [2]VecVirtual{YMM(), YMM()}
		if kept {
			acc[i] = [2]VecVirtual{YMM(), YMM()}
			for v := range 2 {
				VMOVUPS(at(yAt[i], 32*v), acc[i][v])
			}
		}
	}
	Label("loop")
	for g := range 8 {
		for v := range 2 {
			VMOVDQU(Mem{Base: w, Disp: 64*g + 32*v}, r.w[v])
			q.load(r, v)
		}
		for i := range rows {
			VPBROADCASTD(at(xAt[i], 4*g), xv)
			for v := range 2 {
				q.add(r, v, xv, sum[i][v], g == 0)
			}
		}
	}
	for i := range rows {
		for v := range 2 {
			q.finish(r, sum[i][v])
			VCVTDQ2PS(sum[i][v], sum[i][v])
			VBROADCASTSS(dAt[i], xv)
			VMULPS(Mem{Base: w, Disp: panelScales + 32*v}, xv, xv)
			to := r.t
			if kept {
				to = acc[i][v]
			} else {
				VMOVUPS(at(yAt[i], 32*v), to)
			}
			VFMADD231PS(xv, sum[i][v], to)
			if q.hasMin {
				VBROADCASTSS(at(dAt[i], 4), xv)
				VFNMADD231PS(Mem{Base: w, Disp: panelMins + 32*v}, xv, to)
			}
			if !kept {
				VMOVUPS(to, at(yAt[i], 32*v))
			}
		}
	}
	ADDQ(U8(32), x)
	ADDQ(U8(8), d)
	ADDQ(I32(panelBlock), w)
	DECQ(blocks)
	JNZ(LabelRef("loop"))
	if kept {
		for i := range rows {
			for v := range 2 {
				VMOVUPS(acc[i][v], at(yAt[i], 32*v))
			}
		}
	}
	done()
}
