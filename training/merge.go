package training

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"idefics2/adapter"
	"idefics2/checkpoint"
	"idefics2/convert"
	"idefics2/model"
	"idefics2/nn"
)

// Merge writes the model from, with the adapters of a PEFT folder made part of its weights, to the folder
// out. o.Type chooses how tensors are stored, as for convert.Folder. A matrix that stays in 16 bits is
// rounded to them after its adapter was added.
func Merge(ctx context.Context, from *checkpoint.Checkpoint, dir, out string, o convert.Options) error {
	net, err := model.Load(from, model.Options{Threads: o.Threads})
	if err != nil {
		return fmt.Errorf("training: merge: %w", err)
	}
	defer net.Close()
	set, err := adapter.Load(net, dir)
	if err != nil {
		return err
	}
	module := map[string]string{} // of an adapted matrix
	for _, m := range set.Modules() {
		module[m+".weight"] = m
	}
	whole := map[string]nn.Param{} // stored beside the adapters
	net.Params(func(p nn.Param) {
		if set.Trains(p.Name) {
			whole[p.Name] = p
		}
	})
	values := &values{of: func(name string) []float32 {
		if p, ok := whole[name]; ok {
			return p.Floats()
		}
		if m, ok := module[name]; ok {
			if w, ok := set.Merged(m); ok {
				return w.F32
			}
		}
		return nil
	}}
	o.Values = values.rows
	return convert.Folder(ctx, out, from, o)
}

// values hands out rows of tensors that are made one at a time, for convert.Options.Values: its goroutines
// go through the tensors in order, so that those of two are enough.
type values struct {
	of func(name string) []float32 // nil for tensors that stay

	mu   sync.Mutex
	kept [2]struct {
		name string
		data []float32
	}
}

func (v *values) rows(name string, dst []float32, lo, hi int) bool {
	data := v.all(name)
	if data == nil {
		return false
	}
	row := len(dst) / (hi - lo)
	copy(dst, data[lo*row:hi*row])
	return true
}

func (v *values) all(name string) []float32 {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i := range v.kept {
		if v.kept[i].name == name {
			return v.kept[i].data
		}
	}
	v.kept[1] = v.kept[0]
	v.kept[0].name, v.kept[0].data = name, slices.Clip(v.of(name))
	return v.kept[0].data
}
