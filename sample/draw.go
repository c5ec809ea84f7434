package sample

import (
	"fmt"
	"math"
	"slices"
)

// Next returns the next token of the history ids, of which the first promptLen are the
// prompt, from its logits [V]: it applies [Sampler.Process] to a copy and draws. Logits
// that hold NaN or +∞, and processors that leave no id, are errors.
func (s *Sampler) Next(logits []float32, ids []int32, promptLen int) (int32, error) {
	if len(s.scores) != s.vocab {
		s.scores = make([]float32, s.vocab)
	}
	copy(s.scores, logits[:s.vocab])
	if err := s.Process(s.scores, ids, promptLen); err != nil {
		return 0, err
	}
	return s.Draw(s.scores, len(ids))
}

// Draw chooses an id by its processed scores [V] at position, the number of ids before
// it. At temperature 0 that is [Argmax], and else one draw from the softmax of scores:
// the first id at which the probabilities, added by rising id in float64, pass
// [Uniform] of (seed, sequence, position, 0).
func (s *Sampler) Draw(scores []float32, position int) (int32, error) {
	best, ok := Argmax(scores)
	if !ok {
		return 0, noneLeft(position)
	}
	if s.opts.Temperature == 0 {
		return best, nil
	}
	// The weights of what is not removed, added up as they are found.
	if cap(s.left) < len(scores) {
		s.sums, s.left = make([]float64, 0, len(scores)), make([]int32, 0, len(scores))
	}
	sums, left := s.sums[:0], s.left[:0]
	top, sum := scores[best], 0.0
	for i, v := range scores {
		if v != removed {
			sum += float64(exp(v - top))
			sums, left = append(sums, sum), append(left, int32(i))
		}
	}
	target := Uniform(s.opts.Seed, s.sequence, position, 0) * sum // less than sum
	n, _ := slices.BinarySearchFunc(sums, target, func(sum, target float64) int {
		if sum <= target {
			return -1
		}
		return 1
	})
	return left[n], nil
}

// Argmax returns the index of the largest score, the lowest among equals. It reports false
// for a row that has none: empty, all −∞, or with a NaN or +∞, which the reference
// would take for the largest.
func Argmax(scores []float32) (int32, bool) {
	best, top, ok := 0, removed, true
	for i, v := range scores {
		if v > top {
			best, top = i, v
		}
		ok = ok && v <= math.MaxFloat32
	}
	return int32(best), ok && top > removed
}

func noneLeft(position int) error {
	return fmt.Errorf("sample: position %d: no id is left to draw, want at least one; "+
		"the logits are all −∞, or BadWords, Suppress, NoRepeatNgram, Bias, Allowed or a Constraint beside them remove every id", position)
}

// Verify applies prompt lookup's rule to a draft. ids is the history followed by the draft's
// drafted ids, and logits [drafted+1, V] the model's rows for the last id of the
// history and for each id of the draft. Row by row it draws the token that plain
// generation would draw there and appends it to dst, until one is not the draft's,
// ends the text, or was drawn from the last row. At least one is appended, and since
// draws depend on positions alone, the result is what plain generation gives: greedy
// or sampled, a draft changes the speed only. The cache is then to be cut to the
// history and all tokens but the last.
func (s *Sampler) Verify(dst []int32, logits []float32, ids []int32, promptLen, drafted int) ([]int32, error) {
	if len(logits) != (drafted+1)*s.vocab {
		panic(fmt.Sprintf("sample: Verify: %d logits for %d drafted ids, want %d rows of %d", len(logits), drafted, drafted+1, s.vocab))
	}
	start := len(ids) - drafted
	for row := 0; ; row++ {
		id, err := s.Next(logits[row*s.vocab:(row+1)*s.vocab], ids[:start+row], promptLen)
		if err != nil {
			return dst, err
		}
		dst = append(dst, id)
		if row == drafted || id != ids[start+row] || s.opts.ends(id) {
			return dst, nil
		}
	}
}
