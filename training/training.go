// Package training is the loop around train.Trainer: it does what a recipe says, from the weights that
// it starts from to the folder that every tool loads.
//
//	recipe → data, model, adapters → stage by stage: sequences → steps → log, evaluation, checkpoints → RUN/model
//
//	RUN/run.json             the recipe's fingerprint (package runs)
//	    .lock                held while a process works in it
//	    start/               the new model that the training begins with, where the recipe has a config
//	    step-000250/         weights.safetensors, moments.safetensors, progress.json
//	    log.jsonl            a line a step (watch.Step)
//	    skipped-1.jsonl      the examples of the first stage that could not be used
//	    tensorboard/  curves/  samples.html
//	    model/ or adapter/   what came of it
//
// A process may be killed at any moment. The run that goes on from its newest checkpoint ends with the
// bytes of one that was left alone: nothing depends on the clock, on threads or on where it
// was cut.
package training

import (
	"context"
	"errors"
	"fmt"
	"io"

	"idefics2/hub"
	"idefics2/recipe"
)

// Options say which training, and where.
type Options struct {
	Recipe *recipe.Recipe
	Base   string // the folder in which the recipe's relative paths begin; "" is the current one
	Dir    string // of the run
	Resume bool   // go on from the newest checkpoint in Dir
	// Export, if not "", trains nothing: it writes the model or adapter of a checkpoint in Dir, "best", "last" or
	// a step's number.
	Export string
	// Threads are the cores to use; 0 is all. They change no byte.
	Threads int
	Hub     *hub.Cache // where models' names are found; nil is the usual one
	// View is where the training is shown: live on a terminal, else in plain lines. nil shows nothing.
	View io.Writer
	// Memory is what can be had, in bytes, to refuse what cannot fit; 0 does not look.
	Memory int64
	Disk   int64 // what is free where Dir is or will be, likewise
}

// Run trains. When ctx ends, it saves a checkpoint of the last whole step and returns ctx's error.
func Run(ctx context.Context, o Options) error {
	if err := o.check(); err != nil {
		return err
	}
	j := &job{Options: o}
	err := j.run(ctx)
	if err := errors.Join(err, j.close()); err != nil {
		return fmt.Errorf("training: %w", err)
	}
	return nil
}

// check refuses what a recipe can say and this package does not do.
func (o *Options) check() error {
	r := o.Recipe
	switch {
	case r == nil:
		return errors.New("training: no recipe")
	case r.Adapter != nil && len(r.Train)+len(r.Freeze) > 0:
		return errors.New("training: train and freeze choose among the model's own parameters, and beside an adapter all of those are frozen; leave them out, and choose layers by adapter.targets")
	}
	for _, s := range r.Stages {
		if r.Adapter != nil && len(s.Train)+len(s.Freeze) > 0 {
			return fmt.Errorf("training: stage %q: train and freeze are not for a training of adapters", s.Name)
		}
	}
	return nil
}
