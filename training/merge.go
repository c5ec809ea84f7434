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
// rounded to them after its adapter was added. With nf4 the model's matrices are first those of a
// training with adapter.base nf4, from 4 bits.
func Merge(ctx context.Context, from *checkpoint.Checkpoint, dir, out string, nf4 bool, o convert.Options) error {
	from.KeepCodes = true
	load := model.Options{Threads: o.Threads}
	if nf4 {
		load.NF4 = nf4Matrix
	}
	net, err := model.Load(from, load)
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
	whole := map[string]nn.Param{} // stored beside the adapters, or changed by 4 bits
	net.Params(func(p nn.Param) {
		if set.Trains(p.Name) || nf4 && p.Linear != nil && p.Linear.Adapter == nil && nf4Matrix(p.Name) {
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
