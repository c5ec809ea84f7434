package training

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"idefics2"
	"idefics2/dataset"
	"idefics2/feed"
	"idefics2/fetch"
	"idefics2/nn"
	"idefics2/processor"
	"idefics2/recipe"
	"idefics2/synth"
)

type feedState = feed.State

// openSources opens all that the stages and the evaluation read.
func (o *Options) openSources() (map[string]dataset.Source, error) {
	wanted := map[string]bool{}
	for _, s := range o.Recipe.Stages {
		for name := range s.Data {
			wanted[name] = true
		}
	}
	if o.Recipe.Eval != nil {
		for _, name := range o.Recipe.Eval.Data {
			wanted[name] = true
		}
	}
	all := map[string]dataset.Source{}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		s, err := o.openSource(o.Recipe.Data[name])
		if err != nil {
			for _, s := range all {
				s.Close()
			}
			return nil, fmt.Errorf("data.%s: %w", name, err)
		}
		all[name] = s
	}
	return all, nil
}

func (o *Options) openSource(s recipe.Source) (dataset.Source, error) {
	if s.Generate != "" {
		return generator(s, o.Recipe.Seed)
	}
	return dataset.Open(filepath.Clean(o.path(s.Path)), s.Kind, s.Question)
}

// generator draws examples: of all kinds under the name "synth", or of those that are named, with commas
// between them.
func generator(s recipe.Source, seed uint64) (dataset.Source, error) {
	options := synth.Options{Seed: seed, MaxSide: s.MaxSide, MaxText: s.MaxText, Questions: s.Questions}
	if s.HeldOut {
		options.Split = synth.HeldOut
	}
	if s.Generate != "synth" {
		for _, name := range strings.Split(s.Generate, ",") {
			options.Categories = append(options.Categories, strings.TrimSpace(name))
		}
	}
	g, err := synth.New(options)
	if err != nil {
		return nil, fmt.Errorf("generate: want synth for all kinds, or names of kinds with commas: %w", err)
	}
	return &dataset.Func{Title: s.Generate, Count: s.Count, Make: func(_ context.Context, i int) (dataset.Example, error) {
		e := g.Example(uint64(i))
		out := dataset.Example{Origin: fmt.Sprintf("%s#%d", s.Generate, i), Messages: e.Messages(), Document: e.Document}
		for _, m := range e.Images {
			out.Images = append(out.Images, dataset.Image{Name: "drawn.bmp", Data: synth.BMP(m)})
		}
		return out, nil
	}}, nil
}

// stageSeed is what all chance of a stage hangs on.
func (o *Options) stageSeed(stage int) uint64 {
	return uint64(nn.Noise(o.Recipe.Seed).Of(uint64(stage)))
}

// mixture mixes the sources of a stage.
func (o *Options) mixture(sources map[string]dataset.Source, stage int) (*dataset.Mixture, error) {
	s := &o.Recipe.Stages[stage]
	var parts []dataset.Part
	for _, name := range slices.Sorted(maps.Keys(s.Data)) {
		parts = append(parts, dataset.Part{Name: name, Source: sources[name], Weight: s.Data[name]})
	}
	return dataset.NewMixture(parts, dataset.MixtureOptions{Seed: o.stageSeed(stage), Epochs: s.Epochs})
}

// feedOptions say how a stage makes sequences of examples.
func (o *Options) feedOptions(stage int) feed.Options {
	s := &o.Recipe.Stages[stage]
	f := feed.Options{
		Length: s.Length, Crops: s.Crops, Read: o.reader(),
		Supervision: processor.Supervision{KeepEnd: s.KeepEnd},
		Augment: feed.Augment{
			Seed: o.stageSeed(stage), Split: s.Split, Upscale: s.Upscale, UpscaleMax: s.UpscaleMax,
			ShuffleTurns: s.ShuffleTurns, MaxTurns: s.MaxTurns, Newline: s.Newline,
		},
		Prefetch: dataset.PrefetchOptions{Workers: o.Threads, MaxSkips: o.Recipe.Skip.Share, FreeSkips: o.Recipe.Skip.Free},
	}
	if f.Prefetch.FreeSkips == 0 {
		f.Prefetch.FreeSkips = -1
	}
	if s.Loss == "text" {
		f.Supervision.Loss = processor.LossText
	}
	if !s.Packs() {
		f.Window = 1
	}
	return f
}

// reader returns what reads the pictures that examples name.
func (o *Options) reader() processor.Reader {
	client := fetch.New(fetch.Options{})
	return func(ctx context.Context, name string) ([]byte, error) {
		switch {
		case !idefics2.IsURL(name) || strings.HasPrefix(name, "data:"):
			return idefics2.ReadSource(ctx, name)
		case !o.Recipe.URLs:
			return nil, fmt.Errorf("%.200s is to be fetched; \"urls: true\" in the recipe allows it", name)
		}
		defer client.Close() // idle connections end with each picture: a source seldom has two of one server
		return client.Get(ctx, name)
	}
}

// sized returns the processor with a stage's bounds of pictures.
func sized(p *processor.Processor, s *recipe.Stage) (*processor.Processor, error) {
	if s.Longest == 0 {
		return p, nil
	}
	return p.Resized(s.Shortest, s.Longest)
}

// measured is how many examples are packed to tell how many fit a sequence.
const measured = 128

// total returns how many steps a stage takes: as many as it says, or about as many as its epochs make, from how
// its first examples pack. The schedule counts on it; the data decide when the stage ends.
func (j *job) total(ctx context.Context, stage int, p *processor.Processor) (int, error) {
	s := &j.Recipe.Stages[stage]
	if s.Steps > 0 {
		return s.Steps, nil
	}
	m, err := j.mixture(j.sources, stage)
	if err != nil {
		return 0, err
	}
	defer m.Close()
	n := m.Len()
	if n < 0 {
		if s.Schedule != "constant" {
			return 0, errors.New("nobody knows how many examples tars hold, so a learning rate cannot fall to the end of an epoch; give steps instead of epochs, or the schedule constant")
		}
		return 0, nil
	}
	var first dataset.Skip
	options := j.feedOptions(stage)
	options.Prefetch.OnSkip = func(s dataset.Skip) error {
		if first.Reason == "" {
			first = s
		}
		return nil
	}
	f, err := feed.New(ctx, m, p, nil, options)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	examples, sequences := 0, 0
	for examples < measured {
		b, err := f.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, err
		}
		examples, sequences = examples+len(b.Examples), sequences+1
	}
	if examples == 0 {
		return 0, fmt.Errorf("none of its examples can be used; the first, %s: %s", first.Origin, first.Reason)
	}
	all := int(float64(n) * float64(s.Epochs) * float64(sequences) / float64(examples))
	return max(1, (all+s.Batch-1)/s.Batch), nil
}
