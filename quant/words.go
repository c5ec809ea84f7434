package quant

import (
	"encoding/binary"
	"fmt"

	"idefics2/tensor"
)

// AWQ and GPTQ store a matrix transposed, inputs as rows, with eight codes of 4 bits in a
// 32-bit word, and for every group of inputs a 16-bit scale and a zero point per output:
//
//	x[k, i] = s[g, k]·(q[i, k] − z[g, k]),   g the group of input i
//
// They differ in what lies side by side in a word.

// groups are the scales and zero points that the two formats have in common.
type groups struct {
	out    int
	size   int // inputs in a group
	count  int
	zeros  []byte // words [count, out/8]
	scales []byte // F16 [count, out]
}

func word(words []byte, i int) uint32 { return binary.LittleEndian.Uint32(words[4*i:]) }

// read unpacks scales and zero points of group g for outputs lo to hi. The zero point of
// output k is the nibble shift[k%8] bits up in its word, plus offset, in four bits.
func (g *groups) read(scales, zeros []float32, group, lo, hi int, shift *[8]uint8, offset uint32) {
	for k := lo; k < hi; k++ {
		scales[k-lo] = scaleOf(g.scales[2*(group*g.out+k):])
		nibble := word(g.zeros, (group*g.out+k)/8) >> shift[k%8]
		zeros[k-lo] = float32((nibble + offset) & 15)
	}
}

// matrix returns a two-dimensional tensor of that type, and of that shape where it is not −1.
func matrix(parts Parts, ending string, dtype tensor.DType, rows, cols int) (tensor.View, error) {
	v, ok := parts(ending)
	switch {
	case !ok:
		return v, fmt.Errorf("no %s", ending)
	case v.DType != dtype || len(v.Shape) != 2 || rows >= 0 && v.Shape[0] != rows || cols >= 0 && v.Shape[1] != cols:
		return v, fmt.Errorf("%s: %v %v, want %v [%s, %s]", ending, v.DType, v.Shape, dtype, side(rows), side(cols))
	case len(v.Data) == 0 || v.Shape[0] >= maxMatrixSides/8 || v.Shape[1] >= maxMatrixSides/8:
		return v, fmt.Errorf("%s: shape %v, want sides from 1 to 2²⁸", ending, v.Shape)
	}
	return v, nil
}

func side(n int) string {
	if n < 0 {
		return "any"
	}
	return fmt.Sprint(n)
}

// parseGroups reads scales and zero points, once out and in are known. A size of −1 puts all
// inputs in one group.
func parseGroups(parts Parts, out, in, size int) (groups, error) {
	if size == -1 {
		size = in
	}
	g := groups{out: out, size: size}
	if size < 1 || size > in {
		return g, fmt.Errorf("group size %d, want from 1 to the %d inputs, or -1 for one group", size, in)
	}
	g.count = (in + size - 1) / size
	zeros, err := matrix(parts, "qzeros", tensor.I32, g.count, out/8)
	if err != nil {
		return g, err
	}
	scales, err := matrix(parts, "scales", tensor.F16, g.count, out)
	if err != nil {
		return g, err
	}
	g.zeros, g.scales = zeros.Data, scales.Data
	return g, nil
}
