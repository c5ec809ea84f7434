package kernel

import (
	"fmt"
	"math"
	"testing"
)

// One row alone has the bits that it has among others, also where eight rows of weights are longer than the
// cache, a piece has many outputs and its last are no eight.
func TestOneRowSameBits(t *testing.T) {
	const rows, threads = 3, 2
	for _, typ := range quantizedTypes {
		for _, s := range [][2]int{{1, 256}, {11, 8192}, {8, 8448}, {555, 512}} {
			t.Run(fmt.Sprintf("%s/%dx%d", typ, s[0], s[1]), func(t *testing.T) {
				out, in := s[0], s[1]
				r := source(7)
				w, _ := storeBlocks(typ, normal(r, out*in), out, in)
				x, all := normal(r, rows*in), make([]float32, rows*out)
				tm := fast(t, threads)
				tm.MatMul(all, x, rows, w, nil)
				for i := range rows {
					y := make([]float32, out)
					tm.MatMul(y, x[i*in:][:in], 1, w, nil)
					for o, v := range y {
						if want := all[i*out+o]; math.Float32bits(v) != math.Float32bits(want) {
							t.Fatalf("row %d output %d: %v alone, %v among %d", i, o, v, want, rows)
						}
					}
				}
			})
		}
	}
}
