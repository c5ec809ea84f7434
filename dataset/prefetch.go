package dataset

import (
	"context"
	"errors"
	"fmt"
	"runtime"
)

// Skip is an example that could not be used.
type Skip struct {
	Draw   int64  `json:"draw"`
	Part   string `json:"part"`
	Origin string `json:"origin,omitempty"`
	Reason string `json:"reason"`
}

// PrefetchOptions say how far and with how many hands to work ahead.
type PrefetchOptions struct {
	Workers int // that read and prepare; 0 is one per processor
	Ahead   int // examples at most that are ready or under way; 0 is twice the workers
	// OnSkip is told of every example that is skipped, in the order of their draws.
	OnSkip func(Skip) error
	// Skips of more than this share of the draws end the work; 0 is 1 %. The first
	// FreeSkips do not count; 0 is 32, a negative number none.
	MaxSkips  float64
	FreeSkips int
}

// Prefetch draws from a mixture and prepares examples on other goroutines. What comes out,
// and in which order, does not depend on how many they are. An error of prepare, or of
// reading the example, skips it. Close ends it; the mixture must not be used until then.
func Prefetch[T any](ctx context.Context, m *Mixture, o PrefetchOptions, prepare func(context.Context, Draw, Example) (T, error)) *Prefetcher[T] {
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Ahead <= 0 {
		o.Ahead = 2 * o.Workers
	}
	if o.MaxSkips == 0 {
		o.MaxSkips = 0.01
	}
	switch {
	case o.FreeSkips == 0:
		o.FreeSkips = 32
	case o.FreeSkips < 0:
		o.FreeSkips = 0
	}
	ctx, cancel := context.WithCancel(ctx)
	p := &Prefetcher[T]{
		options: o, prepare: prepare, cancel: cancel, ctx: ctx,
		jobs: make(chan *job[T], o.Ahead), cursor: m.Cursor(), ended: make(chan struct{}),
	}
	go p.draw(ctx, m)
	return p
}

// Prefetcher hands out prepared examples in the order of their draws. It belongs to one
// goroutine.
type Prefetcher[T any] struct {
	options PrefetchOptions
	prepare func(context.Context, Draw, Example) (T, error)
	ctx     context.Context
	cancel  func()
	jobs    chan *job[T] // in the order of their draws
	ended   chan struct{}
	cursor  Cursor
	skipped int64
	err     error
}

// job is an example under way.
type job[T any] struct {
	draw   Draw
	after  Cursor
	origin string
	value  T
	err    error
	fatal  bool // the draw failed, not the example
	ready  chan struct{}
}

// draw draws examples and sets workers to them, until the mixture ends or ctx does.
func (p *Prefetcher[T]) draw(ctx context.Context, m *Mixture) {
	workers := make(chan struct{}, p.options.Workers)
	defer func() {
		for range p.options.Workers { // the last of them are done
			workers <- struct{}{}
		}
		close(p.jobs)
		close(p.ended)
	}()
	for {
		j := &job[T]{ready: make(chan struct{})}
		var err error
		if j.draw, err = m.Next(ctx); err != nil {
			j.err, j.fatal = err, true
			close(j.ready)
		}
		j.after = m.Cursor()
		select {
		case p.jobs <- j:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
		select {
		case workers <- struct{}{}:
		case <-ctx.Done():
			j.err, j.fatal = ctx.Err(), true
			close(j.ready)
			return
		}
		go func() {
			defer func() { close(j.ready); <-workers }()
			e, err := j.draw.Load(ctx)
			if j.origin = e.Origin; err == nil {
				j.value, err = p.prepare(ctx, j.draw, e)
			}
			j.err = err
		}()
	}
}

// Next returns the next example that can be used: io.EOF after the last.
func (p *Prefetcher[T]) Next() (value T, err error) {
	var zero T
	for p.err == nil {
		var j *job[T]
		select {
		case j = <-p.jobs:
		case <-p.ctx.Done():
		}
		if j != nil {
			select {
			case <-j.ready:
			case <-p.ctx.Done():
				j = nil
			}
		}
		switch {
		case j == nil:
			p.err = p.ctx.Err()
		case j.fatal:
			p.err = j.err
		case j.err == nil:
			p.cursor = j.after
			return j.value, nil
		case p.ctx.Err() != nil:
			p.err = p.ctx.Err()
		default:
			p.cursor = j.after
			p.err = p.skip(j)
		}
	}
	return zero, p.err
}

func (p *Prefetcher[T]) skip(j *job[T]) error {
	s := Skip{Draw: j.draw.Number, Part: j.draw.Part, Origin: j.origin, Reason: j.err.Error()}
	var b *BadError
	if errors.As(j.err, &b) {
		s.Origin, s.Reason = b.Origin, b.Err.Error()
	}
	p.skipped++
	if p.options.OnSkip != nil {
		if err := p.options.OnSkip(s); err != nil {
			return err
		}
	}
	drawn := j.draw.Number + 1
	if skipped := p.skipped; skipped > int64(p.options.FreeSkips) && float64(skipped) > p.options.MaxSkips*float64(drawn) {
		return fmt.Errorf("dataset: %d examples could not be used by draw %d, more than the %g %% allowed; the last was %s of %s: %s",
			skipped, drawn, 100*p.options.MaxSkips, s.Origin, s.Part, s.Reason)
	}
	return nil
}

// Cursor returns where the mixture is behind the example that Next returned last.
func (p *Prefetcher[T]) Cursor() Cursor { return p.cursor }

// Skipped returns how many examples were skipped. SetSkipped says how many were before, in a
// run that goes on.
func (p *Prefetcher[T]) Skipped() int64 { return p.skipped }

// SetSkipped: see Skipped.
func (p *Prefetcher[T]) SetSkipped(n int64) { p.skipped = n }

// Close ends the work ahead and waits for it.
func (p *Prefetcher[T]) Close() {
	p.cancel()
	<-p.ended
}
