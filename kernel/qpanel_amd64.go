//go:build !noasm

package kernel

import (
	"encoding/binary"
	"math"
)

// The bytes of a run of a panel of eight outputs: whole numbers, without a sign but in Q8_0, then
// vectors of eight, see kernel/_asm/qtile.go.
const (
	panelScale = 256 // of float32
	panelLeast = 288 // of float32, Q4_K
	panelWhole = 288 // of pairs of factors, Q6_K: of the first half, of the second, 32 times both

	panelQ8_0 = panelScale + 32
	panelQ6_K = panelWhole + 3*32
	panelQ4_K = panelLeast + 32
	panelQ4_0 = panelScale + 32
)

// qpackGeneric is qpack for fewer than eight outputs.
func (m *matMulTask) qpackGeneric(dst []byte, o, outs, k, n int) {
	data, f := m.w.blocks()
	clear(dst) // also the lanes that no output fills
	size := f.assembly().panel
	var w unpacked
	for i := range outs {
		for j := range n / run {
			f.unpack(&w, data, (o+i)*(m.w.In/run)+k/run+j)
			f.putRun(dst[j*size:][:size], &w, i)
		}
	}
}

// putRun writes a run of output i to a panel.
func (f *format) putRun(to []byte, w *unpacked, i int) {
	for c, q := range w.q {
		at := c/4*32 + 4*i + c%4
		switch f {
		case formatQ8_0, formatQ4_K:
			to[at] = byte(q)
		case formatQ6_K:
			to[at] = byte(q + 32)
		default:
			to[at] = byte(q + 8)
		}
	}
	put := func(at int, a, b int32) {
		binary.LittleEndian.PutUint16(to[at+4*i:], uint16(a))
		binary.LittleEndian.PutUint16(to[at+4*i+2:], uint16(b))
	}
	binary.LittleEndian.PutUint32(to[panelScale+4*i:], math.Float32bits(w.scale))
	switch f {
	case formatQ6_K:
		put(panelWhole, w.factor[0], w.factor[0])
		put(panelWhole+32, w.factor[1], w.factor[1])
		put(panelWhole+64, 32*w.factor[0], 32*w.factor[1])
	case formatQ4_K:
		binary.LittleEndian.PutUint32(to[panelLeast+4*i:], math.Float32bits(w.least))
	}
}
