package kernel

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"idefics2/quant"
)

// Rows whose distance is a power of two meet in few sets of a cache, and pages in one: the result is
// that of any other distance.
func TestPowerOfTwoStrides(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		tm := fast(t, 2)
		r := source(60)
		for _, in := range []int{1024, 2048, 4096} {
			const rows, out = 9, 21
			x, values := normal(r, rows*in), normal(r, out*in)
			for _, typ := range append(append([]string(nil), stored...), quantizedTypes...) {
				var w *Weight
				var wide []float32
				as := x
				switch typ {
				case "f32", "bf16", "f16":
					w, wide = store(typ, values, out, in)
					if typ == "bf16" && hasTiles() {
						as = roundBF16(x)
					}
				default:
					w, wide = storeBlocks(typ, values, out, in)
					as = roundInt8(x)
				}
				y := make([]float32, rows*out)
				tm.MatMul(y, x, rows, w, nil)
				want, size := exactProduct(as, wide, nil, rows, out, in)
				for i, got := range y {
					if diff := math.Abs(float64(got) - want[i]); diff > 60*0x1p-24*(size[i]+8) {
						t.Fatalf("%s, rows of %d: element %d = %g, want %g", typ, in, i, got, want[i])
					}
				}
			}
		}
	})
}

// Scales of blocks that are subnormal count, and those that are not finite stay visible, in their
// own output only, whatever the number of rows.
func TestSpecialScales(t *testing.T) {
	places := map[string][]int{"q8_0": {0}, "q4_0": {0}, "q4_k": {0, 2}, "q6_k": {208}} // of scales in a block
	eachVariant(t, func(t *testing.T) {
		tm := fast(t, 2)
		r := source(61)
		for _, typ := range quantizedTypes {
			q, err := quant.ParseType(typ)
			if err != nil {
				t.Fatal(err)
			}
			const out, in = 37, 512
			size, _ := q.Size(in)
			for _, place := range places[typ] {
				for _, scale := range []uint16{0x0001, 0x03ff, 0x8001, 0x7c00, 0xfc00, 0x7e00} {
					for _, rows := range []int{1, 4, 7} {
						x, values := normal(r, rows*in), normal(r, out*in)
						data := make([]byte, out*size)
						if err := q.Encode(data, values); err != nil {
							t.Fatal(err)
						}
						const special = 20
						for at := special * size; at < (special+1)*size; at += q.Bytes() {
							binary.LittleEndian.PutUint16(data[at+place:], scale)
						}
						w, wide := weightOfBlocks(q, data, out, in)
						y := make([]float32, rows*out)
						tm.MatMul(y, x, rows, w, nil)
						want, sum := exactProduct(roundInt8(x), wide, nil, rows, out, in)
						what := fmt.Sprintf("%s, scale %#04x at %d, %d rows", typ, scale, place, rows)
						for i, got := range y {
							if i%out == special && scale&0x7c00 == 0x7c00 {
								if got-got == 0 {
									t.Fatalf("%s: output %d is %g, want what is not finite", what, i, got)
								}
								continue
							}
							if diff := math.Abs(float64(got) - want[i]); !(diff <= 60*0x1p-24*(sum[i]+8)) {
								t.Fatalf("%s: output %d is %g, want %g", what, i, got, want[i])
							}
						}
						if scale&0x7c00 == 0 && y[special] == 0 {
							t.Fatalf("%s: a subnormal scale counts as zero", what)
						}
					}
				}
			}
		}
	})
}
