//go:build !noasm

package kernel

// qtileFunc adds to y[r·ys+o], for the rows and outputs in its name, the products of the runs of a
// group of as many rows with one panel of eight outputs, or with two that lie panel bytes apart.
type qtileFunc = func(y *float32, ys int, x *int8, w *byte, panel, runs int)

// qpackFunc turns blocks of eight rows of weights, stride bytes apart, into a panel, see
// kernel/_asm/qtile.go. Meanwhile it asks memory for what lies ahead bytes further on.
type qpackFunc = func(dst, src *byte, stride, ahead, blocks int)

// qdotFunc adds to eight elements of y the products of one row with eight rows of weights, stride
// bytes apart. Meanwhile it asks memory for what lies ahead bytes further on: for eight lines step bytes
// apart, and at each further block, or second one of those below 33 bytes, for those on bytes behind.
type qdotFunc = func(y *float32, x *int8, w *byte, stride, ahead, step, on, blocks int)

// qtiles multiply groups of one row, two, ... with one panel, or with two.
type qtiles struct{ one, two []qtileFunc }

// assembled is what there is for a format.
type assembled struct {
	panel      int    // bytes of a run of a panel
	avx2, vnni qtiles // vnni may be left out
	avxvnni    qtiles // as vnni
	pack       qpackFunc
	dot        qdotFunc // or nil
}

// inAssembly has the formats in the order of formats.
var inAssembly = [...]assembled{
	{
		panel: panelQ8_0, pack: packQ8_0, dot: dotQ8_0,
		avx2: qtiles{[]qtileFunc{tileQ8_0_1x8, tileQ8_0_2x8, tileQ8_0_3x8, tileQ8_0_4x8},
			[]qtileFunc{tileQ8_0_1x16, tileQ8_0_2x16, tileQ8_0_3x16, tileQ8_0_4x16}},
		vnni: qtiles{[]qtileFunc{tileVNNIQ8_0_1x8, tileVNNIQ8_0_2x8, tileVNNIQ8_0_3x8, tileVNNIQ8_0_4x8},
			[]qtileFunc{tileVNNI512Q8_0_1x16, tileVNNI512Q8_0_2x16, tileVNNI512Q8_0_3x16, tileVNNI512Q8_0_4x16,
				tileVNNI512Q8_0_5x16, tileVNNI512Q8_0_6x16, tileVNNI512Q8_0_7x16, tileVNNI512Q8_0_8x16}},
		avxvnni: qtiles{[]qtileFunc{tileAVXVNNIQ8_0_1x8, tileAVXVNNIQ8_0_2x8, tileAVXVNNIQ8_0_3x8, tileAVXVNNIQ8_0_4x8},
			[]qtileFunc{tileAVXVNNIQ8_0_1x16, tileAVXVNNIQ8_0_2x16, tileAVXVNNIQ8_0_3x16, tileAVXVNNIQ8_0_4x16}},
	},
	{
		panel: panelQ6_K, pack: packQ6_K, dot: dotQ6_K,
		avx2: qtiles{[]qtileFunc{tileQ6_K_1x8, tileQ6_K_2x8, tileQ6_K_3x8, tileQ6_K_4x8},
			[]qtileFunc{tileQ6_K_1x16, tileQ6_K_2x16, tileQ6_K_3x16, tileQ6_K_4x16}},
	},
	{
		panel: panelQ4_K, pack: packQ4_K, dot: dotQ4_K,
		avx2: qtiles{[]qtileFunc{tileQ4_K_1x8, tileQ4_K_2x8, tileQ4_K_3x8, tileQ4_K_4x8, tileQ4_K_5x8, tileQ4_K_6x8},
			[]qtileFunc{tileQ4_K_1x16, tileQ4_K_2x16, tileQ4_K_3x16, tileQ4_K_4x16, tileQ4_K_5x16, tileQ4_K_6x16}},
		vnni: qtiles{[]qtileFunc{tileVNNIQ4_K_1x8, tileVNNIQ4_K_2x8, tileVNNIQ4_K_3x8, tileVNNIQ4_K_4x8},
			[]qtileFunc{tileVNNI512Q4_K_1x16, tileVNNI512Q4_K_2x16, tileVNNI512Q4_K_3x16, tileVNNI512Q4_K_4x16,
				tileVNNI512Q4_K_5x16, tileVNNI512Q4_K_6x16, tileVNNI512Q4_K_7x16, tileVNNI512Q4_K_8x16}},
		avxvnni: qtiles{[]qtileFunc{tileAVXVNNIQ4_K_1x8, tileAVXVNNIQ4_K_2x8, tileAVXVNNIQ4_K_3x8, tileAVXVNNIQ4_K_4x8},
			[]qtileFunc{tileAVXVNNIQ4_K_1x16, tileAVXVNNIQ4_K_2x16, tileAVXVNNIQ4_K_3x16, tileAVXVNNIQ4_K_4x16}},
	},
	{
		panel: panelQ4_0, pack: packQ4_0, dot: dotQ4_0,
		avx2: qtiles{[]qtileFunc{tileQ4_0_1x8, tileQ4_0_2x8, tileQ4_0_3x8, tileQ4_0_4x8, tileQ4_0_5x8, tileQ4_0_6x8},
			[]qtileFunc{tileQ4_0_1x16, tileQ4_0_2x16, tileQ4_0_3x16, tileQ4_0_4x16, tileQ4_0_5x16, tileQ4_0_6x16}},
		vnni: qtiles{[]qtileFunc{tileVNNIQ4_0_1x8, tileVNNIQ4_0_2x8, tileVNNIQ4_0_3x8, tileVNNIQ4_0_4x8},
			[]qtileFunc{tileVNNI512Q4_0_1x16, tileVNNI512Q4_0_2x16, tileVNNI512Q4_0_3x16, tileVNNI512Q4_0_4x16,
				tileVNNI512Q4_0_5x16, tileVNNI512Q4_0_6x16, tileVNNI512Q4_0_7x16, tileVNNI512Q4_0_8x16}},
		avxvnni: qtiles{[]qtileFunc{tileAVXVNNIQ4_0_1x8, tileAVXVNNIQ4_0_2x8, tileAVXVNNIQ4_0_3x8, tileAVXVNNIQ4_0_4x8},
			[]qtileFunc{tileAVXVNNIQ4_0_1x16, tileAVXVNNIQ4_0_2x16, tileAVXVNNIQ4_0_3x16, tileAVXVNNIQ4_0_4x16}},
	},
}

func (a *assembled) tiles() *qtiles {
	switch {
	case a.vnni.one == nil:
	case useVNNI:
		return &a.vnni
	case useAVXVNNI:
		return &a.avxvnni
	}
	return &a.avx2
}

func (f *format) assembly() *assembled {
	for i := range formats {
		if f == &formats[i] {
			return &inAssembly[i]
		}
	}
	panic("kernel: no format")
}

func quantize(to []xRun, step int, x []float32) {
	if runs := len(x) / run; useAVX2 && runs > 0 {
		_ = to[(runs-1)*step] // the assembly trusts this
		quantizeAVX2(&to[0].q[0], step, &x[0], runs)
		return
	}
	quantizeGeneric(to, step, x)
}

const (
	// fewRows are multiplied with weights in the order these lie in, more with panels of all
	// outputs of a piece.
	fewRows = 8

	// fewWidth is how many of few rows are multiplied at once, at most.
	fewWidth = 4

	// A panel's columns: with the rows that meet it, it stays in the first-level cache.
	fewColumns  = 32 * run
	manyColumns = 32 * run
)

// qwidth returns how many rows make a group, see activations, and the gap behind it. Where groups are many, a
// chunk of each stays in the second-level cache; it would not if all of them began a power of two apart.
func (m *matMulTask) qwidth() (width, gap int) {
	_, f := m.w.blocks()
	switch {
	case !useAVX2 || !m.rounds():
		return 1, 0
	case m.rows <= fewRows:
		n := pieces(m.rows, fewWidth)
		return (m.rows + n - 1) / n, 0
	}
	width = len(f.assembly().tiles().two)
	return width, width * manyColumns / run
}

// qgroup returns how many outputs and columns are taken together, see group.
func (m *matMulTask) qgroup(outs int) (int, int) {
	switch {
	case m.qdots():
		return outs, m.w.In
	case m.rows <= fewRows:
		return 8, fewColumns
	}
	return outs, manyColumns
}

// qdots reports whether there is one row, and a format that is multiplied where it lies.
func (m *matMulTask) qdots() bool {
	_, f := m.w.blocks()
	return m.rows == 1 && f.assembly().dot != nil
}

func (m *matMulTask) qproduct(y []float32, ys, r, rows, o, outs, k, n int, s *scratch) {
	if m.qdots() {
		whole := outs &^ 7
		m.qdot(y[:whole], o)
		if y, o, outs = y[whole:], o+whole, outs-whole; outs == 0 {
			return
		}
	}
	_, f := m.w.blocks()
	a := f.assembly()
	runs := n / run
	panel := runs * a.panel
	s.bytes = grow(s.bytes, pieces(outs, 8)*panel)
	for i := 0; i < outs; i += 8 {
		m.qpack(s.bytes[i/8*panel:][:panel], o+i, min(8, outs-i), k, n)
	}
	acts := &m.team.acts
	for i := 0; i < outs; i += 16 {
		tiles, across := a.tiles().two, panel
		switch one := a.tiles().one; {
		case m.rows <= fewRows:
			tiles = one
		case outs-i > 8:
		case len(one) == len(tiles):
			tiles = one
		default: // the last panel twice: there is room for its outputs once more, see matMulTask.Do
			across = 0
		}
		for j := 0; j < rows; {
			at, count := acts.at(r+j, k/run, m.w.In/run)
			_ = acts.runs[at+runs*count-1] // the assembly trusts these
			if across == 0 {
				_ = y[(j+count-1)*ys+i+15]
			} else {
				_ = y[(j+count-1)*ys+min(i+15, (outs+7)&^7-1)]
			}
			tiles[count-1](&y[j*ys+i], ys, &acts.runs[at].q[0], &s.bytes[i/8*panel], across, runs)
			j += count
		}
	}
}

// qpack makes a panel of the columns k to k+n of up to eight outputs.
func (m *matMulTask) qpack(dst []byte, o, outs, k, n int) {
	data, f := m.w.blocks()
	if outs < 8 {
		m.qpackGeneric(dst, o, outs, k, n)
		return
	}
	stride := m.w.In / f.values * f.bytes
	at, blocks := o*stride+k/f.values*f.bytes, n/f.values
	// What comes next: the same rows' next columns, or the first of the next rows.
	ahead := blocks * f.bytes
	if k+n == m.w.In {
		ahead = 8*stride - k/f.values*f.bytes
	}
	_ = data[at+7*stride+blocks*f.bytes-1] // the assembly trusts this
	f.assembly().pack(&dst[0], &data[at], stride, ahead, blocks)
}

// nearGroup is the size of eight rows of weights, in bytes, up to which the next eight fit the first-level
// cache beside most of them.
const nearGroup = 24 << 10

// qdot multiplies one row, all of it, with len(y) outputs, a multiple of eight. Eight rows of weights are
// walked together. Where they are short, the eight behind them, which follow in memory, are
// meanwhile asked for in one go from end to end: memory gives more to one stream than to eight.
// Longer ones would push each other out of the cache: each of them is asked for some lines ahead.
func (m *matMulTask) qdot(y []float32, o int) {
	if len(y) == 0 {
		return
	}
	data, f := m.w.blocks()
	dot, blocks, perBlock := f.assembly().dot, m.w.In/f.values, f.values/run
	stride := blocks * f.bytes
	x := m.team.acts.runs[:m.w.In/run] // the assembly trusts these
	w := data[o*stride:][:len(y)*stride]
	each := f.bytes // bytes of a row from one asking to the next
	if 2*each <= 64 {
		each *= 2
	}
	group := 8 * stride
	near := group <= nearGroup
	if near {
		read(w[:group]) // nobody has asked for these
	}
	for ; len(y) > 0; y, w = y[8:], w[group:] {
		if near {
			ahead := group
			if len(w) == group {
				ahead = 0 // the next are another thread's
			}
			dot(&y[0], &x[0].q[0], &w[0], stride, ahead, each, 8*each, blocks)
			continue
		}
		// The last blocks are used while the first of the next eight rows arrive.
		last := min(blocks, 256/f.bytes+1)
		first := blocks - last
		if first > 0 {
			dot(&y[0], &x[0].q[0], &w[0], stride, last*f.bytes, stride, each, first)
		}
		dot(&y[0], &x[first*perBlock].q[0], &w[first*f.bytes], stride, group-first*f.bytes, stride, each, last)
	}
}
