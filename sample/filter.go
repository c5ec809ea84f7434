package sample

import (
	"math"
	"slices"
)

// The processors that only sampling uses: 17 to 23 of the order in sampler.go. Each sets
// what it removes to −∞. All arithmetic is the reference's: float32, on the softmax of
// what the ones before have left. keep entries stay whatever the threshold.

var removed = float32(math.Inf(-1))

// clamp keeps a finite score finite where the reference overflows.
func clamp(v float32) float32 {
	return min(max(v, -math.MaxFloat32), math.MaxFloat32)
}

// temperature divides scores by t > 0. At 1e-38 even the best may overflow: the reference
// fails then, and here all stay finite.
func temperature(scores []float32, t float32) {
	if best := largest(scores) / t; math.Abs(float64(best)) <= math.MaxFloat32 {
		for i, v := range scores {
			scores[i] = v / t
		}
		return
	}
	for i, v := range scores {
		if v != removed {
			scores[i] = clamp(v / t)
		}
	}
}

// filters is the memory that the filters share: a row or two of the vocabulary,
// allocated at first use.
type filters struct {
	probs     []float32 // [V]
	distance  []float32 // [V], of typicalP
	selection selection
	protected []Logprob // the best entries
}

// softmax writes the probabilities of scores to f.probs.
func (f *filters) softmax(scores []float32) (top float32, sum float64, ok bool) {
	if len(f.probs) != len(scores) {
		f.probs = make([]float32, len(scores))
	}
	return softmax(f.probs, scores)
}

// smallK is a number of entries that a heap finds in less time than a selection.
const smallK = 256

// topK removes scores below the k-th largest; its equals stay.
func (f *filters) topK(scores []float32, k int) {
	if 1 < k && k <= smallK && k < len(scores) {
		best := f.protect(scores, k)
		cut(scores, best[k-1].Logprob)
		return
	}
	finite := 0
	for _, v := range scores {
		if v > removed {
			finite++
		}
	}
	if finite <= k {
		return
	}
	at, _, _ := f.selection.first(scores, nil, largest(scores)-window, float32(finite-k))
	cut(scores, scores[at])
}

// cut removes the scores below threshold.
func cut(scores []float32, threshold float32) {
	for i, v := range scores {
		if v < threshold {
			scores[i] = removed
		}
	}
}

// topP removes the lowest scores as long as their cumulative probability is at most
// 1 − p, adding upwards and, among equals, from the lowest index (Holtzman et al., 2020;
// the reference adds from below, not from above).
func (f *filters) topP(scores []float32, p float64, keep int) {
	top, _, ok := f.softmax(scores)
	if !ok {
		return
	}
	limit := float32(1 - p)
	at, sum, ok := f.selection.first(scores, f.probs, top-window, limit)
	if !ok { // p is 0: all but the best keep are removed
		f.keepLast(scores, keep)
		return
	}
	threshold := scores[at]
	equals := f.selection.ids
	for len(equals) > 1 {
		sum += float64(f.probs[equals[0]])
		if float32(sum) > limit {
			break
		}
		equals = equals[1:]
	}
	if keep > 1 {
		kept := len(equals)
		for _, v := range scores {
			if v > threshold {
				kept++
			}
		}
		if kept < keep {
			f.keepLast(scores, keep)
			return
		}
	}
	for _, id := range f.selection.ids[:len(f.selection.ids)-len(equals)] {
		scores[id] = removed
	}
	cut(scores, threshold)
}

// keepLast removes all but the keep largest, of equals the lower index first.
func (f *filters) keepLast(scores []float32, keep int) {
	finite := 0
	for _, v := range scores {
		if v > removed {
			finite++
		}
	}
	if finite <= keep {
		return
	}
	at, below, _ := f.selection.first(scores, nil, largest(scores)-window, float32(finite-keep))
	threshold := scores[at]
	for _, id := range f.selection.ids[:finite-keep-int(below)] {
		scores[id] = removed
	}
	cut(scores, threshold)
}

// minP removes probabilities below m times the largest.
func (f *filters) minP(scores []float32, m float32, keep int) {
	top, _, ok := f.softmax(scores)
	if !ok {
		return
	}
	best := float32(0)
	for i, v := range scores {
		if v == top {
			best = f.probs[i]
			break
		}
	}
	protected := f.protect(scores, keep)
	threshold := m * best
	for i, p := range f.probs {
		if p < threshold {
			scores[i] = removed
		}
	}
	restore(scores, protected)
}

// typicalP keeps the ids whose −log p is nearest to the entropy, up to the mass m
// (Meister et al., 2022): with d = |−log p − H| sorted upwards, what is farther than the
// first at which the cumulative probability is not below m.
func (f *filters) typicalP(scores []float32, m float32, keep int) {
	top, sum, ok := f.softmax(scores)
	if !ok {
		return
	}
	if len(f.distance) != len(scores) {
		f.distance = make([]float32, len(scores))
	}
	logSum := float32(math.Log(sum))
	h := float32(f.entropy(scores, top, logSum))
	for i, v := range scores {
		if v == removed {
			f.distance[i] = float32(math.Inf(1))
			continue
		}
		f.distance[i] = float32(math.Abs(float64(-((v - top) - logSum) - h)))
	}
	// "Not below m" is "above the number before m".
	at, _, ok := f.selection.first(f.distance, f.probs, 0, math.Nextafter32(m, 0))
	if !ok {
		return
	}
	threshold := f.distance[at]
	var protected []Logprob
	if keep > 1 { // the nearest are the largest of −d
		for i, d := range f.distance {
			f.probs[i] = -d
		}
		protected = f.protect(f.probs, keep)
		for i, nearest := range protected {
			protected[i].Logprob = scores[nearest.ID]
		}
	}
	for i, d := range f.distance {
		if d > threshold {
			scores[i] = removed
		}
	}
	restore(scores, protected)
}

// entropy returns −Σ p·log p in nats, with log p = score − top − logSum.
func (f *filters) entropy(scores []float32, top, logSum float32) (h float64) {
	for i, v := range scores {
		if p := f.probs[i]; p != 0 {
			h -= float64(float64(p) * float64((v-top)-logSum))
		}
	}
	return h
}

// cutoff removes probabilities below threshold, but not the keep-th largest score or what
// equals it.
func (f *filters) cutoff(scores []float32, threshold float32, keep int) {
	floor := largest(scores)
	if protected := f.protect(scores, keep); len(protected) > 0 {
		floor = protected[len(protected)-1].Logprob
	}
	for i, p := range f.probs {
		if p < threshold && scores[i] < floor {
			scores[i] = removed
		}
	}
}

// epsilon removes probabilities below e (Hewitt et al., 2022).
func (f *filters) epsilon(scores []float32, e float32, keep int) {
	if _, _, ok := f.softmax(scores); ok {
		f.cutoff(scores, e, keep)
	}
}

// eta removes probabilities below min(e, √e·exp(−H)) (Hewitt et al., 2022).
func (f *filters) eta(scores []float32, e float32, keep int) {
	top, sum, ok := f.softmax(scores)
	if !ok {
		return
	}
	h := f.entropy(scores, top, float32(math.Log(sum)))
	f.cutoff(scores, min(e, float32(math.Sqrt(float64(e))*math.Exp(-h))), keep)
}

// protect returns the keep best of scores, best first, of equals the lower index first. It
// returns none for one, which no filter removes. The slice lasts until the next call.
func (f *filters) protect(scores []float32, keep int) []Logprob {
	if keep = min(keep, len(scores)); keep <= 1 {
		return nil
	}
	f.protected = slices.Grow(f.protected[:0], keep)[:keep]
	fillTop(f.protected, scores)
	return f.protected
}

// restore puts back what was protected.
func restore(scores []float32, protected []Logprob) {
	for _, p := range protected {
		scores[p.ID] = p.Logprob
	}
}
