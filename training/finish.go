package training

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"idefics2/convert"
	"idefics2/nn"
	"idefics2/runs"
	"idefics2/watch"
)

// finish writes what came of the training, and its curves.
func (j *job) finish(ctx context.Context) error {
	of := ""
	if j.Recipe.Save.Model == "best" {
		best, err := j.checkpoint("best")
		switch {
		case errors.Is(err, errNoScore):
			j.note("no step was evaluated, so the model is the last step's")
		case err != nil:
			return err
		default:
			if err := j.take(best); err != nil {
				return err
			}
			of = fmt.Sprintf(", of step %d, the best", best.Step)
		}
	}
	out, err := j.write(ctx)
	if err != nil {
		return err
	}
	steps, err := j.past()
	if err != nil {
		return err
	}
	if len(steps) > 0 {
		curves := filepath.Join(j.Dir, "curves")
		if err := os.MkdirAll(curves, 0o777); err != nil {
			return err
		}
		if err := watch.Curves(curves, steps); err != nil {
			return err
		}
	}
	if j.view != nil {
		j.view.Close()
		j.view = nil
	}
	j.note("%d steps done: %s%s", j.progress.Step, out, of)
	return nil
}

// write writes the model or adapter, and returns where.
func (j *job) write(ctx context.Context) (out string, err error) {
	if j.adapter != nil {
		out = filepath.Join(j.Dir, "adapter")
		return out, j.adapter.Save(out)
	}
	out = filepath.Join(j.Dir, "model")
	return out, j.writeModel(ctx, out)
}

// export writes the model or adapter of a checkpoint, and nothing else.
func (j *job) export(ctx context.Context) error {
	c, err := j.checkpoint(j.Export)
	if err != nil {
		return err
	}
	if err := j.take(c); err != nil {
		return err
	}
	out, err := j.write(ctx)
	if err == nil {
		j.note("step %d: %s", c.Step, out)
	}
	return err
}

// errNoScore says that no checkpoint has been evaluated.
var errNoScore = errors.New("no checkpoint was evaluated, so none is known to be the best; give a step")

// checkpoint returns the best, the last, or that of a step.
func (j *job) checkpoint(which string) (*runs.Checkpoint, error) {
	list, err := j.folder.List()
	if err != nil {
		return nil, err
	}
	var there []string
	for i := range list {
		c := &list[i]
		step := strconv.FormatInt(c.Step, 10)
		there = append(there, step)
		if which == "best" && c.Best || which == "last" && i == len(list)-1 || which == step {
			return c, c.Check()
		}
	}
	switch {
	case len(list) == 0:
		return nil, fmt.Errorf("%s holds no checkpoint yet; train first", j.Dir)
	case which == "best":
		return nil, errNoScore
	}
	return nil, fmt.Errorf("%s has no checkpoint %q, only best, last, %s", j.Dir, which, strings.Join(there, ", "))
}

// take makes the model that of a checkpoint. What learns in a later stage than it is of is what it
// was at the beginning.
func (j *job) take(c *runs.Checkpoint) error {
	j.learnt = map[string]bool{}
	if _, err := j.setWeights(c); err != nil {
		return fmt.Errorf("%s: %w", c.Dir, err)
	}
	j.refresh()
	return nil
}

// writeModel writes the model as a folder, each tensor in the type that it had before the training.
func (j *job) writeModel(ctx context.Context, dir string) error {
	learnt := map[string]nn.Param{}
	j.net.Params(func(p nn.Param) {
		if j.learnt[p.Name] {
			learnt[p.Name] = p
		}
	})
	values := &values{of: func(name string) []float32 {
		if p, ok := learnt[name]; ok {
			return p.Floats()
		}
		return nil
	}}
	return convert.Folder(ctx, dir, j.base, convert.Options{Threads: j.Threads, Force: true, Values: values.rows})
}
