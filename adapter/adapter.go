// Package adapter puts adapters of low rank on a model's linear layers: LoRA, rank-stabilised LoRA and
// DoRA, new ones to be trained or those of a PEFT folder. The arithmetic is nn.Adapter's.
//
//	a, err := adapter.New(m, adapter.Config{Rank: 8, Alpha: 8, Pattern: `.*text_model.*_proj`}, 1)
//	t, err := train.New(m, train.Options{Train: a.Trains, …})
//	…
//	err = a.Save("my-adapter")
//
// Sources: spec/training.md §5 and §6, spec/checkpoint.md §4; PEFT, tuners/lora.
package adapter

import (
	"fmt"
	"math"

	"idefics2/kernel"
	"idefics2/model"
	"idefics2/nn"
)

// Set is the adapters that were put on a model.
type Set struct {
	Config Config

	matcher *matcher
	layers  []*nn.Linear
	saved   []nn.Param // stored whole
}

// The linear layers that are not like the others: the output matrix, and the convolution.
const (
	head    = "lm_head"
	patches = "model.vision_model.embeddings.patch_embedding"
)

// New puts adapters on m that do nothing yet: A is random, B zero, and the magnitudes of DoRA are the
// norms of the rows.
func New(m *model.Model, c Config, seed uint64) (*Set, error) {
	s, err := attach(m, c)
	if err != nil {
		return nil, fmt.Errorf("adapter: %w", err)
	}
	for i, l := range s.layers {
		a := l.Adapter
		noise := nn.Noise(seed).Of(uint64(i))
		for j := range a.A {
			if c.Gaussian {
				a.A[j] = noise.Normal(j) / float32(a.Rank)
			} else { // Kaiming's with a = √5: ±√(6/((1 + 5)·in))
				a.A[j] = (2*noise.Uniform(j) - 1) / float32(math.Sqrt(float64(l.W.In)))
			}
		}
		a.Norms(l, a.Magnitude)
		a.Refresh(l)
	}
	return s, nil
}

// attach puts adapters of zeros on the layers that c targets.
func attach(m *model.Model, c Config) (*Set, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	match, err := c.matcher()
	if err != nil {
		return nil, err
	}
	s := &Set{Config: c, matcher: match}
	scratch := &nn.AdapterScratch{}
	m.Params(func(p nn.Param) {
		if match.saves(p.Name) {
			s.saved = append(s.saved, p)
		}
		l := p.Linear
		if l == nil || !match.targets(l.Name) {
			return
		}
		switch {
		case err != nil:
		case l.Name == patches:
			err = fmt.Errorf("%s is a convolution, and only linear layers are adapted here; leave it out of the targets", l.Name)
		case l.Adapter != nil:
			err = fmt.Errorf("%s has an adapter already; merge that first", l.Name)
		case !l.W.Differentiable():
			err = fmt.Errorf("%s is in blocks of GGUF; open the model in full precision, or in NF4, to adapt it", l.Name)
		case match.saves(p.Name):
			err = fmt.Errorf("%s is a target and to be saved whole; want one of the two", l.Name)
		default:
			s.layers = append(s.layers, l)
		}
	})
	if err != nil {
		return nil, err
	}
	if len(s.layers) == 0 && len(s.saved) == 0 {
		return nil, fmt.Errorf("no module of the model matches the targets %q%q: a pattern must match a whole name, such as %q",
			c.Pattern, c.Names, "model.text_model.layers.0.self_attn.q_proj")
	}
	if len(c.Save) > 0 && len(s.saved) == 0 {
		return nil, fmt.Errorf("no module of the model is one of those to save, %q", c.Save)
	}
	for _, l := range s.layers {
		a := &nn.Adapter{Dropout: c.Dropout, Scratch: scratch}
		a.Rank, a.Scale = match.scale(l.Name)
		a.A, a.B = make([]float32, a.Rank*l.W.In), make([]float32, l.W.Out*a.Rank)
		if c.DoRA {
			a.Magnitude = make([]float32, l.W.Out)
		}
		l.Adapter = a
	}
	return s, nil
}

// detach takes the adapters off again.
func (s *Set) detach() {
	for _, l := range s.layers {
		l.Adapter = nil
	}
}

// Trains reports whether a parameter of the model itself learns with the adapters: those of modules
// that are stored whole do. It is what train.Options.Train wants.
func (s *Set) Trains(name string) bool { return s.matcher.saves(name) }

// Modules returns the names of the adapted layers, in the model's order.
func (s *Set) Modules() []string {
	var names []string
	for _, l := range s.layers {
		names = append(names, l.Name)
	}
	return names
}

// Merged returns the matrix that an adapted layer comes to without its adapter, in float32, and false
// for a layer that has none.
func (s *Set) Merged(module string) (kernel.Weight, bool) {
	for _, l := range s.layers {
		if l.Name == module && l.Adapter != nil {
			return l.Adapter.MergedWeight(l), true
		}
	}
	return kernel.Weight{}, false
}

// Merge makes the adapters part of the weights and takes them off. The matrices are then float32,
// in memory.
func (s *Set) Merge() {
	for _, l := range s.layers {
		l.W = l.Adapter.MergedWeight(l)
	}
	s.detach()
	s.layers = nil
}
