package quant

import (
	"fmt"

	"idefics2/tensor"
)

// AWQ is a matrix [Out, In] in the 4-bit format that AutoAWQ calls gemm (spec/checkpoint.md
// §6, arXiv 2306.00978). Word c of an input's row holds outputs 8c to 8c+7, in an order
// made for one GPU kernel. The scales that protect important inputs are folded into the
// layers before, so that decoding is all there is to do.
type AWQ struct {
	Out, In int
	words   []byte // [In, Out/8]
	groups  groups
}

// awqShift tells how far up in its word output k is, by k mod 8: from the lowest nibble up,
// a word holds outputs 0 2 4 6 1 3 5 7.
var awqShift = [8]uint8{0, 16, 4, 20, 8, 24, 12, 28}

// AWQEndings are the endings under which AWQFromParts asks for tensors.
func AWQEndings() []string { return []string{"qweight", "qzeros", "scales"} }

// AWQFromParts assembles a matrix of qweight I32 [in, out/8], qzeros I32 [in/group, out/8]
// and scales F16 [in/group, out], and checks that they fit. The bytes are shared.
func AWQFromParts(parts Parts, groupSize int) (*AWQ, error) {
	words, err := matrix(parts, "qweight", tensor.I32, -1, -1)
	if err != nil {
		return nil, fmt.Errorf("quant: AWQ: %w", err)
	}
	m := &AWQ{Out: 8 * words.Shape[1], In: words.Shape[0], words: words.Data}
	if m.groups, err = parseGroups(parts, m.Out, m.In, groupSize); err != nil {
		return nil, fmt.Errorf("quant: AWQ: %w", err)
	}
	if m.In%m.groups.size != 0 {
		return nil, fmt.Errorf("quant: AWQ: qweight: %d inputs, want whole groups of %d", m.In, m.groups.size)
	}
	return m, nil
}

// Shape returns the matrix's shape [out, in].
func (m *AWQ) Shape() (out, in int) { return m.Out, m.In }

// DecodeRows writes rows lo to hi, [hi−lo, In], to dst. Codes are differences of whole
// numbers times a 16-bit scale, which float32 holds exactly.
func (m *AWQ) DecodeRows(dst []float32, lo, hi int) {
	checkRows("AWQ", m.Out, m.In, lo, hi, len(dst))
	scales, zeros := make([]float32, hi-lo), make([]float32, hi-lo)
	for i := range m.In {
		if i%m.groups.size == 0 {
			m.groups.read(scales, zeros, i/m.groups.size, lo, hi, &awqShift, 0)
		}
		row := m.words[i*m.Out/2 : (i+1)*m.Out/2]
		for k := lo; k < hi; k++ {
			q := word(row, k/8) >> awqShift[k%8] & 15
			dst[(k-lo)*m.In+i] = (float32(q) - zeros[k-lo]) * scales[k-lo]
		}
	}
}
