package convert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"idefics2/checkpoint"
	"idefics2/internal/sections"
	"idefics2/quant"
	"idefics2/safetensors"
	"idefics2/tensor"
)

// shardSize is the reference's: most bytes of tensors in one file.
const shardSize = 5_000_000_000

// Decoded is Keep, with blocks as typ: safetensors has none.
func Decoded(typ quant.Type) Choice {
	return func(t checkpoint.Tensor, stored tensor.DType) quant.Type {
		if k := Keep(t, stored); k.Block() == 1 {
			return k
		}
		return typ
	}
}

// Folder writes the model to a folder as transformers has it: safetensors, in shards with an
// index where they are large, and the small files as they were. Without a Type in o, blocks
// become BF16 and all else stays.
func Folder(ctx context.Context, dir string, from *checkpoint.Checkpoint, o Options) error {
	if o.Type == nil {
		o.Type = Decoded(quant.BF16)
	}
	if err := writeFolder(ctx, filepath.Clean(dir), from, o); err != nil {
		return fmt.Errorf("convert: %w", err)
	}
	return nil
}

func writeFolder(ctx context.Context, dir string, from *checkpoint.Checkpoint, o Options) error {
	list := items(from, func(name string) string { return name }, &o)
	for _, it := range list {
		if it.typ.Block() > 1 {
			return fmt.Errorf("%q as %v: a folder of safetensors holds f32, f16 and bf16", it.Name, it.typ)
		}
	}
	if err := checkTarget(dir, o.Force, list); err != nil {
		return err
	}
	small, err := smallFiles(from)
	if err != nil {
		return err
	}
	if o.Values != nil { // they may be others than those of the work that was left
		if err := sections.Discard(dir); err != nil {
			return err
		}
	}
	return fillFolder(ctx, dir, from, list, small, o, func(to *sections.Resumed) error { return write(ctx, to, from, list, o) })
}

// fillFolder makes a folder of the tensors of list, which fill writes, and of the small files. It goes on
// where another process was killed.
func fillFolder(ctx context.Context, dir string, from *checkpoint.Checkpoint, list []item, small []smallFile, o Options, fill func(to *sections.Resumed) error) error {
	files, index, err := shards(list)
	if err != nil {
		return err
	}
	to, err := resume(ctx, dir, from, files, list, o)
	if err != nil {
		return err
	}
	if index != nil {
		small = append(small, smallFile{"model.safetensors.index.json", index})
	}
	for _, f := range small {
		if err := os.WriteFile(to.Path(f.name), f.data, 0o666); err != nil {
			return errors.Join(err, to.Close())
		}
	}
	if err := fill(to); err != nil {
		return errors.Join(err, to.Close())
	}
	headers := make([][]byte, len(files))
	for i, f := range files {
		headers[i] = f.Layout.Header
	}
	if o.Force {
		if err := os.RemoveAll(dir); err != nil {
			return errors.Join(err, to.Close())
		}
	}
	return to.Commit(headers)
}

// shards deals the tensors out in order, and makes the index where there is more than one file.
func shards(list []item) (files []sections.File, index []byte, err error) {
	var dealt [][]safetensors.Entry
	var total, parameters int64
	left := int64(0)
	for _, it := range list {
		if len(dealt) == 0 || it.size > left {
			dealt, left = append(dealt, nil), shardSize
		}
		last := len(dealt) - 1
		dealt[last] = append(dealt[last], entryOf(it))
		left -= it.size
		total += it.size
		parameters += int64(it.rows) * int64(it.length)
	}
	weightMap := map[string]string{}
	for i, entries := range dealt {
		name := "model.safetensors"
		if len(dealt) > 1 {
			name = fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(dealt))
		}
		l, err := safetensors.Layout(entries, map[string]string{"format": "pt"})
		if err != nil {
			return nil, nil, err
		}
		files = append(files, sections.File{Name: name, Layout: l})
		for _, e := range entries {
			weightMap[e.Name] = name
		}
	}
	if len(files) < 2 {
		return files, nil, nil
	}
	index, err = json.MarshalIndent(map[string]any{
		"metadata":   map[string]int64{"total_parameters": parameters, "total_size": total},
		"weight_map": weightMap,
	}, "", "  ")
	return files, append(index, '\n'), err
}
