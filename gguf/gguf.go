// Package gguf reads and writes GGUF files, llama.cpp's format of one file a model: typed
// metadata, then the names, shapes, block formats and places of tensors, then their bytes.
// Reading maps the file; writing streams.
//
//	"GGUF" | u32 version | u64 tensors | u64 pairs | pairs | tensor infos | padding | data
//
// Source: spec/checkpoint.md §8 and llama.cpp's gguf.cpp, whose refusals are ours. Shapes
// are in the order of this module, rows before columns; files hold them reversed.
package gguf

import (
	"errors"
	"fmt"
	"slices"

	"idefics2/internal/mmap"
)

// Info is a tensor: what it is called, and the bytes of its blocks.
type Info struct {
	Name  string
	Type  Type
	Shape []int  // row-major, the length of a row last; empty for a scalar
	Data  []byte // mapped, read-only; aligned in the file to its alignment
}

// Len returns the number of elements.
func (t Info) Len() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// File is an open file.
type File struct {
	version   uint32
	alignment uint64
	keys      []string // in the file's order
	values    map[string]Value
	names     []string // in the file's order
	tensors   map[string]Info
	mapped    *mmap.File // nil for a file that was parsed from bytes
}

// Open maps the file at path and checks all of it but the tensors' contents: nothing lies
// beyond the file, nothing overlaps, no name is there twice. Values and Data are valid
// until Close. The file must not be truncated while it is open; see package mmap.
func Open(path string) (*File, error) {
	m, err := mmap.Open(path)
	if err != nil {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	f, err := parse(m.Data())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("gguf: %s: %w", path, err), m.Close())
	}
	f.mapped = m
	return f, nil
}

// Parse reads a file that is in memory. Values and tensors share memory with data.
func Parse(data []byte) (*File, error) {
	f, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	return f, nil
}

// Version returns the format's version: 2 or 3, which differ in nothing here.
func (f *File) Version() int { return int(f.version) }

// Alignment returns the bytes whose multiples tensors start at.
func (f *File) Alignment() int { return int(f.alignment) }

// Names returns the names of all tensors in the order of the file.
func (f *File) Names() []string { return slices.Clone(f.names) }

// Tensor returns the tensor of that name and whether there is one.
func (f *File) Tensor(name string) (Info, bool) {
	t, ok := f.tensors[name]
	return t, ok
}

// Keys returns the keys of all metadata in the order of the file.
func (f *File) Keys() []string { return slices.Clone(f.keys) }

// Value returns the metadata of that key, and whether there is any.
func (f *File) Value(key string) (Value, bool) {
	v, ok := f.values[key]
	return v, ok
}

// Int returns the whole number of that key.
func (f *File) Int(key string) (int, error) { return get(f, key, "a whole number", Value.Int) }

// Float returns the f32 or f64 of that key.
func (f *File) Float(key string) (float64, error) { return get(f, key, "f32 or f64", Value.Float) }

// Bool returns the bool of that key.
func (f *File) Bool(key string) (bool, error) { return get(f, key, "bool", Value.Bool) }

// Text returns the string of that key.
func (f *File) Text(key string) (string, error) { return get(f, key, "string", Value.Text) }

// Texts returns the array of strings of that key.
func (f *File) Texts(key string) ([]string, error) {
	return get(f, key, "an array of strings", Value.Texts)
}

// Ints returns the array of whole numbers of that key.
func (f *File) Ints(key string) ([]int, error) {
	return get(f, key, "an array of whole numbers", Value.Ints)
}

// Floats returns the array of f32 or f64 of that key.
func (f *File) Floats(key string) ([]float64, error) {
	return get(f, key, "an array of f32 or f64", Value.Floats)
}

func get[T any](f *File, key, want string, read func(Value) (T, bool)) (T, error) {
	v, ok := f.values[key]
	if !ok {
		var zero T
		return zero, fmt.Errorf("gguf: no %q in the metadata", key)
	}
	value, ok := read(v)
	if !ok {
		return value, fmt.Errorf("gguf: %q: found %v %.40v, want %s", key, v.Kind(), v, want)
	}
	return value, nil
}

// WillNeed tells the operating system that the whole file will be read soon.
func (f *File) WillNeed() {
	if f.mapped != nil {
		f.mapped.WillNeed()
	}
}

// Close removes the mapping: tensors and values must not be used afterwards. Closing twice
// is fine.
func (f *File) Close() error {
	if f.mapped == nil {
		return nil
	}
	return f.mapped.Close()
}
