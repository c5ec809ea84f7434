// Package feed makes what training eats: examples of a mixture become ids with labels and
// pictures, and are packed into sequences.
//
//	dataset.Mixture → Draw → Augment → processor.Supervise → first fit → Batch
//
// Examples are read and prepared on other goroutines. The order of sequences depends on the
// seed and the data alone, and a [State] goes on behind the last sequence, exactly.
package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"idefics2/chat"
	"idefics2/dataset"
	"idefics2/input"
	"idefics2/processor"
)

// Options say what a sequence holds.
type Options struct {
	Length int // tokens of a sequence at most; longer examples are skipped
	Crops  int // crops of pictures of a sequence at most; 0 is no bound
	// Window is how many examples are packed together; 0 is 32, and 1 packs none. They are
	// held in memory with their pictures, at most WindowBytes of them; 0 is 512 MiB.
	Window, WindowBytes int
	Supervision         processor.Supervision // its bounds are Length and Crops
	Augment             Augment
	Prefetch            dataset.PrefetchOptions
	Read                processor.Reader // of pictures by name
}

// Batch is a sequence: examples that are computed one after another as if each were alone,
// without attention between them and with positions of their own.
type Batch struct {
	Examples []input.Input
	Parts    []string // of the mixture, by example
	Origins  []string
	Draws    []int64
	Tokens   int
	Images   int // pictures, before they are cut
	Targets  int // tokens that carry loss
}

// Prepared is one example made ready.
type Prepared struct {
	Draw   dataset.Draw
	Origin string
	Split  bool
	*processor.Supervised
}

// size is about how much memory the example takes.
func (p *Prepared) size() (n int) {
	for i := range p.Images {
		n += len(p.Images[i].RGB.Pix)
		for k := range p.Images[i].Crops {
			n += len(p.Images[i].Crops[k].RGB.Pix)
		}
	}
	return n + 8*len(p.IDs)
}

// State is where a feed is: what it needs to go on behind the last sequence.
type State struct {
	Cursor  dataset.Cursor `json:"cursor"`  // before the window at hand
	Emitted int            `json:"emitted"` // sequences of the window that were handed out
	Skipped int64          `json:"skipped"` // examples before the window
}

// Feed hands out sequences. It belongs to one goroutine.
type Feed struct {
	options   Options
	processor *processor.Processor
	prefetch  *dataset.Prefetcher[*Prepared]
	state     State
	window    []*Prepared
	bins      [][]int // of the window, not yet handed out
	ended     bool
}

// New feeds from a mixture: from where it is, or from a state where there is one. Close ends
// it.
func New(ctx context.Context, m *dataset.Mixture, p *processor.Processor, from *State, o Options) (*Feed, error) {
	if o.Length < 2 {
		return nil, fmt.Errorf("feed: sequences of %d tokens; want the length that the model is trained at, such as 2048", o.Length)
	}
	if o.Window == 0 {
		o.Window = 32
	}
	if o.WindowBytes == 0 {
		o.WindowBytes = 512 << 20
	}
	if a := &o.Augment; a.Upscale > 0 && !(a.UpscaleMax >= 1.5 && a.UpscaleMax <= 16) {
		return nil, fmt.Errorf("feed: pictures are enlarged up to %g times, want 1.5 to 16", a.UpscaleMax)
	}
	o.Supervision.MaxTokens, o.Supervision.MaxCrops = o.Length, o.Crops
	f := &Feed{options: o, processor: p}
	skip := 0
	if from != nil {
		if from.Emitted < 0 || from.Skipped < 0 {
			return nil, errors.New("feed: the position is damaged")
		}
		if err := m.Seek(ctx, from.Cursor); err != nil {
			return nil, err
		}
		f.state.Skipped, skip = from.Skipped, from.Emitted
	}
	f.prefetch = dataset.Prefetch(ctx, m, o.Prefetch, f.prepare)
	f.prefetch.SetSkipped(f.state.Skipped)
	f.state.Cursor = f.prefetch.Cursor()
	if skip > 0 {
		if err := f.fill(); err != nil && err != io.EOF {
			f.Close()
			return nil, err
		}
		if skip > len(f.bins) {
			f.Close()
			return nil, fmt.Errorf("feed: the position is behind sequence %d of a window that has %d now; the data or the settings changed since it was saved", skip, len(f.bins))
		}
		f.bins, f.state.Emitted = f.bins[skip:], skip
	}
	return f, nil
}

// prepare makes an example ready.
func (f *Feed) prepare(ctx context.Context, d dataset.Draw, e dataset.Example) (*Prepared, error) {
	if err := answered(e.Messages); err != nil {
		return nil, err
	}
	r := f.options.Augment.request(d.Number, e)
	s, err := f.processor.Supervise(ctx, r, f.options.Supervision, f.options.Read)
	if err != nil {
		return nil, err
	}
	return &Prepared{Draw: d, Origin: e.Origin, Split: r.Split, Supervised: s}, nil
}

// answered refuses answers of nothing: they would teach a model to say nothing.
func answered(messages []chat.Message) error {
	for i, m := range messages {
		if m.Role != "assistant" {
			continue
		}
		if !slices.ContainsFunc(m.Content, func(p chat.Part) bool { return strings.TrimSpace(p.Text) != "" }) {
			return fmt.Errorf("message %d is an answer of nothing", i)
		}
	}
	return nil
}

// Next returns the next sequence; io.EOF after the last.
func (f *Feed) Next() (*Batch, error) {
	for len(f.bins) == 0 {
		if err := f.fill(); err != nil {
			return nil, err
		}
	}
	b := new(Batch)
	for _, i := range f.bins[0] {
		f.add(b, f.window[i])
		f.window[i] = nil // its pictures are not needed any more
	}
	f.bins = f.bins[1:]
	f.state.Emitted++
	return b, nil
}

// fill reads the next window and packs it.
func (f *Feed) fill() error {
	if f.ended {
		return io.EOF
	}
	f.state = State{Cursor: f.prefetch.Cursor(), Skipped: f.prefetch.Skipped()}
	f.window = f.window[:0]
	var tokens, crops []int
	for size := 0; len(f.window) < f.options.Window && size < f.options.WindowBytes; {
		p, err := f.prefetch.Next()
		if err == io.EOF {
			f.ended = true
			break
		}
		if err != nil {
			return err
		}
		f.window = append(f.window, p)
		tokens, crops = append(tokens, len(p.IDs)), append(crops, p.Crops())
		size += p.size()
	}
	if len(f.window) == 0 {
		return io.EOF
	}
	f.bins = firstFit(tokens, crops, f.options.Length, f.options.Crops)
	return nil
}

// add appends an example to a sequence.
func (f *Feed) add(b *Batch, p *Prepared) {
	in := input.Input{IDs: p.IDs, Labels: p.Labels}
	for i := range p.Images {
		for k := range p.Images[i].Crops {
			in.Crops = append(in.Crops, f.processor.CropInput(&p.Images[i].Crops[k]))
		}
	}
	b.Examples = append(b.Examples, in)
	b.Parts, b.Origins, b.Draws = append(b.Parts, p.Draw.Part), append(b.Origins, p.Origin), append(b.Draws, p.Draw.Number)
	b.Tokens += len(p.IDs)
	b.Images += len(p.Images)
	b.Targets += p.Targets()
}

// State returns where the feed is: behind the sequence that Next returned last.
func (f *Feed) State() State { return f.state }

// Skipped returns how many examples were skipped so far.
func (f *Feed) Skipped() int64 { return f.prefetch.Skipped() }

// Close ends the work ahead.
func (f *Feed) Close() { f.prefetch.Close() }

// ParseState reads a state from JSON.
func ParseState(data []byte) (*State, error) {
	s := new(State)
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("feed: position: %w", err)
	}
	return s, nil
}

// Examples prepares the examples of a mixture one by one, without packing: for a preview.
func Examples(ctx context.Context, m *dataset.Mixture, p *processor.Processor, o Options) *dataset.Prefetcher[*Prepared] {
	o.Supervision.MaxTokens, o.Supervision.MaxCrops = o.Length, o.Crops
	f := &Feed{options: o, processor: p}
	return dataset.Prefetch(ctx, m, o.Prefetch, f.prepare)
}
