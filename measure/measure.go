// Package measure times the work of the program on the machine that it runs on, stage by
// stage, and says what share of the machine's limit each stage reaches.
//
// The work is done by the packages that do it in earnest, on random weights of a model's
// geometry in memory. Of a model that would take too long or not fit, a few layers are
// held, and their time stands for all: every such row says so. The limit of a piece of work
// is the larger of two times: that of reading its weights once from memory, and that of
// its operations, at the speeds that the machine itself reaches in the same run (the
// roofline: Williams, Waterman and Patterson, 2009).
package measure

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"idefics2/checkpoint"
	"idefics2/kernel"
	"idefics2/tokenizer"
)

// Options say what is measured.
type Options struct {
	Config  checkpoint.Config
	Layers  int      // of each stack that are held in memory; 0: 2, or 1 when Quick; no more than there are
	Threads int      // 0: one per processor
	Samples int      // of each work, of which the median counts; 0: 5
	Only    []string // names or patterns of path.Match of the works to do; none: all
	Quick   bool     // take no more samples than asked for

	// Train measures the steps of a training in place of what answers take: with adapters, see trainWorks.
	Train     bool
	Recompute bool          // see model.Tape
	Memory    func() uint64 // the largest resident memory of the process so far, in bytes; nil for none

	Tokenizer *tokenizer.Tokenizer // nil: one of made-up words
	Text      []byte               // that is made tokens; nil: 10 MB of made-up words
	Photo     []byte               // a picture to decode; nil: a made-up JPEG of 4000×3000 pixels

	// Progress, if not nil, is told the work that begins, and how many of all are done.
	Progress func(work string, done, all int)
}

// Report is one run.
type Report struct {
	Limits Limits `json:"machine"`
	Rows   []Row  `json:"rows"`
}

// Row is one work's result.
type Row struct {
	Work    string  `json:"work"`
	Seconds float64 `json:"seconds"` // the median
	Rate    float64 `json:"rate"`    // in Unit
	Unit    string  `json:"unit"`
	Limit   float64 `json:"limit"` // of the rate
	Share   float64 `json:"share"` // Rate/Limit

	Best       float64 `json:"best"`             // seconds of the fastest sample
	Samples    int     `json:"samples"`          //
	Yields     float64 `json:"yields"`           // what Seconds bring, in Of
	Of         string  `json:"of"`               // tokens, images, MB
	Bytes      float64 `json:"bytes"`            // that must be read
	Operations float64 `json:"operations"`       // that must be done, a multiply-add counting as two
	Bound      string  `json:"bound"`            // the limit that is nearer: memory or arithmetic
	Scaled     string  `json:"scaled,omitempty"` // "from 2 of 32 layers": Seconds is that of all of them

	// Of a stack of layers, how many there are, the median seconds of one, and of what is not of
	// any: embeddings, output matrix, projection.
	Layers int     `json:"layers,omitempty"`
	Layer  float64 `json:"layer,omitempty"`
	Rest   float64 `json:"rest,omitempty"`

	Memory uint64 `json:"memory,omitempty"` // the largest that was resident up to the work's end, weights included; of training
}

// Bench holds the works of a geometry, and opens each when it is its turn.
type Bench struct {
	options Options
	works   []work
	team    *kernel.Team
	gauge   *gauge
	open    stand // of the group that the last work was of
	group   string
}

// stand is what works of one group share in memory.
type stand interface{ close() }

// New returns a bench. Close it.
func New(o Options) (*Bench, error) {
	switch {
	case o.Layers != 0:
	case o.Quick:
		o.Layers = 1
	default:
		o.Layers = 2
	}
	if o.Samples == 0 {
		o.Samples = 5
	}
	if o.Layers < 0 || o.Samples < 0 {
		return nil, fmt.Errorf("measure: %d layers, %d samples: want numbers above 0", o.Layers, o.Samples)
	}
	b := &Bench{options: o}
	all := works(o)
	for _, pattern := range o.Only {
		if !slices.ContainsFunc(all, func(w work) bool { return matches(pattern, w.name) }) {
			var names []string
			for _, w := range all {
				names = append(names, w.name)
			}
			return nil, fmt.Errorf("measure: no work is called %q; there are %s", pattern, strings.Join(names, ", "))
		}
	}
	for _, w := range all {
		if len(o.Only) == 0 || slices.ContainsFunc(o.Only, func(p string) bool { return matches(p, w.name) }) {
			b.works = append(b.works, w)
		}
	}
	b.team = kernel.NewTeam(o.Threads)
	b.team.Precision = kernel.Fast // as a model has it
	return b, nil
}

func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return err == nil && ok
}

// Close gives back threads and memory.
func (b *Bench) Close() {
	b.release()
	if b.gauge != nil {
		b.gauge.close()
	}
	b.team.Close()
}

func (b *Bench) release() {
	if b.open != nil {
		b.open.close()
	}
	b.open, b.group = nil, ""
}

// Run measures the machine and then all works. When ctx ends it returns at once with the
// error of ctx.
func (b *Bench) Run(ctx context.Context) (*Report, error) {
	stop := context.AfterFunc(ctx, func() { b.team.Abandon(true) })
	defer stop()
	say := b.options.Progress
	if say == nil {
		say = func(string, int, int) {}
	}
	say("machine", 0, len(b.works)+1)
	if b.gauge == nil {
		var err error
		if b.gauge, err = newGauge(b.team); err != nil {
			return nil, err
		}
	}
	look := 40 * time.Millisecond
	if b.options.Quick {
		look /= 8
	}
	b.gauge.look(10*look, look)
	taken, peaks := make([][]pass, len(b.works)), make([]uint64, len(b.works))
	for i := range b.works {
		w := &b.works[i]
		say(w.name, i+1, len(b.works)+1)
		passes, err := b.ready(w)
		if err == nil {
			err = b.sample(ctx, passes)
		}
		if err != nil {
			return nil, err
		}
		taken[i] = passes
		if w.memory != nil {
			peaks[i] = w.memory()
		}
		b.gauge.look(look, look/8) // a neighbour may have gone
	}
	b.release()
	say("", len(b.works)+1, len(b.works)+1)
	r := &Report{Limits: b.gauge.best, Rows: []Row{}}
	for i := range b.works {
		row := b.works[i].row(taken[i], r.Limits)
		row.Memory = peaks[i]
		r.Rows = append(r.Rows, row)
	}
	return r, nil
}

// ready opens what a work needs, and closes what the one before needed and this does not.
func (b *Bench) ready(w *work) ([]pass, error) {
	if b.group != w.group {
		b.release()
		open, err := w.stand(b)
		if err != nil {
			return nil, err
		}
		b.open, b.group = open, w.group
	}
	return w.passes(b.open)
}

// Sample samples a work that is not scaled: the passes over the layers in memory.
// It returns the seconds of one.
func (b *Bench) Sample(name string) (float64, error) {
	i := slices.IndexFunc(b.works, func(w work) bool { return w.name == name })
	if i < 0 {
		return 0, fmt.Errorf("measure: no work is called %q", name)
	}
	passes, err := b.ready(&b.works[i])
	if err != nil {
		return 0, err
	}
	return passes[0].time()
}

// pass is a part of a work, and how often it counts.
type pass struct {
	times   float64
	once    func() error
	samples []float64 // seconds
}

func (p pass) time() (float64, error) {
	start := time.Now()
	err := p.once()
	return time.Since(start).Seconds(), err
}

// enough is how long sampling of short work goes on beyond the samples that are asked for.
const enough = 500 * time.Millisecond

// sample does the passes in turns. The first turn of short work is left out: memory grows
// and caches fill.
func (b *Bench) sample(ctx context.Context, passes []pass) error {
	begin := time.Now()
	for turn := 0; len(passes[0].samples) < b.options.Samples || !b.options.Quick && time.Since(begin) < enough; turn++ {
		start := time.Now()
		for i := range passes {
			seconds, err := passes[i].time()
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return err
			}
			passes[i].samples = append(passes[i].samples, seconds)
		}
		if turn == 0 && time.Since(start) < time.Second {
			for i := range passes {
				passes[i].samples = nil
			}
		}
	}
	return nil
}

// combine adds up what of makes of each pass's samples. All layers take at least the time
// of some of them, whatever noise says.
func combine(passes []pass, of func([]float64) float64) (total float64) {
	for _, p := range passes {
		total += p.times * of(p.samples)
	}
	return max(total, of(passes[0].samples))
}

func median(times []float64) float64 {
	sorted := slices.Sorted(slices.Values(times))
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}
