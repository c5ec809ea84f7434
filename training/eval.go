package training

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"idefics2/dataset"
	"idefics2/feed"
	"idefics2/processor"
	"idefics2/watch"
)

// evaluated is how many examples of a source are measured where the recipe does not say.
const evaluated = 256

// evaluate measures the loss a token on the first examples of each source, without chance: pictures at their
// own size and whole, one example a sequence. Then it asks the tasks and samples.
func (j *job) evaluate(ctx context.Context, p *processor.Processor, s *watch.Step) (err error) {
	for _, name := range j.Recipe.Eval.Data {
		loss, err := j.lossOn(ctx, p, name)
		if err != nil {
			return fmt.Errorf("evaluation on %s: %w", name, err)
		}
		if s.Eval == nil {
			s.Eval = map[string]float64{}
		}
		s.Eval[name] = loss
	}
	marks := map[string]float64{}
	if s.Samples, err = j.answer(ctx, marks); err != nil {
		return err
	}
	if len(marks) > 0 {
		s.Marks = marks
	}
	return nil
}

// rate gives an evaluation the score by which checkpoints are compared, more being better: what eval.best names,
// else the mean loss, else the mean mark.
func (j *job) rate(s *watch.Step) {
	e, sum := j.Recipe.Eval, 0.0
	mark, task := s.Marks[e.Best]
	switch {
	case e.Best != "" && task:
		sum = mark
	case e.Best != "":
		sum = -s.Eval[e.Best]
	case len(e.Data) > 0:
		for _, name := range e.Data {
			sum -= s.Eval[name]
		}
		sum /= float64(len(e.Data))
	default:
		for _, name := range slices.Sorted(maps.Keys(e.Tasks)) {
			sum += s.Marks[name] / float64(len(e.Tasks))
		}
	}
	j.score = &sum
	if p := &j.progress; p.Best == nil || sum > *p.Best {
		p.Best, p.Stale = &sum, 0
	} else {
		p.Stale++
	}
}

// stale reports whether the evaluations say that the training should end.
func (j *job) stale() bool {
	return j.Recipe.Eval != nil && j.Recipe.Eval.Patience > 0 && j.progress.Stale >= j.Recipe.Eval.Patience
}

func (j *job) lossOn(ctx context.Context, p *processor.Processor, name string) (float64, error) {
	m, err := dataset.NewMixture([]dataset.Part{{Name: name, Source: j.sources[name]}}, dataset.MixtureOptions{Epochs: 1, InOrder: true})
	if err != nil {
		return 0, err
	}
	defer m.Close()
	o := j.feedOptions(j.progress.Stage)
	o.Augment, o.Window, o.Crops = feed.Augment{}, 1, 0
	for _, s := range j.Recipe.Stages { // a stage of short sequences measures the same examples
		o.Length = max(o.Length, s.Length)
	}
	f, err := feed.New(ctx, m, p, nil, o)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	want := j.Recipe.Eval.Examples
	if want == 0 {
		want = evaluated
	}
	sum, tokens := 0.0, 0
	for seen := 0; seen < want; {
		b, err := f.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, err
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		losses, err := j.trainer.Loss(inputs(b))
		if err != nil {
			return 0, err
		}
		for i, l := range losses {
			if math.IsNaN(l.Sum) || math.IsInf(l.Sum, 0) {
				return 0, j.notFinite(b, i, l.Sum)
			}
			sum, tokens = sum+l.Sum, tokens+l.Tokens
		}
		seen += len(b.Examples)
	}
	if tokens == 0 {
		return 0, errors.New("none of its examples can be used")
	}
	return sum / float64(tokens), nil
}
