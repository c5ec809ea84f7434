//go:build !noasm

package kernel

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"
)

// Runs of a panel hold what portable Go unpacks.
func TestUnroll(t *testing.T) {
	if !useAVX2 {
		t.Log("no AVX2: nothing to compare")
		return
	}
	r := source(60)
	for i, typ := range quantizedTypes {
		const in = 768
		_ = i
		w, _ := storeBlocks(typ, normal(r, 3*in), 3, in)
		data, f := w.blocks()
		tiles := f.tiles()
		for lane := range 3 {
			panel := make([]byte, in/run*tiles.size)
			(&blockTask{w: w}).unroll(panel, lane, lane, 0, in/run)
			for k := range in / run {
				var want unpacked
				f.unpack(&want, data, lane*in/run+k)
				at := panel[k*tiles.size:]
				number := func(kind int) float32 {
					return math.Float32frombits(binary.LittleEndian.Uint32(at[tileOuts*run+64*kind+4*lane:]))
				}
				for c, q := range want.q {
					if got := int8(at[lane*run+c]); got != q {
						t.Fatalf("%s: output %d, run %d, value %d is %d, want %d", typ, lane, k, c, got, q)
					}
				}
				got := []float32{number(0)}
				scales := []float32{want.scale}
				switch f {
				case formatQ4_K:
					got, scales = append(got, number(1)), append(scales, want.least)
				case formatQ6_K:
					got, scales = append(got, number(1), number(2)), append(scales, float32(want.factor[0]), float32(want.factor[1]))
				}
				sameBits(t, fmt.Sprintf("%s: scales of output %d, run %d", typ, lane, k), got, scales)
			}
		}
	}
}

// Tiles of int8 make the whole numbers of AVX2, and the same additions follow.
func TestTilesSameBits(t *testing.T) {
	if !useAMX || !useAVX512 {
		t.Log("no AMX: nothing to compare")
		return
	}
	defer func() { useAMX = true }()
	r := source(61)
	for _, typ := range quantizedTypes {
		for _, s := range [][3]int{{9, 5, 1}, {16, 16, 2}, {17, 33, 1}, {35, 70, 3}} {
			t.Run(fmt.Sprintf("%s/%dx%d", typ, s[0], s[1]), func(t *testing.T) {
				rows, out, in := s[0], s[1], s[2]*blockOf(typ)
				if in < 256 {
					in = 11 * s[2] * run
				}
				x := normal(r, rows*in)
				w, _ := storeBlocks(typ, normal(r, out*in), out, in)
				var bias []float32
				if rows%2 == 1 {
					bias = normal(r, out)
				}
				tm := fast(t, 1+rows%2)
				var y [2][]float32
				for i := range y {
					useAMX = i == 0
					y[i] = normal(r, rows*out)
					tm.MatMul(y[i], x, rows, w, bias)
				}
				sameBits(t, "AMX", y[0], y[1])
			})
		}
	}
}
