// Command _asm writes the amd64 assembly of package kernel with avo
// (github.com/mmcloughlin/avo). Run go generate in the kernel folder.
//
// Every function does one loop over vectors and leaves shapes,
// threads and choices to Go.
package main

import (
	"flag"
	"log"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

var groups = map[string]func(){
	"dot":          dots,
	"tile":         tiles,
	"pack":         packs,
	"qdot":         qdots,
	"qtile":        qtiles,
	"qtilevnni":    qtilesVNNI,
	"qtileavxvnni": qtilesAVXVNNI,
	"qtilevnni512": qtilesVNNI512,
	"qpack":        qpacks,
	"softmax":      softmax,
	"activation":   activations,
	"backward":     backwards,
	"norm":         norms,
	"add":          adds,
	"exp":          exps,
	"widen":        widens,
	"peak":         peaks,
	"peak512":      peaks512,
	"tile512":      tiles512,
	"vector512":    vectors512,
	"amx":          amxHelpers,
	"amxint8":      unrolls,
	"codes":        codes,
}

func main() {
	group := flag.String("group", "", "what to write")
	flag.Parse()
	write, ok := groups[*group]
	if !ok {
		log.Fatalf("no group %q", *group)
	}
	ConstraintExpr("!noasm")
	write()
	Generate()
	if *group == "qtileavxvnni" {
		if err := vex(flag.Lookup("out").Value.String()); err != nil {
			log.Fatal(err)
		}
	}
}

// function opens a function that uses AVX2 and keeps pointers to itself.
func function(name, signature, doc string) {
	TEXT(name, NOSPLIT, signature)
	Pragma("noescape")
	Doc(doc)
}

// done ends a function. The upper halves are cleared because mixing them with the SSE
// code that Go compiles to costs a lot on some processors.
func done() {
	VZEROUPPER()
	RET()
}

func param(name string) Register { return Load(Param(name), GP64()) }

var constants = map[string]Mem{}

// constant returns the address of a read-only float32.
func constant(name string, value float32) Mem {
	if m, ok := constants[name]; ok {
		return m
	}
	m := GLOBL(name, RODATA|NOPTR)
	DATA(0, U32(math.Float32bits(value))) // Go's assembler takes no infinities
	constants[name] = m
	return m
}

// tailMask returns a vector whose first n lanes are all ones, for 0 < n < 8. It reads eight
// words from a table of eight ones and eight zeros, beginning n words before the zeros.
func tailMask(n Register) VecVirtual {
	at := GP64()
	LEAQ(tailTable(), at)
	back := GP64()
	MOVQ(n, back)
	NEGQ(back)
	v := YMM()
	VMOVUPS(Mem{Base: at, Index: back, Scale: 4, Disp: 32}, v)
	return v
}

func tailTable() Mem {
	if m, ok := constants["tail"]; ok {
		return m
	}
	m := GLOBL("tail", RODATA|NOPTR)
	for i := range 16 {
		word := U32(0)
		if i < 8 {
			word = 0xffffffff
		}
		DATA(4*i, word)
	}
	constants["tail"] = m
	return m
}

// elementwise writes a loop over n elements at the given addresses: eight at a time, then
// the rest under a mask, through the very same instructions, so that a value does not depend
// on where in the slice it stands. The body gets the loaded inputs and returns the output.
func elementwise(n Register, out Register, in []Register, body func(x []VecVirtual) VecVirtual) {
	x := make([]VecVirtual, len(in))
	advance := func() {
		ADDQ(U8(32), out)
		for _, p := range in {
			ADDQ(U8(32), p)
		}
	}
	Label("loop")
	SUBQ(U8(8), n)
	JLT(LabelRef("tail"))
	for i, p := range in {
		x[i] = YMM()
		VMOVUPS(Mem{Base: p}, x[i])
	}
	VMOVUPS(body(x), Mem{Base: out})
	advance()
	JMP(LabelRef("loop"))

	Label("tail")
	ADDQ(U8(8), n)
	JZ(LabelRef("done"))
	mask := tailMask(n)
	for i, p := range in {
		x[i] = YMM()
		VMASKMOVPS(Mem{Base: p}, mask, x[i])
	}
	VMASKMOVPS(body(x), mask, Mem{Base: out})
	Label("done")
	done()
}

// spread fills a vector with a float32 parameter.
func spread(name string) VecVirtual {
	at, err := Param(name).Resolve()
	if err != nil {
		log.Fatal(err)
	}
	v := YMM()
	VBROADCASTSS(at.Addr, v)
	return v
}
