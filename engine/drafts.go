package engine

import "time"

// adaptiveDraft is how many tokens are guessed at once where that pays: with the one
// before them they are as many rows as one walk over the weights serves.
const adaptiveDraft = 4

// drafts tells where prompt lookup pays, by what passes took and how many guesses were
// right: reading the weights for some rows costs a large model little more than for one,
// and a small one that many times more. It decides on speed alone: no answer depends on it.
type drafts struct {
	seconds [1 + adaptiveDraft + 1]float64 // of a pass over one sequence, by its rows; 0: unknown
}

// took notes a pass over rows of one sequence.
func (d *drafts) took(rows int, t time.Duration) {
	if rows >= len(d.seconds) {
		return
	}
	if s := &d.seconds[rows]; *s == 0 {
		*s = t.Seconds()
	} else {
		*s += (t.Seconds() - *s) / 8
	}
}

// cost returns what a draft adds to a pass over one row, in such passes, and whether that is known.
func (d *drafts) cost(drafted int) (float64, bool) {
	one, all := d.seconds[1], d.seconds[1+drafted]
	if one == 0 || all == 0 {
		return 0, false
	}
	return all/one - 1, true
}

// guesses is how well one answer's drafts do.
type guesses struct {
	right float64 // tokens of a draft that were right, smoothed
	tried bool
	idle  int // drafts left out since the last
}

// retry is after how many drafts that were left out one is made all the same: the text may
// have come to something that was there before.
const retry = 32

// pay reports whether to use a draft.
func (g *guesses) pay(d *drafts, drafted int) bool {
	cost, known := d.cost(drafted)
	switch {
	case known && cost >= float64(drafted): // not even if all were right
		return false
	case !known || !g.tried || g.right > cost || g.idle >= retry:
		g.idle = 0
		return true
	}
	g.idle++
	return false
}

// verified notes how many tokens of a draft were right.
func (g *guesses) verified(right int) {
	if !g.tried {
		g.tried, g.right = true, float64(right)
		return
	}
	g.right += (float64(right) - g.right) / 4
}
