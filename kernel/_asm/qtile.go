package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// A run of x, as package kernel's xRun has it.
const (
	runD     = 32 // d, after 32 int8
	runSums  = 36 // d·Σ
	runEight = 40 // 8·Σ
	runHalf  = 44 // Σ of each half, of 16 bits
	runSize  = 48
)

// A run of a panel of eight outputs: for each four values, four bytes of each output, from 0 to
// 15 (63 for Q6_K, and with a sign for Q8_0); then vectors of eight.
const panelScale = 256 // of float32

// product is a way to multiply bytes. add adds the products of four values of eight outputs, or eight
// values where pairs is set, with those of a row; sum makes whole numbers of 32 bits of them.
type product struct {
	isa    string // "", AVX2, or a part of the functions' names
	name   string
	size   int                        // of a run of a panel
	least  int                        // where its minima are, or 0
	rows   int                        // most in a tile: four, or six where registers are left for them
	groups int                        // of a panel's values that make an x, see step
	load   func(r *qRegisters, v int) // what is made of w[v] for all rows, or nil
	step   func(r *qRegisters, row, v, group int)
	finish func(r *qRegisters, row, v int)
}

// qRegisters is what a product works in: sums of each row and panel.
type qRegisters struct {
	sum, acc [6][2]VecVirtual
	w        [2][2]VecVirtual // of a panel
	x        [2]VecVirtual
	t, u     VecVirtual // free; u is ones for Q8_0
	xAt      func(row, disp int) Mem
	wAt      func(v, disp int) Mem
}

// nibbles from 0 to 15 leave room for a whole run in 16 bits: 15·127·2·8 = 30480.
func addNibbles(r *qRegisters, sum VecVirtual, x, w VecVirtual, first bool) {
	if first {
		VPMADDUBSW(x, w, sum)
		return
	}
	VPMADDUBSW(x, w, r.t)
	VPADDW(r.t, sum, sum)
}

func minusEight(r *qRegisters, row int, sum VecVirtual) {
	VPBROADCASTD(r.xAt(row, runEight), r.t)
	VPSUBD(r.t, sum, sum)
}

var products = []product{
	{"", "Q8_0", 288, 0, 4, 8, func(r *qRegisters, v int) { VPABSB(r.w[v][0], r.w[v][1]) },
		// |w| times ±x, at most 128·127·2 in 16 bits, then pairs of those in 32.
		func(r *qRegisters, row, v, group int) {
			VPSIGNB(r.w[v][0], r.x[0], r.t)
			VPMADDUBSW(r.t, r.w[v][1], r.t)
			if group == 0 {
				VPMADDWD(r.u, r.t, r.sum[row][v])
				return
			}
			VPMADDWD(r.u, r.t, r.t)
			VPADDD(r.t, r.sum[row][v], r.sum[row][v])
		}, func(*qRegisters, int, int) {}},
	{"", "Q6_K", 384, 0, 4, 4, nil,
		// Up to 63·127·4 = 32004 fits; the factors take it to 32 bits.
		func(r *qRegisters, row, v, group int) {
			sum, t, u := r.sum[row][v], r.t, r.u
			VPMADDUBSW(r.x[0], r.w[v][0], t)
			VPMADDUBSW(r.x[1], r.w[v][1], u)
			VPADDW(u, t, t)
			factor := r.wAt(v, panelScale+32+group/2*32)
			if group == 0 {
				VPMADDWD(factor, t, sum)
				return
			}
			VPMADDWD(factor, t, t)
			VPADDD(t, sum, sum)
		}, func(r *qRegisters, row, v int) { // 32·factor times the halves' Σ x
			VPBROADCASTD(r.xAt(row, runHalf), r.t)
			VPMADDWD(r.wAt(v, panelScale+96), r.t, r.t)
			VPSUBD(r.t, r.sum[row][v], r.sum[row][v])
		}},
	{"", "Q4_K", 320, 288, 6, 8, nil,
		func(r *qRegisters, row, v, group int) {
			addNibbles(r, r.sum[row][v], r.x[0], r.w[v][0], group == 0)
		}, func(r *qRegisters, row, v int) {
			VPMADDWD(repeated("ones", 0x00010001), r.sum[row][v], r.sum[row][v])
		}},
	{"", "Q4_0", 288, 0, 6, 8, nil,
		func(r *qRegisters, row, v, group int) {
			addNibbles(r, r.sum[row][v], r.x[0], r.w[v][0], group == 0)
		}, func(r *qRegisters, row, v int) {
			VPMADDWD(repeated("ones", 0x00010001), r.sum[row][v], r.sum[row][v])
			if v == 0 { // the weights have all been used
				VPBROADCASTD(r.xAt(row, runEight), r.w[0][0])
			}
			VPSUBD(r.w[0][0], r.sum[row][v], r.sum[row][v])
		}},
}

// repeated returns the address of a vector whose words of 32 bits are all the same.
func repeated(name string, word uint32) Mem {
	if m, ok := constants[name]; ok {
		return m
	}
	m := GLOBL(name, RODATA|NOPTR)
	for i := range 8 {
		DATA(4*i, U32(word))
	}
	constants[name] = m
	return m
}

// qtiles writes the products of some rows of int8 with one panel, or with two.
func qtiles() { qtilesOf(products, 2) }

func qtilesOf(products []product, panels int) {
	for i := range products {
		for vectors := 1; vectors <= panels; vectors++ {
			for rows := 1; rows <= products[i].rows; rows++ {
				qtile(&products[i], rows, vectors)
			}
		}
	}
}

func qtile(p *product, rows, vectors int) {
	name := fmt.Sprintf("tile%s%s_%dx%d", p.isa, p.name, rows, 8*vectors)
	function(name, "func(y *float32, ys int, x *int8, w *byte, panel, runs int)",
		fmt.Sprintf("%s is qtileFunc for %d rows and %d outputs.", name, rows, 8*vectors))
	y, ys := param("y"), param("ys")
	x, w, panel := param("x"), param("w"), param("panel")
	runs := param("runs")
	SHLQ(U8(2), ys)
	yAt := []Mem{{Base: y}, {Base: y, Index: ys, Scale: 1}, {Base: y, Index: ys, Scale: 2}}
	if rows >= 4 {
		ys3 := GP64()
		LEAQ(Mem{Base: ys, Index: ys, Scale: 2}, ys3)
		yAt = append(yAt, Mem{Base: y, Index: ys3, Scale: 1}, Mem{Base: y, Index: ys, Scale: 4})
	}
	if rows == 6 {
		ys5 := GP64()
		LEAQ(Mem{Base: ys, Index: ys, Scale: 4}, ys5)
		yAt = append(yAt, Mem{Base: y, Index: ys5, Scale: 1})
	}
	r := &qRegisters{t: YMM()}
	r.xAt = func(row, disp int) Mem { return Mem{Base: x, Disp: row*runSize + disp} }
	r.wAt = func(v, disp int) Mem {
		m := Mem{Base: w, Disp: disp}
		if v == 1 {
			m.Index, m.Scale = panel, 1
		}
		return m
	}
	// Registers are allotted here, so that avo does not take those that only AVX-512 has.
	broadcast := p.isa != "VNNI"
	if broadcast {
		r.x[0] = YMM()
	}
	per := 8 / p.groups // vectors of a panel in a step
	if per == 2 {
		r.x[1], r.u = YMM(), YMM()
	}
	magnitudes := p.isa == "" && p.name == "Q8_0"
	if magnitudes {
		r.u = YMM()
		VMOVDQU(repeated("ones", 0x00010001), r.u)
	}
	kept := rows*vectors <= 4 // outputs, where there are registers enough
	for v := range vectors {
		r.w[v][0] = YMM()
		if per == 2 || magnitudes {
			r.w[v][1] = YMM()
		}
		for i := range rows {
			r.sum[i][v] = YMM()
		}
	}
	at := func(i, v int) Mem {
		to := yAt[i]
		to.Disp = 32 * v
		return to
	}
	eachAcc := func(do func(m Mem, acc VecVirtual)) {
		for i := range rows {
			for v := range vectors {
				do(at(i, v), r.acc[i][v])
			}
		}
	}
	if kept {
		for i := range rows {
			for v := range vectors {
				r.acc[i][v] = YMM()
			}
		}
		eachAcc(func(m Mem, acc VecVirtual) { VMOVUPS(m, acc) })
	}
	Label("loop")
	for g := range p.groups {
		for v := range vectors {
			for i := range per {
				VMOVDQU(r.wAt(v, 32*(g*per+i)), r.w[v][i])
			}
			if p.load != nil {
				p.load(r, v)
			}
		}
		for i := range rows {
			for j := 0; broadcast && j < per; j++ {
				VPBROADCASTD(r.xAt(i, 4*(g*per+j)), r.x[j])
			}
			for v := range vectors {
				p.step(r, i, v, g)
			}
		}
	}
	for i := range rows {
		for v := range vectors {
			p.finish(r, i, v)
			sum := r.sum[i][v]
			VCVTDQ2PS(sum, sum)
			d, sums := r.t, r.t
			if broadcast { // x and the weights have been used
				d, sums = r.x[0], r.w[0][0]
			}
			fetch := v == 0 || !broadcast
			if fetch {
				VBROADCASTSS(r.xAt(i, runD), d)
			}
			VMULPS(r.wAt(v, panelScale), d, r.t)
			acc := sum
			if kept {
				acc = r.acc[i][v]
				VFMADD231PS(sum, r.t, acc)
			} else {
				VFMADD213PS(at(i, v), r.t, sum)
			}
			if p.least != 0 {
				if fetch {
					VBROADCASTSS(r.xAt(i, runSums), sums)
				}
				VFNMADD231PS(r.wAt(v, p.least), sums, acc)
			}
			if !kept {
				VMOVUPS(sum, at(i, v))
			}
		}
	}
	ADDQ(I32(rows*runSize), x)
	ADDQ(I32(p.size), w)
	DECQ(runs)
	JNZ(LabelRef("loop"))
	if kept {
		eachAcc(func(m Mem, acc VecVirtual) { VMOVUPS(acc, m) })
	}
	done()
}
