// Package train makes a model better at its examples: gradients of packed batches, gathered over
// as many as a step takes, and the update of AdamW. Reading data, saving and the loop around
// it all are the caller's.
//
//	t, err := train.New(m, train.Options{Schedule: train.Schedule{Peak: 1e-4}})
//	for … {
//		stats, err := t.Step(batch, batch, batch, batch) // an update from four packed batches
//	}
//
// A batch is a list of examples, each an input.Input with Labels. They become rows of the same
// products, one after another without padding, and none sees another or shifts its
// positions, which is what packing is for: how examples are put in batches, and batches in a
// step, changes a gradient by the order of one final sum alone.
//
// Nothing has a hidden state: noise is a function of the seed, the step and the example, so a
// trainer that was given the State of another goes on with the same bits.
package train

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"

	"idefics2/input"
	"idefics2/kernel"
	"idefics2/model"
	"idefics2/nn"
)

// Options are a run's choices. The zero value but for Schedule trains everything, with the numbers
// of torch.optim.AdamW and of transformers' Trainer.
type Options struct {
	// Train says which parameters learn, by name; nil stands for all. The parameters of
	// adapters always do, and the matrices under them never.
	Train func(name string) bool

	Schedule Schedule
	AdamW    AdamW
	Groups   []Group // of the parameters that differ: the first that matches counts

	Clip   float64 // greatest norm of all gradients together: 0 stands for 1
	NoClip bool

	// PerBatch divides the loss of each batch by its own tokens, as the reference does, and a step
	// by its batches. Else a step is divided by the tokens of all of it, so that a token weighs
	// the same in a long answer and in a short one.
	PerBatch bool

	NEFTune   float64 // see model.Tape; 0 for none
	WordsOnly bool    // no noise on the vectors of images

	Recompute bool // see model.Tape
	Seed      uint64
}

// AdamW are the constants of the update; a zero stands for the usual one.
type AdamW struct {
	Beta1, Beta2, Eps float64 // 0.9, 0.999, 1e-8
	Decay             float64 // of weights; 0 is none
	// DecayAll lets biases, gains of norms and magnitudes decay, too. They don't in the reference's
	// Trainer; they do in torch.
	DecayAll bool
}

// Group is what differs for the parameters whose whole name Match matches.
type Group struct {
	Match *regexp.Regexp
	Rate  float64  // what the schedule's rate is multiplied by
	Decay *float64 // nil: as for all
}

func (o *Options) defaults() error {
	for _, d := range []struct {
		to    *float64
		value float64
	}{{&o.AdamW.Beta1, 0.9}, {&o.AdamW.Beta2, 0.999}, {&o.AdamW.Eps, 1e-8}, {&o.Clip, 1}} {
		if *d.to == 0 {
			*d.to = d.value
		}
	}
	a := o.AdamW
	switch {
	case !(a.Beta1 > 0 && a.Beta1 < 1 && a.Beta2 > 0 && a.Beta2 < 1):
		return fmt.Errorf("train: AdamW's betas are %v and %v, want both between 0 and 1", a.Beta1, a.Beta2)
	case !(a.Eps > 0), !(a.Decay >= 0), !(o.Clip > 0), !(o.NEFTune >= 0):
		return fmt.Errorf("train: eps %v, decay %v, clip %v, NEFTune %v: want positive numbers", a.Eps, a.Decay, o.Clip, o.NEFTune)
	}
	for i, g := range o.Groups {
		if g.Match == nil || !(g.Rate >= 0) {
			return fmt.Errorf("train: group %d: want a pattern and a rate of 0 or more, found %v and %v", i, g.Match, g.Rate)
		}
	}
	return o.Schedule.check()
}

// Trainer trains one model, from one goroutine. The model can answer between two steps.
type Trainer struct {
	model   *model.Model
	options Options
	tape    model.Tape
	params  []param
	step    int // updates made

	batches, examples, tokens int // gathered for the next update
	loss                      float64
}

// param is a trained parameter, with the means of its gradient and of that squared.
type param struct {
	nn.Param
	first, second []float32
	rate, decay   float64
}

// Stats tell what a step did.
type Stats struct {
	Step         int     // counted from 1
	Loss         float64 // mean over the tokens that carry loss, before the update
	Examples     int
	Tokens       int     // that carry loss
	GradientNorm float64 // of all gradients together, before it was clipped
	LearningRate float64
}

// ErrNotFinite is what Update returns, wrapped, when the gradient is infinite or not a number: nothing
// was updated, and the gradients are gone.
var ErrNotFinite = errors.New("the gradient is not finite")

// ErrNoTokens is what Update returns, wrapped, when no token of the step carries loss: nothing
// was updated.
var ErrNoTokens = errors.New("no token carries loss")

// New makes a trainer. Parameters that learn get float32 values of their own, a gradient and two
// means; nothing else takes memory. What learnt with another trainer and is not chosen is frozen
// as it is. It is an error when none learns.
func New(m *model.Model, o Options) (*Trainer, error) {
	if err := o.defaults(); err != nil {
		return nil, err
	}
	t := &Trainer{model: m, options: o}
	t.tape = model.Tape{Recompute: o.Recompute, NEFTune: o.NEFTune, WordsOnly: o.WordsOnly}
	m.Params(func(p nn.Param) {
		adapted := p.Linear != nil && p.Linear.Adapter != nil
		if p.Trained() && (adapted || !p.Adapter && o.Train != nil && !o.Train(p.Name)) {
			p.Freeze() // another trainer's
		}
		if !p.Trained() && !adapted && (p.Adapter || o.Train == nil || o.Train(p.Name)) {
			p.Train()
		}
		if p.Trained() {
			t.params = append(t.params, t.param(p))
		}
	})
	if len(t.params) == 0 {
		return nil, errors.New("train: nothing is to be trained: no parameter's name was chosen, and there are no adapters")
	}
	return t, nil
}

func (t *Trainer) param(p nn.Param) param {
	one := param{Param: p, first: make([]float32, p.Len()), second: make([]float32, p.Len()), rate: 1}
	if t.options.AdamW.DecayAll || decays(p.Name) {
		one.decay = t.options.AdamW.Decay
	}
	for _, g := range t.options.Groups {
		if at := g.Match.FindStringIndex(p.Name); at != nil && at[0] == 0 && at[1] == len(p.Name) {
			one.rate = g.Rate
			if g.Decay != nil {
				one.decay = *g.Decay
			}
			break
		}
	}
	return one
}

// decays reports whether a parameter decays by default: all but biases, gains and magnitudes do.
func decays(name string) bool {
	module, last := "", name
	if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
		module, last = name[:dot], name[dot+1:]
	}
	module = module[strings.LastIndexByte(module, '.')+1:]
	return last != "bias" && last != "lora_magnitude_vector" && !strings.Contains(module, "norm")
}

// Step updates the parameters once from some batches.
func (t *Trainer) Step(batches ...[]*input.Input) (Stats, error) {
	for _, b := range batches {
		if _, err := t.Accumulate(b); err != nil {
			t.Discard()
			return Stats{}, err
		}
	}
	return t.Update()
}

// Accumulate adds the gradients of a batch to those that the next Update uses, and returns the loss of
// each example, valid until the next pass. After an error nothing was added.
func (t *Trainer) Accumulate(batch []*input.Input) ([]model.Loss, error) {
	weight := float32(1)
	if t.options.PerBatch {
		n := 0
		for _, in := range batch {
			_, carry := in.Targets(nil)
			n += carry
		}
		weight = 1 / float32(max(1, n))
	}
	t.tape.Noise = nn.Noise(t.options.Seed).Of(uint64(t.step))
	losses, err := t.model.Backward(&t.tape, batch, weight)
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	for _, l := range losses {
		t.loss += l.Sum
		t.tokens += l.Tokens
	}
	t.examples += len(batch)
	t.batches++
	return losses, nil
}

// Discard forgets the gradients that were added since the last Update.
func (t *Trainer) Discard() {
	for i := range t.params {
		_, grad := t.params[i].Values()
		clear(grad)
	}
	t.batches, t.examples, t.tokens, t.loss = 0, 0, 0, 0
}

// Update moves the parameters against the gradients that were added since the last one.
func (t *Trainer) Update() (Stats, error) {
	defer t.Discard()
	if t.tokens == 0 {
		return Stats{}, fmt.Errorf("train: step %d: %w: %d batches of %d examples", t.step+1, ErrNoTokens, t.batches, t.examples)
	}
	scale := 1 / float64(t.tokens)
	if t.options.PerBatch {
		scale = 1 / float64(t.batches)
	}
	team := t.model.Team()
	var squares float64
	for i := range t.params {
		_, grad := t.params[i].Values()
		squares += team.SumSquares(grad)
	}
	norm := math.Sqrt(squares) * scale
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		return Stats{}, fmt.Errorf("train: step %d: %w: its norm is %v, the loss %v%s", t.step+1, ErrNotFinite, norm, t.loss/float64(t.tokens), t.firstNotFinite())
	}
	stats := Stats{
		Step: t.step + 1, Loss: t.loss / float64(t.tokens), Examples: t.examples, Tokens: t.tokens,
		GradientNorm: norm, LearningRate: t.options.Schedule.At(t.step),
	}
	if !t.options.NoClip {
		scale *= min(1, t.options.Clip/(norm+1e-6)) // torch.nn.utils.clip_grad_norm_
	}
	t.step++
	a := t.options.AdamW
	for i := range t.params {
		p := &t.params[i]
		values, grad := p.Values()
		team.AdamW(values, p.first, p.second, grad, kernel.AdamW{
			Rate: stats.LearningRate * p.rate, Beta1: a.Beta1, Beta2: a.Beta2, Eps: a.Eps, Decay: p.decay,
			Step: t.step, GradScale: scale,
		})
	}
	t.refresh()
	return stats, nil
}

// firstNotFinite names the highest parameter whose gradient is not finite: gradients come from above.
func (t *Trainer) firstNotFinite() string {
	for i := len(t.params) - 1; i >= 0; i-- {
		_, grad := t.params[i].Values()
		if sum := t.model.Team().SumSquares(grad); math.IsNaN(sum) || math.IsInf(sum, 0) {
			return ", and the highest parameter with such a gradient is " + t.params[i].Name
		}
	}
	return ""
}

// refresh lets adapters take in what changed.
func (t *Trainer) refresh() {
	t.model.Params(func(p nn.Param) {
		if p.Linear != nil && p.Linear.Adapter != nil {
			p.Linear.Adapter.Refresh(p.Linear)
		}
	})
}

// Loss returns the loss of each example as the model is, without noise or dropout. It is valid until the
// next pass.
func (t *Trainer) Loss(batch []*input.Input) ([]model.Loss, error) {
	losses, err := t.model.Loss(&t.tape, batch)
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	return losses, nil
}

// Parameters returns how many numbers learn.
func (t *Trainer) Parameters() int {
	n := 0
	for i := range t.params {
		n += t.params[i].Len()
	}
	return n
}
