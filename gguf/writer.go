package gguf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"idefics2/internal/sections"
)

// Pair is one key of the metadata and its value.
type Pair struct {
	Key   string
	Value Value
}

// Entry declares one tensor of a file.
type Entry struct {
	Name  string // at most 63 bytes, or llama.cpp refuses the file
	Type  Type
	Shape []int // row-major
}

// Writer writes one file, whose sections are its tensors: whatever happens on the way, no
// half file is ever found under the final name.
type Writer struct{ *sections.Writer }

// Create begins a version 3 file at path of the metadata and the declared tensors, both in
// the order given, and writes all that comes before the data. Write each tensor, then
// Commit; Abort gives up. A "general.alignment" in the metadata is followed, 32 without one.
func Create(path string, metadata []Pair, entries []Entry) (*Writer, error) {
	l, err := Layout(metadata, entries)
	if err != nil {
		return nil, fmt.Errorf("gguf: %s: %w", path, err)
	}
	w, err := sections.Create("gguf", path, l)
	if err != nil {
		return nil, err
	}
	return &Writer{w}, nil
}

// Layout gives every entry its place behind the header, for a writer of another kind than
// Create's.
func Layout(metadata []Pair, entries []Entry) (l sections.Layout, err error) {
	l.Places = make(map[string]sections.Place, len(entries))
	values := make(map[string]Value, len(metadata))
	header := binary.LittleEndian.AppendUint32([]byte("GGUF"), 3)
	header = binary.LittleEndian.AppendUint64(header, uint64(len(entries)))
	header = binary.LittleEndian.AppendUint64(header, uint64(len(metadata)))
	for _, p := range metadata {
		if _, ok := values[p.Key]; ok {
			return l, fmt.Errorf("key %.64q given twice", p.Key)
		}
		if err := checkPair(p); err != nil {
			return l, err
		}
		values[p.Key] = p.Value
		header = appendString(header, p.Key)
		header = binary.LittleEndian.AppendUint32(header, uint32(p.Value.kind))
		header = append(header, p.Value.raw...)
	}
	align, err := alignment(values)
	if err != nil {
		return l, err
	}
	if len(entries) > maxTensors || len(metadata) > maxMetadata {
		return l, fmt.Errorf("%d tensors and %d keys, want at most %d and %d", len(entries), len(metadata), maxTensors, maxMetadata)
	}

	at := uint64(0)
	for _, e := range entries {
		size, err := checkEntry(e, l.Places)
		if err != nil {
			return l, err
		}
		l.Places[e.Name] = sections.Place{Offset: int64(at), Size: int64(size)}
		header = appendString(header, e.Name)
		header = binary.LittleEndian.AppendUint32(header, uint32(len(e.Shape)))
		for _, d := range slices.Backward(e.Shape) {
			header = binary.LittleEndian.AppendUint64(header, uint64(d))
		}
		header = binary.LittleEndian.AppendUint32(header, uint32(e.Type))
		header = binary.LittleEndian.AppendUint64(header, at)
		if at = aligned(at+size, align); at > 1<<62 {
			return l, errors.New("the sum of all sizes overflows")
		}
	}
	start := int64(aligned(uint64(len(header)), align))
	for name, place := range l.Places {
		place.Offset += start
		l.Places[name] = place
	}
	l.Header, l.Size = header, start+int64(at)
	return l, nil
}

func checkPair(p Pair) error {
	if len(p.Key) > maxKey || !utf8.ValidString(p.Key) {
		return fmt.Errorf("key %.64q of %d bytes, want UTF-8 of at most %d", p.Key, len(p.Key), maxKey)
	}
	c := &cursor{data: p.Value.raw}
	if err := skip(c, p.Value.kind, 0); err != nil { // a text that is not UTF-8, or the zero Value
		return fmt.Errorf("%.64q: %w", p.Key, err)
	}
	return nil
}

// checkEntry returns the bytes that e takes beside those that have a place.
func checkEntry(e Entry, taken map[string]sections.Place) (uint64, error) {
	if len(e.Name) >= maxName || !utf8.ValidString(e.Name) || len(e.Shape) > maxRank {
		return 0, fmt.Errorf("%.100q of %d dimensions cannot be stored: want a name of at most %d bytes and at most %d dimensions",
			e.Name, len(e.Shape), maxName-1, maxRank)
	}
	if _, ok := taken[e.Name]; ok {
		return 0, fmt.Errorf("%q declared twice", e.Name)
	}
	size, err := e.Type.size(e.Shape)
	if err != nil {
		return 0, fmt.Errorf("%q: %w", e.Name, err)
	}
	return size, nil
}
