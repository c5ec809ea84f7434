//go:build !noasm

package kernel

import (
	"golang.org/x/sys/cpu"

	"idefics2/internal/variant"
)

// useAVX2 chooses the assembly of the whole package: AVX2, with fused multiply-add and the
// conversion of half precision, which came with the same processors.
var useAVX2 = cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasF16C

func init() { variant.Register("kernel", "avx2", &useAVX2) }

// useVector reports whether any assembly is used.
func useVector() bool { return useAVX2 }

var vectorAVX2 = vectorFuncs{
	exp: expAVX2, silu: siluAVX2, geluTanh: geluTanhAVX2, add: addAVX2,
	siluMul: siluMulAVX2, geluTanhMul: geluTanhMulAVX2,
	scaleMax: scaleMaxAVX2, expSum: expSumAVX2,
	sum: sumAVX2, sumSquares: sumSquaresAVX2, normalize: normalizeAVX2,
}

// vector returns the functions of the level in use; nil means portable Go.
func vector() *vectorFuncs {
	if useAVX2 {
		return &vectorAVX2
	}
	return nil
}

func dot(a, b []float32) float32 {
	whole := len(a) &^ 31
	if !useAVX2 || whole == 0 {
		return dotGeneric(a, b)
	}
	return dotAVX2(&a[0], &b[0], whole) + dotGeneric(a[whole:], b[whole:])
}
