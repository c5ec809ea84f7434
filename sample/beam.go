package sample

import (
	"fmt"
	"math"
)

// Beams is beam search for one prompt, exactly as transformers' _beam_search does it
// (4.57; generation.md §6): K running sequences, K slots of finished ones, and per step
// the max(2, 1+E)·K best continuations, E being the number of end ids. The caller runs the model on
// the running sequences and calls Step until Done:
//
//	for !beams.Done() {
//		logits := … // [1, V] after the prompt, then [K, V]: a row for each beam's last token
//		parents, tokens, err := beams.Step(logits)
//		… // beam i goes on from the cache of beam parents[i] with tokens[i]
//	}
//
// Sums are float32, ties go to the lower index (beam before beam, id before id, old slot
// before new). With a temperature the continuations are drawn without replacement instead
// (beam sampling), by the race of random.go. Not safe for concurrent use.
type Beams struct {
	opts      Options
	k, vocab  int
	promptLen int
	sampler   *Sampler
	stop      func(generated []int32) bool

	running, next []beam      // [K]
	slots, merged []slot      // [K]
	scores        []float32   // [K, V]: processed log-probabilities, then plus the beam's sum
	best          []candidate // max(2, 1+E)·K, best first
	parents       []int32
	tokens        []int32
	new           int  // tokens drawn for each running beam
	better        bool // a running beam may still become better than a finished one
	done          bool
}

type beam struct {
	ids []int32 // prompt included
	sum float32 // of log-probabilities

	// void beams only keep their number at K: copies of the first at the start, and what goes on
	// past its end where too few continuations do not stop. Their sums are near −1e9, but
	// those of real beams may be, too.
	void bool
}

// slot holds a finished beam, or waits for one with finished false and a score of −1e9.
type slot struct {
	ids      []int32 // without the prompt
	score    float32
	finished bool
	void     bool
	reason   FinishReason
}

// candidate is a continuation of a running beam.
type candidate struct {
	at     int     // beam·V + id
	rank   float64 // what it is ordered by: sum, or sum plus noise
	sum    float32
	stops  bool
	reason FinishReason
	used   bool
}

// FinishReason says why a sequence ended.
type FinishReason uint8

const (
	// FinishStop is an end id or a stop string.
	FinishStop FinishReason = iota + 1
	// FinishLength is MaxNewTokens.
	FinishLength
)

// String returns the words of OpenAI's API: stop or length.
func (r FinishReason) String() string {
	switch r {
	case FinishStop:
		return "stop"
	case FinishLength:
		return "length"
	}
	return fmt.Sprintf("FinishReason(%d)", uint8(r))
}

// MarshalText returns the word of OpenAI's API.
func (r FinishReason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// never is the reference's stand-in for −∞: what is added to a sum that may not win.
const never float32 = -1e9

// NewBeams starts beam search after prompt, on a model of vocab ids. sequence is that of
// [New]. stop, which may be nil, reports whether the ids drawn so far end the text for
// a reason other than an end id, such as a stop string; it must not keep the slice. The error is that of
// [Options.Validate]; fewer than two beams are an error too.
func NewBeams(opts Options, vocab int, sequence uint64, prompt []int32, stop func(generated []int32) bool) (*Beams, error) {
	if opts.Beams < 2 {
		return nil, fmt.Errorf("sample: Beams: %d, want at least 2 for beam search; for fewer use a Sampler", opts.Beams)
	}
	sampler, err := New(opts, vocab, sequence)
	if err != nil {
		return nil, err
	}
	k := opts.Beams
	b := &Beams{
		opts: opts, k: k, vocab: vocab, promptLen: len(prompt), sampler: sampler, stop: stop,
		running: make([]beam, k), next: make([]beam, k),
		slots: make([]slot, k), merged: make([]slot, k),
		scores:  make([]float32, k*vocab),
		parents: make([]int32, k), tokens: make([]int32, k),
		better: true,
	}
	for i := range k {
		b.running[i] = beam{append([]int32(nil), prompt...), never, true}
		b.slots[i].score = never
	}
	b.running[0].sum, b.running[0].void = 0, false
	return b, nil
}

// Done reports whether the search is over.
func (b *Beams) Done() bool { return b.done }

// Step takes the logits of the running beams' next tokens, [K, V], or [1, V] when all rows
// are equal, as they are after the prompt. It leaves logits alone. It returns, for each
// of the K beams that run on, the beam whose sequence it continues and the token that it
// appends; both slices are overwritten by the next Step, and of no use once Done. Logits that
// hold NaN or +∞ are an error, and so are processors that leave no continuation before
// any beam is finished; after that, they end the search.
func (b *Beams) Step(logits []float32) (parents, tokens []int32, err error) {
	if rows := len(logits) / b.vocab; b.done || len(logits) != rows*b.vocab || rows != b.k && (rows != 1 || b.new > 0) {
		panic(fmt.Sprintf("sample: Beams.Step: %d logits at step %d, done %v; want %d rows of %d (or 1 at first) before the end",
			len(logits), b.new, b.done, b.k, b.vocab))
	}
	if err := b.score(logits); err != nil {
		return nil, nil, err
	}
	if b.opts.Temperature > 0 {
		b.race()
	} else {
		b.rank()
	}
	if b.best[0].rank < -math.MaxFloat32 { // no beam can go on
		if b.done = len(b.Result()) > 0; b.done {
			return nil, nil, nil
		}
		return nil, nil, noneLeft(b.promptLen + b.new)
	}
	b.new++
	all := b.judge()
	b.advance()
	b.finish()
	b.improve()
	full := b.full()
	b.done = !b.better || full && b.opts.EarlyStopping == StopWhenFull || all
	return b.parents, b.tokens, nil
}

// score fills scores with the processed log-probabilities plus each beam's sum.
func (b *Beams) score(logits []float32) error {
	for i, beam := range b.running {
		row := b.scores[i*b.vocab : (i+1)*b.vocab]
		from := logits
		if len(logits) > b.vocab {
			from = logits[i*b.vocab : (i+1)*b.vocab]
		}
		for id, v := range from {
			if !(v <= math.MaxFloat32) && !b.opts.ReplaceInvalid {
				return notFinite(len(beam.ids), id, v)
			}
		}
		logSoftmax(row, from)
		if err := b.sampler.Process(row, beam.ids, b.promptLen); err != nil {
			return err
		}
		for id := range row {
			row[id] += beam.sum
		}
	}
	return nil
}

// keep is the number of continuations looked at in a step.
func (b *Beams) keep() int { return max(2, 1+len(b.opts.StopIDs)) * b.k }

// rank fills best with the highest sums, best first.
func (b *Beams) rank() {
	b.best = b.best[:0]
	for at, sum := range b.scores {
		if len(b.best) == b.keep() && float64(sum) <= b.best[0].rank {
			continue
		}
		b.offer(candidate{at: at, rank: float64(sum), sum: sum})
	}
	b.sort()
}

// race fills best with draws without replacement from the softmax of the sums.
func (b *Beams) race() {
	b.best = b.best[:0]
	position := b.promptLen + b.new
	for at, sum := range b.scores {
		rank := float64(sum)
		if len(b.best) == b.keep() && rank+maxGumbel < b.best[0].rank {
			continue // whatever its noise
		}
		if sum >= -math.MaxFloat32 {
			rank += gumbel(Uniform(b.opts.Seed, b.sampler.sequence, position, at))
		}
		b.offer(candidate{at: at, rank: rank, sum: sum})
	}
	b.sort()
}

// offer puts c among the best, a heap whose root is the worst. Candidates come by rising
// index, so an equal is not better.
func (b *Beams) offer(c candidate) {
	if len(b.best) == b.keep() {
		if c.rank > b.best[0].rank {
			b.best[0] = c
			b.sink(0, len(b.best))
		}
		return
	}
	b.best = append(b.best, c)
	if len(b.best) == b.keep() {
		for at := len(b.best)/2 - 1; at >= 0; at-- {
			b.sink(at, len(b.best))
		}
	}
}

// sort turns the heap into a list, best first.
func (b *Beams) sort() {
	for n := len(b.best) - 1; n > 0; n-- {
		b.best[0], b.best[n] = b.best[n], b.best[0]
		b.sink(0, n)
	}
}

func (b *Beams) sink(at, n int) {
	worse := func(x, y candidate) bool { return x.rank < y.rank || x.rank == y.rank && x.at > y.at }
	for {
		child := 2*at + 1
		if child >= n {
			return
		}
		if child+1 < n && worse(b.best[child+1], b.best[child]) {
			child++
		}
		if !worse(b.best[child], b.best[at]) {
			return
		}
		b.best[at], b.best[child] = b.best[child], b.best[at]
		at = child
	}
}

// judge finds out which candidates end here, and reports whether all do.
func (b *Beams) judge() (all bool) {
	all = true
	for i := range b.best {
		c := &b.best[i]
		id := int32(c.at % b.vocab)
		parent := &b.running[c.at/b.vocab]
		switch {
		case b.opts.ends(id):
			c.reason = FinishStop
		case b.stop != nil && b.stop(append(parent.ids, id)[b.promptLen:]):
			c.reason = FinishStop
		case b.new >= b.opts.MaxNewTokens:
			c.reason = FinishLength
		}
		c.stops = c.reason != 0
		all = all && c.stops
	}
	return all
}

// advance chooses the K best candidates that do not stop, and where there are fewer, the
// best of those that do, with a sum that keeps them from winning.
func (b *Beams) advance() {
	for i := range b.k {
		chosen, sum := -1, float32(0)
		for j := range b.best {
			c := &b.best[j]
			if c.used {
				continue
			}
			s := c.sum
			if c.stops {
				s += never
			}
			if chosen < 0 || s > sum {
				chosen, sum = j, s
			}
		}
		c := &b.best[chosen]
		c.used = true
		parent, id := c.at/b.vocab, int32(c.at%b.vocab)
		b.next[i].ids = append(append(b.next[i].ids[:0], b.running[parent].ids...), id)
		b.next[i].sum = sum
		b.next[i].void = b.running[parent].void || c.stops
		b.parents[i], b.tokens[i] = int32(parent), id
	}
}

// finish lets the candidates that stop, and are among the first K, into the slots, if their
// score beats what is there. running still holds the parents.
func (b *Beams) finish() {
	divisor := b.divisor(b.new)
	full := b.full() && b.opts.EarlyStopping == StopWhenFull
	score := func(j int) float32 {
		s := b.best[j].sum / divisor
		if full {
			s += never
		}
		if !b.better {
			s += never
		}
		if !b.best[j].stops || j >= b.k {
			s += never
		}
		return s
	}
	for j := range b.best {
		b.best[j].used = false
	}
	var taken [maxBeams]bool // of the old slots
	for i := range b.k {
		from, slotted, high := -1, true, float32(0)
		for j := range b.slots {
			if s := b.slots[j].score; !taken[j] && (from < 0 || s > high) {
				from, high = j, s
			}
		}
		for j := range b.best {
			if s := score(j); !b.best[j].used && (from < 0 || s > high) {
				from, high, slotted = j, s, false
			}
		}
		to := &b.merged[i]
		if slotted {
			taken[from] = true
			old := b.slots[from]
			ids := append(to.ids[:0], old.ids...)
			*to = old
			to.ids = ids
			continue
		}
		c := &b.best[from]
		c.used = true
		ids := append(to.ids[:0], b.running[c.at/b.vocab].ids[b.promptLen:]...)
		*to = slot{
			ids: append(ids, int32(c.at%b.vocab)), score: high,
			finished: c.stops && from < b.k, reason: c.reason, void: b.running[c.at/b.vocab].void,
		}
	}
	b.slots, b.merged = b.merged, b.slots
	b.running, b.next = b.next, b.running
}

// divisor returns n^LengthPenalty, kept from 0 and ∞.
func (b *Beams) divisor(n int) float32 {
	d := math.Pow(float64(n), b.opts.lengthPenalty())
	return float32(min(max(d, 1/math.MaxFloat32), math.MaxFloat32))
}

// full reports whether every slot holds a finished beam.
func (b *Beams) full() bool {
	for i := range b.slots {
		if !b.slots[i].finished {
			return false
		}
	}
	return true
}

// improve decides whether the best running beam may still beat a slot. A slot that waits
// counts as −1e9.
func (b *Beams) improve() {
	length := b.new
	if b.opts.EarlyStopping == StopWhenImpossible && b.opts.lengthPenalty() > 0 {
		length = b.opts.MaxNewTokens
	}
	possible := b.running[0].sum / b.divisor(length)
	worst := b.slots[len(b.slots)-1].score // they are sorted
	better := false
	for i := range b.slots {
		if b.slots[i].finished {
			better = better || possible > worst
		} else {
			better = better || possible > never
		}
	}
	b.better = b.better && better
}

// Running returns the ids of beam i, prompt included, valid until the next Step.
func (b *Beams) Running(i int) []int32 { return b.running[i].ids }

// Answer is one result of a search.
type Answer struct {
	IDs    []int32      // drawn, without the prompt, the end id included
	Score  float32      // sum of log-probabilities / len(IDs)^LengthPenalty
	Finish FinishReason // why it ended
}

// Result returns the Options.Returned best finished beams, best first; fewer only where
// the processors left fewer sequences, or before Done. The reference fills its rows up
// to the longest, which [Fill] does.
func (b *Beams) Result() []Answer {
	answers := make([]Answer, 0, max(1, b.opts.Returned))
	for _, s := range b.slots {
		if len(answers) < cap(answers) && s.finished && !s.void {
			answers = append(answers, Answer{append([]int32(nil), s.ids...), s.score, s.reason})
		}
	}
	return answers
}

// Fill returns the ids of answers, all as long as the longest: the shorter end in filler, as
// generate returns them. There filler is the pad id or, if that is 0 or missing, the
// first end id: 0 counts as missing, so Idefics2's pad id is never used.
func Fill(answers []Answer, filler int32) [][]int32 {
	longest := 0
	for _, a := range answers {
		longest = max(longest, len(a.IDs))
	}
	rows := make([][]int32, len(answers))
	for i, a := range answers {
		rows[i] = append(make([]int32, 0, longest), a.IDs...)
		for len(rows[i]) < longest {
			rows[i] = append(rows[i], filler)
		}
	}
	return rows
}
