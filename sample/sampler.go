// Package sample goes from logits to ids: the logits processors of the reference
// (transformers' generate) in its order and arithmetic, greedy choice, sampling, beam
// search, drafts by prompt lookup, log-probabilities and stop strings. It knows neither
// model nor text: rows of float32 scores [V] and ids go in, ids come out, so that every
// caller, whatever it batches, gets what a sequence would get alone.
package sample

import (
	"fmt"
	"math"
)

// A Sampler draws the ids of one sequence. It holds no history, only scratch memory,
// which is allocated at first use: then nothing is allocated per token. It is not
// safe for concurrent use; sequences have one each.
type Sampler struct {
	opts     Options
	vocab    int
	sequence uint64
	keep     int       // entries that filters 18 to 23 never remove
	badWords [][]int32 // without single end ids
	scores   []float32 // [V], the processed row
	sums     []float64 // of the weights of left, in Draw
	left     []int32   // ids that a draw chooses from
	history  history
	filters  filters
}

// New returns a sampler for answer number sequence of a request, to a model of vocab
// ids. The answers of one request differ by that number alone; see [Uniform]. The error
// is that of [Options.Validate]. The slices in opts are kept and must not change.
func New(opts Options, vocab int, sequence uint64) (*Sampler, error) {
	if err := opts.Validate(vocab); err != nil {
		return nil, err
	}
	s := &Sampler{opts: opts, vocab: vocab, sequence: sequence, keep: 1}
	if opts.Beams > 1 {
		// So that a beam can go on when every end id is likely.
		s.keep = max(2, 1+len(opts.StopIDs))
	}
	for _, word := range opts.BadWords {
		if len(word) > 1 || !opts.ends(word[0]) {
			s.badWords = append(s.badWords, word)
		}
	}
	return s, nil
}

// Process changes scores [V], the next token's logits (log-probabilities in beam search),
// in place. ids is the whole history, of which the first promptLen are the prompt; all
// must be below V. Places in the reference's order (generation/utils.py,
// _get_logits_processor) are numbered; OpenAI's two penalties share place 4. Place 1 is
// [Guide]. Removed scores are −∞, and any number of them may be. NaN and +∞ in scores are
// an error, unless Options.ReplaceInvalid.
func (s *Sampler) Process(scores []float32, ids []int32, promptLen int) error {
	o, h := &s.opts, &s.history
	if err := s.check(scores, ids, promptLen); err != nil {
		return err
	}
	generated := len(ids) - promptLen
	if len(o.Bias) > 0 { // 2
		h.addBias(scores, ids, o.Bias)
	}
	if p := o.EncoderRepetitionPenalty; p != 0 && p != 1 { // 3
		h.repetition(scores, ids[:promptLen], float32(1/p))
	}
	if p := o.RepetitionPenalty; p != 0 && p != 1 { // 4
		h.repetition(scores, ids, float32(p))
	}
	if o.FrequencyPenalty != 0 || o.PresencePenalty != 0 {
		h.frequency(scores, ids[promptLen:], float32(o.FrequencyPenalty), float32(o.PresencePenalty))
	}
	if o.NoRepeatNgram > 0 { // 5
		banNgrams(scores, ids, ids, o.NoRepeatNgram)
	}
	if o.EncoderNoRepeatNgram > 0 { // 6
		banNgrams(scores, ids[:promptLen], ids, o.EncoderNoRepeatNgram)
	}
	banWords(scores, ids, s.badWords)                                                // 7
	if generated < o.MinNewTokens || o.MinNewTokens == 0 && len(ids) < o.MinLength { // 8, 9
		ban(scores, o.StopIDs)
	}
	if o.Allowed != nil { // 10
		h.allow(scores, o.Allowed(ids))
	}
	if len(o.ForcedBOS) > 0 && len(ids) == 1 { // 11
		force(scores, o.ForcedBOS)
	}
	if len(o.ForcedEOS) > 0 && generated == o.MaxNewTokens-1 { // 12
		force(scores, o.ForcedEOS)
	}
	if o.ReplaceInvalid { // 13
		replaceInvalid(scores)
	}
	if k := generated - o.ExponentialDecay.Start; k > 0 && o.ExponentialDecay.Factor != 0 { // 14
		s.decay(scores, k)
	}
	ban(scores, o.Suppress)                                                                                   // 15
	if begin := len(o.ForcedBOS) > 0 && promptLen == 1; generated == 0 && !begin || generated == 1 && begin { // 16
		ban(scores, o.SuppressAtBegin)
	}
	if o.Constraint != nil { // last of all that removes: nothing may bring back what it takes
		mask, err := o.Constraint.Mask(ids[promptLen:])
		if err != nil {
			return fmt.Errorf("sample: position %d: %w", len(ids), err)
		}
		keep(scores, mask)
	}
	if o.Temperature > 0 {
		s.filter(scores)
	}
	if o.RenormalizeLogits { // 24
		LogSoftmax(scores)
	}
	return nil
}

// filter applies what only sampling does.
func (s *Sampler) filter(scores []float32) {
	o, f := &s.opts, &s.filters
	if o.Temperature != 1 { // 17
		temperature(scores, float32(o.Temperature))
	}
	if o.TopK > 0 { // 18
		f.topK(scores, max(o.TopK, s.keep))
	}
	if 0 < o.TopP && o.TopP < 1 { // 19
		f.topP(scores, o.TopP, s.keep)
	}
	if o.MinP > 0 { // 20
		f.minP(scores, float32(o.MinP), s.keep)
	}
	if 0 < o.TypicalP && o.TypicalP < 1 { // 21
		f.typicalP(scores, float32(o.TypicalP), s.keep)
	}
	if 0 < o.EpsilonCutoff && o.EpsilonCutoff < 1 { // 22
		f.epsilon(scores, float32(o.EpsilonCutoff), s.keep)
	}
	if 0 < o.EtaCutoff && o.EtaCutoff < 1 { // 23
		f.eta(scores, float32(o.EtaCutoff), s.keep)
	}
}

// check panics where a caller's shapes are wrong, and refuses a row that a model should not
// have made.
func (s *Sampler) check(scores []float32, ids []int32, promptLen int) error {
	if len(scores) != s.vocab || promptLen < 0 || promptLen > len(ids) {
		panic(fmt.Sprintf("sample: Process: %d scores and a prompt of %d in %d ids, want %d scores and a prompt within the ids",
			len(scores), promptLen, len(ids), s.vocab))
	}
	if s.opts.ReplaceInvalid {
		return nil
	}
	for i, v := range scores {
		if !(v <= math.MaxFloat32) {
			return notFinite(len(ids), i, v)
		}
	}
	return nil
}

func notFinite(position, id int, v float32) error {
	return fmt.Errorf("sample: position %d: logits are not finite: id %d has %v, want a number; "+
		"the weights or the arithmetic that made them are damaged", position, id, v)
}

// replaceInvalid makes NaN 0 and infinities ±the largest float32, those of removed ids too:
// the reference's InfNanRemoveLogitsProcessor does so.
func replaceInvalid(scores []float32) {
	for i, v := range scores {
		if v != v {
			scores[i] = 0
		} else {
			scores[i] = clamp(v)
		}
	}
}

// decay adds |s|·(factor^k − 1) to the end ids. One that is removed stays so, where the
// reference gets NaN.
func (s *Sampler) decay(scores []float32, k int) {
	grow := clamp(float32(math.Pow(s.opts.ExponentialDecay.Factor, float64(k)) - 1))
	for i, id := range s.opts.StopIDs {
		v := scores[id]
		if v == removed || contains(s.opts.StopIDs[:i], id) {
			continue
		}
		scores[id] = clamp(v + float32(float32(math.Abs(float64(v)))*grow))
	}
}

func contains(ids []int32, id int32) bool {
	for _, other := range ids {
		if other == id {
			return true
		}
	}
	return false
}

// Guide is place 1 of the order, classifier-free guidance (Ho & Salimans, 2022): it replaces
// scores [V] by u + scale·(c − u), with c and u the log-softmax of scores and of uncond
// [V], the logits of a run whose prompt is only the last prompt token. Both are changed.
// Scale 1 gives c.
func Guide(scores, uncond []float32, scale float32) {
	if len(scores) != len(uncond) {
		panic(fmt.Sprintf("sample: Guide: %d scores and %d, want equal lengths", len(scores), len(uncond)))
	}
	LogSoftmax(scores)
	if scale == 1 {
		return
	}
	LogSoftmax(uncond)
	for i, u := range uncond {
		scores[i] = float32(scale*(scores[i]-u)) + u
	}
}
