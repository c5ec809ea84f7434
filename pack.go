package idefics2

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"idefics2/checkpoint"
	"idefics2/convert"
)

// openPacked opens a model, or, of a large one in float32 of which nobody wants the last bits,
// its copy in bfloat16, which is made the first time. It streams, goes on where it was
// interrupted, and where it cannot be made the model is used as it is.
func openPacked(ctx context.Context, path string, o Options) (*checkpoint.Checkpoint, error) {
	source, err := checkpoint.Open(path)
	if err != nil {
		return nil, err
	}
	from := o.packFrom
	if from == 0 {
		from = convert.PackFrom
	}
	if o.DType == "f32" || !convert.WantsPacking(source, from) {
		return source, nil
	}
	note := o.Note
	if note == nil {
		note = func(string) {}
	}
	cacheDir := o.CacheDir
	if cacheDir == "" {
		cacheDir = DefaultCacheDir()
	}
	packed, ok := convert.FindPacked(source, cacheDir)
	if !ok {
		note("the weights are float32: packing them to bfloat16 once, in half the bytes; -dtype f32 uses them as they are")
		packed, err = convert.Pack(ctx, source, cacheDir, convert.Options{Threads: o.Threads, Progress: func(done, total int64) {
			if o.Progress != nil {
				o.Progress(Progress{"pack", done, total})
			}
		}})
		if ctx.Err() != nil {
			return nil, errors.Join(context.Cause(ctx), source.Close())
		}
		if err != nil {
			note(fmt.Sprintf("not packed, so the weights are used as they are: %v", err))
			return source, nil
		}
		note("packed to " + packed)
	}
	small, err := checkpoint.Open(packed)
	if err != nil {
		note(fmt.Sprintf("%v; the weights are used as they are", err))
		return source, nil
	}
	return small, source.Close()
}

// DefaultCacheDir returns idefics2 in the user's cache folder, "" where there is none.
func DefaultCacheDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "idefics2")
}
