package training

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"idefics2"
	"idefics2/dataset"
	"idefics2/feed"
	"idefics2/input"
	"idefics2/nn"
	"idefics2/processor"
	"idefics2/recipe"
	"idefics2/train"
	"idefics2/watch"
)

// stage runs the stage at hand from where it is to its end.
func (j *job) stage(ctx context.Context) error {
	p, s := &j.progress, &j.Recipe.Stages[j.progress.Stage]
	proc, err := sized(j.proc, s)
	if err != nil {
		return err
	}
	if p.Total == 0 {
		if p.Total, err = j.total(ctx, p.Stage, proc); err != nil {
			return err
		}
	}
	if err := j.begin(s); err != nil {
		return err
	}
	j.show()
	if p.Pending != nil { // evaluated before anything else happens
		pending := *p.Pending
		p.Pending = nil
		if err := j.after(ctx, proc, pending); err != nil {
			return err
		}
	}
	m, err := j.mixture(j.sources, p.Stage)
	if err != nil {
		return err
	}
	defer m.Close()
	from := int64(0)
	if p.Feed != nil {
		from = p.Feed.Cursor.Draws
	}
	skips, err := j.folder.OpenLog(fmt.Sprintf("skipped-%d.jsonl", p.Stage+1), "draw", from)
	if err != nil {
		return err
	}
	defer skips.Close()
	options := j.feedOptions(p.Stage)
	options.Prefetch.OnSkip = func(s dataset.Skip) error { return skips.Write(s) }
	f, err := feed.New(ctx, m, proc, p.Feed, options)
	if err != nil {
		return err
	}
	defer f.Close()
	for !j.stale() && (s.Steps == 0 || p.StageStep < s.Steps) {
		record, err := j.step(ctx, f, s)
		if errors.Is(err, io.EOF) {
			if p.StageStep == 0 {
				return errors.New("none of its examples can be used")
			}
			break
		}
		if ctx.Err() != nil {
			j.trainer.Discard()
			return j.interrupted(ctx)
		}
		if err != nil {
			return err
		}
		state := f.State()
		p.Step, p.StageStep, p.Updates, p.Feed = p.Step+1, p.StageStep+1, p.Updates+1, &state
		if err := j.after(ctx, proc, record); err != nil {
			return err
		}
	}
	state, err := j.trainer.State()
	if err != nil {
		return err
	}
	j.carry = &state
	p.Stage, p.StageStep, p.Total, p.Feed, p.First = p.Stage+1, 0, 0, nil, p.Updates
	if j.stale() {
		j.note("no evaluation was better than the one before the last %d: the training ends (eval.patience)", p.Stale)
		p.Stage = len(j.Recipe.Stages)
	}
	if p.Stage == len(j.Recipe.Stages) {
		j.saved = -1 // the last checkpoint says that all is done
	}
	return nil
}

// begin makes the stage's trainer. It takes over the optimizer's state where the same parameters learn as
// before; where others do, the optimizer begins anew.
func (j *job) begin(s *recipe.Stage) (err error) {
	p, carry := &j.progress, j.carry
	j.trainer, j.carry = nil, nil
	choose, err := j.chooser(s)
	if err != nil {
		return err
	}
	same := carry != nil && slices.Equal(j.learning(choose), parameters(*carry))
	switch {
	case same:
	case p.StageStep > 0:
		return errors.New("the checkpoint is of other parameters than the stage's: the program changed since it was written")
	default:
		p.Updates, p.First, carry = 0, 0, nil
	}
	options, err := j.trainOptions(s)
	if err != nil {
		return err
	}
	options.Train = choose
	if j.trainer, err = train.New(j.net, options); err != nil {
		return err
	}
	for _, name := range j.learning(choose) {
		j.learnt[name] = true
	}
	if carry != nil {
		carry.Seed, carry.Step = options.Seed, p.Updates
		return j.trainer.Restore(*carry)
	}
	j.refresh() // values may be a checkpoint's
	return nil
}

// chooser returns which of the model's own parameters learn.
func (j *job) chooser(s *recipe.Stage) (func(name string) bool, error) {
	if j.adapter != nil {
		return j.adapter.Trains, nil
	}
	return chosen(s.Train, s.Freeze)
}

// learning lists all parameters that learn then, as train.New has it, sorted.
func (j *job) learning(choose func(string) bool) (all []string) {
	j.net.Params(func(p nn.Param) {
		if adapted := p.Linear != nil && p.Linear.Adapter != nil; p.Adapter || !adapted && choose(p.Name) {
			all = append(all, p.Name)
		}
	})
	slices.Sort(all)
	return all
}

// parameters lists those of a state, sorted.
func parameters(s train.State) (all []string) {
	for _, t := range s.Tensors {
		if !strings.HasPrefix(t.Name, momentPrefix) {
			all = append(all, t.Name)
		}
	}
	slices.Sort(all)
	return all
}

// refresh lets adapters take in values that were set.
func (j *job) refresh() {
	j.net.Params(func(p nn.Param) {
		if p.Linear != nil && p.Linear.Adapter != nil {
			p.Linear.Adapter.Refresh(p.Linear)
		}
	})
}

// trainOptions are a stage's, for the optimizer.
func (j *job) trainOptions(s *recipe.Stage) (o train.Options, err error) {
	r := &j.Recipe.Optimizer
	o = train.Options{
		Schedule: train.Schedule{Peak: s.LearningRate, Warmup: *s.Warmup, Total: j.progress.Total, Start: j.progress.First},
		AdamW:    train.AdamW{Beta1: r.Betas[0], Beta2: r.Betas[1], Eps: r.Eps, Decay: r.WeightDecay},
		Clip:     r.Clip, NoClip: r.Clip == 0, PerBatch: r.PerBatch,
		NEFTune: *s.NEFTune, Recompute: r.Recompute, Seed: j.stageSeed(j.progress.Stage),
	}
	if err := o.Schedule.Shape.UnmarshalText([]byte(s.Schedule)); err != nil {
		return o, err
	}
	for _, g := range r.Groups {
		match, err := regexp.Compile(g.Match)
		if err != nil {
			return o, err
		}
		o.Groups = append(o.Groups, train.Group{Match: match, Rate: g.Rate, Decay: g.Decay})
	}
	return o, nil
}

// chosen returns which of the model's parameters learn, by patterns of whole names.
func chosen(learn, freeze []string) (func(name string) bool, error) {
	yes, err := patterns(learn)
	if err != nil {
		return nil, err
	}
	no, err := patterns(freeze)
	if err != nil {
		return nil, err
	}
	return func(name string) bool { return (len(yes) == 0 || matches(yes, name)) && !matches(no, name) }, nil
}

func patterns(texts []string) (all []*regexp.Regexp, err error) {
	for _, text := range texts {
		p, err := regexp.Compile("^(?:" + text + ")$")
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

func matches(all []*regexp.Regexp, name string) bool {
	return slices.ContainsFunc(all, func(p *regexp.Regexp) bool { return p.MatchString(name) })
}

// step reads the sequences of one step and makes it. It returns io.EOF where there is none left.
func (j *job) step(ctx context.Context, f *feed.Feed, s *recipe.Stage) (record watch.Step, err error) {
	start := time.Now()
	sums, tokens := map[string]float64{}, map[string]int{}
	for i := range s.Batch {
		b, err := f.Next()
		if errors.Is(err, io.EOF) && i > 0 {
			break
		}
		if err != nil {
			return record, err
		}
		if err := j.accumulate(ctx, b, sums, tokens); err != nil {
			return record, err
		}
		record.Tokens += int64(b.Tokens)
		record.Images += int64(b.Images)
	}
	stats, err := j.trainer.Update()
	if err != nil {
		return record, err
	}
	record.Step, record.Stage = j.progress.Step+1, s.Name
	record.Loss, record.LearningRate, record.GradNorm = stats.Loss, stats.LearningRate, stats.GradientNorm
	record.Targets, record.Examples = int64(stats.Tokens), int64(stats.Examples)
	record.Seconds, record.Memory, record.Skipped = since(start), idefics2.PeakMemory(), f.Skipped()
	if len(sums) > 1 {
		record.Parts = map[string]float64{}
		for name, sum := range sums {
			record.Parts[name] = sum / float64(max(1, tokens[name]))
		}
	}
	return record, nil
}

// accumulate adds the gradients of a sequence. A pass is given up when ctx ends.
func (j *job) accumulate(ctx context.Context, b *feed.Batch, sums map[string]float64, tokens map[string]int) error {
	gone := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		j.net.Abandon(true)
		close(gone)
	})
	losses, err := j.trainer.Accumulate(inputs(b))
	if !stop() {
		<-gone
		j.net.Abandon(false)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	for i, l := range losses {
		if math.IsNaN(l.Sum) || math.IsInf(l.Sum, 0) {
			return j.notFinite(b, i, l.Sum)
		}
		sums[b.Parts[i]] += l.Sum
		tokens[b.Parts[i]] += l.Tokens
	}
	return nil
}

func inputs(b *feed.Batch) (all []*input.Input) {
	for i := range b.Examples {
		all = append(all, &b.Examples[i])
	}
	return all
}

// after is what follows a step: evaluation, log, checkpoint.
func (j *job) after(ctx context.Context, proc *processor.Processor, record watch.Step) error {
	p := &j.progress
	if e := j.Recipe.Eval; e != nil && p.Step%int64(e.Every) == 0 {
		err := j.evaluate(ctx, proc, &record)
		if ctx.Err() != nil {
			record.Eval, record.Marks, record.Samples = nil, nil, nil
			p.Pending = &record
			return j.interrupted(ctx)
		}
		if err != nil {
			return err
		}
		j.rate(&record)
	}
	if err := j.record(record); err != nil {
		return err
	}
	if j.score != nil || p.Step%int64(j.Recipe.Save.Every) == 0 {
		return j.save()
	}
	return nil
}

// interrupted saves the last whole step.
func (j *job) interrupted(ctx context.Context) error {
	if j.progress.Step > 0 && j.saved != j.progress.Step {
		if err := j.save(); err != nil {
			return err
		}
		j.note("step %d is saved; -resume goes on from there", j.progress.Step)
	}
	return context.Cause(ctx)
}
