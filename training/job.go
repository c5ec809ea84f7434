package training

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"idefics2"
	"idefics2/adapter"
	"idefics2/checkpoint"
	"idefics2/dataset"
	"idefics2/model"
	"idefics2/processor"
	"idefics2/runs"
	"idefics2/tensorboard"
	"idefics2/train"
	"idefics2/watch"
)

// job is one running training.
type job struct {
	Options
	folder  *runs.Run
	held    io.Closer // the folder's lock
	base    *checkpoint.Checkpoint
	net     *model.Model
	proc    *processor.Processor
	asking  *idefics2.Processor // the same, as the model's files say
	exam    exam
	adapter *adapter.Set // nil: the weights themselves learn
	sources map[string]dataset.Source

	trainer  *train.Trainer
	carry    *train.State    // of the optimizer, for the next stage
	learnt   map[string]bool // parameters that learn or did: a checkpoint holds them
	progress progress
	saved    int64 // the newest checkpoint's step; -1 for none
	score    *float64

	log    *runs.Log
	events *tensorboard.Writer
	view   *watch.View
}

// progress is where a training is, behind a whole step: progress.json.
type progress struct {
	Step      int64       `json:"step"` // of the run
	Stage     int         `json:"stage"`
	StageStep int         `json:"stage_step"`
	Total     int         `json:"total"`           // steps that the stage's schedule counts on; 0 before it began
	First     int         `json:"first"`           // the optimizer's step at which the stage began
	Updates   int         `json:"updates"`         // the optimizer's step
	Feed      *feedState  `json:"feed"`            // nil at the beginning of a stage
	Pending   *watch.Step `json:"pending"`         // the step's line, whose evaluation was interrupted
	Best      *float64    `json:"best,omitempty"`  // score of the evaluations
	Stale     int         `json:"stale,omitempty"` // evaluations since, none of them better
}

func (j *job) run(ctx context.Context) error {
	if err := j.open(ctx); err != nil {
		return err
	}
	if j.Export != "" {
		return j.export(ctx)
	}
	if err := j.resume(); err != nil {
		return err
	}
	for j.progress.Stage < len(j.Recipe.Stages) {
		if err := j.stage(ctx); err != nil {
			return fmt.Errorf("stage %q: %w", j.Recipe.Stages[min(j.progress.Stage, len(j.Recipe.Stages)-1)].Name, err)
		}
	}
	if j.saved != j.progress.Step {
		if err := j.save(); err != nil {
			return err
		}
	}
	return j.finish(ctx)
}

// open opens all that the training reads.
func (j *job) open(ctx context.Context) (err error) {
	if j.folder, err = runs.Open(j.Dir, j.Recipe); err != nil {
		return err
	}
	if j.held, err = j.folder.Lock(); err != nil {
		return err
	}
	j.folder.Keep = j.Recipe.Save.Keep
	if list, err := j.folder.List(); err != nil {
		return err
	} else if len(list) > 0 && !j.Resume && j.Export == "" {
		return fmt.Errorf("%s holds this training already, up to step %d; go on with it (-resume), or give another folder", j.Dir, list[len(list)-1].Step)
	}
	dir, err := j.start(ctx)
	if err != nil {
		return err
	}
	p, err := idefics2.OpenProcessor(dir, idefics2.Options{Read: j.reader()})
	if err != nil {
		return err
	}
	j.proc, j.asking = p.Processor, p
	if j.sources, err = j.openSources(); err != nil {
		return err
	}
	if j.base, err = checkpoint.Open(dir); err != nil {
		return err
	}
	j.base.KeepCodes = true
	plan, err := j.plan(j.base.Config, j.base.Preprocessor, j.weights(j.base))
	if err != nil {
		return err
	}
	disk := j.Disk
	if j.Resume {
		disk = 0 // most of it is there
	}
	if err := plan.Fits(j.Memory, disk); err != nil {
		return err
	}
	if j.net, err = model.Load(j.base, model.Options{Threads: j.Threads, NF4: j.nf4()}); err != nil {
		return err
	}
	if a := j.Recipe.Adapter; a != nil {
		if j.adapter, err = adapter.New(j.net, adapterConfig(j.Recipe), j.Recipe.Seed); err != nil {
			return err
		}
	}
	return j.prepareExam(ctx)
}

// start returns the folder of the weights that the training begins with, and makes it where they are new.
func (j *job) start(ctx context.Context) (string, error) {
	m := j.Recipe.Model
	if m.From != "" && !j.fromDefault() {
		return j.find(m.From)
	}
	dir := filepath.Join(j.Dir, "start")
	if _, err := os.Stat(dir); err == nil {
		return dir, nil // it got its name when it was whole
	}
	if m.From != "" {
		return dir, unpackDefault(dir)
	}
	return dir, j.newModel(ctx, dir)
}

// close ends what open began.
func (j *job) close() error {
	var errs []error
	if j.view != nil {
		j.view.Close()
	}
	if j.log != nil {
		errs = append(errs, j.log.Close())
	}
	if j.events != nil {
		errs = append(errs, j.events.Close())
	}
	if j.net != nil {
		j.net.Close()
	}
	if j.base != nil {
		errs = append(errs, j.base.Close())
	}
	for _, s := range j.sources {
		errs = append(errs, s.Close())
	}
	if j.held != nil {
		errs = append(errs, j.held.Close())
	}
	return errors.Join(errs...)
}

// note tells the person who watches.
func (j *job) note(format string, args ...any) {
	if j.View == nil {
		return
	}
	line := fmt.Sprintf(format, args...)
	if j.view != nil {
		j.view.Print(line)
		return
	}
	watch.NewView(j.View, 0, nil).Print(line)
}

// record completes a step's line, logs it and shows it.
func (j *job) record(s watch.Step) error {
	if err := j.log.Write(s); err != nil {
		return err
	}
	for tag, v := range map[string]float64{
		"loss": s.Loss, "learning_rate": s.LearningRate, "grad_norm": s.GradNorm,
		"tokens_per_second": float64(s.Tokens) / max(s.Seconds, 1e-9),
	} {
		j.events.Scalar(s.Step, tag, v)
	}
	for name, v := range s.Parts {
		j.events.Scalar(s.Step, "parts/"+name, v)
	}
	for name, v := range s.Eval {
		j.events.Scalar(s.Step, "eval/"+name, v)
	}
	if j.view != nil {
		j.view.Update(s)
	}
	return j.showAnswers(s)
}

// since returns seconds.
func since(start time.Time) float64 { return time.Since(start).Seconds() }
