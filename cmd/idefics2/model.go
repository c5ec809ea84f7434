package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"idefics2"
	"idefics2/checkpoint"
	"idefics2/defaultmodel"
	"idefics2/hub"
	"idefics2/internal/terminal"
)

// modelFlags are those of every command that needs a model.
type modelFlags struct {
	model   string
	options idefics2.Options
}

func newModelFlags(f *flags) *modelFlags {
	m := new(modelFlags)
	f.group("Model", func() {
		f.StringVar(&m.model, "model", "", "`MODEL`: a folder, a .gguf file, or a name in the local Hugging Face cache, NAME[@REVISION] (default: the small one inside the program)")
		f.IntVar(&m.options.Threads, "threads", 0, "`N`: cores to use; 0 is all")
		f.choiceVar(&m.options.DType, "dtype", "arithmetic; auto is the fastest of the machine, f32 is exact", "auto", "f32", "bf16")
		f.choiceVar(&m.options.KV, "kv", "type of the keys and values that are kept; auto is bf16 with quantized weights, else f32", "auto", "f32", "bf16", "q8_0")
	})
	return m
}

// check refuses what this version does not do.
func (m *modelFlags) check(f *flags) error {
	if m.options.Threads < 0 {
		return misused(fmt.Sprintf("-threads %d: want 0 for all cores, or a number of them", m.options.Threads), f.hint())
	}
	return nil
}

// with completes the options for this environment, with progress if bars is not nil.
func (m *modelFlags) with(std stdio, bars *terminal.Progress) idefics2.Options {
	o := m.options
	o.Hub = &hub.Cache{Dir: hub.DefaultDir(std.getenv)}
	if bars != nil {
		o.Progress = show(bars)
		o.Note = func(line string) {
			bars.Close()
			fmt.Fprintln(std.err, "idefics2: "+terminal.Clean(line))
		}
	}
	return o
}

// open opens the model, with progress.
func (m *modelFlags) open(ctx context.Context, std stdio, bars *terminal.Progress) (*idefics2.Model, error) {
	return idefics2.Open(ctx, m.model, m.with(std, bars))
}

// adapterFlag is -adapter DIR, or -adapter NAME=DIR, several times.
type adapterFlag idefics2.Options

func (a *adapterFlag) String() string { return a.Adapter }

func (a *adapterFlag) Set(value string) error {
	name, dir, named := strings.Cut(value, "=")
	switch _, err := os.Stat(value); {
	case value == "":
		return errors.New("want DIR or NAME=DIR")
	case named && err != nil: // a folder may have the sign in its name
		if name == "" || dir == "" || strings.ContainsAny(name, `/\`) {
			return errors.New("want DIR or NAME=DIR")
		}
		if a.Adapters[name] != "" {
			return fmt.Errorf("%s is there twice", name)
		}
		if a.Adapters == nil {
			a.Adapters = map[string]string{}
		}
		a.Adapters[name] = dir
	case a.Adapter != "":
		return errors.New("only one can be without a name; give NAME=DIR")
	default:
		a.Adapter = value
	}
	return nil
}

// openExact opens a model whose arithmetic is exact.
func openExact(ctx context.Context, std stdio, bars *terminal.Progress, model string, threads int) (*idefics2.Model, error) {
	m := &modelFlags{model: model, options: idefics2.Options{Threads: threads, DType: "f32"}}
	return m.open(ctx, std, bars)
}

// closeModel closes a model, unless the program was interrupted: unmapping the weights of
// a large one would keep a person waiting, and interrupts.leave sees to it.
func closeModel(ctx context.Context, model *idefics2.Model) {
	if ctx.Err() == nil {
		model.Close()
	}
}

// processor opens what prepares a model's input, without its weights.
func (m *modelFlags) processor(std stdio) (*idefics2.Processor, error) {
	return idefics2.OpenProcessor(m.model, m.with(std, nil))
}

// openCheckpoint opens a model's files, without its processor.
func openCheckpoint(std stdio, name string) (*checkpoint.Checkpoint, error) {
	if defaultmodel.Means(name) {
		return checkpoint.OpenFS(defaultmodel.Name, defaultmodel.Files())
	}
	path, err := resolve(std, name)
	if err != nil {
		return nil, err
	}
	return checkpoint.Open(path)
}

// resolve returns the path of a model: its folder or its file.
func resolve(std stdio, name string) (string, error) {
	info, err := os.Stat(name)
	switch {
	case err == nil && (info.IsDir() || checkpoint.IsFile(name)):
		return name, nil
	case checkpoint.IsFile(name):
		return "", err
	}
	dir, err := hub.Cache{Dir: hub.DefaultDir(std.getenv)}.Find(name)
	if err != nil {
		return "", fmt.Errorf("%q is not a folder or .gguf file here, and: %w", name, err)
	}
	return dir, nil
}

// show draws the library's progress as bars.
func show(bars *terminal.Progress) func(idefics2.Progress) {
	return func(p idefics2.Progress) {
		if p.Stage == "load" || p.Stage == "pack" {
			bars.Bytes(p.Stage, p.Done, p.Total)
			return
		}
		bars.Count(p.Stage, p.Done, p.Total)
	}
}

// remedy returns what to do about an error, where the error does not say it itself.
func remedy(err error) string {
	var usage *usageError
	var told *remedied
	var adapter *idefics2.AdapterError
	switch {
	case errors.As(err, &usage):
		return usage.remedy
	case errors.As(err, &told):
		return told.remedy
	case errors.As(err, &adapter):
		return fmt.Sprintf("-adapter %s=DIR opens it", adapter.Name)
	case errors.Is(err, idefics2.ErrNoAdapter):
		return "-adapter takes the folder of one, such as RUN/adapter, which \"idefics2 train\" writes for a recipe with \"adapter\""
	}
	return ""
}
