// Package mmap maps whole files read-only, so that a model of many gigabytes is
// paged in by the operating system where and when it is read.
package mmap

import (
	"errors"
	"fmt"
	"math"
	"os"

	mapping "github.com/edsrzf/mmap-go"
)

// File is a read-only mapping of a whole file.
//
// The length is that of the file when it was opened. A file that another program
// truncates afterwards makes the pages past its new end unreadable, and touching
// one ends the process (SIGBUS): there is no portable way to turn that into an
// error, so files are replaced by renaming, as our own writers do, never in place.
type File struct {
	data mapping.MMap
}

// Open maps the regular file at path. An empty file gives empty Data.
func Open(path string) (*File, error) {
	// Stat comes first because opening a pipe would wait for a writer.
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", explain(path, err))
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("mmap: %s: is a %s, want a regular file", path, kind(info.Mode()))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	defer f.Close() // a mapping outlives its descriptor
	if info, err = f.Stat(); err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	size := info.Size()
	if size == 0 {
		return &File{}, nil // mapping zero bytes is an error on every system
	}
	if size > math.MaxInt {
		return nil, fmt.Errorf("mmap: %s: %d bytes do not fit this machine's address space; use a 64-bit one", path, size)
	}
	data, err := mapping.MapRegion(f, int(size), mapping.RDONLY, 0, 0)
	if err != nil {
		return nil, fmt.Errorf("mmap: %s: mapping %d bytes: %w", path, size, err)
	}
	return &File{data}, nil
}

// Data returns the file's bytes. They must not be written, nor read after Close.
func (f *File) Data() []byte { return f.data }

// WillNeed tells the operating system that the whole file will be read soon, so
// that it starts to. It is a hint: systems without one ignore it.
func (f *File) WillNeed() {
	if len(f.data) > 0 {
		willNeed(f.data)
	}
}

// Close removes the mapping. Closing twice is fine.
func (f *File) Close() error {
	if f.data == nil {
		return nil
	}
	if err := f.data.Unmap(); err != nil {
		return fmt.Errorf("mmap: %w", err)
	}
	return nil
}

// explain adds what a missing file hides when it is a link: caches of models are
// full of links whose target an interrupted download never wrote.
func explain(path string, err error) error {
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if target, lerr := os.Readlink(path); lerr == nil {
		return fmt.Errorf("%s: is a link to %s, which is missing (an interrupted download?): %w", path, target, os.ErrNotExist)
	}
	return err
}

func kind(m os.FileMode) string {
	switch {
	case m.IsDir():
		return "folder"
	case m&os.ModeNamedPipe != 0:
		return "pipe"
	case m&os.ModeSocket != 0:
		return "socket"
	case m&os.ModeDevice != 0:
		return "device"
	}
	return "special file"
}
