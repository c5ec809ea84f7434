package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"idefics2/safetensors"
)

// source is where a model lies: a folder of files, or one GGUF file that holds them all.
type source interface {
	// file returns a file of the model by its plain name, and fs.ErrNotExist where there is none.
	file(name string) ([]byte, error)
	// at names the place of such a file in an error.
	at(name string) string
	// weights maps the tensors of a model of that configuration. Close what it returns, even
	// beside an error.
	weights(Config) (opened, error)
}

// opened are the tensors of a source under today's names, more than one of a name where
// the source has them twice.
type opened struct {
	tensors []namedTensor
	mapped  []mapping
}

type namedTensor struct {
	key string
	stored
}

// mapping is a file whose bytes tensors share.
type mapping interface {
	WillNeed()
	Close() error
}

// IsFile reports whether path names a model that is one file: by its ending, in capitals or not.
func IsFile(path string) bool { return strings.EqualFold(filepath.Ext(path), ".gguf") }

// sourceOf looks at what lies at path.
func sourceOf(path string) (source, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("checkpoint: %w", err)
	case info.IsDir():
		return folder(path), nil
	case IsFile(path):
		return readFile(path)
	}
	return nil, fmt.Errorf("checkpoint: %s: not a folder, nor a .gguf file; want a folder with config.json", path)
}

// folder is a source as transformers writes it.
type folder string

func (dir folder) at(name string) string { return filepath.Join(string(dir), name) }

func (dir folder) file(name string) ([]byte, error) {
	if !exists(string(dir), name) {
		return nil, fs.ErrNotExist
	}
	data, err := readBounded(dir.at(name))
	if errors.Is(err, fs.ErrNotExist) { // a link that leads nowhere is no missing file
		return nil, errors.New(err.Error())
	}
	return data, err
}

// packed is a source inside the program: the files of a folder in a file system that the program carries.
type packed struct {
	name string // in errors
	fsys fs.FS
}

func (p packed) at(name string) string { return p.name + ": " + name }

func (p packed) file(name string) ([]byte, error) { return fs.ReadFile(p.fsys, name) }

// weights reads model.safetensors into memory: such a model is small.
func (p packed) weights(Config) (w opened, err error) {
	data, err := p.file(singleFile)
	if err != nil {
		return w, fmt.Errorf("checkpoint: %s: %w", p.name, err)
	}
	f, err := safetensors.Parse(data)
	if err != nil {
		return w, fmt.Errorf("checkpoint: %s: %w", p.at(singleFile), err)
	}
	if w.tensors, err = named([]string{singleFile}, []*safetensors.File{f}, nil); err != nil {
		return w, fmt.Errorf("checkpoint: %s: %w", p.name, err)
	}
	return w, nil
}
