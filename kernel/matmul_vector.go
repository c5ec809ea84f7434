//go:build (amd64 || arm64) && !noasm

package kernel

// stagedStride is the number of floats from one staged row of a part to the next. Rows of x a
// power of two apart would fall on the same few lines of the first-level cache, and a tile
// of six would run at half its speed; these are a line past one.
const stagedStride = maxChunk/lanes + 16

// tiled reports whether weights are made into panels of float32. Few rows use them where they lie.
func (m *matMulTask) tiled() bool {
	return useVector() && !m.rounds() && (m.rows > tileRows || m.w.In%lanes != 0 || m.w.quantized())
}

// streams reports whether there is one row, and weights are used in the order they lie in.
func (m *matMulTask) streams() bool { return useVector() && m.rows == 1 && !m.tiled() }

// stage copies the rows of x that are multiplied with panels, in their order: row r of part l of
// chunk c is at ((c·8 + l)·(rows|1) + r)·stagedStride. It is one pass over x, where the product
// makes Out.
func (m *matMulTask) stage() {
	m.stageGeneric(m.qwidth())
	t, in := m.team, m.w.In
	switch {
	case !useVector() || m.rounds():
		return
	case !m.tiled(): // keep the rows apart, for the same reason
		t.staged = grow(t.staged, m.rows*(in+16))
		for r := range m.rows {
			copy(t.staged[r*(in+16):], m.x[r*in:][:in])
		}
		return
	}
	t.staged = grow(t.staged, pieces(in, chunkOf(in))*lanes*(m.rows|1)*stagedStride)
	t.staging = stageTask{to: t.staged, x: m.x, rows: m.rows, in: in, size: rowsPerPiece(in)}
	t.pool.Run(pieces(m.rows, t.staging.size), &t.staging)
	t.staging.x = nil
}

func (t *stageTask) Do(i, _ int) {
	part, chunk := (t.rows|1)*stagedStride, chunkOf(t.in)
	for r := i * t.size; r < min(t.rows, (i+1)*t.size); r++ {
		row := t.x[r*t.in:][:t.in]
		to := t.to[r*stagedStride:]
		for c := 0; c < t.in; c += chunk {
			x := row[c:min(t.in, c+chunk)]
			dst := to[c/chunk*lanes*part:]
			whole := len(x) &^ 63
			if whole > 0 {
				_ = dst[7*part+whole/lanes-1] // the assembly trusts this
				partRow(&dst[0], part, &x[0], whole)
			}
			for k := whole; k < len(x); k++ {
				dst[k%lanes*part+k/lanes] = x[k]
			}
		}
	}
}

// group returns how many outputs and columns are taken together. Many rows use all outputs of a piece, so
// that a part of x is read from memory once. Few rows read the weights in the order they
// lie in, as many as one function takes.
func (m *matMulTask) group(rows, outs int) (int, int) {
	switch {
	case !useVector() || m.tiled():
		return outs, chunkOf(m.w.In)
	case m.rounds():
		return m.qgroup(outs)
	default:
		return dotOuts, chunkOf(m.w.In)
	}
}

func (m *matMulTask) product(y []float32, ys, r, rows, o, outs, k, n int, s *scratch) {
	switch {
	case !useVector():
		m.productGeneric(y, ys, r, rows, o, outs, k, n, s)
	case m.rounds():
		m.qproduct(y, ys, r, rows, o, outs, k, n, s)
	case m.tiled():
		m.productTiled(y, ys, r, rows, o, outs, k, n, s)
	default:
		m.dotRows(y, ys, r, rows, o, outs, k, n, s)
	}
}

// productTiled makes panels of the weights of a chunk, and multiplies with them part by part. So
// every output gets its eight sums in the order in which a dotFunc adds its lanes.
func (m *matMulTask) productTiled(y []float32, ys, r, rows, o, outs, k, n int, s *scratch) {
	w := m.w
	s.weights = grow(s.weights, pieces(outs, panelOut)*panelSize)
	if outs%8 != 0 {
		clear(s.weights[outs/panelOut*panelSize:]) // the lanes that no output fills
	}
	// A stretch of columns of one half of a panel is followed by the same of the other: they share
	// lines of memory.
	const stretch = 256
	for i := 0; i < outs; i += panelOut {
		panel := s.weights[i/panelOut*panelSize:]
		for c := 0; c < n; c += stretch {
			for half := i; half < min(outs, i+panelOut); half += 8 {
				packHalf(panel[c/lanes*panelOut+half-i:], w, (o+half)*w.In+k+c, outs-half, min(stretch, n-c), s)
			}
		}
	}
	for l := range min(lanes, n) {
		x := m.team.staged[((k/chunkOf(w.In)*lanes+l)*(m.rows|1)+r)*stagedStride:]
		tile(y, ys, x, stagedStride, rows, s.weights[l*partStride:], panelOut, panelSize, (m.rows|1)*stagedStride, outs, partLength(n, l), true)
	}
}
