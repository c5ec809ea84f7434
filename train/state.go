package train

import (
	"errors"
	"fmt"
	"slices"
)

// State is all of a trainer that a step changes. With the same model files, options and data, a
// trainer that was given it goes on with the same bits as the one that it was taken from.
type State struct {
	Step    int    // updates made
	Seed    uint64 // of all noise, which is a function of it, the step and the example
	Tensors []Tensor
}

// Tensor is a named part of a State: a parameter, or, behind "adamw.first/" and "adamw.second/", the
// mean of its gradients and of their squares.
type Tensor struct {
	Name  string
	Shape []int
	Data  []float32
}

const (
	firstPrefix  = "adamw.first/"
	secondPrefix = "adamw.second/"
)

// State returns the state between two steps. Data are the trainer's own memory: what is to outlive
// the next Update must be copied or written before. It is an error when gradients wait for their
// update.
func (t *Trainer) State() (State, error) {
	if t.batches > 0 {
		return State{}, fmt.Errorf("train: %d batches wait for their update: a state is taken between two steps", t.batches)
	}
	return State{Step: t.step, Seed: t.options.Seed, Tensors: t.tensors()}, nil
}

func (t *Trainer) tensors() []Tensor {
	var all []Tensor
	for i := range t.params {
		p := &t.params[i]
		values, _ := p.Values()
		all = append(all, Tensor{p.Name, p.Shape, values},
			Tensor{firstPrefix + p.Name, p.Shape, p.first}, Tensor{secondPrefix + p.Name, p.Shape, p.second})
	}
	return all
}

// Restore makes the trainer go on from s, whose Data it copies. s must have just the tensors of this
// trainer; after an error nothing has changed.
func (t *Trainer) Restore(s State) error {
	if s.Step < 0 {
		return fmt.Errorf("train: state: step %d, want 0 or more", s.Step)
	}
	if s.Seed != t.options.Seed {
		return fmt.Errorf("train: state: seed %d, and the options say %d; use the seed of the run that is to go on", s.Seed, t.options.Seed)
	}
	found := map[string]Tensor{}
	for _, tensor := range s.Tensors {
		if _, twice := found[tensor.Name]; twice {
			return fmt.Errorf("train: state: %q is there twice", tensor.Name)
		}
		found[tensor.Name] = tensor
	}
	own := t.tensors()
	var errs []error
	for _, to := range own {
		from, ok := found[to.Name]
		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("%q is missing", to.Name))
		case !slices.Equal(from.Shape, to.Shape) || len(from.Data) != len(to.Data):
			errs = append(errs, fmt.Errorf("%q: %d values of shape %v, want %v", to.Name, len(from.Data), from.Shape, to.Shape))
		}
		delete(found, to.Name)
	}
	for name := range found {
		errs = append(errs, fmt.Errorf("%q is not trained here", name))
	}
	if len(errs) > 0 {
		more := ""
		if len(errs) > 3 {
			errs, more = errs[:3], ", and more like these"
		}
		return fmt.Errorf("train: state of another model or of other options%s: %w", more, errors.Join(errs...))
	}
	byName := map[string][]float32{}
	for _, tensor := range s.Tensors {
		byName[tensor.Name] = tensor.Data
	}
	for _, to := range own {
		copy(to.Data, byName[to.Name])
	}
	t.Discard()
	t.step = s.Step
	t.refresh()
	return nil
}
