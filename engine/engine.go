// Package engine runs many sequences on one model: ids and latents in, ids out. One
// goroutine owns the model and makes one pass after another; requests join and leave
// between passes, and an answer has the very bits that it has alone.
package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"idefics2/kvcache"
	"idefics2/model"
	"idefics2/tensor"
)

// Options are the caller's choices; the zero value works.
type Options struct {
	// CacheBytes bounds the keys and values of all sequences; 0 means 4 GiB. Requests wait
	// until their share is free, and one that never fits is refused.
	CacheBytes int64
	// CacheType is what keys and values are kept as: F32, which is also what zero stands for,
	// BF16 or Q8_0, in half and about a quarter of the memory; see docs/numerics.md for what
	// it costs.
	CacheType tensor.DType
	// FeatureBytes bounds the image latents that are kept for the next time the same
	// picture comes; 0 means 256 MiB, and less than 0 none.
	FeatureBytes int64
	// PassRows bounds the positions of one pass, so that a long prompt does not stall the
	// other sequences; 0 means DefaultPassRows.
	PassRows int
	// Borrowed leaves the model open when the engine is closed, for who answers with it between other work.
	Borrowed bool
}

// DefaultPassRows is enough rows to use each weight many times while it is in the cache.
const DefaultPassRows = 512

func (o Options) complete() Options {
	if o.CacheBytes == 0 {
		o.CacheBytes = 4 << 30
	}
	if o.FeatureBytes == 0 {
		o.FeatureBytes = 256 << 20
	}
	if o.PassRows <= 0 {
		o.PassRows = DefaultPassRows
	}
	return o
}

// ErrClosed is returned for requests that an engine was closed under.
var ErrClosed = errors.New("engine: closed")

// Engine is safe for use by many goroutines.
type Engine struct {
	model   *model.Model
	options Options
	cache   *kvcache.Cache
	pages   int // the cache's limit
	wake    chan struct{}
	stopped chan struct{}

	mu     sync.Mutex // holds what is below
	queue  []*job
	pass   []*job // whose work the running pass does
	closed bool

	// The engine's goroutine owns what follows.
	active   []*job
	models   []*model.Model // see listModels
	reserved int            // pages
	features features
	drafts   drafts
	batch    []model.Segment
	owners   []owner
	broken   error
}

// New starts the engine. The model is its own from now on, and closed with it unless it is borrowed.
func New(m *model.Model, o Options) *Engine {
	o = o.complete()
	shape := m.Text.CacheShape()
	shape.Type = o.CacheType
	pages := int(min(o.CacheBytes/int64(shape.PageBytes()), 1<<30))
	e := &Engine{
		model: m, options: o, pages: max(1, pages),
		cache:    kvcache.New(shape, max(1, pages)),
		wake:     make(chan struct{}, 1),
		stopped:  make(chan struct{}),
		features: features{limit: o.FeatureBytes},
	}
	go e.run()
	return e
}

// Close ends the requests that run with ErrClosed, waits for the pass in progress and
// closes the model.
func (e *Engine) Close() {
	e.mu.Lock()
	first := !e.closed
	e.closed = true
	e.mu.Unlock()
	if first {
		e.signal()
	}
	<-e.stopped
}

// Exclusive calls f with the model between two passes, when no one else uses it. It is for
// measurements and traces.
func (e *Engine) Exclusive(ctx context.Context, f func(m *model.Model) error) error {
	j := &job{model: e.model, ctx: ctx, alone: f, done: make(chan struct{})}
	if err := e.enqueue(j); err != nil {
		return err
	}
	select {
	case <-j.done:
	case <-ctx.Done():
		e.leave()
		<-j.done // f may use what the caller owns
	}
	return j.err
}

func (e *Engine) enqueue(j *job) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	e.queue = append(e.queue, j)
	e.signal()
	return nil
}

func (e *Engine) signal() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// run is the engine's goroutine.
func (e *Engine) run() {
	defer close(e.stopped)
	if !e.options.Borrowed {
		defer e.model.Close()
	}
	for {
		if e.admit() {
			e.fail(ErrClosed)
			return
		}
		if len(e.active) == 0 {
			<-e.wake
			continue
		}
		if err := e.step(); err != nil {
			e.fail(err)
		}
	}
}

// admit takes requests from the queue, first come first served, while their pages can be
// reserved. It reports whether the engine was closed.
func (e *Engine) admit() (closed bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		e.active = append(e.active, e.queue...)
		e.queue = nil
		return true
	}
	for len(e.queue) > 0 {
		j := e.queue[0]
		gone := j.ctx.Err() != nil
		if !gone && len(e.active) > 0 && e.reserved+j.pages > e.pages {
			break
		}
		e.queue = e.queue[1:]
		e.active = append(e.active, j)
		e.reserved += j.pages
	}
	return false
}

// fail ends every active request.
func (e *Engine) fail(err error) {
	for _, j := range e.active {
		e.finish(j, err)
	}
	e.sweep()
}

// finish ends a request; sweep removes it.
func (e *Engine) finish(j *job, err error) {
	if j.finished {
		return
	}
	j.finished, j.err = true, err
	j.free()
	close(j.done)
}

func (e *Engine) sweep() {
	kept := e.active[:0]
	for _, j := range e.active {
		if j.finished {
			e.reserved -= j.pages
		} else {
			kept = append(kept, j)
		}
	}
	clear(e.active[len(kept):])
	e.active = kept
}

// step makes one pass: the next crops of one request through the vision tower, then one
// decoder pass over all requests that are ready, for each model that they are of. A panic is a bug of ours; the requests
// get it as an error and the process lives.
func (e *Engine) step() (err error) {
	defer func() {
		if p := recover(); p != nil {
			e.broken = fmt.Errorf("engine: internal error: %v\n%s", p, debug.Stack())
			err = e.broken
		}
	}()
	if e.broken != nil {
		return e.broken
	}
	for _, j := range e.active {
		if err := j.ctx.Err(); err != nil {
			e.finish(j, context.Cause(j.ctx))
		} else if j.alone != nil {
			e.begin(j)
			err := j.alone(j.model)
			if e.end() {
				err = context.Cause(j.ctx)
			}
			e.finish(j, err)
		}
	}
	e.sweep()
	for _, j := range e.active {
		if !j.encoded() {
			e.encode(j)
			if !slices.ContainsFunc(e.active, func(j *job) bool { return !j.encoded() }) {
				e.model.Rest()
			}
			break
		}
	}
	e.listModels()
	for _, m := range e.models {
		e.plan(m)
		if len(e.batch) > 0 {
			if err := e.decode(m); err != nil {
				return err
			}
		}
	}
	e.sweep()
	return nil
}

// listModels fills e.models with those that active requests are of, in the order of the requests. A
// pass is of one.
func (e *Engine) listModels() {
	e.models = e.models[:0]
	for _, j := range e.active {
		if !slices.Contains(e.models, j.model) {
			e.models = append(e.models, j.model)
		}
	}
}

// decode makes the planned pass.
func (e *Engine) decode(m *model.Model) error {
	e.mu.Lock()
	for _, o := range e.owners {
		e.pass = append(e.pass, o.job)
	}
	e.mu.Unlock()
	start := time.Now()
	logits, err := m.Decode(e.batch, nil)
	if e.end() || err != nil {
		return err
	}
	if len(e.batch) == 1 && e.owners[0].i >= 0 {
		e.drafts.took(len(e.batch[0].IDs), time.Since(start))
	}
	e.deliver(logits)
	return nil
}

// begin notes that a pass works for j alone.
func (e *Engine) begin(j *job) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pass = append(e.pass, j)
}

// end notes that the pass is over, and reports whether it was abandoned: then all whom it
// worked for have left, and what it computed is worth nothing.
func (e *Engine) end() (abandoned bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	abandoned = e.left()
	e.pass = e.pass[:0]
	e.model.Abandon(false)
	return abandoned
}

// left reports whether nobody waits for the running pass any more.
func (e *Engine) left() bool {
	for _, j := range e.pass {
		if j.ctx.Err() == nil {
			return false
		}
	}
	return len(e.pass) > 0
}

// leave is called when a request's context has ended: a pass that nobody else waits for
// need not be finished.
func (e *Engine) leave() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.left() {
		e.model.Abandon(true)
	}
}

// owner says whose a segment is: answer i or beam i of a request, or its prompt (-1).
type owner struct {
	job *job
	i   int
}

// plan fills e.batch with the work of a model: one row or a draft of every answer that is being written, and as
// much of the prompts as the pass still has room for, but some of the first.
func (e *Engine) plan(m *model.Model) {
	e.batch, e.owners = e.batch[:0], e.owners[:0]
	alone := len(e.active) == 1 && len(e.active[0].answers) == 1
	for _, j := range e.active {
		if j.ready && j.model == m && !j.finished {
			e.batch, e.owners = j.segments(e.batch, e.owners, alone)
		}
	}
	rows := 0
	for i := range e.batch {
		rows += len(e.batch[i].IDs)
	}
	first := true
	for _, j := range e.active {
		if j.ready || !j.encoded() || j.model != m || j.finished {
			continue
		}
		room := e.options.PassRows - rows
		if first {
			room = max(room, e.options.PassRows/4)
		}
		if room <= 0 {
			break
		}
		first = false
		s := j.chunk(room, m)
		e.batch, e.owners = append(e.batch, s), append(e.owners, owner{j, -1})
		rows += len(s.IDs)
	}
}

// deliver hands every segment's owner its logits.
func (e *Engine) deliver(logits tensor.Mat) {
	var unexplained []*job
	row := 0
	for at := 0; at < len(e.batch); {
		j := e.owners[at].job
		from, rows := at, 0
		for at < len(e.batch) && e.owners[at].job == j {
			rows += e.batch[at].Wanted
			at++
		}
		own := logits.Slice(row, row+rows)
		row += rows
		var done bool
		var err error
		if e.owners[from].i < 0 {
			done, err = j.promptPass(own, len(e.batch[from].IDs))
		} else {
			done, err = j.answerPass(own, e.batch[from:at], e.owners[from:at])
		}
		switch {
		case err == nil && done && j.beams != nil && j.request.Logprobs:
			unexplained = append(unexplained, j)
		case err != nil || done:
			e.finish(j, err)
		}
	}
	for _, j := range unexplained { // makes passes of its own, which end these logits
		e.finish(j, e.explain(j))
	}
}

// forget gives back what no later position of a sequence sees.
func (e *Engine) forget(past *kvcache.Sequence) { e.model.Text.Forget(past, past.Len()) }

// neverDraft keeps image tokens out of drafts: a place for a picture that is not there.
func (e *Engine) neverDraft(id int32) bool { return int(id) == e.model.Config.ImageTokenID }

// encode sends the next crops of a request through vision tower and connector, or takes
// their latents from those that are kept.
func (e *Engine) encode(j *job) {
	crops := j.request.Input.Crops
	n := e.model.Latents()
	for j.crops < len(crops) {
		kept, ok := e.features.get(featureKey{j.model, crops[j.crops].Key})
		if !ok {
			break
		}
		copy(j.latents.Slice(j.crops*n, (j.crops+1)*n).Data, kept)
		j.crops++
	}
	if next := crops[j.crops:]; len(next) > 0 {
		next = next[:j.model.Fits(next)]
		out := j.latents.Slice(j.crops*n, (j.crops+len(next))*n)
		e.begin(j)
		j.model.Encode(out, next, nil)
		if e.end() {
			return
		}
		for i := range next {
			e.features.put(featureKey{j.model, next[i].Key}, out.Slice(i*n, (i+1)*n).Data)
		}
		j.crops += len(next)
	}
	if j.encoded() {
		j.mark(&j.result.Image)
	}
	j.progress("image", j.crops, len(crops))
}
