//go:build !noasm

package kernel

import (
	"fmt"
	"testing"
)

// Blocks have the bits of portable Go, with dot products of int8 and without.
func TestBlocksSameBits(t *testing.T) {
	tm := fast(t, 2)
	r := source(42)
	for _, typ := range quantizedTypes {
		for _, s := range [][3]int{{1, 40, 1024}, {2, 17, 256}, {3, 4, 512}, {4, 3, 256}, {7, 66, 768}, {300, 35, 256}} {
			rows, out, in := s[0], s[1], s[2]
			x, bias := normal(r, rows*in), normal(r, out)
			w, _ := storeBlocks(typ, normal(r, out*in), out, in)
			product := func(neon, dotProd bool) []float32 {
				defer func(neon, dotProd bool) { useNEON, useDotProd = neon, dotProd }(useNEON, useDotProd)
				useNEON, useDotProd = neon, dotProd
				y := make([]float32, rows*out)
				tm.MatMul(y, x, rows, w, bias)
				return y
			}
			want := product(false, false)
			sameBits(t, fmt.Sprint(typ, s, " neon"), product(useNEON, false), want)
			sameBits(t, fmt.Sprint(typ, s, " all"), product(useNEON, useDotProd), want)
		}
	}
}
