package idefics2

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// recorded is the smallest case that has everything once: it travels in every binary
// that verifies.
//
//go:embed testdata/golden/tiny
var recorded embed.FS

// Verify holds a model against a recorded case of the reference: a folder of
// requests.json, expect.json, stages.safetensors, images and checkpoint. An empty dir is
// the case that the binary carries, and an empty name the case's own checkpoint. Without a
// DType the arithmetic is exact, as the recordings are. The error says that the case could
// not be read or run, not that a check failed.
func Verify(ctx context.Context, dir, name string, o Options, report func(Check)) (err error) {
	if dir == "" {
		temp, err := os.MkdirTemp("", "idefics2-verify-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temp)
		const root = "testdata/golden/tiny"
		files, err := fs.Sub(recorded, root)
		if err != nil {
			return err
		}
		if err := os.CopyFS(temp, files); err != nil {
			return err
		}
		dir = temp
	}
	if name == "" {
		name = filepath.Join(dir, "checkpoint")
	}
	if o.DType == "" {
		o.DType = "f32"
	}
	if o.rowBlocks, err = verifyDecoded(dir, name, o, report); err != nil {
		return err
	}
	m, err := Open(ctx, name, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	return m.verify(ctx, dir, report)
}
