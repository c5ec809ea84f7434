package kernel

import (
	"fmt"
	"math"
)

// HeadGrad is a Head after Attend, which must have filled its LogSum, and the gradients of what
// it read and wrote. Keys and values are one page.
type HeadGrad struct {
	Head
	DOut, DQ []float32 // as Out and Q lie
	DK, DV   []float32 // as K and V lie
}

// AttendBackward adds to DQ, DK and DV the gradients of Attend whose output has the gradient DOut.
// Each group of heads that follow one another reads the same keys and values; no
// other does. The matrix of probabilities is made again block by block from Q, K and
// LogSum (Dao, FlashAttention-2, 2023): with D = Σ Out·DOut,
//
//	p = e^(scale·q·k - LogSum),  dp = DOut·v,  ds = scale·p·(dp - D)
//	DV += pᵀ·DOut,  DQ += ds·k,  DK += dsᵀ·q
//
// The gradients of a sequence don't depend on what else is in heads.
func (t *Team) AttendBackward(heads []HeadGrad, group, d int, scale float32) {
	if len(heads)%group != 0 {
		panic(fmt.Sprintf("kernel: AttendBackward: %d heads do not make groups of %d", len(heads), group))
	}
	for i := range heads {
		heads[i].check(d)
	}
	t.grads = grow(t.grads, t.Workers())
	t.attendGrad = attendGradTask{t, heads, group, d, scale}
	t.pool.Run(len(heads)/group, &t.attendGrad)
	t.attendGrad = attendGradTask{}
}

func (h *HeadGrad) check(d int) {
	h.Head.check(d)
	if h.N == 0 || h.Keys == 0 {
		return
	}
	if h.PageLen < h.Keys {
		panic(fmt.Sprintf("kernel: AttendBackward: %d keys in pages of %d, want one page", h.Keys, h.PageLen))
	}
	n, kv := (h.N-1)*h.QStride+d, (h.Keys-1)*h.KVStride+d
	if len(h.LogSum) != h.N || len(h.DOut) < n || len(h.DQ) < n || len(h.DK) < kv || len(h.DV) < kv || len(h.K[0]) < kv || len(h.V[0]) < kv {
		panic(fmt.Sprintf("kernel: AttendBackward: %d queries and %d keys of %d: LogSum %d, DOut %d, DQ %d, K %d, V %d, DK %d, DV %d elements",
			h.N, h.Keys, d, len(h.LogSum), len(h.DOut), len(h.DQ), len(h.K[0]), len(h.V[0]), len(h.DK), len(h.DV)))
	}
}

// attendGradTask does one group of heads in a piece: the keys block by block, and for each block
// the queries block by block.
type attendGradTask struct {
	team  *Team
	heads []HeadGrad
	group int
	d     int
	scale float32
}

// gradQueries is the number of queries of a block. Blocks begin at its multiples in a sequence.
const gradQueries = 64

// gradScratch is the memory of one worker for one block of queries against one of keys.
type gradScratch struct {
	keys, values keyPanels
	q, do, dq    []float32 // rows of stride floats, zeros past d
	dk, dv       []float32
	p, ds        []float32 // [query][key]
	pT, dsT      []float32 // [key][query]
	delta        []float32 // D, for all queries of a group

	_ [64]byte // the next worker's is on a cache line of its own
}

// keyPanels are some keys or values, close together: row j is at j·stride, and zeros past d.
type keyPanels struct {
	rows          []float32
	stride, count int
	panels        []float32
}

func (a *attendGradTask) Do(i, worker int) {
	heads := a.heads[i*a.group:][:a.group]
	s := &a.team.grads[worker]
	stride := (a.d+7)&^7 + 16
	for _, b := range []*[]float32{&s.keys.rows, &s.values.rows, &s.q, &s.do, &s.dq, &s.dk, &s.dv} {
		*b = grow(*b, keyBlock*stride)
		clear(*b)
	}
	for _, b := range []*[]float32{&s.p, &s.ds, &s.pT, &s.dsT} {
		*b = grow(*b, keyBlock*gradQueries)
	}
	h := &heads[0]
	s.delta = grow(s.delta, a.group*h.N)
	for g := range heads {
		for q := range h.N {
			at := q * h.QStride
			s.delta[g*h.N+q] = dot64(heads[g].Out[at:][:a.d], heads[g].DOut[at:])
		}
	}
	for k0 := 0; k0 < h.Keys && !a.team.abandoned.Load(); k0 += keyBlock {
		a.keys(heads, s, stride, k0)
	}
}

// keys does one block of keys.
func (a *attendGradTask) keys(heads []HeadGrad, s *gradScratch, stride, k0 int) {
	h := &heads[0]
	n := min(keyBlock, h.Keys-k0)
	for _, b := range []struct {
		to   *keyPanels
		from []float32
	}{{&s.keys, h.K[0]}, {&s.values, h.V[0]}} {
		b.to.stride, b.to.count = stride, n
		for j := range n {
			copy(b.to.rows[j*stride:][:a.d], b.from[(k0+j)*h.KVStride:])
		}
		b.to.pack(a.d)
	}
	clear(s.dk)
	clear(s.dv)
	for g := range heads {
		for q0 := 0; q0 < h.N; q0 += gradQueries {
			q1 := min(h.N, q0+gradQueries)
			if lo, hi := h.seen(q0, q1, k0); lo < hi {
				a.block(&heads[g], s, s.delta[g*h.N:], stride, q0, q1, k0)
			}
		}
	}
	for j := range n {
		at := (k0 + j) * h.KVStride
		addTo(h.DK[at:][:a.d], s.dk[j*stride:][:a.d])
		addTo(h.DV[at:][:a.d], s.dv[j*stride:][:a.d])
	}
}

// block does the queries from q0 to q1 against the block of keys at k0.
func (a *attendGradTask) block(h *HeadGrad, s *gradScratch, delta []float32, stride, q0, q1, k0 int) {
	rows, n, d := q1-q0, s.keys.count, a.d
	for r := range rows {
		at := (q0 + r) * h.QStride
		copy(s.q[r*stride:][:d], h.Q[at:])
		copy(s.do[r*stride:][:d], h.DOut[at:])
	}
	scoreRows(s.p, s.q, stride, rows, &s.keys, d)
	scoreRows(s.ds, s.do, stride, rows, &s.values, d)
	for r := range rows {
		p, ds := s.p[r*keyBlock:][:keyBlock], s.ds[r*keyBlock:][:keyBlock]
		lo, hi := h.visibleFrom(q0+r, k0)
		if lo >= hi {
			clear(p)
			clear(ds)
			continue
		}
		scaleMax(p, a.scale) // for the scaling
		expSum(p, h.LogSum[q0+r])
		clear(p[:lo])
		clear(p[hi:])
		scoreGrad(ds, p, ds, delta[q0+r], a.scale)
	}
	clear(s.dq[:rows*stride])
	width := (d + 7) &^ 7
	combine(s.dq, stride, s.ds, keyBlock, rows, s.keys.rows, stride, width, n, 0, true)
	for r := range rows {
		addTo(h.DQ[(q0+r)*h.QStride:][:d], s.dq[r*stride:][:d])
	}
	transpose(s.pT, gradQueries, s.p, keyBlock, rows, keyBlock)
	transpose(s.dsT, gradQueries, s.ds, keyBlock, rows, keyBlock)
	combine(s.dv, stride, s.pT, gradQueries, n, s.do, stride, width, rows, 0, true)
	combine(s.dk, stride, s.dsT, gradQueries, n, s.q, stride, width, rows, 0, true)
}

// scoreGradGeneric computes ds = p·(dp - delta)·scale.
func scoreGradGeneric(ds, p, dp []float32, delta, scale float32) {
	p, dp = p[:len(ds)], dp[:len(ds)]
	for i := range ds {
		ds[i] = p[i] * (dp[i] - delta) * scale
	}
}

// logSum returns log Σ e^score of a query that Attend has finished.
func (r *running) logSum() float32 { return r.top + float32(math.Log(float64(r.sum))) }

// dot64 returns Σ a·b, added up in float64: what all scores of a query are lowered by.
func dot64(a, b []float32) float32 {
	var sum float64
	for i, v := range a {
		sum += float64(v) * float64(b[i])
	}
	return float32(sum)
}
