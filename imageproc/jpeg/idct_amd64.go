//go:build !noasm

package jpeg

import (
	"golang.org/x/sys/cpu"

	"idefics2/internal/variant"
)

var useAVX2 = cpu.X86.HasAVX2

func init() { variant.Register("imageproc/jpeg", "avx2", &useAVX2) }

// idct is idctGeneric. Vectors gain nothing where there is one coefficient, and where
// there is one row it may have to wrap.
func idct(dst []byte, stride int, b *block, used uint64) {
	if !useAVX2 || used <= 1 || used&^firstRow == 0 && !rowFits(b) {
		idctGeneric(dst, stride, b, used)
		return
	}
	_ = dst[7*stride+7]
	idctAVX2(&dst[0], stride, &b[0])
}

// rowFits tells whether the first row of b does not wrap when it is scaled by 4.
func rowFits(b *block) bool {
	var beyond uint16
	for _, v := range b[:8] {
		beyond |= uint16(v) + 1<<13
	}
	return beyond < 1<<14
}
