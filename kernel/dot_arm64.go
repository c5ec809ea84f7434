//go:build !noasm

package kernel

import (
	"golang.org/x/sys/cpu"

	"idefics2/internal/variant"
)

// useNEON chooses the assembly of the whole package; every arm64 processor that Go runs on has it.
// useDotProd adds the products of int8 with blocks, which came with Armv8.2.
var (
	useNEON    = cpu.ARM64.HasASIMD
	useDotProd = cpu.ARM64.HasASIMD && cpu.ARM64.HasASIMDDP
)

func init() {
	variant.Register("kernel", "neon", &useNEON)
	variant.Register("kernel", "dotprod", &useDotProd)
}

// useVector reports whether any assembly is used.
func useVector() bool { return useNEON }

var vectorNEON = vectorFuncs{
	exp: expNEON, silu: siluNEON, geluTanh: geluTanhNEON, add: addNEON,
	siluMul: siluMulNEON, geluTanhMul: geluTanhMulNEON,
	scaleMax: scaleMaxNEON, expSum: expSumNEON,
	sum: sumNEON, sumSquares: sumSquaresNEON, normalize: normalizeNEON,
}

// vector returns the functions of the level in use; nil means portable Go.
func vector() *vectorFuncs {
	if useNEON {
		return &vectorNEON
	}
	return nil
}

func dot(a, b []float32) float32 {
	whole := len(a) &^ 31
	if !useNEON || whole == 0 {
		return dotGeneric(a, b)
	}
	return dotNEON(&a[0], &b[0], whole) + dotGeneric(a[whole:], b[whole:])
}

// NEON has nothing better than its tiles.

func tileStep() int { return tileRows }

func tileMany([]float32, int, []float32, int, int, []float32, int, int, int, int, int, bool) bool {
	return false
}
