package engine

import (
	"context"
	"fmt"
	"time"

	"idefics2/input"
	"idefics2/kvcache"
	"idefics2/model"
	"idefics2/model/text"
	"idefics2/sample"
	"idefics2/tensor"
)

// Request is one prompt and how to answer it.
type Request struct {
	Input *input.Input
	// Model answers in place of the engine's own: one that was made by its Share. nil is the engine's.
	Model   *model.Model
	Options sample.Options // MaxNewTokens 0: to the model's last position
	// Guess uses prompt lookup where it pays, unless Options ask for it: see drafts. It never
	// changes an answer.
	Guess bool
	// Logprobs asks for the log-probability of every token, and Options.Logprobs for that
	// many alternatives.
	Logprobs bool
	// Token, if not nil, is called as tokens are drawn, by the engine's goroutine: it must
	// not wait. When it reports true the answer ends there with FinishStop. Beams are
	// delivered by Result alone.
	Token func(answer int, t Token) (stop bool)
	// Stop, if not nil, makes the predicate by which a beam ends: see sample.NewBeams.
	Stop func(generated []int32) bool
	// Progress, if not nil, is called by the engine's goroutine with the stages "image"
	// (crops) and "prefill" (positions).
	Progress func(stage string, done, all int)
}

// Token is one drawn id.
type Token struct {
	ID      int32
	Logprob float32          // natural logarithm, of the unprocessed logits; 0 unless asked for
	Top     []sample.Logprob // Options.Logprobs alternatives, best first
}

// Result is what became of a request.
type Result struct {
	Answers []Answer
	// Where the time went, waiting included.
	Image, Prefill, Decode time.Duration
}

// Answer is one of the answers.
type Answer struct {
	Tokens []Token // the end id included
	Score  float32 // of a beam
	Finish sample.FinishReason
}

// Do answers a request. It returns as soon as ctx is done, even during a pass.
func (e *Engine) Do(ctx context.Context, r Request) (*Result, error) {
	j, err := e.newJob(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := e.enqueue(j); err != nil {
		return nil, err
	}
	select {
	case <-j.done:
	case <-ctx.Done():
		select {
		case <-j.done: // it was finished all the same
		default:
			e.leave()
			return nil, context.Cause(ctx)
		}
	}
	if j.err != nil {
		return nil, j.err
	}
	return &j.result, nil
}

// job is a request in the engine.
type job struct {
	engine   *Engine
	model    *model.Model
	ctx      context.Context
	request  Request
	alone    func(*model.Model) error // Exclusive
	done     chan struct{}
	finished bool
	err      error
	result   Result
	since    time.Time
	pages    int // reserved

	crops   int        // that are encoded
	latents tensor.Mat // [crops·L, C]
	prompt  *kvcache.Sequence
	image   int // latents that the cached part of the prompt took
	ready   bool

	answers []*answer
	beams   *sample.Beams
	pasts   []*kvcache.Sequence // of the beams
	tokens  []int32             // the beams' next
	first   []float32           // the logits [V] after the prompt, where beams want log-probabilities
}

// answer is one sequence being drawn.
type answer struct {
	sampler *sample.Sampler
	past    *kvcache.Sequence
	ids     []int32 // prompt, tokens drawn, and during a pass the draft
	drafted int
	guesses guesses // where the request lets the engine choose
	drawn   []int32 // by the last pass
	done    bool
}

// newJob checks a request against the model and plans its memory.
func (e *Engine) newJob(ctx context.Context, r Request) (*job, error) {
	m := r.Model
	if m == nil {
		m = e.model
	}
	if err := m.CheckInput(r.Input); err != nil {
		return nil, err
	}
	prompt, limit := len(r.Input.IDs), m.Config.Text.MaxPositions
	if prompt == 0 {
		return nil, fmt.Errorf("engine: the prompt is empty")
	}
	if prompt >= limit {
		return nil, fmt.Errorf("engine: the prompt has %d tokens, and the model ends at %d positions, the answer included; shorten it, send fewer images or don't split them", prompt, limit)
	}
	o := &r.Options
	if o.MaxNewTokens == 0 || o.MaxNewTokens > limit-prompt {
		o.MaxNewTokens = limit - prompt
	}
	if r.Guess = r.Guess && o.LookupTokens == 0 && o.Beams <= 1; r.Guess {
		o.LookupTokens = adaptiveDraft
	}
	if err := o.Validate(m.Text.Vocabulary()); err != nil {
		return nil, err
	}
	j := &job{engine: e, model: m, ctx: ctx, request: r, done: make(chan struct{}), since: time.Now()}
	sequences := max(1, o.Returned, o.Beams)
	live := func(positions int) int { // pages that are held at once
		if w := m.Text.Window; w > 0 {
			positions = min(positions, w+e.options.PassRows)
		}
		return (positions+kvcache.PageLen-1)/kvcache.PageLen + 1
	}
	j.pages = live(prompt) + sequences*(live(o.MaxNewTokens+o.LookupTokens)+1)
	if j.pages > e.pages {
		size := int64(e.cache.Shape().PageBytes())
		return nil, fmt.Errorf("engine: %d prompt tokens and %d answers of up to %d need %d MiB of keys and values, and %d MiB are allowed; ask for fewer tokens, or allow more",
			prompt, sequences, o.MaxNewTokens, int64(j.pages)*size>>20, int64(e.pages)*size>>20)
	}
	j.latents = tensor.NewMat(len(r.Input.Crops)*m.Latents(), m.Text.Width())
	j.prompt = e.cache.NewSequence()
	return j, j.start(m.Text.Vocabulary())
}

// start makes the samplers.
func (j *job) start(vocab int) (err error) {
	r := &j.request
	if r.Options.Beams > 1 {
		j.beams, err = sample.NewBeams(r.Options, vocab, 0, r.Input.IDs, r.Stop)
		return err
	}
	for i := range max(1, r.Options.Returned) {
		s, err := sample.New(r.Options, vocab, uint64(i))
		if err != nil {
			return err
		}
		j.answers = append(j.answers, &answer{sampler: s, ids: append([]int32(nil), r.Input.IDs...)})
		j.result.Answers = append(j.result.Answers, Answer{})
	}
	return nil
}

// free gives back what a request holds in the cache.
func (j *job) free() {
	if j.prompt != nil {
		j.prompt.Free()
	}
	for _, a := range j.answers {
		if a.past != nil {
			a.past.Free()
		}
	}
	for _, p := range j.pasts {
		p.Free()
	}
}

func (j *job) encoded() bool { return j.alone == nil && j.crops == len(j.request.Input.Crops) }

func (j *job) progress(stage string, done, all int) {
	if j.request.Progress != nil {
		j.request.Progress(stage, done, all)
	}
}

// mark adds the time since the last mark to a stage.
func (j *job) mark(stage *time.Duration) {
	now := time.Now()
	*stage += now.Sub(j.since)
	j.since = now
}

// chunk returns the next part of the prompt, at most rows long. Only the last part's last
// row wants logits.
func (j *job) chunk(rows int, m *model.Model) model.Segment {
	ids := j.request.Input.IDs
	at := j.prompt.Len()
	to := min(at+rows, len(ids))
	s := model.Segment{
		Segment: text.Segment{Past: j.prompt},
		IDs:     ids[at:to],
		Latents: j.latents.Slice(j.image, j.latents.Rows),
	}
	j.image += m.ImageTokens(s.IDs)
	if to == len(ids) {
		s.Wanted = 1
	}
	return s
}

// promptPass goes on after a part of the prompt; logits [1, V] are there after the last.
func (j *job) promptPass(logits tensor.Mat, rows int) (done bool, err error) {
	j.engine.forget(j.prompt)
	j.progress("prefill", j.prompt.Len(), len(j.request.Input.IDs))
	if logits.Rows == 0 {
		return false, nil
	}
	j.mark(&j.result.Prefill)
	j.ready = true
	if j.beams != nil {
		if j.request.Logprobs {
			j.first = append(j.first, logits.Data...)
		}
		for range j.request.Options.Beams {
			j.pasts = append(j.pasts, j.prompt.Fork())
		}
		return j.stepBeams(logits)
	}
	done = true
	for i, a := range j.answers {
		a.past = j.prompt.Fork()
		if err := j.draw(i, logits); err != nil {
			return false, err
		}
		done = done && a.done
	}
	j.prompt.Free()
	return done, nil
}

// segments appends what each running answer or beam wants to read next: its last token,
// and a draft if it has one. Alone says that the pass has nothing else to do.
func (j *job) segments(batch []model.Segment, owners []owner, alone bool) ([]model.Segment, []owner) {
	if j.beams != nil {
		for i, past := range j.pasts {
			batch = append(batch, model.Segment{Segment: text.Segment{Past: past, Wanted: 1}, IDs: j.tokens[i : i+1]})
			owners = append(owners, owner{j, i})
		}
		return batch, owners
	}
	for i, a := range j.answers {
		if a.done {
			continue
		}
		var draft []int32
		if !j.request.Guess || alone {
			draft = a.sampler.Draft(a.ids, len(j.request.Input.IDs), j.engine.neverDraft)
		}
		if j.request.Guess && len(draft) > 0 && !a.guesses.pay(&j.engine.drafts, len(draft)) {
			draft = nil
		}
		a.drafted = len(draft)
		a.ids = append(a.ids, draft...)
		next := a.ids[a.past.Len():]
		batch = append(batch, model.Segment{Segment: text.Segment{Past: a.past, Wanted: len(next)}, IDs: next})
		owners = append(owners, owner{j, i})
	}
	return batch, owners
}

// answerPass goes on after a pass over the segments of one request.
func (j *job) answerPass(logits tensor.Mat, batch []model.Segment, owners []owner) (done bool, err error) {
	if j.beams != nil {
		return j.stepBeams(logits)
	}
	row := 0
	for k, o := range owners {
		n := batch[k].Wanted
		if err := j.draw(o.i, logits.Slice(row, row+n)); err != nil {
			return false, err
		}
		row += n
	}
	done = true
	for _, a := range j.answers {
		done = done && a.done
	}
	if done {
		j.mark(&j.result.Decode)
	}
	return done, nil
}

// draw takes the next tokens of answer i from the logits of its last token and its draft.
func (j *job) draw(i int, logits tensor.Mat) (err error) {
	a, r := j.answers[i], &j.request
	prompt := len(r.Input.IDs)
	a.drawn, err = a.sampler.Verify(a.drawn[:0], logits.Data, a.ids, prompt, a.drafted)
	if err != nil {
		return err
	}
	a.ids = a.ids[:len(a.ids)-a.drafted]
	if a.drafted > 0 {
		a.guesses.verified(len(a.drawn) - 1)
	}
	a.drafted = 0
	out := &j.result.Answers[i]
	for k, id := range a.drawn {
		t := Token{ID: id}
		if r.Logprobs {
			t.Top = make([]sample.Logprob, r.Options.Logprobs)
			t.Logprob = sample.Logprobs(logits.Row(k), id, t.Top)
		}
		a.ids = append(a.ids, id)
		out.Tokens = append(out.Tokens, t)
		stop := r.Token != nil && r.Token(i, t)
		switch {
		case stop || ends(r.Options.StopIDs, id):
			out.Finish = sample.FinishStop
		case len(a.ids)-prompt >= r.Options.MaxNewTokens:
			out.Finish = sample.FinishLength
		default:
			continue
		}
		a.done = true
		a.past.Free()
		return nil
	}
	a.past.Truncate(len(a.ids) - 1)
	j.engine.forget(a.past)
	return nil
}

func ends(ids []int32, id int32) bool {
	for _, end := range ids {
		if end == id {
			return true
		}
	}
	return false
}

// stepBeams goes on from the logits of the running beams, [1, V] after the prompt.
func (j *job) stepBeams(logits tensor.Mat) (done bool, err error) {
	parents, tokens, err := j.beams.Step(logits.Data)
	if err != nil {
		return false, err
	}
	if j.beams.Done() {
		j.mark(&j.result.Decode)
		for _, b := range j.beams.Result() {
			a := Answer{Score: b.Score, Finish: b.Finish}
			for _, id := range b.IDs {
				a.Tokens = append(a.Tokens, Token{ID: id})
			}
			j.result.Answers = append(j.result.Answers, a)
		}
		return true, nil
	}
	next := make([]*kvcache.Sequence, len(parents))
	for i, p := range parents {
		next[i] = j.pasts[p].Fork()
		j.engine.forget(next[i])
	}
	for _, p := range j.pasts {
		p.Free()
	}
	j.pasts, j.tokens = next, append(j.tokens[:0], tokens...)
	return false, nil
}

// explain adds the log-probabilities of finished beams: they are read once more, after
// the prompt, which gives the bits that writing them gave.
func (e *Engine) explain(j *job) error {
	r := &j.request
	for _, p := range j.pasts {
		p.Free()
	}
	j.pasts = nil
	for i := range j.result.Answers {
		tokens := j.result.Answers[i].Tokens
		var ids []int32
		for k := range tokens {
			tokens[k].Top = make([]sample.Logprob, r.Options.Logprobs)
			ids = append(ids, tokens[k].ID)
		}
		tokens[0].Logprob = sample.Logprobs(j.first, ids[0], tokens[0].Top)
		if len(ids) == 1 {
			continue
		}
		past := j.prompt.Fork()
		j.pasts = append(j.pasts, past)
		read := ids[:len(ids)-1]
		logits, err := j.model.Decode([]model.Segment{{Segment: text.Segment{Past: past, Wanted: len(read)}, IDs: read}}, nil)
		if err != nil {
			return err
		}
		for k := range read {
			tokens[k+1].Logprob = sample.Logprobs(logits.Row(k), ids[k+1], tokens[k+1].Top)
		}
	}
	return nil
}
