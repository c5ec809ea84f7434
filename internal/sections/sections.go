// Package sections writes files that begin with a header and hold named sections of bytes,
// as safetensors and GGUF do: in any order, from many goroutines, and atomically.
package sections

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
)

// Layout says where the bytes of a file lie.
type Layout struct {
	Header []byte
	Places map[string]Place
	Size   int64 // of the whole file; what is in no section is zero
}

// Place is where a section lies in its file, in bytes.
type Place struct{ Offset, Size int64 }

// Writer writes one file. Until Commit its bytes are under another name in the same
// folder: whatever happens on the way, a full disk included, no half file is ever
// found under the final name.
type Writer struct {
	format   string // that errors begin with
	path     string // final name
	size     int64
	file     *os.File
	sections map[string]*section
}

// section is a place, and how many of its bytes were written.
type section struct {
	Place
	written atomic.Int64
}

var errClosed = errors.New("committed or aborted before")

// Create begins a file at path and writes its header. Write each section, then Commit;
// Abort gives up. Errors begin with the name of the format.
func Create(format, path string, l Layout) (*Writer, error) {
	w := &Writer{format: format, path: path, size: l.Size, sections: make(map[string]*section, len(l.Places))}
	for name, place := range l.Places {
		w.sections[name] = &section{Place: place}
	}
	var err error
	if w.file, err = createTemp(path); err != nil {
		return nil, fmt.Errorf("%s: %w", format, err)
	}
	if _, err := w.file.Write(l.Header); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", format, err), w.Abort())
	}
	return w, nil
}

// WriteAt writes bytes of the named section, from byte offset of it on. Goroutines may
// write at the same time. Each byte must be written once: Commit counts them.
func (w *Writer) WriteAt(name string, p []byte, offset int64) error {
	s, ok := w.sections[name]
	switch {
	case !ok:
		return w.errorf("%q was not declared", name)
	case w.file == nil:
		return w.errorf("%w", errClosed)
	case offset < 0 || offset > s.Size || int64(len(p)) > s.Size-offset:
		return w.errorf("%q: bytes %d to %d, want them within its %d", name, offset, offset+int64(len(p)), s.Size)
	}
	n, err := w.file.WriteAt(p, s.Offset+offset)
	s.written.Add(int64(n))
	if err != nil {
		return w.errorf("%q: %w", name, err)
	}
	return nil
}

// Write writes the whole of the named section.
func (w *Writer) Write(name string, data []byte) error {
	if s, ok := w.sections[name]; ok && s.Size != int64(len(data)) {
		return w.errorf("%q: %d bytes, want %d", name, len(data), s.Size)
	}
	return w.WriteAt(name, data, 0)
}

// Copy writes the whole of the named section from r, through a small buffer.
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
			if s, ok := w.sections[name]; !ok || s.Size != at {
				return w.errorf("%q: %d bytes read, which is not its size", name, at)
			}
			return nil
		case err != nil:
			return w.errorf("%q: %w", name, err)
		}
	}
}

// Sync waits until what was written so far is on the disk. Commit does so too; calling
// it on the way keeps that wait short.
func (w *Writer) Sync() error {
	if w.file == nil {
		return w.errorf("%w", errClosed)
	}
	if err := w.file.Sync(); err != nil {
		return w.errorf("%w", err)
	}
	return nil
}

// Commit checks that every byte of every section was written, brings them to the disk
// and gives the file its name, replacing one of that name. On an error nothing is
// left behind, and a file that was there before still is.
func (w *Writer) Commit() error {
	if err := w.finish(); err != nil {
		return errors.Join(w.errorf("%w", err), w.Abort())
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
		return fmt.Errorf("%s: %w", w.format, err)
	}
	return nil
}

func (w *Writer) finish() error {
	if w.file == nil {
		return errClosed
	}
	for name, s := range w.sections {
		if n := s.written.Load(); n != s.Size {
			return fmt.Errorf("%q: %d bytes written, want %d", name, n, s.Size)
		}
	}
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

func (w *Writer) errorf(format string, args ...any) error {
	return fmt.Errorf("%s: %s: %w", w.format, w.path, fmt.Errorf(format, args...))
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
