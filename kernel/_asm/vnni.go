package main

import (
	"bytes"
	"fmt"
	"log"
	"os"
	"regexp"
	"slices"
	"strconv"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// productsVNNI are those of AVX2 with sums of four products at once: the same panels and the same whole
// numbers, the same float32 afterwards. Q6_K, whose factors would have to multiply words of 32 bits,
// is left to AVX2.
var productsVNNI = []product{
	// One factor must be unsigned: w + 128 is, and 128·Σ x goes off again.
	{"VNNI", "Q8_0", 288, 0, 4, 8, func(r *qRegisters, v int) {
		VPXOR(repeated("signs", 0x80808080), r.w[v][0], r.w[v][0])
	}, stepVNNI, func(r *qRegisters, row, v int) {
		VPBROADCASTD(r.xAt(row, runEight), r.t)
		VPSLLD(U8(4), r.t, r.t)
		VPSUBD(r.t, r.sum[row][v], r.sum[row][v])
	}},
	{"VNNI", "Q4_K", 320, 288, 4, 8, nil, stepVNNI, func(*qRegisters, int, int) {}},
	{"VNNI", "Q4_0", 288, 0, 4, 8, nil, stepVNNI, func(r *qRegisters, row, v int) {
		minusEight(r, row, r.sum[row][v])
	}},
}

func stepVNNI(r *qRegisters, row, v, group int) {
	sum := r.sum[row][v]
	if group == 0 {
		VPXOR(sum, sum, sum)
	}
	VPDPBUSD_BCST(r.xAt(row, 4*group), r.w[v][0], sum)
}

// Two panels are one vector of 512 bits, see qtilesVNNI512.
func qtilesVNNI() { qtilesOf(productsVNNI, 1) }

// qtilesAVXVNNI writes the same in the encoding of processors without AVX-512, see vex.
func qtilesAVXVNNI() {
	all := slices.Clone(productsVNNI)
	for i := range all {
		all[i].isa, all[i].step = "AVXVNNI", stepAVXVNNI
	}
	qtilesOf(all, 2)
	multiplyAddFours("peakInt8AVXVNNI", YMM)
}

func stepAVXVNNI(r *qRegisters, row, v, group int) {
	sum := r.sum[row][v]
	if group == 0 {
		VPXOR(sum, sum, sum)
	}
	VPDPBUSD(r.x[0], r.w[v][0], sum)
}

var vpdpbusd = regexp.MustCompile(`(?m)^\tVPDPBUSD +Y(\d+), Y(\d+), Y(\d+)$`)

// vex rewrites the assembly in a file: Go's assembler knows VPDPBUSD in the encoding of AVX-512 alone, so here its bytes
// are written: VEX.256.66.0F38.W0 50 /r (Intel, Instruction Set Reference, 253666).
func vex(name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	text = vpdpbusd.ReplaceAllFunc(text, func(line []byte) []byte {
		var r [3]byte // the signed factor, the other, sums
		for i, number := range vpdpbusd.FindSubmatch(line)[1:] {
			n, err := strconv.Atoi(string(number))
			if err != nil || n > 15 {
				log.Fatalf("%s: %s has registers of AVX-512", name, line)
			}
			r[i] = byte(n)
		}
		code := [5]byte{0xc4, 0xe2 &^ (r[2] >> 3 << 7) &^ (r[0] >> 3 << 5), 0x05 | ^r[1]&15<<3, 0x50, 0xc0 | r[2]&7<<3 | r[0]&7}
		out := "\t"
		for i, b := range code {
			if i > 0 {
				out += "; "
			}
			out += fmt.Sprintf("BYTE $0x%02x", b)
		}
		return fmt.Appendf(nil, "%s // VPDPBUSD ymm%d, ymm%d, ymm%d", out, r[2], r[1], r[0])
	})
	text = bytes.ReplaceAll(text, []byte("AVX512VL, AVX512VNNI"), []byte("AVXVNNI"))
	if bytes.Contains(text, []byte("AVX512")) || bytes.Contains(text, []byte("\tVPDPBUSD")) {
		return fmt.Errorf("%s has instructions of AVX-512 left", name)
	}
	return os.WriteFile(name, text, 0o644)
}
