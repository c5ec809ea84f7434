package sample

import "math/bits"

// Processors 2 to 16, which all modes of generation use. Their arithmetic is that of
// transformers' generation/logits_process.py, one element at a time in float32. Each
// reads the whole history again: that is a few microseconds, and a history may be cut
// back (prompt lookup) or exchanged (beams) without a word to the sampler.

// history is the memory of the processors that look back, allocated at first use.
type history struct {
	mark    []uint32 // [V]; an id is in the set when its mark is epoch
	epoch   uint32
	count   []int32   // [V], zero between uses
	bias    []float32 // [V], zero between uses
	touched []int32
}

// begin empties the set.
func (h *history) begin(vocab int) {
	if len(h.mark) != vocab {
		h.mark = make([]uint32, vocab)
	}
	if h.epoch++; h.epoch == 0 { // once in four billion
		clear(h.mark)
		h.epoch = 1
	}
}

// add reports whether id was not yet in the set, and puts it there.
func (h *history) add(id int32) bool {
	if h.mark[id] == h.epoch {
		return false
	}
	h.mark[id] = h.epoch
	return true
}

// repetition makes the score s of every distinct id less likely: s·θ where it is
// negative, s/θ elsewhere (Keskar et al., 2019).
func (h *history) repetition(scores []float32, ids []int32, theta float32) {
	h.begin(len(scores))
	for _, id := range ids {
		if !h.add(id) {
			continue
		}
		switch s := scores[id]; {
		case s == removed:
		case s < 0:
			scores[id] = clamp(s * theta)
		default:
			scores[id] = clamp(s / theta)
		}
	}
}

// frequency subtracts count·frequency + presence from the score of every id among the
// generated ones, as OpenAI's API defines the two penalties.
func (h *history) frequency(scores []float32, generated []int32, frequency, presence float32) {
	if len(h.count) != len(scores) {
		h.count = make([]int32, len(scores))
	}
	h.touched = h.touched[:0]
	for _, id := range generated {
		if h.count[id] == 0 {
			h.touched = append(h.touched, id)
		}
		h.count[id]++
	}
	for _, id := range h.touched {
		if s := scores[id]; s != removed {
			scores[id] = clamp(s - float32(float32(h.count[id])*frequency) - presence)
		}
		h.count[id] = 0
	}
}

// addBias adds to the last id of each sequence whose others end the context. A sequence longer
// than the context never matches, though only its first ids are compared. What meets
// on one id is summed before it is added, those of one id first: the order of rounding
// in the reference.
func (h *history) addBias(scores []float32, ids []int32, biases []Bias) {
	if len(h.bias) != len(scores) {
		h.bias = make([]float32, len(scores))
	}
	h.begin(len(scores))
	h.touched = h.touched[:0]
	for _, single := range [...]bool{true, false} {
		for _, b := range biases {
			if single != (len(b.IDs) == 1) || !completes(ids, b.IDs) {
				continue
			}
			last := b.IDs[len(b.IDs)-1]
			if h.add(last) {
				h.touched = append(h.touched, last)
			}
			h.bias[last] = clamp(h.bias[last] + float32(b.Value))
		}
	}
	for _, id := range h.touched {
		if s := scores[id]; s != removed {
			scores[id] = clamp(s + h.bias[id])
		}
		h.bias[id] = 0
	}
}

// completes reports whether the last id of sequence, drawn now, would complete it.
func completes(ids, sequence []int32) bool {
	if len(sequence) == 1 {
		return true
	}
	return len(sequence) <= len(ids) && endsWith(ids, sequence[:len(sequence)-1])
}

func endsWith(ids, tail []int32) bool {
	if len(tail) > len(ids) {
		return false
	}
	ids = ids[len(ids)-len(tail):]
	for i := len(tail) - 1; i >= 0; i-- {
		if ids[i] != tail[i] {
			return false
		}
	}
	return true
}

// banWords removes the last id of each sequence whose others end the context.
func banWords(scores []float32, ids []int32, words [][]int32) {
	for _, word := range words {
		if completes(ids, word) {
			scores[word[len(word)-1]] = removed
		}
	}
}

// banNgrams removes the ids that would complete, after the last n−1 ids, an n-gram that
// occurs in seen (Paulus et al., 2018).
func banNgrams(scores []float32, seen, ids []int32, n int) {
	if len(ids) < n-1 {
		return
	}
	tail := ids[len(ids)-(n-1):]
	for end := n - 1; end < len(seen); end++ {
		if endsWith(seen[:end], tail) {
			scores[seen[end]] = removed
		}
	}
}

// ban removes ids.
func ban(scores []float32, ids []int32) {
	for _, id := range ids {
		scores[id] = removed
	}
}

// force removes all but ids, which get the score 0.
func force(scores []float32, ids []int32) {
	for i := range scores {
		scores[i] = removed
	}
	for _, id := range ids {
		scores[id] = 0
	}
}

// allow removes all but ids.
func (h *history) allow(scores []float32, ids []int32) {
	h.begin(len(scores))
	for _, id := range ids {
		h.add(id)
	}
	for i, mark := range h.mark {
		if mark != h.epoch {
			scores[i] = removed
		}
	}
}

// keep removes the ids whose bit in mask is not set.
func keep(scores []float32, mask []uint64) {
	for w, word := range mask {
		block := scores[min(64*w, len(scores)):min(64*w+64, len(scores))]
		if word == 0 {
			for i := range block {
				block[i] = removed
			}
			continue
		}
		for left := ^word; left != 0; left &= left - 1 {
			if i := bits.TrailingZeros64(left); i < len(block) {
				block[i] = removed
			}
		}
	}
	for i := 64 * len(mask); i < len(scores); i++ {
		scores[i] = removed
	}
}
