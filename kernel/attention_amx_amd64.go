//go:build !noasm

package kernel

// Attention by AMX tiles, where the Team is Fast and every query sees every key, as in the vision tower and the
// resampler: queries, keys, values and the numerators of softmax are rounded to bfloat16, sums
// and softmax are float32. Text has a causal mask and keeps float32, for a prompt in pieces must have the bits
// of the whole one, down to a piece of one token, for which tiles pay nothing.
//
// A query's sums take columns, and then keys, in pairs, 32 at a time, whatever else there is.

const (
	amxQueries = 64             // queries taken together: four tiles
	tilePanel  = 16 * tileK / 2 // words of a tile of the right factor
)

// tiled reports whether this piece is made by tiles.
func (p *attendPiece) tiled() bool {
	h := p.h
	return p.fast && useAVX2 && useAMX && !h.Causal && h.LogSum == nil && len(h.Packed.K) == 0
}

// amxAttend adds to c [64·groups][16·panels], rows cs bytes apart, the products of a [64·groups][32·steps],
// rows as bytes apart, and b [panels][steps][16 pairs][16][2].
//
//go:noescape
func amxAttend(c *float32, cs int, a *uint32, as int, b *uint32, groups, panels, steps int, config *[64]byte)

// leftFactor returns how many words lie between rows of the left factor: a line past what may be a power of two.
func leftFactor(steps int) int { return steps*tileK/2 + 16 }

// scoreTiles is score for all queries of the piece.
func (p *attendPiece) scoreTiles(q0, q1, k0 int) {
	s, steps := p.s, pieces(p.d, tileK)
	width := leftFactor(steps)
	if k0 == 0 { // the first block
		s.leftQueries = grow(s.leftQueries, queryBlock*width)
		for q := q0; q < q1; q++ {
			roundPairs(s.leftQueries[(q-q0)*width:][:width], p.query(q)[:p.d])
		}
	}
	s.rounded = grow(s.rounded, keyBlock*width)
	_, hi := p.h.seen(q0, q1, k0)
	for k := 0; k < hi; {
		page, stride, n := p.keys(k, hi)
		for i := range n {
			roundPairs(s.rounded[(k+i)*width:][:width], page[i*stride:][:p.d])
		}
		k += n
	}
	clear(s.rounded[hi*width:])
	const panels = keyBlock / 16
	s.right = grow(s.right, panels*steps*tilePanel)
	for i := range panels * steps {
		panel, step := i/steps, i%steps
		for half := range 2 {
			dst, src := s.right[i*tilePanel+8*half:], s.rounded[(16*panel+8*half)*width+step*tileK/2:]
			_, _ = dst[15*16+7], src[7*width+15] // the assembly trusts these
			packKeys(floats(dst), floats(src), width, tileK/2)
		}
	}
	amxAttend(&p.scores(q0)[0], 4*keyBlock, &s.leftQueries[0], 4*width, &s.right[0], pieces(q1-q0, amxQueries), panels, steps, &tiles)
}

// addValuesTiles is addValues for all queries of the piece.
func (p *attendPiece) addValuesTiles(q0, q1, k0 int) {
	const steps = keyBlock / tileK
	const width = keyBlock/2 + 16 // leftFactor(steps)
	s := p.s
	s.leftScores = grow(s.leftScores, queryBlock*width)
	_, hi := p.h.seen(q0, q1, k0)
	seen := (hi + 7) &^ 7 // what softmax has left zeros in
	for q := q0; q < q1; q++ {
		roundPairs(s.leftScores[(q-q0)*width:][:width], p.scores(q)[:seen])
	}
	panels := pieces(p.d, 16)
	wide := 16 * panels
	s.right, s.values = grow(s.right, panels*steps*tilePanel), grow(s.values, 2*wide)
	clear(s.right)
	pair := s.values[:2*wide]
	for k := 0; k < hi; {
		page, stride, n := p.values(k, hi)
		for i := range n {
			row := pair[(k+i)%2*wide:][:wide]
			clear(row[copy(row, page[i*stride:][:p.d]):])
			if (k+i)%2 == 0 && k+i+1 < hi {
				continue
			}
			if (k+i)%2 == 0 { // the last has no partner
				clear(pair[wide:])
			}
			j := (k + i) / 2                                // of a panel's 32 pairs
			_ = s.right[(panels-1)*steps*tilePanel+16*j+15] // the assembly trusts this
			pairBF16AVX2(&s.right[16*j], steps*tilePanel, &pair[0], &pair[wide], wide)
		}
		k += n
	}
	amxAttend(&p.out(q0)[0], 4*p.stride, &s.leftScores[0], 4*width, &s.right[0], pieces(q1-q0, amxQueries), panels, steps, &tiles)
}
