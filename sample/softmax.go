package sample

import "math"

// The exponentials of a whole vocabulary are most of the time that sampling takes:
// math.Exp needs 14 ns for one, which over 32,003 ids is half a millisecond a token.
// float32 results leave room for a table of 2^(i/2048) and a parabola, with a
// relative error below 1e-12 before rounding, in a quarter of the time.
const expSteps = 2048

var expTable = func() (table [expSteps]uint64) {
	for i := range table {
		table[i] = math.Float64bits(math.Exp2(float64(i) / expSteps))
	}
	return table
}()

// exp returns e^x rounded to float32, for x ≤ 0; −∞ gives 0.
func exp(x float32) float32 {
	if x < -104 { // below half the smallest float32
		return 0
	}
	// e^x = 2^n · 2^(i/2048) · e^r with n·2048 + i = k = round(x·2048/ln 2). Adding 1.5·2^52 leaves k
	// in the low bits of the sum, in two's complement: eleven for i, and n above them, of
	// which the exponent field takes what it needs.
	const shift = 3 << 51
	rounded := float64(float64(x)*(expSteps/math.Ln2)) + shift
	k := math.Float64bits(rounded)
	r := float64(x) - float64((rounded-shift)*(math.Ln2/expSteps))
	power := math.Float64frombits(expTable[k&(expSteps-1)] + k>>11<<52)
	return float32(power * (1 + float64(r*(1+float64(r*0.5)))))
}

// largest returns the greatest of scores, −∞ if there is none.
func largest(scores []float32) float32 {
	top := float32(math.Inf(-1))
	for _, v := range scores {
		if v > top {
			top = v
		}
	}
	return top
}

// exps writes e^(score − top) to p and returns their sum, added in float64 by rising
// index. top is the largest score and finite.
func exps(p, scores []float32, top float32) (sum float64) {
	p = p[:len(scores)]
	for i, v := range scores {
		e := exp(v - top)
		p[i] = e
		sum += float64(e)
	}
	return sum
}

// softmax writes the probabilities of scores to p, in float32 as the reference has
// them, and returns the largest score and Σ e^(score − largest). It reports false, and
// writes nothing, where every score is −∞.
func softmax(p, scores []float32) (top float32, sum float64, ok bool) {
	top = largest(scores)
	if top < -math.MaxFloat32 {
		return top, 0, false
	}
	sum = exps(p, scores, top)
	total := float32(sum)
	for i, e := range p[:len(scores)] {
		if e != 0 { // most are, after a filter
			p[i] = e / total
		}
	}
	return top, sum, true
}

// logSumExp returns the two parts of log Σ e^x: the largest x and the logarithm of the
// sum relative to it. They are kept apart because the reference subtracts one after
// the other. All −∞ gives −∞ and 0.
func logSumExp(x []float32) (top float32, logSum float64) {
	top = largest(x)
	if top < -math.MaxFloat32 {
		return top, 0
	}
	var sum float64
	for _, v := range x {
		sum += float64(exp(v - top))
	}
	return top, math.Log(sum)
}

// LogSoftmax replaces x by its log-probabilities, xᵢ − max − log Σ e^(x − max), with two
// subtractions in float32 as the reference has them (torch's log_softmax). A row of
// −∞ only is left alone.
func LogSoftmax(x []float32) { logSoftmax(x, x) }

// logSoftmax writes the log-probabilities of x to y, which may be x.
func logSoftmax(y, x []float32) {
	top, logSum := logSumExp(x)
	y = y[:len(x)]
	if top < -math.MaxFloat32 {
		copy(y, x)
		return
	}
	for i, v := range x {
		y[i] = (v - top) - float32(logSum)
	}
}

// Logprob is an id and the natural logarithm of its probability.
type Logprob struct {
	ID      int32   `json:"id"`
	Logprob float32 `json:"logprob"`
}

// Logprobs returns the log-probability of id under logits [V] as the model gave them
// (temperature 1, no processor), and fills top with the most probable ids, best first
// and lower id first among equals. An infinitely improbable id has −∞, which JSON
// cannot say: the caller writes a large negative number. It panics if top is longer
// than logits.
func Logprobs(logits []float32, id int32, top []Logprob) float32 {
	if len(top) > len(logits) {
		panic("sample: Logprobs: more alternatives than ids")
	}
	high, logSum := logSumExp(logits)
	value := func(v float32) float32 { return float32(float64(v) - float64(high) - logSum) }
	if len(top) > 0 {
		fillTop(top, logits)
		for i := range top {
			top[i].Logprob = value(top[i].Logprob)
		}
	}
	return value(logits[id])
}

// fillTop keeps the best of scores in top, a heap with the worst at its root, and
// then sorts it in place.
func fillTop(top []Logprob, scores []float32) {
	for i, v := range scores {
		switch {
		case i < len(top):
			top[i] = Logprob{int32(i), v}
			if i == len(top)-1 {
				for at := len(top)/2 - 1; at >= 0; at-- {
					sink(top, at)
				}
			}
		case v > top[0].Logprob: // an equal of a higher id is not better
			top[0] = Logprob{int32(i), v}
			sink(top, 0)
		}
	}
	for n := len(top) - 1; n > 0; n-- {
		top[0], top[n] = top[n], top[0]
		sink(top[:n], 0)
	}
}

// worse orders by falling value, then by rising id.
func worse(a, b Logprob) bool {
	return a.Logprob < b.Logprob || a.Logprob == b.Logprob && a.ID > b.ID
}

// sink restores the heap below at.
func sink(heap []Logprob, at int) {
	for {
		child := 2*at + 1
		if child >= len(heap) {
			return
		}
		if child+1 < len(heap) && worse(heap[child+1], heap[child]) {
			child++
		}
		if !worse(heap[child], heap[at]) {
			return
		}
		heap[at], heap[child] = heap[child], heap[at]
		at = child
	}
}
