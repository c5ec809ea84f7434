// Command _asm writes the AVX2 assembly of packages imageproc and imageproc/jpeg with avo
// (github.com/mmcloughlin/avo). Run go generate in either folder.
//
// All arithmetic is of integers and gives the bytes of the portable code. Every function
// does one loop over whole vectors; edges and choices are left to Go.
package main

import (
	"flag"
	"log"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

var groups = map[string]func(){
	"color":    color,
	"idct":     idct,
	"resize":   resize,
	"upsample": upsample,
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

func zero() VecVirtual {
	v := YMM()
	VPXOR(v, v, v)
	return v
}

var constants = map[string]Mem{}

// bytes returns the address of a read-only vector of 32 bytes, the given ones over and over.
func bytes(name string, values ...int) Mem {
	return vector(name, 1, values, func(v int) Constant { return U8(uint8(v)) })
}

// words is bytes for 16 numbers of 16 bits.
func words(name string, values ...int) Mem {
	return vector(name, 2, values, func(v int) Constant { return U16(uint16(v)) })
}

// dwords is bytes for 8 numbers of 32 bits.
func dwords(name string, values ...int) Mem {
	return vector(name, 4, values, func(v int) Constant { return U32(uint32(v)) })
}

func vector(name string, size int, values []int, constant func(int) Constant) Mem {
	if m, ok := constants[name]; ok {
		return m
	}
	m := GLOBL(name, RODATA|NOPTR)
	for i := range 32 / size {
		DATA(i*size, constant(values[i%len(values)]))
	}
	constants[name] = m
	return m
}
