package training

import (
	"context"
	"os"
	"path/filepath"

	"idefics2/convert"
	"idefics2/nn"
	"idefics2/watch"
)

// finish writes what came of the training, and its curves.
func (j *job) finish(ctx context.Context) error {
	out := filepath.Join(j.Dir, "model")
	var err error
	if j.adapter != nil {
		out = filepath.Join(j.Dir, "adapter")
		err = j.adapter.Save(out)
	} else {
		err = j.writeModel(ctx, out)
	}
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
	j.note("%d steps done: %s", j.progress.Step, out)
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
