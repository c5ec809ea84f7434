package quant

import (
	"fmt"

	"idefics2/tensor"
)

// GPTQ is a matrix [Out, In] in the 4-bit format of AutoGPTQ (spec/checkpoint.md §7, arXiv
// 2210.17323). Word (r, k) holds inputs 8r to 8r+7 of output k from the lowest nibble up.
// Inputs that were quantized in order of importance belong to groups out of order: g_idx
// says to which.
type GPTQ struct {
	Out, In int
	group   []int32 // of every input
	words   []byte  // [In/8, Out]
	groups  groups
	offset  uint32 // added to a stored zero point
}

// gptqShift tells how far up in its word output k's zero point is, by k mod 8.
var gptqShift = [8]uint8{0, 4, 8, 12, 16, 20, 24, 28}

// GPTQOptions say how a checkpoint's matrices were stored.
type GPTQOptions struct {
	GroupSize int  // inputs that share a scale; −1 for all
	V2        bool // zero points are stored as they are, not less one
}

// GPTQEndings are the endings under which GPTQFromParts asks for tensors.
func GPTQEndings() []string { return []string{"qweight", "qzeros", "scales", "g_idx"} }

// GPTQFromParts assembles a matrix of qweight I32 [in/8, out], qzeros I32 [⌈in/group⌉,
// out/8], scales F16 [⌈in/group⌉, out] and g_idx I32 [in], which may be missing where groups
// are in order, and checks that they fit. The bytes are shared.
func GPTQFromParts(parts Parts, o GPTQOptions) (*GPTQ, error) {
	m, err := gptqFromParts(parts, o)
	if err != nil {
		return nil, fmt.Errorf("quant: GPTQ: %w", err)
	}
	return m, nil
}

func gptqFromParts(parts Parts, o GPTQOptions) (*GPTQ, error) {
	words, err := matrix(parts, "qweight", tensor.I32, -1, -1)
	if err != nil {
		return nil, err
	}
	m := &GPTQ{Out: words.Shape[1], In: 8 * words.Shape[0], words: words.Data, offset: 1}
	if o.V2 {
		m.offset = 0
	}
	if m.Out%8 != 0 {
		return nil, fmt.Errorf("qweight: shape %v, want a multiple of 8 outputs", words.Shape)
	}
	if m.groups, err = parseGroups(parts, m.Out, m.In, o.GroupSize); err != nil {
		return nil, err
	}
	m.group = make([]int32, m.In)
	if _, ok := parts("g_idx"); !ok {
		for i := range m.group {
			m.group[i] = int32(i / m.groups.size)
		}
		return m, nil
	}
	index, err := part(parts, "g_idx", tensor.I32, m.In)
	if err != nil {
		return nil, err
	}
	for i := range m.group {
		g := int32(word(index.Data, i))
		if g < 0 || int(g) >= m.groups.count {
			return nil, fmt.Errorf("g_idx: input %d is of group %d, want one of %d", i, g, m.groups.count)
		}
		m.group[i] = g
	}
	return m, nil
}

// Shape returns the matrix's shape [out, in].
func (m *GPTQ) Shape() (out, in int) { return m.Out, m.In }

// DecodeRows writes rows lo to hi, [hi−lo, In], to dst. A zero point of 0 is stored as 15, so
// that one is added before the mask. Early readers masked first and took it for 16; what
// they wrote was no 0.
func (m *GPTQ) DecodeRows(dst []float32, lo, hi int) {
	checkRows("GPTQ", m.Out, m.In, lo, hi, len(dst))
	n := hi - lo
	scales, zeros := make([]float32, n), make([]float32, n)
	last := int32(-1)
	for i, g := range m.group {
		if g != last {
			m.groups.read(scales, zeros, int(g), lo, hi, &gptqShift, m.offset)
			last = g
		}
		row, shift := m.words[(i/8*m.Out+lo)*4:(i/8*m.Out+hi)*4], gptqShift[i%8]
		for k := range n {
			q := word(row, k) >> shift & 15
			dst[k*m.In+i] = (float32(q) - zeros[k]) * scales[k]
		}
	}
}
