package kernel

import (
	"encoding/binary"
	"fmt"
	"math"

	"idefics2/internal/half"
)

// Head is one unit of attention: the queries of one sequence in one head, or in the Group of
// neighbouring heads that share keys and values.
//
// Row i of queries stands at the absolute position Start+i, key j at j. It sees key j iff
// j < Keys and, when Causal, j ≤ Start+i and (Window = 0 or j > Start+i-Window). A query
// that sees no key gets zeros.
type Head struct {
	Q, Out  []float32 // row i is at i·QStride, Group times d floats; Out must not overlap Q
	QStride int       // floats between rows in both
	N       int       // rows
	Group   int       // queries in a row; 0 is 1

	K, V     [][]float32 // pages: key j is row j mod PageLen of page j div PageLen
	Packed   Packed      // or pages of bytes, instead of K and V
	KVStride int         // floats, or bytes of packed pages, between rows of a page, in both
	PageLen  int         // rows of a page; the last may hold fewer. Pages that no query sees may be nil
	Keys     int

	Start  int
	Causal bool
	Window int

	LogSum []float32 // [N] gets log Σ e^score of each query, for AttendBackward; or nil, as it must be where Group is more than 1
}

// Packed are pages of keys and values in fewer bytes than float32 has: rows of bfloat16, or of Q8_0
// blocks, of which the last of a row may be used in part. They are widened block by block.
type Packed struct {
	K, V [][]byte
	Q8_0 bool
}

// row returns the bytes of d values.
func (p *Packed) row(d int) int {
	if p.Q8_0 {
		return (d + run - 1) / run * formatQ8_0.bytes
	}
	return 2 * d
}

// widen writes count rows of d values, stride bytes apart, to dst, where they lie width apart: a
// multiple of eight, which the rest of a row has zeros up to.
func (p *Packed) widen(dst []float32, width int, rows []byte, stride, count, d int) {
	for i := range count {
		row, to := rows[i*stride:][:p.row(d)], dst[i*width:][:width]
		if p.Q8_0 {
			widenQ8_0(to[:d], row)
		} else {
			widenBF16(to[:d], row)
		}
		clear(to[d:])
	}
}

func widenQ8_0Generic(dst []float32, row []byte) {
	var u unpacked
	for at := 0; at < len(dst); at += run {
		unpackQ8_0(&u, row[at/run*formatQ8_0.bytes:][:formatQ8_0.bytes])
		for i := range dst[at:min(len(dst), at+run)] {
			dst[at+i] = u.scale * float32(u.q[i])
		}
	}
}

func widenBF16Generic(dst []float32, row []byte) {
	for i := range dst {
		dst[i] = half.BF16ToF32(binary.LittleEndian.Uint16(row[2*i:]))
	}
}

// group returns the number of queries in a row, and queries that of all.
func (h *Head) group() int   { return max(1, h.Group) }
func (h *Head) queries() int { return h.N * h.group() }

// at returns the place of query i in Q and Out.
func (h *Head) at(i, d int) int { return i/h.group()*h.QStride + i%h.group()*d }

// visible returns the range of keys that query i sees.
func (h *Head) visible(i int) (lo, hi int) {
	if !h.Causal {
		return 0, h.Keys
	}
	at := h.Start + i/h.group()
	if h.Window > 0 {
		lo = max(0, at-h.Window+1)
	}
	return lo, min(h.Keys, at+1)
}

// check panics unless queries and pages hold what the counts promise. A page outside of
// the window of every query is not looked at.
func (h *Head) check(d int) {
	if h.N == 0 {
		return
	}
	if n := h.at(h.queries()-1, d) + d; len(h.Q) < n || len(h.Out) < n {
		panic(fmt.Sprintf("kernel: Attend: Q and Out have %d and %d elements, want at least %d", len(h.Q), len(h.Out), n))
	}
	if h.LogSum != nil {
		want("Attend", "LogSum", len(h.LogSum), h.queries())
	}
	first, _ := h.visible(0)
	_, last := h.visible(h.queries() - 1)
	if first >= last {
		return
	}
	if len(h.Packed.K) != 0 {
		checkPages(h, h.Packed.K, h.Packed.V, first, last, h.Packed.row(d))
		return
	}
	checkPages(h, h.K, h.V, first, last, d)
}

func checkPages[T any](h *Head, k, v [][]T, first, last, row int) {
	if h.PageLen <= 0 || h.KVStride < row || (last-1)/h.PageLen >= min(len(k), len(v)) {
		panic(fmt.Sprintf("kernel: Attend: %d keys in %d and %d pages of %d rows, %d elements apart", last, len(k), len(v), h.PageLen, h.KVStride))
	}
	for p := first / h.PageLen; p <= (last-1)/h.PageLen; p++ {
		n := (min(h.PageLen, last-p*h.PageLen)-1)*h.KVStride + row
		if len(k[p]) < n || len(v[p]) < n {
			panic(fmt.Sprintf("kernel: Attend: page %d has %d and %d elements, want at least %d", p, len(k[p]), len(v[p]), n))
		}
	}
}

// Attend computes Out = softmax(Q·Kᵀ·scale)·V for each head, d being the size of queries, keys
// and values. Keys that a query does not see contribute nothing at all, not even a NaN.
//
// The result of a query depends on its own values and the keys it sees: the same bits come
// out of a whole prompt, of the prompt in pieces and of one query at a time, and whatever
// the length of pages.
func (t *Team) Attend(heads []Head, d int, scale float32) {
	if !(scale > 0) {
		panic("kernel: Attend: scale must be positive")
	}
	a := &t.attend
	a.team, a.heads, a.d, a.scale = t, heads, d, scale
	a.first = grow(a.first, len(heads)+1)
	n := 0
	for i := range heads {
		heads[i].check(d)
		a.first[i] = n
		n += (heads[i].queries() + queryBlock - 1) / queryBlock
	}
	a.first[len(heads)] = n
	t.pool.Run(n, a)
	a.heads = nil
}

const (
	// keyBlock is the number of keys that a softmax takes in at a time. Blocks begin at its
	// multiples, whatever the first key seen, which is what fixes the order of all sums.
	keyBlock = 64

	// queryBlock is the number of queries in a piece of work.
	queryBlock = 192
)

// attendTask computes a softmax that never sees its scores all at once (Milakov and Gimelshein,
// Online normalizer calculation for softmax, 2018; Dao et al., FlashAttention, 2022): for each
// block of keys in turn,
//
//	top' = max(top, block's scores)
//	p    = e^(scores - top')
//	sum  = sum·e^(top - top') + Σ p
//	out  = out·e^(top - top') + Σ p·v
//
// and out/sum in the end. A piece is a block of queries of one head, so that a block of keys
// is used many times while it is in the cache.
type attendTask struct {
	team  *Team
	heads []Head
	d     int
	scale float32
	first []int // the first piece of each head, and the number of all
}

// running is the state of one query between blocks of keys.
type running struct{ top, sum, shrink float32 }

func (a *attendTask) Do(i, worker int) {
	at := 0
	for a.first[at+1] <= i {
		at++
	}
	h := &a.heads[at]
	q0 := (i - a.first[at]) * queryBlock
	q1 := min(h.queries(), q0+queryBlock)
	s := &a.team.scratch[worker]
	s.scores = grow(s.scores, queryBlock*keyBlock)
	s.running = grow(s.running, queryBlock)
	// Queries and outputs are kept close together meanwhile, but not a power of two apart,
	// as they are where they lie: see matMulTask.Do.
	stride := (a.d+7)&^7 + 16
	s.queries, s.out = grow(s.queries, queryBlock*stride), grow(s.out, queryBlock*stride)
	p := &s.piece
	*p = attendPiece{h: h, s: s, q0: q0, q1: q1, d: a.d, stride: stride, scale: a.scale, fast: a.team.Precision == Fast}
	for q := q0; q < q1; q++ {
		s.running[q-q0] = running{top: float32(math.Inf(-1))}
		copy(p.query(q), h.Q[h.at(q, a.d):][:a.d])
		clear(p.out(q))
	}
	first, _ := h.visible(q0)
	_, last := h.visible(q1 - 1)
	for k := first / keyBlock * keyBlock; k < last && !a.team.abandoned.Load(); k += keyBlock {
		p.block(k)
	}
	for q := q0; q < q1; q++ {
		sum := s.running[q-q0].sum
		if h.LogSum != nil {
			h.LogSum[q] = s.running[q-q0].logSum()
		}
		if sum == 0 {
			sum = 1 // it saw nothing
		}
		out := h.Out[h.at(q, a.d):][:a.d]
		for j, v := range p.out(q)[:a.d] {
			out[j] = v / sum
		}
	}
	p.h = nil
}

// attendPiece is the work on the queries q0 to q1 of one head.
type attendPiece struct {
	h         *Head
	s         *scratch
	q0, q1, d int
	stride    int // floats between queries, and between outputs, in scratch
	scale     float32
	fast      bool // products may be less than exact
	k0        int  // the block of keys that is taken in
}

func (p *attendPiece) query(q int) []float32 { return p.s.queries[(q-p.q0)*p.stride:] }
func (p *attendPiece) out(q int) []float32   { return p.s.out[(q-p.q0)*p.stride:][:p.stride] }

// scores returns those of query q and the ones after it: each has keyBlock.
func (p *attendPiece) scores(q int) []float32 { return p.s.scores[(q-p.q0)*keyBlock:] }

// block takes in the keys from k0 to k0+keyBlock. It scores all the queries, then takes all their
// softmaxes, then adds up the values for all: that way only the keys, or only the values,
// of the block need to stay in the first-level cache at a time.
func (p *attendPiece) block(k0 int) {
	// With a causal mask the first queries may not see the block yet, with a window the
	// last ones may have left it behind.
	h, from, to := p.h, p.q0, p.q1
	for ; from < to; from++ {
		if _, hi := h.visible(from); hi > k0 {
			break
		}
	}
	for ; from < to; to-- {
		if lo, _ := h.visible(to - 1); lo < k0+keyBlock {
			break
		}
	}
	if from == to {
		return
	}
	p.k0 = k0
	p.widen(from, to)
	clear(p.scores(from)[:(to-from)*keyBlock])
	p.score(from, to, k0)
	for q := from; q < to; q++ {
		lo, hi := h.visibleFrom(q, k0)
		state := &p.s.running[q-p.q0]
		state.take(p.scores(q)[:keyBlock], lo, hi, p.scale)
		if state.shrink != 1 {
			scaleMax(p.out(q)[:(p.d+7)&^7], state.shrink) // for the scaling
		}
	}
	p.addValues(from, to, k0)
}

// visibleFrom returns the range that query i sees of the block at k0, relative to k0.
func (h *Head) visibleFrom(i, k0 int) (lo, hi int) {
	lo, hi = h.visible(i)
	return max(0, lo-k0), min(keyBlock, hi-k0)
}

// width is the number of floats between widened rows.
func (p *attendPiece) width() int { return (p.d + 7) &^ 7 }

// widen makes float32 of what the queries from q0 to q1 see of a block of packed keys and values.
func (p *attendPiece) widen(q0, q1 int) {
	h, s, width := p.h, p.s, p.width()
	if len(h.Packed.K) == 0 {
		return
	}
	s.wideKeys, s.wideValues = grow(s.wideKeys, keyBlock*width), grow(s.wideValues, keyBlock*width)
	lo, hi := h.seen(q0, q1, p.k0)
	for k := lo; k < hi; {
		page, r := (p.k0+k)/h.PageLen, (p.k0+k)%h.PageLen
		n := min(h.PageLen-r, hi-k)
		h.Packed.widen(s.wideKeys[k*width:], width, h.Packed.K[page][r*h.KVStride:], h.KVStride, n, p.d)
		h.Packed.widen(s.wideValues[k*width:], width, h.Packed.V[page][r*h.KVStride:], h.KVStride, n, p.d)
		k += n
	}
}

// keys returns the rows from key k to end that lie together, their distance and their number; k
// and end are relative to the block.
func (p *attendPiece) keys(k, end int) (rows []float32, stride, n int) {
	return p.rows(p.h.K, p.s.wideKeys, k, end)
}

func (p *attendPiece) values(k, end int) (rows []float32, stride, n int) {
	return p.rows(p.h.V, p.s.wideValues, k, end)
}

func (p *attendPiece) rows(pages [][]float32, wide []float32, k, end int) (rows []float32, stride, n int) {
	h := p.h
	if len(h.Packed.K) != 0 {
		return wide[k*p.width():], p.width(), end - k
	}
	page, r := (p.k0+k)/h.PageLen, (p.k0+k)%h.PageLen
	return pages[page][r*h.KVStride:], h.KVStride, min(h.PageLen-r, end-k)
}

// seen returns the range, relative to k0, of the keys of the block at k0 that any of the
// queries from q0 to q1 sees.
func (h *Head) seen(q0, q1, k0 int) (lo, hi int) {
	lo, _ = h.visibleFrom(q0, k0)
	_, hi = h.visibleFrom(q1-1, k0)
	return lo, hi
}

// scoreGeneric adds q·k for the queries from q0 to q1 and the keys of the block at k0 that any
// of them sees: query q, key k to scores(q)[k-k0].
func (p *attendPiece) scoreGeneric(q0, q1, k0 int) {
	h := p.h
	lo, hi := h.seen(q0, q1, k0)
	for k := lo; k < hi; {
		rows, stride, n := p.keys(k, hi)
		tileGeneric(p.scores(q0)[k:], keyBlock, p.query(q0), p.stride, q1-q0, rows, stride, n, p.d)
		k += n
	}
}

// addValuesGeneric adds p·v to the outputs of the queries from q0 to q1, over the keys of the
// block at k0 that each of them sees.
func (p *attendPiece) addValuesGeneric(q0, q1, k0 int) {
	h := p.h
	for q := q0; q < q1; q++ {
		lo, hi := h.visibleFrom(q, k0)
		for k := lo; k < hi; {
			v, stride, n := p.values(k, hi)
			weightedSum(p.out(q)[:p.d], p.scores(q)[k:][:n], v, stride)
			k += n
		}
	}
}

// take turns the scores of one query from lo to hi into the numerators of its softmax, and
// notes by what the earlier ones shrink. The rest of the row, up to a whole number of
// vectors, becomes zeros, so that the sum is taken in one order whatever is visible.
func (r *running) take(scores []float32, lo, hi int, scale float32) {
	scores = scores[:(hi+7)&^7]
	hidden := float32(math.Inf(-1))
	for j := range lo {
		scores[j] = hidden
	}
	for j := hi; j < len(scores); j++ {
		scores[j] = hidden
	}
	top := max(r.top, scaleMax(scores, scale))
	r.shrink = 1
	if r.top != top || top == hidden { // -Inf less itself is a NaN, which must be seen
		r.shrink = exp(r.top - top)
	}
	r.sum = float32(r.sum*r.shrink) + expSum(scores, top)
	r.top = top
}

// weightedSum adds Σ_j p[j]·v[j·stride+c] to each out[c], j rising.
func weightedSum(out, p, v []float32, stride int) {
	n := len(out)
	for ; len(p) >= 4; p = p[4:] {
		v0, v1, v2, v3 := v[:n], v[stride:][:n], v[2*stride:][:n], v[3*stride:][:n]
		p0, p1, p2, p3 := p[0], p[1], p[2], p[3]
		for c, s := range out {
			s += float32(p0 * v0[c])
			s += float32(p1 * v1[c])
			s += float32(p2 * v2[c])
			s += float32(p3 * v3[c])
			out[c] = s
		}
		if len(p) > 4 {
			v = v[4*stride:]
		}
	}
	for j, pj := range p {
		row := v[j*stride:][:n]
		for c := range out {
			out[c] += float32(pj * row[c])
		}
	}
}
