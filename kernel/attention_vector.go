//go:build (amd64 || arm64) && !noasm

package kernel

// score is scoreGeneric. The block's keys become panels, as the weights of a product do.
func (p *attendPiece) score(q0, q1, k0 int) {
	if !useVector() {
		p.scoreGeneric(q0, q1, k0)
		return
	}
	if p.tiled() {
		p.scoreTiles(q0, q1, k0)
		return
	}
	h, s := p.h, p.s
	lo, hi := h.seen(q0, q1, k0)
	panel := panelOut * (p.d + 1) // a line past what may be a power of two, see matMulTask.stage
	s.weights = grow(s.weights, keyBlock/panelOut*panel)
	for k := lo; k < hi; {
		page, stride, count := p.keys(k, hi)
		count = min(count, 8-k%8)
		// Keys that nobody sees leave in their lanes what there was. Their scores are hidden later.
		packKeyRows(s.weights[k/panelOut*panel+k%panelOut:], page, stride, count, p.d)
		k += count
	}
	first := lo / panelOut
	tile(p.scores(q0)[first*panelOut:], keyBlock, p.query(q0), p.stride, q1-q0,
		s.weights[first*panel:], panelOut, panel, 0, hi-first*panelOut, p.d, true)
}

// packKeyRows writes up to eight keys to as many columns of a panel: dst[16·c+i] = keys[i·stride+c].
func packKeyRows(dst, keys []float32, stride, count, d int) {
	whole := 0
	if count == 8 && d >= 8 {
		whole = d &^ 7
		_, _ = keys[7*stride+whole-1], dst[(whole-1)*panelOut+7] // the assembly trusts these
		packKeys(&dst[0], &keys[0], stride, whole)
	}
	for i := range count {
		for c, v := range keys[i*stride:][whole:d] {
			dst[panelOut*(whole+c)+i] = v
		}
	}
}

// addValues is addValuesGeneric. A block of values is a panel as it lies: keys take the place of
// columns, and its columns that of outputs.
func (p *attendPiece) addValues(q0, q1, k0 int) {
	if !useVector() {
		p.addValuesGeneric(q0, q1, k0)
		return
	}
	if p.tiled() {
		p.addValuesTiles(q0, q1, k0)
		return
	}
	h, v := p.h, blockValues{attendPiece: p}
	switch {
	case len(h.Packed.K) != 0:
		v.copied, v.across = v.s.wideValues, p.width()
	case q1-q0 > tileRows || p.d%8 != 0:
		v.copy(q0, q1)
	}
	first, last := h.visibleFrom(q0, k0)
	lo, hi := h.visibleFrom(q1-1, k0)
	same := first == lo && last == hi // then it is for those between, too
	step := tileStep()
	for q := q0; q < q1; q += step {
		end := min(q+step, q1)
		if same {
			v.add(q, end, lo, hi)
			continue
		}
		// A query's keys are added in their order, first those before the keys that all see.
		from, to := 0, keyBlock
		for i := q; i < end; i++ {
			lo, hi := h.visibleFrom(i, k0)
			from, to = max(from, lo), min(to, hi)
		}
		to = max(from, to)
		for i := q; i < end; i++ {
			lo, hi := h.visibleFrom(i, k0)
			v.add(i, i+1, lo, min(from, hi))
		}
		v.add(q, end, from, to)
		for i := q; i < end; i++ {
			lo, hi := h.visibleFrom(i, k0)
			v.add(i, i+1, max(to, lo), hi)
		}
	}
}

// blockValues are the values of the block of keys at k0: where they lie, or a copy.
type blockValues struct {
	*attendPiece
	copied []float32 // row k-k0 is at (k-k0)·across, d floats and zeros
	across int       // floats
}

// copy copies what the queries from q0 to q1 see: whole vectors, close together. Rows that are
// kilobytes apart, as those of a vision tower's heads, would else cost an address
// translation each, for every few queries.
func (v *blockValues) copy(q0, q1 int) {
	v.across = v.width()
	v.s.values = grow(v.s.values, keyBlock*v.across)
	v.copied = v.s.values
	lo, hi := v.h.seen(q0, q1, v.k0)
	for k := lo; k < hi; {
		page, stride, n := v.values(k, hi)
		for i := range n {
			row := v.copied[(k+i)*v.across:][:v.across]
			clear(row[copy(row, page[i*stride:][:v.d]):])
		}
		k += n
	}
}

// add adds p·v over the keys from lo to hi to the outputs of the queries from q0 to q1.
func (v *blockValues) add(q0, q1, lo, hi int) {
	if lo >= hi {
		return
	}
	out, p := v.s.out[(q0-v.q0)*v.stride:], v.scores(q0)
	if v.copied != nil {
		tile(out, v.stride, p[lo:], keyBlock, q1-q0, v.copied[lo*v.across:], v.across, panelOut, 0, v.d, hi-lo, false)
		return
	}
	for k := lo; k < hi; {
		page, stride, n := v.values(k, hi)
		tile(out, v.stride, p[k:], keyBlock, q1-q0, page, stride, panelOut, 0, v.d, n, false)
		k += n
	}
}
