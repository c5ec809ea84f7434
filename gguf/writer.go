package gguf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"unicode/utf8"
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

// Writer writes one file. Until Commit its bytes are under another name in the same
// folder: whatever happens on the way, no half file is ever found under the final name.
type Writer struct {
	path     string // final name
	file     *os.File
	size     int64 // of the whole file
	sections map[string]*section
}

// section is the place of one tensor's bytes, and how many were written.
type section struct {
	offset, size int64
	written      atomic.Int64
}

// Create begins a version 3 file at path of the metadata and the declared tensors, both in
// the order given, and writes all that comes before the data. Write each tensor, then
// Commit; Abort gives up. A "general.alignment" in the metadata is followed, 32 without one.
func Create(path string, metadata []Pair, entries []Entry) (*Writer, error) {
	w := &Writer{path: path, sections: make(map[string]*section, len(entries))}
	header, err := w.layout(metadata, entries)
	if err != nil {
		return nil, fmt.Errorf("gguf: %s: %w", path, err)
	}
	if w.file, err = createTemp(path); err != nil {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	if _, err := w.file.Write(header); err != nil {
		return nil, errors.Join(fmt.Errorf("gguf: %w", err), w.Abort())
	}
	return w, nil
}

// WriteAt writes bytes of the named tensor, from byte offset of it on. Goroutines may
// write at the same time. Each byte must be written once: Commit counts them.
func (w *Writer) WriteAt(name string, p []byte, offset int64) error {
	s, ok := w.sections[name]
	switch {
	case !ok:
		return fmt.Errorf("gguf: %s: %q was not declared", w.path, name)
	case w.file == nil:
		return fmt.Errorf("gguf: %s: %w", w.path, errClosed)
	case offset < 0 || offset > s.size || int64(len(p)) > s.size-offset:
		return fmt.Errorf("gguf: %s: %q: bytes %d to %d, want them within its %d", w.path, name, offset, offset+int64(len(p)), s.size)
	}
	n, err := w.file.WriteAt(p, s.offset+offset)
	s.written.Add(int64(n))
	if err != nil {
		return fmt.Errorf("gguf: %s: %q: %w", w.path, name, err)
	}
	return nil
}

// Write writes the whole of the named tensor.
func (w *Writer) Write(name string, data []byte) error {
	if s, ok := w.sections[name]; ok && s.size != int64(len(data)) {
		return fmt.Errorf("gguf: %s: %q: %d bytes, want %d", w.path, name, len(data), s.size)
	}
	return w.WriteAt(name, data, 0)
}

// Copy writes the whole of the named tensor from r, through a small buffer.
func (w *Writer) Copy(name string, r io.Reader) error {
	buf := make([]byte, 1<<20)
	for at := int64(0); ; {
		n, err := io.ReadFull(r, buf)
		if n > 0 {
			if err := w.WriteAt(name, buf[:n], at); err != nil {
				return err
			}
			at += int64(n)
		}
		switch {
		case err == io.EOF || err == io.ErrUnexpectedEOF:
			if s, ok := w.sections[name]; !ok || s.size != at {
				return fmt.Errorf("gguf: %s: %q: %d bytes read, which is not its size", w.path, name, at)
			}
			return nil
		case err != nil:
			return fmt.Errorf("gguf: %s: %q: %w", w.path, name, err)
		}
	}
}

// Sync waits until what was written so far is on the disk. Commit does so too; calling it
// on the way keeps that wait short.
func (w *Writer) Sync() error {
	if w.file == nil {
		return fmt.Errorf("gguf: %s: %w", w.path, errClosed)
	}
	if err := w.file.Sync(); err != nil {
		return fmt.Errorf("gguf: %s: %w", w.path, err)
	}
	return nil
}

// Commit checks that every byte of every tensor was written, brings them to the disk and
// gives the file its name, replacing one of that name. On an error nothing is left behind,
// and a file that was there before still is.
func (w *Writer) Commit() error {
	if err := w.finish(); err != nil {
		return errors.Join(fmt.Errorf("gguf: %s: %w", w.path, err), w.Abort())
	}
	return nil
}

// Abort removes what was written. After Commit it does nothing, so that it can be deferred.
func (w *Writer) Abort() error {
	if w.file == nil {
		return nil
	}
	name := w.file.Name()
	w.file.Close() // its content is of no interest any more
	w.file = nil
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("gguf: %w", err)
	}
	return nil
}

func (w *Writer) finish() error {
	if w.file == nil {
		return errClosed
	}
	for name, s := range w.sections {
		if n := s.written.Load(); n != s.size {
			return fmt.Errorf("%q: %d bytes written, want %d", name, n, s.size)
		}
	}
	// Gaps before, between and after tensors are zeros: nothing was written there.
	if err := w.file.Truncate(w.size); err != nil {
		return err
	}
	if err := w.file.Sync(); err != nil {
		return err
	}
	if err := w.file.Close(); err != nil {
		return err
	}
	if err := os.Rename(w.file.Name(), w.path); err != nil {
		return err
	}
	w.file = nil
	syncFolder(filepath.Dir(w.path))
	return nil
}

// layout gives every entry its place and returns the file's bytes before the data.
func (w *Writer) layout(metadata []Pair, entries []Entry) ([]byte, error) {
	values := make(map[string]Value, len(metadata))
	header := binary.LittleEndian.AppendUint32([]byte("GGUF"), 3)
	header = binary.LittleEndian.AppendUint64(header, uint64(len(entries)))
	header = binary.LittleEndian.AppendUint64(header, uint64(len(metadata)))
	for _, p := range metadata {
		if _, ok := values[p.Key]; ok {
			return nil, fmt.Errorf("key %.64q given twice", p.Key)
		}
		if err := checkPair(p); err != nil {
			return nil, err
		}
		values[p.Key] = p.Value
		header = appendString(header, p.Key)
		header = binary.LittleEndian.AppendUint32(header, uint32(p.Value.kind))
		header = append(header, p.Value.raw...)
	}
	align, err := alignment(values)
	if err != nil {
		return nil, err
	}
	if len(entries) > maxTensors || len(metadata) > maxMetadata {
		return nil, fmt.Errorf("%d tensors and %d keys, want at most %d and %d", len(entries), len(metadata), maxTensors, maxMetadata)
	}

	at := uint64(0)
	for _, e := range entries {
		size, err := w.checkEntry(e)
		if err != nil {
			return nil, err
		}
		w.sections[e.Name] = &section{offset: int64(at), size: int64(size)}
		header = appendString(header, e.Name)
		header = binary.LittleEndian.AppendUint32(header, uint32(len(e.Shape)))
		for _, d := range slices.Backward(e.Shape) {
			header = binary.LittleEndian.AppendUint64(header, uint64(d))
		}
		header = binary.LittleEndian.AppendUint32(header, uint32(e.Type))
		header = binary.LittleEndian.AppendUint64(header, at)
		if at = aligned(at+size, align); at > 1<<62 {
			return nil, errors.New("the sum of all sizes overflows")
		}
	}
	start := int64(aligned(uint64(len(header)), align))
	for _, s := range w.sections {
		s.offset += start
	}
	w.size = start + int64(at)
	return header, nil
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

// checkEntry returns the bytes that e takes.
func (w *Writer) checkEntry(e Entry) (uint64, error) {
	if len(e.Name) >= maxName || !utf8.ValidString(e.Name) || len(e.Shape) > maxRank {
		return 0, fmt.Errorf("%.100q of %d dimensions cannot be stored: want a name of at most %d bytes and at most %d dimensions",
			e.Name, len(e.Shape), maxName-1, maxRank)
	}
	if w.sections[e.Name] != nil {
		return 0, fmt.Errorf("%q declared twice", e.Name)
	}
	size, err := e.Type.size(e.Shape)
	if err != nil {
		return 0, fmt.Errorf("%q: %w", e.Name, err)
	}
	return size, nil
}

// createTemp makes a new file beside path, with the permissions that path would get.
func createTemp(path string) (*os.File, error) {
	dir, name := filepath.Split(path)
	for try := 0; ; try++ {
		temp := filepath.Join(dir, fmt.Sprintf(".%s.%08x.tmp", name, rand.Uint32()))
		f, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if err == nil || !errors.Is(err, os.ErrExist) || try == 100 {
			return f, err
		}
	}
}

// syncFolder makes a rename survive a loss of power. Systems that cannot open a folder do
// so by themselves.
func syncFolder(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		d.Close()
	}
}
