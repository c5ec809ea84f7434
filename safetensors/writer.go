package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
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

// Writer writes one file. Until Commit its bytes are under another name in the same
// folder: whatever happens on the way, a full disk included, no half file is ever
// found under the final name.
type Writer struct {
	path     string // final name
	file     *os.File
	sections map[string]*section
}

// section is the place of one tensor's bytes, and how many were written.
type section struct {
	offset, size int64
	written      atomic.Int64
}

// Create begins a file at path of the declared tensors. They are laid out as the
// reference's writer does: wide types first, then by name, after a header padded to a
// multiple of 8 bytes. Metadata may be nil; transformers writes {"format": "pt"}.
// Write each tensor, then Commit; Abort gives up.
func Create(path string, entries []Entry, metadata map[string]string) (*Writer, error) {
	w := &Writer{path: path, sections: make(map[string]*section, len(entries))}
	header, err := w.layout(entries, metadata)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %s: %w", path, err)
	}
	if w.file, err = createTemp(path); err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	if _, err := w.file.Write(header); err != nil {
		return nil, errors.Join(fmt.Errorf("safetensors: %w", err), w.Abort())
	}
	return w, nil
}

// WriteAt writes bytes of the named tensor, from byte offset of it on. Goroutines may
// write at the same time. Each byte must be written once: Commit counts them.
func (w *Writer) WriteAt(name string, p []byte, offset int64) error {
	s, ok := w.sections[name]
	if !ok {
		return fmt.Errorf("safetensors: %s: %q was not declared", w.path, name)
	}
	if offset < 0 || offset > s.size || int64(len(p)) > s.size-offset {
		return fmt.Errorf("safetensors: %s: %q: bytes %d to %d, want them within its %d", w.path, name, offset, offset+int64(len(p)), s.size)
	}
	n, err := w.file.WriteAt(p, s.offset+offset)
	s.written.Add(int64(n))
	if err != nil {
		return fmt.Errorf("safetensors: %s: %q: %w", w.path, name, err)
	}
	return nil
}

// Write writes the whole of the named tensor.
func (w *Writer) Write(name string, data []byte) error {
	if s, ok := w.sections[name]; ok && s.size != int64(len(data)) {
		return fmt.Errorf("safetensors: %s: %q: %d bytes, want %d", w.path, name, len(data), s.size)
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
				return fmt.Errorf("safetensors: %s: %q: %d bytes read, which is not its size", w.path, name, at)
			}
			return nil
		case err != nil:
			return fmt.Errorf("safetensors: %s: %q: %w", w.path, name, err)
		}
	}
}

// Sync waits until what was written so far is on the disk. Commit does so too; calling
// it on the way keeps that wait short.
func (w *Writer) Sync() error {
	if err := w.file.Sync(); err != nil {
		return fmt.Errorf("safetensors: %s: %w", w.path, err)
	}
	return nil
}

// Commit checks that every byte of every tensor was written, brings them to the disk
// and gives the file its name, replacing one of that name. On an error nothing is
// left behind, and a file that was there before still is.
func (w *Writer) Commit() error {
	err := w.finish()
	if err != nil {
		return errors.Join(fmt.Errorf("safetensors: %s: %w", w.path, err), w.Abort())
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
		return fmt.Errorf("safetensors: %w", err)
	}
	return nil
}

func (w *Writer) finish() error {
	if w.file == nil {
		return errors.New("committed or aborted before")
	}
	for name, s := range w.sections {
		if n := s.written.Load(); n != s.size {
			return fmt.Errorf("%q: %d bytes written, want %d", name, n, s.size)
		}
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
func (w *Writer) layout(entries []Entry, metadata map[string]string) ([]byte, error) {
	entries = slices.Clone(entries)
	slices.SortFunc(entries, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(b.DType.Bits(), a.DType.Bits()), cmp.Compare(a.Name, b.Name))
	})
	var text bytes.Buffer
	text.WriteByte('{')
	if len(metadata) > 0 {
		text.WriteString(`"__metadata__":`)
		appendJSON(&text, metadata) // sorted by key
	}
	at := int64(0)
	for _, e := range entries {
		if e.Name == "__metadata__" || len(e.Name) > maxName || !utf8.ValidString(e.Name) || e.DType.Bits() == 0 || len(e.Shape) > maxRank {
			return nil, fmt.Errorf("%.100q: %v of %d dimensions cannot be stored under that name", e.Name, e.DType, len(e.Shape))
		}
		if w.sections[e.Name] != nil {
			return nil, fmt.Errorf("%q declared twice", e.Name)
		}
		size, err := e.size()
		if err != nil {
			return nil, err
		}
		if at+int64(size) < at {
			return nil, errors.New("the sum of all sizes overflows")
		}
		w.sections[e.Name] = &section{offset: at, size: int64(size)}
		if text.Len() > 1 {
			text.WriteByte(',')
		}
		appendJSON(&text, e.Name)
		fmt.Fprintf(&text, `:{"dtype":"%v","shape":[`, e.DType)
		for i, d := range e.Shape {
			if i > 0 {
				text.WriteByte(',')
			}
			fmt.Fprint(&text, d)
		}
		fmt.Fprintf(&text, `],"data_offsets":[%d,%d]}`, at, at+int64(size))
		at += int64(size)
	}
	text.WriteByte('}')
	for text.Len()%8 != 0 {
		text.WriteByte(' ')
	}
	if text.Len() > maxHeader || len(entries) > maxTensors {
		return nil, fmt.Errorf("header of %d bytes for %d tensors, want at most %d for %d", text.Len(), len(entries), maxHeader, maxTensors)
	}
	header := binary.LittleEndian.AppendUint64(nil, uint64(text.Len()))
	header = append(header, text.Bytes()...)
	for _, s := range w.sections {
		s.offset += int64(len(header))
	}
	return header, nil
}

// appendJSON writes text as JSON without the escapes that HTML needs, as the reference does.
func appendJSON(to *bytes.Buffer, v any) {
	e := json.NewEncoder(to)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("safetensors: " + err.Error()) // strings and maps of strings always encode
	}
	to.Truncate(to.Len() - 1) // the newline
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

// syncFolder makes a rename survive a loss of power. Systems that cannot open a
// folder do so by themselves.
func syncFolder(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		d.Close()
	}
}
