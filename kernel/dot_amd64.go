//go:build !noasm

package kernel

import (
	"golang.org/x/sys/cpu"

	"idefics2/internal/variant"
)

// useAVX2 chooses the assembly of the whole package: AVX2, with fused multiply-add and the
// conversion of half precision, which came with the same processors.
var useAVX2 = cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasF16C

// useAVXVNNI, useAVX512 and useVNNI, looked at where useAVX2 is true, put other versions of some functions in
// place of those of AVX2. The bits are the same.
var (
	useAVXVNNI = useAVX2 && cpu.X86.HasAVXVNNI
	useAVX512  = useAVX2 && cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL && cpu.X86.HasBMI2
	useVNNI    = useAVX512 && cpu.X86.HasAVX512VNNI
)

func init() {
	variant.Register("kernel", "avx2", &useAVX2)
	variant.Register("kernel", "avxvnni", &useAVXVNNI)
	variant.Register("kernel", "avx512", &useAVX512)
	variant.Register("kernel", "vnni", &useVNNI)
	variant.Register("kernel", "amx", &useAMX)
}

// useVector reports whether any assembly is used.
func useVector() bool { return useAVX2 }

var vectorAVX2 = vectorFuncs{
	exp: expAVX2, silu: siluAVX2, geluTanh: geluTanhAVX2, add: addAVX2,
	siluMul: siluMulAVX2, geluTanhMul: geluTanhMulAVX2,
	scaleMax: scaleMaxAVX2, expSum: expSumAVX2,
	sum: sumAVX2, sumSquares: sumSquaresAVX2, normalize: normalizeAVX2,
}

var vectorAVX512 = vectorFuncs{
	exp: expAVX512, silu: siluAVX512, geluTanh: geluTanhAVX512, add: addAVX512,
	siluMul: siluMulAVX512, geluTanhMul: geluTanhMulAVX512,
	scaleMax: scaleMaxAVX512, expSum: expSumAVX512,
	sum: sumAVX512, sumSquares: sumSquaresAVX512, normalize: normalizeAVX512,
}

// vector returns the functions of the level in use; nil means portable Go.
func vector() *vectorFuncs {
	switch {
	case !useAVX2:
		return nil
	case useAVX512:
		return &vectorAVX512
	}
	return &vectorAVX2
}

func dot(a, b []float32) float32 {
	whole := len(a) &^ 31
	if !useAVX2 || whole == 0 {
		return dotGeneric(a, b)
	}
	return dotAVX2(&a[0], &b[0], whole) + dotGeneric(a[whole:], b[whole:])
}
