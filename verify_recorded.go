package idefics2

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"idefics2/defaultmodel"
)

// recorded is the smallest case that has everything once: it travels in every binary
// that verifies.
//
//go:embed testdata/golden/tiny
var recorded embed.FS

// Verify holds a model against a recorded case of the reference: a folder of
// requests.json, expect.json, stages.safetensors, images and checkpoint. An empty name is
// the case's own checkpoint. An empty dir is the case that the binary carries, and without a name
// that of the default model, too, whose requests are called default/…. Without a
// DType the arithmetic is exact, as the recordings are. The error says that the case could
// not be read or run, not that a check failed.
func Verify(ctx context.Context, dir, name string, o Options, report func(Check)) error {
	if dir != "" {
		return verifyFolder(ctx, dir, name, o, report)
	}
	small, err := fs.Sub(recorded, "testdata/golden/tiny")
	if err != nil {
		return err
	}
	if err := verifyFS(ctx, small, name, o, report); err != nil || name != "" {
		return err
	}
	o.Note = nil // nobody asks it anything
	return verifyFS(ctx, defaultmodel.Recorded(), defaultmodel.Name, o, func(c Check) {
		c.Request = defaultmodel.Name + "/" + c.Request
		report(c)
	})
}

// verifyFS is verifyFolder of files that are not on the disk.
func verifyFS(ctx context.Context, files fs.FS, name string, o Options, report func(Check)) error {
	dir, err := os.MkdirTemp("", "idefics2-verify-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(dir, files); err != nil {
		return err
	}
	return verifyFolder(ctx, dir, name, o, report)
}

func verifyFolder(ctx context.Context, dir, name string, o Options, report func(Check)) (err error) {
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
