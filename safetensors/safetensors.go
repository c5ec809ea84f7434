// Package safetensors reads and writes the safetensors format: a JSON header that
// names tensors, then their bytes. Reading maps the file, so that opening a model of
// many gigabytes costs its header; writing streams, so that it costs a buffer.
//
//	u64 little-endian N | N bytes of JSON | data
//	JSON: {"__metadata__": {string: string}, "name": {"dtype": "F32", "shape": […], "data_offsets": [begin, end]}, …}
//
// Offsets count from the first byte of data. Source: spec/checkpoint.md §1 and
// github.com/huggingface/safetensors, whose reader refuses what this one refuses.
package safetensors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"idefics2/internal/mmap"
	"idefics2/tensor"
)

// Limits of a file. The first is the format's; the others bound what a header may
// make us allocate, far above any model's need.
const (
	maxHeader  = 100_000_000 // bytes of JSON
	maxTensors = 1_000_000
	maxName    = 4096 // bytes
	maxRank    = 64   // dimensions
)

// File is an open file: the names of its tensors and views of their bytes.
type File struct {
	names   []string // sorted
	tensors map[string]tensor.View
	meta    map[string]string
	mapped  *mmap.File // nil for a file that was parsed from bytes
}

// Open maps the file at path and checks its whole header: every tensor's bytes lie
// within the file, without gap or overlap, and agree with its shape and type. Views
// are valid until Close. The file must not be truncated while it is open; see
// package mmap.
func Open(path string) (*File, error) {
	m, err := mmap.Open(path)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	f, err := parse(m.Data())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("safetensors: %s: %w", path, err), m.Close())
	}
	f.mapped = m
	return f, nil
}

// Parse reads a file that is in memory. Views share memory with data.
func Parse(data []byte) (*File, error) {
	f, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	return f, nil
}

// Names returns the names of all tensors, sorted.
func (f *File) Names() []string { return slices.Clone(f.names) }

// View returns the tensor of that name and whether there is one. Its Data is mapped
// read-only, and possibly not aligned to its type: the format promises nothing.
func (f *File) View(name string) (tensor.View, bool) {
	v, ok := f.tensors[name]
	return v, ok
}

// Metadata returns a copy of the header's __metadata__, which is empty where there is none.
func (f *File) Metadata() map[string]string { return maps.Clone(f.meta) }

// WillNeed tells the operating system that the whole file will be read soon.
func (f *File) WillNeed() {
	if f.mapped != nil {
		f.mapped.WillNeed()
	}
}

// Close removes the mapping: views must not be used afterwards. Closing twice is fine.
func (f *File) Close() error {
	if f.mapped == nil {
		return nil
	}
	return f.mapped.Close()
}

func parse(data []byte) (*File, error) {
	if len(data) < 8 {
		return nil, fmt.Errorf("%d bytes, want at least the 8 of the header's length: empty or truncated file", len(data))
	}
	n := binary.LittleEndian.Uint64(data)
	if n > maxHeader {
		return nil, fmt.Errorf("header of %d bytes, want at most %d: no safetensors file", n, maxHeader)
	}
	if n > uint64(len(data)-8) {
		return nil, fmt.Errorf("header of %d bytes in a file of %d: truncated file", n, len(data))
	}
	entries, meta, err := parseHeader(data[8 : 8+n])
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	body := data[8+n:]
	if err := checkLayout(entries, uint64(len(body))); err != nil {
		return nil, err
	}
	f := &File{
		names:   make([]string, 0, len(entries)),
		tensors: make(map[string]tensor.View, len(entries)),
		meta:    meta,
	}
	for _, e := range entries {
		f.names = append(f.names, e.Name)
		f.tensors[e.Name] = tensor.View{DType: e.DType, Shape: e.Shape, Data: body[e.begin:e.end:e.end]}
	}
	slices.Sort(f.names)
	return f, nil
}
