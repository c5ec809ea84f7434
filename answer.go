package idefics2

import (
	"context"
	"iter"
	"math"
	"sync"
	"time"

	"idefics2/engine"
	"idefics2/processor"
	"idefics2/sample"
	"idefics2/tokenizer"
)

// Answer is a finished request, as "ask -json" prints it.
type Answer struct {
	ID       string        `json:"id,omitempty"`
	Model    string        `json:"model"`
	Adapter  string        `json:"adapter,omitempty"`
	Prompt   string        `json:"prompt"`
	InputIDs []int32       `json:"input_ids"`
	Images   []AnswerImage `json:"images"`
	Choice
	Choices []Choice `json:"choices,omitempty"` // with beams or several answers; the first is repeated above
	Timings Timings  `json:"timings"`
	Peak    uint64   `json:"peak_memory"` // bytes, of the process
}

// Choice is one of the answers.
type Choice struct {
	OutputIDs []int32   `json:"output_ids"` // every id drawn, the end token included
	Text      string    `json:"text"`       // without special tokens
	Score     *float32  `json:"score,omitempty"`
	Finish    string    `json:"finish_reason"` // "stop" or "length"
	Logprobs  []Logprob `json:"logprobs,omitempty"`
}

// Logprob is the log-probability of a drawn token under the unprocessed logits, and the
// most probable tokens in its place.
type Logprob struct {
	ID      int32            `json:"id"`
	Logprob float32          `json:"logprob"`
	Top     []sample.Logprob `json:"top"`
}

// AnswerImage says how a picture was read.
type AnswerImage struct {
	File   string   `json:"file"`
	Width  int      `json:"width"`
	Height int      `json:"height"`
	Crops  [][2]int `json:"crops"` // height and width after resizing
	Tokens int      `json:"tokens"`
}

// Timings are seconds, and the tokens they were spent on.
type Timings struct {
	Load         float64 `json:"load"`
	Image        float64 `json:"image"` // preparing pictures, vision tower and connector
	Prefill      float64 `json:"prefill"`
	Decode       float64 `json:"decode"`
	PromptTokens int     `json:"prompt_tokens"`
	OutputTokens int     `json:"output_tokens"`
}

// Reply is an answer on its way.
type Reply struct {
	cancel context.CancelCauseFunc

	mu     sync.Mutex
	deltas []Delta       // not yet taken
	more   chan struct{} // closed, and replaced, when there is more
	done   bool
	answer *Answer
	err    error
}

// Delta is what one of the answers grew by. Of beams nothing is known before the end.
type Delta struct {
	Choice int
	Text   string // never ends within a character
	// Tokens are those drawn since the choice's last delta, where Request.Logprobs asks for
	// them: their text may come later, and special tokens have none.
	Tokens []Logprob
	Finish string // "stop" or "length" in the choice's last delta, else ""
}

// Chat begins to answer a request. When ctx ends, so does the answer.
func (m *Model) Chat(ctx context.Context, r Request) *Reply {
	ctx, cancel := context.WithCancelCause(ctx)
	reply := &Reply{cancel: cancel, more: make(chan struct{})}
	go func() {
		answer, err := m.answer(ctx, r, reply)
		reply.end(answer, err)
		cancel(nil)
	}()
	return reply
}

// Text gives the pieces of the first answer's text as they arrive; a piece never ends
// within a character. The last pair holds the error, if there is one. Leaving the loop
// early ends the request.
func (r *Reply) Text() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for d, err := range r.Deltas() {
			if d.Choice == 0 && (d.Text != "" || err != nil) && !yield(d.Text, err) {
				return
			}
		}
	}
}

// Deltas gives what every answer grows by, as Text does for the first. What one of the two
// gave, neither gives again.
func (r *Reply) Deltas() iter.Seq2[Delta, error] {
	return func(yield func(Delta, error) bool) {
		for {
			deltas, more, done, err := r.take()
			for _, d := range deltas {
				if !yield(d, nil) {
					r.cancel(context.Canceled)
					return
				}
			}
			switch {
			case done && err != nil:
				yield(Delta{}, err)
				return
			case done:
				return
			case len(deltas) == 0:
				<-more
			}
		}
	}
}

// Answer waits for the end.
func (r *Reply) Answer() (*Answer, error) {
	for {
		r.mu.Lock()
		more, done, answer, err := r.more, r.done, r.answer, r.err
		r.mu.Unlock()
		if done {
			return answer, err
		}
		<-more
	}
}

func (r *Reply) take() (deltas []Delta, more <-chan struct{}, done bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	deltas, r.deltas = r.deltas, nil
	return deltas, r.more, r.done && deltas == nil, r.err
}

func (r *Reply) push(d Delta) {
	if d.Text == "" && len(d.Tokens) == 0 && d.Finish == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deltas = append(r.deltas, d)
	close(r.more)
	r.more = make(chan struct{})
}

func (r *Reply) end(answer *Answer, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done, r.answer, r.err = true, answer, err
	close(r.more)
	r.more = make(chan struct{})
}

// answer runs a request from messages to text.
func (m *Model) answer(ctx context.Context, r Request, reply *Reply) (*Answer, error) {
	start := time.Now()
	net, err := m.adapted(r.Adapter)
	if err != nil {
		return nil, err
	}
	select {
	case m.prepare <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	ready, err := m.processor.process(ctx, &r)
	<-m.prepare
	if err != nil {
		return nil, err
	}
	prepared := time.Since(start)

	options, err := m.options(&r)
	if err != nil {
		return nil, err
	}
	w := newWriter(m.processor.Tokenizer(), options, reply)
	w.logprobs = r.Logprobs != nil
	result, err := m.engine.Do(ctx, engine.Request{
		Input: &ready.Input, Model: net, Options: options, Guess: !r.NoLookup, Logprobs: r.Logprobs != nil,
		Token: w.token, Stop: w.stopsBeam, Progress: r.report,
	})
	if err != nil {
		return nil, err
	}
	w.flush()
	a := &Answer{ID: r.ID, Model: m.name, Adapter: r.Adapter, Prompt: ready.Prompt, InputIDs: ready.Input.IDs, Images: answerImages(ready.Images)}
	for i := range result.Answers {
		a.Choices = append(a.Choices, w.choice(i, &result.Answers[i], r.Logprobs != nil, options.Beams > 1))
		a.Timings.OutputTokens += len(result.Answers[i].Tokens)
	}
	if len(a.Choices) > 0 {
		a.Choice = a.Choices[0]
	}
	if options.Beams > 1 {
		for i, c := range a.Choices {
			reply.push(Delta{Choice: i, Text: c.Text, Tokens: c.Logprobs})
		}
	}
	for i, c := range a.Choices {
		reply.push(Delta{Choice: i, Finish: c.Finish})
	}
	if options.Beams <= 1 && len(a.Choices) == 1 {
		a.Choices = nil
	}
	if a.Choices != nil {
		a.Choice.Score = nil
	}
	a.Timings.Load = m.load.Seconds()
	a.Timings.Image = (prepared + result.Image).Seconds()
	a.Timings.Prefill = result.Prefill.Seconds()
	a.Timings.Decode = result.Decode.Seconds()
	a.Timings.PromptTokens = len(ready.Input.IDs)
	a.Peak = PeakMemory()
	return a, nil
}

func answerImages(images []processor.Image) []AnswerImage {
	out := make([]AnswerImage, len(images))
	for i := range images {
		from := &images[i]
		out[i] = AnswerImage{File: from.Name, Width: from.RGB.Width, Height: from.RGB.Height, Tokens: from.Tokens}
		for j := range from.Crops {
			out[i].Crops = append(out[i].Crops, [2]int{from.Crops[j].RGB.Height, from.Crops[j].RGB.Width})
		}
	}
	return out
}

// writer turns ids into text while they are drawn, and finds the stop strings.
type writer struct {
	tokenizer *tokenizer.Tokenizer
	stops     []string
	reply     *Reply
	logprobs  bool      // are shown
	streams   []*stream // of each answer
}

// stream is the text of one answer.
type stream struct {
	text  *tokenizer.Stream
	stops *sample.Stops
	whole []byte
}

func newWriter(t *tokenizer.Tokenizer, o sample.Options, reply *Reply) *writer {
	w := &writer{tokenizer: t, stops: o.StopStrings, reply: reply}
	if o.Beams <= 1 {
		for range max(1, o.Returned) {
			w.streams = append(w.streams, w.stream())
		}
	}
	return w
}

func (w *writer) stream() *stream {
	stops, err := sample.NewStops(w.stops...)
	if err != nil {
		panic(err) // options were validated
	}
	return &stream{text: w.tokenizer.Stream(false), stops: stops}
}

// token takes the next id of an answer and reports whether its text ends with it.
func (w *writer) token(answer int, t engine.Token) (stop bool) {
	s := w.streams[answer]
	piece, stop := s.stops.Push(s.text.Push(t.ID))
	if held := s.text.Held(); !stop && s.stops.Completes(held) {
		// A run of byte tokens, such as a newline, is not given out before its end, but an
		// answer must not draw one token more than its stop string needs.
		rest, _ := s.stops.Push(s.text.Flush())
		piece, stop = piece+rest, true
	}
	var drawn []Logprob
	if w.logprobs {
		drawn = []Logprob{finite(t)}
	}
	w.emit(answer, piece, drawn)
	return stop
}

func (w *writer) emit(answer int, piece string, drawn []Logprob) {
	s := w.streams[answer]
	s.whole = append(s.whole, piece...)
	w.reply.push(Delta{Choice: answer, Text: piece, Tokens: drawn})
}

// flush gives out what could still have become a character or a stop string.
func (w *writer) flush() {
	for i, s := range w.streams {
		if !s.stops.Stopped() {
			piece, _ := s.stops.Push(s.text.Flush())
			w.emit(i, piece, nil)
		}
		if !s.stops.Stopped() {
			w.emit(i, s.stops.Flush(), nil)
		}
	}
}

// stopsBeam reports whether the text of the ids holds a stop string.
func (w *writer) stopsBeam(ids []int32) bool {
	if len(w.stops) == 0 {
		return false
	}
	_, stopped := w.cut(ids)
	return stopped
}

// cut returns the text of ids up to the first stop string.
func (w *writer) cut(ids []int32) (text string, stopped bool) {
	stops := w.stream().stops
	text, stopped = stops.Push(w.tokenizer.Decode(ids, false))
	if !stopped {
		text += stops.Flush()
	}
	return text, stopped
}

// choice writes answer i.
func (w *writer) choice(i int, a *engine.Answer, logprobs, beam bool) Choice {
	c := Choice{OutputIDs: make([]int32, len(a.Tokens)), Finish: a.Finish.String()}
	for k, t := range a.Tokens {
		c.OutputIDs[k] = t.ID
		if logprobs {
			c.Logprobs = append(c.Logprobs, finite(t))
		}
	}
	if beam {
		c.Text, _ = w.cut(c.OutputIDs)
		c.Score = &a.Score
	} else {
		c.Text = string(w.streams[i].whole)
	}
	return c
}

// finite writes a token's log-probabilities; JSON has no −∞.
func finite(t engine.Token) Logprob {
	least := func(v float32) float32 { return max(v, -math.MaxFloat32) }
	l := Logprob{ID: t.ID, Logprob: least(t.Logprob), Top: t.Top}
	for i := range l.Top {
		l.Top[i].Logprob = least(l.Top[i].Logprob)
	}
	if l.Top == nil {
		l.Top = []sample.Logprob{}
	}
	return l
}
