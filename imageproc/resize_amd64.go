//go:build !noasm

package imageproc

import (
	"golang.org/x/sys/cpu"

	"idefics2/internal/variant"
)

var useAVX2 = cpu.X86.HasAVX2

func init() { variant.Register("imageproc", "avx2", &useAVX2) }

// lowBits is what of a coefficient the lower of its two parts holds.
const lowBits = 1<<15 - 1

// group is the number of taps, of each output, that vector code takes at a time.
const group = 4

// resizeRows makes up to four rows by the horizontal pass.
func resizeRows(dst, src [][]byte, w *weights) {
	done := 0
	if useAVX2 {
		w.vector.once.Do(w.vectorize)
		if done = w.vector.n; done > 0 {
			var to, from [together]*byte
			for r := range together { // the last row again where there are fewer
				i := min(r, len(dst)-1)
				_, _ = dst[i][3*done], src[i]
				to[r], from[r] = &dst[i][0], &src[i][0]
			}
			resizeRowsAVX2(&to, &from, &w.lo[0], &w.vector.k[0], w.groups(), done)
		}
	}
	for r := range dst {
		resizeRowGeneric(dst[r], src[r], w, done)
	}
}

func (w *weights) groups() int { return (w.taps + group - 1) / group }

// vectorize splits the coefficients for resizeRowsAVX2, which can do all outputs but the
// last, behind whose pixel there need not be a byte, and those that would read past the
// end of a row.
func (w *weights) vectorize() {
	v := &w.vector
	size := group * w.groups()
	for v.n < len(w.lo)-1 && int(w.lo[v.n])+size+2 <= w.samples {
		v.n++
	}
	v.k = make([]int16, 2*size*v.n)
	for i := range v.n {
		_, k := w.at(i)
		part := v.k[2*size*i:][:2*size]
		for j, c := range k {
			at := j/group*2*group + j%group
			part[at], part[at+group] = int16(c&lowBits), int16(c>>15)
		}
	}
}

// vectorBytes is the number of bytes that mixRowsAVX2 makes at a time.
const vectorBytes = 32

func (m *mixer) row(dst []byte, k []int32) {
	if !useAVX2 || len(dst) < vectorBytes {
		m.rowGeneric(dst, k, 0)
		return
	}
	if len(k)%2 == 1 { // the last row again, with a weight of 0
		m.rows = append(m.rows, m.rows[len(k)-1])
	}
	m.split = m.split[:0]
	for j := 0; j < len(k); j += 2 {
		a, b := k[j], int32(0)
		if j+1 < len(k) {
			b = k[j+1]
		}
		m.split = append(m.split, uint32(a&lowBits)|uint32(b&lowBits)<<16, uint32(uint16(a>>15))|uint32(b>>15)<<16)
	}
	pairs := len(m.rows) / 2
	mixRowsAVX2(&dst[0], &m.rows[0], &m.split[0], pairs, len(dst)/vectorBytes)
	if last := len(dst) - vectorBytes; last%vectorBytes != 0 { // once more, back from the end
		for j := range m.rows {
			m.rows[j] = m.rows[j][last:]
		}
		mixRowsAVX2(&dst[last], &m.rows[0], &m.split[0], pairs, 1)
	}
}
