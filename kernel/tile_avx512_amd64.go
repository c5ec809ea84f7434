//go:build !noasm

package kernel

// tiles512 has the products of twelve and of six rows with whole panels of outputs, the widest
// first.
var (
	tiles512x12 = [...]wideTile{{32, tileZ12x32}, {16, tileZ12x16}}
	tiles512x6  = [...]wideTile{{64, tileZ6x64}, {32, tileZ6x32}, {16, tileZ6x16}}
)

// tileStep returns the number of rows that are best taken together.
func tileStep() int {
	if useAVX512 {
		return 2 * tileRows
	}
	return tileRows
}

// tileMany does what tile does, if this processor has something better for so many rows. What
// is left over of rows in sixes, and of outputs in panels, goes back to tile: the bits are the
// same.
func tileMany(y []float32, ys int, x []float32, xs, rows int, w []float32, step, panel, ahead, outs, n int, fresh bool) bool {
	if !useAVX512 || rows < tileRows || outs < panelOut {
		return false
	}
	many, whole := rows/tileRows*tileRows, outs/panelOut*panelOut
	for o := 0; o < whole; {
		r, took := 0, 0
		if rows >= 2*tileRows {
			wide := widest(tiles512x12[:], whole-o)
			for took = wide.outs; r+2*tileRows <= rows; r += 2 * tileRows {
				wide.f(&y[r*ys+o], ys, &x[r*xs], xs, &w[o/panelOut*panel], step, panel, ahead, n, fresh)
			}
		}
		if r < many { // six, of all outputs that the twelves took
			if took == 0 {
				took = widest(tiles512x6[:], whole-o).outs
			}
			for at := o; at < o+took; {
				wide := widest(tiles512x6[:], o+took-at)
				wide.f(&y[r*ys+at], ys, &x[r*xs], xs, &w[at/panelOut*panel], step, panel, ahead, n, fresh)
				at += wide.outs
			}
		}
		o += took
	}
	if many < rows {
		tile(y[many*ys:], ys, x[many*xs:], xs, rows-many, w, step, panel, ahead, whole, n, fresh)
	}
	if whole < outs {
		tile(y[whole:], ys, x, xs, rows, w[whole/panelOut*panel:], step, panel, ahead, outs-whole, n, fresh)
	}
	return true
}

// widest returns the first of tiles that has no more outputs than there are.
func widest(tiles []wideTile, outs int) *wideTile {
	for i := range tiles {
		if tiles[i].outs <= outs {
			return &tiles[i]
		}
	}
	panic("kernel: no panel left")
}
