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
	own := func(dir string) error {
		model := name
		if model == "" {
			model = filepath.Join(dir, "checkpoint")
		}
		return verifyFolder(ctx, dir, model, o, report)
	}
	if dir != "" {
		return own(dir)
	}
	small, err := fs.Sub(recorded, "testdata/golden/tiny")
	if err != nil {
		return err
	}
	if err := onDisk(small, own); err != nil || name != "" {
		return err
	}
	o.Note = nil // nobody asks it anything
	return onDisk(defaultmodel.Recorded(), func(dir string) error {
		return verifyFolder(ctx, dir, "", o, func(c Check) {
			c.Request = defaultmodel.Name + "/" + c.Request
			report(c)
		})
	})
}

// onDisk calls f with a folder that holds the files as long as it runs.
func onDisk(files fs.FS, f func(dir string) error) error {
	dir, err := os.MkdirTemp("", "idefics2-verify-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(dir, files); err != nil {
		return err
	}
	return f(dir)
}

// verifyFolder runs a case over the model that Open opens by that name.
func verifyFolder(ctx context.Context, dir, name string, o Options, report func(Check)) (err error) {
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
