//go:build !noasm

package kernel

// run4 is how many codes widenInt4AVX2 takes at a time.
const run4 = 32

// spread is spreadGeneric, in whole units.
func spread(buf []float32, w *Weight, at, n int) {
	if !useAVX2 || n == 0 {
		spreadGeneric(buf, w, at, n)
		return
	}
	_ = buf[spreadRoom+n-1] // the assembly trusts this
	switch {
	case w.NF4 != nil && w.NF4.Block >= unit:
		w.NF4.spread(buf, w.Out*w.In, at, n)
	case w.Int4 != nil && w.Int4.Size%run4 == 0 && w.In%run4 == 0:
		w.Int4.spread(buf, w.In, at, n)
	case w.Int8 != nil:
		w.Int8.spread(buf, w.In, at, n)
	default:
		spreadGeneric(buf, w, at, n)
	}
}

// unitsAtOnce bounds the scales on the stack.
const unitsAtOnce = 24

func (m *NF4) spread(buf []float32, all, at, n int) {
	first, end := at/unit, (at+n+unit-1)/unit
	buf = buf[spreadFront-at%unit:]
	if rest := all / unit; end > rest { // the last of the matrix is no whole unit
		from := max(at, rest*unit)
		m.decode(buf[from-first*unit:][:at+n-from], from)
		end = rest
	}
	widen := widenNF4F32
	switch m.Round {
	case ToBF16:
		widen = widenNF4BF16
	case ToF16:
		widen = widenNF4F16
	}
	var scales [unitsAtOnce]float32
	for u := first; u < end; u += unitsAtOnce {
		units := min(unitsAtOnce, end-u)
		from := &scales[0]
		if m.Nested == nil && m.Block == unit {
			from = &m.Absmax[u : u+units][0]
		} else {
			m.unitScales(scales[:units], u)
		}
		codes := m.Codes[u*unit/2:][:units*unit/2]
		widen(&buf[(u-first)*unit], &codes[0], &m.Table[0], from, units)
	}
}

// unitScales writes the scales of units of 64 from the one at on.
func (m *NF4) unitScales(dst []float32, at int) {
	q, per := m.Nested, m.Block/unit
	if q == nil || per > 1 {
		for i := range dst {
			dst[i] = m.absmax((at + i) / per)
		}
		return
	}
	for len(dst) > 0 {
		n := min(len(dst), q.Block-at%q.Block)
		nestedScalesAVX2(&dst[0], &q.Codes[at : at+n][0], &q.Table[0], n, q.Scales[at/q.Block], q.Offset)
		dst, at = dst[n:], at+n
	}
}

func (m *Int4) spread(buf []float32, in, at, n int) {
	buf = buf[spreadFront-at%run4:]
	groups := (in + m.Size - 1) / m.Size
	for end, at := at+n, at&^(run4-1); at < end; { // row by row: a group ends with its row
		row, column := at/in, at%in
		runs := (min(end-at, in-column) + run4 - 1) / run4
		g, left := row*groups+column/m.Size, (m.Size-column%m.Size)/run4
		last := row*groups + (column+runs*run4-1)/m.Size
		codes := m.Codes[at/2:][:runs*run4/2]
		_, _ = m.Scales[last], m.Zeros[last] // the assembly trusts these
		widenInt4AVX2(&buf[0], &codes[0], &m.Scales[g], &m.Zeros[g], runs, left, m.Size/run4)
		at += runs * run4
		if at < end {
			buf = buf[runs*run4:]
		}
	}
}

func (m *Int8) spread(buf []float32, in, at, n int) {
	buf = buf[spreadFront:]
	for end := at + n; at < end; {
		row := at / in
		count := min(end, (row+1)*in) - at
		whole := count &^ 7
		if codes := m.Codes[at:][:count]; whole > 0 {
			widenInt8AVX2(&buf[0], &codes[0], whole, m.Scales[row], inverse127)
		}
		m.decode(buf[whole:count], in, at+whole)
		buf, at = buf[count:], at+count
	}
}
