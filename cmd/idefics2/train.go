package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"idefics2/hub"
	"idefics2/internal/terminal"
	"idefics2/preview"
	"idefics2/recipe"
	"idefics2/training"
)

var trainCmd = command{
	name: "train",
	args: "RECIPE.yaml [-o RUN] [-resume] [-plan] [-checkpoint WHICH] [-preview N [-html FILE]]",
	help: "train a model, or adapters beside it, as a recipe says",
	more: `docs/recipe.md explains the recipe; its paths begin in its own folder. RUN gets checkpoints, a log
(log.jsonl), TensorBoard's files, curves, and at the end model, a folder that every command takes, or
adapter, which "idefics2 merge" and PEFT read.

Ctrl-C saves the last whole step first; a second one ends at once. A training that was ended in any way
goes on with -resume from its newest checkpoint, and ends with the same bytes as one that was not.`,
	examples: []example{
		{"the memory that it needs, before anything is loaded", "idefics2 train recipe.yaml -plan"},
		{"what is learnt of the first four examples", "idefics2 train recipe.yaml -preview 4 -html preview.html"},
		{"the model of the best evaluation so far", "idefics2 train recipe.yaml -o runs/first -checkpoint best"},
		{"train, and go on", "idefics2 train recipe.yaml -o runs/first\n  idefics2 train recipe.yaml -o runs/first -resume"},
	},
	files: true,
	new: func(f *flags) runFunc {
		t := &trainFlags{flags: f}
		f.group("Training", func() {
			f.StringVar(&t.out, "o", "", "`RUN`: the folder of the run (default: the recipe's name without its ending, in this folder)")
			f.BoolVar(&t.resume, "resume", false, "go on from the newest checkpoint of RUN")
			f.IntVar(&t.threads, "threads", 0, "`N`: cores to use; 0 is all")
		})
		f.group("Instead of training", func() {
			f.StringVar(&t.checkpoint, "checkpoint", "", "`WHICH`: write the model or adapter of a checkpoint of RUN: best, last or a step")
			f.BoolVar(&t.plan, "plan", false, "print the memory that it needs, and fail if that is not to be had")
			f.IntVar(&t.preview, "preview", 0, "`N`: show the first examples of every stage as the model sees them")
			f.StringVar(&t.html, "html", "", "`FILE`: the preview as a page")
		})
		return t.run
	},
}

type trainFlags struct {
	flags            *flags
	out, html        string
	checkpoint       string
	resume, plan     bool
	preview, threads int
}

func (t *trainFlags) run(ctx context.Context, std stdio, args []string) error {
	for _, c := range []struct {
		wrong bool
		what  string
	}{
		{len(args) != 1, fmt.Sprintf("train wants one recipe, found %d arguments", len(args))},
		{t.preview < 0, fmt.Sprintf("-preview %d: want 1 or more", t.preview)},
		{t.html != "" && t.preview == 0, "-html is for -preview"},
		{t.preview > 0 && t.plan, "-preview and -plan; want one"},
		{t.checkpoint != "" && (t.preview > 0 || t.plan || t.resume), "-checkpoint trains nothing, and goes with none of -preview, -plan and -resume"},
		{t.threads < 0, fmt.Sprintf("-threads %d: want 0 for all cores, or a number of them", t.threads)},
	} {
		if c.wrong {
			return misused(c.what, t.flags.hint())
		}
	}
	r, err := recipe.Load(args[0])
	if err != nil {
		return withRemedy(err, "docs/recipe.md explains every key")
	}
	_, available := memory()
	o := training.Options{
		Recipe: r, Base: filepath.Dir(args[0]), Dir: t.out, Resume: t.resume, Export: t.checkpoint, Threads: t.threads,
		Hub: &hub.Cache{Dir: hub.DefaultDir(std.getenv)}, View: std.err, Memory: available,
	}
	place := filepath.Clean(o.Dir)
	if _, err := os.Stat(place); err != nil { // it will be made
		place = filepath.Dir(place)
	}
	o.Disk = diskFree(place)
	switch {
	case t.plan:
		return printPlan(std, o)
	case t.preview > 0:
		return t.show(ctx, std, o)
	}
	if o.Dir == "" {
		base := filepath.Base(args[0])
		if o.Dir = strings.TrimSuffix(base, filepath.Ext(base)); o.Dir == "" || o.Dir == base {
			return misused(fmt.Sprintf("%s: no name for the run's folder", args[0]), "give one with -o")
		}
	}
	std.signal.patience(10 * time.Minute) // a checkpoint of many gigabytes is being written
	return training.Run(ctx, o)
}

func printPlan(std stdio, o training.Options) error {
	plan, err := training.MakePlan(o)
	if err != nil {
		return err
	}
	if err := plan.Print(std.out); err != nil {
		return err
	}
	return plan.Fits(o.Memory, o.Disk)
}

// show is -preview.
func (t *trainFlags) show(ctx context.Context, std stdio, o training.Options) (err error) {
	p, examples, err := training.Preview(ctx, o, t.preview)
	if err != nil {
		return err
	}
	if t.html != "" {
		f, err := os.Create(t.html)
		if err != nil {
			return err
		}
		return errors.Join(preview.HTML(f, "What the model sees", p, examples), f.Close())
	}
	graphics, columns := terminal.None, 100
	if terminal.Is(std.out) {
		graphics, columns = terminal.DetectGraphics(std.getenv), terminal.Columns(std.out)
	}
	for _, e := range examples {
		if err := preview.Terminal(std.out, p, e, graphics, terminal.Is(std.out), columns); err != nil {
			return err
		}
	}
	return nil
}
