//go:build !noasm

package kernel

import "math/bits"

// The products of 1, 2, 4 and 8 rows.
var (
	tilesVNNIQ8 = [...]qtileFunc{tileVNNIQ81x16, tileVNNIQ82x16, tileVNNIQ84x16, tileVNNIQ88x16}
	tilesVNNIQ4 = [...]qtileFunc{tileVNNIQ41x16, tileVNNIQ42x16, tileVNNIQ44x16, tileVNNIQ48x16}
)

// qtilesVNNI multiplies rows of x, from the block at on, with a panel: the tiles of AVX2 do the same.
func (m *matMulTask) qtilesVNNI(y []float32, ys, r, rows, at int, w []byte, blocks int) {
	tiles := &tilesVNNIQ8
	if len(m.w.Q8_0) == 0 {
		tiles = &tilesVNNIQ4
	}
	perRow := m.w.In / quantBlock
	for j := 0; j < rows; {
		f := min(len(tiles)-1, bits.Len(uint(rows-j))-1)
		from := (r+j)*perRow + at
		x, d := m.team.acts.q[from*quantBlock:], m.team.acts.d[2*from:]
		last := 1<<f - 1
		_, _ = x[last*m.w.In+blocks*quantBlock-1], d[last*2*perRow+2*blocks-1] // the assembly trusts these
		_, _ = y[(j+last)*ys+panelOut-1], w[blocks*panelBlock-1]
		tiles[f](&y[j*ys], ys, &x[0], m.w.In, &d[0], 2*perRow, &w[0], blocks)
		j += 1 << f
	}
}
