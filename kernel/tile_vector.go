//go:build (amd64 || arm64) && !noasm

package kernel

// tileFunc adds Σ x[r·xs+k]·w(k, o), k < n, to y[r·ys+o] for the rows and outputs in its name. w is
// panels of sixteen outputs, panel floats apart, in which the outputs of one k follow one another
// and those of the next lie step floats on. Each sum begins at zero if fresh, and is then added
// to y; else it begins at y. Its products are added one after another, k rising, whatever
// the function: n and fresh alone decide the bits.
type tileFunc = func(y *float32, ys int, x *float32, xs int, w *float32, step, panel, ahead, n int, fresh bool)

const panelOut = 16 // outputs in a panel

var (
	tiles8  = [...]tileFunc{tile1x8, tile2x8, tile3x8, tile4x8, tile5x8, tile6x8}
	tiles16 = [...]tileFunc{tile1x16, tile2x16, tile3x16, tile4x16, tile5x16, tile6x16}

	// Few rows need several panels at a time, or every addition would wait for the last.
	tilesWide = [...]wideTile{{64, tile1x64}, {32, tile2x32}, {32, tile3x32}}
)

// wideTile is a product with more than one panel.
type wideTile struct {
	outs int
	f    tileFunc
}

// tile does what tileFunc says for any number of rows, outputs and products. Outputs are done in
// vectors of eight: what lies past the last in w and y is not used, but must be there.
func tile(y []float32, ys int, x []float32, xs, rows int, w []float32, step, panel, ahead, outs, n int, fresh bool) {
	if rows == 0 || outs == 0 || n == 0 {
		return
	}
	outs = (outs + 7) &^ 7
	// The assembly trusts these.
	last := outs - 1
	_, _, _ = y[(rows-1)*ys+last], x[(rows-1)*xs+n-1], w[last/panelOut*panel+last%panelOut+(n-1)*step]
	if tileMany(y, ys, x, xs, rows, w, step, panel, ahead, outs, n, fresh) {
		return
	}
	o := 0
	if rows <= len(tilesWide) {
		wide := &tilesWide[rows-1]
		for ; o+wide.outs <= outs; o += wide.outs {
			wide.f(&y[o], ys, &x[0], xs, &w[o/panelOut*panel], step, panel, ahead, n, fresh)
		}
	}
	for ; o < outs; o += panelOut {
		tiles := &tiles16
		if o+8 == outs {
			tiles = &tiles8
		}
		from := &w[o/panelOut*panel]
		for r := 0; r < rows; r += tileRows {
			tiles[min(rows-r, tileRows)-1](&y[r*ys+o], ys, &x[r*xs], xs, from, step, panel, ahead, n, fresh)
		}
	}
}
