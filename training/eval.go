package training

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"idefics2/dataset"
	"idefics2/feed"
	"idefics2/processor"
)

// evaluated is how many examples of a source are measured where the recipe does not say.
const evaluated = 256

// evaluate measures the loss a token on the first examples of each source, without chance: pictures at their
// own size and whole, one example a sequence. It returns them by the sources' names.
func (j *job) evaluate(ctx context.Context, p *processor.Processor) (map[string]float64, error) {
	scores := map[string]float64{}
	for _, name := range j.Recipe.Eval.Data {
		loss, err := j.lossOn(ctx, p, name)
		if err != nil {
			return nil, fmt.Errorf("evaluation on %s: %w", name, err)
		}
		scores[name] = loss
	}
	return scores, nil
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
