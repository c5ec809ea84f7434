package sections

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"idefics2/internal/filelock"
)

// Sum is the SHA-256 of a section.
type Sum [sha256.Size]byte

// Resumed writes a file, or a folder of files, so that a process which ended on the way, at
// any moment and for any reason, can begin again where it stopped. Until Commit all bytes are
// in target.partial, and target.partial.journal says which sections are whole:
//
//	hex SHA-256 of what is being written      one line
//	hex SHA-256 of a section, space, its name  a line for each, in the order they were finished
//
// Headers are written last, so that a partial file is no file of its format.
type Resumed struct {
	target  string
	files   []File
	handles []*os.File
	places  map[string]where
	done    map[string]Sum
	journal *os.File
}

// File is one file of a target.
type File struct {
	Name   string // in the target's folder; "" where the target is the file
	Layout Layout // its header may change until Commit, in content but not in length
}

type where struct {
	Place
	file int
}

const hexSum = 2 * sha256.Size

// The endings of what is there before a target is whole.
const (
	partialEnding = ".partial"
	journalEnding = ".partial.journal"
)

// Resume begins to write target, or goes on. Key is all that the bytes depend on: what is
// there of another key is thrown away. Sections that the journal says are whole are read
// again, and count as such if their sums agree. Names of sections have no line breaks, and
// differ between the files. See Done for what is left to do. Verified, which may be nil, is
// told of the bytes that were read.
func Resume(ctx context.Context, target, key string, files []File, verified func(bytes int64)) (*Resumed, error) {
	r := &Resumed{target: target, files: files, places: map[string]where{}, done: map[string]Sum{}}
	for i, f := range files {
		for name, place := range f.Layout.Places {
			r.places[name] = where{place, i}
		}
	}
	if err := r.open(ctx, r.fingerprint(key), verified); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", target, err), r.Close())
	}
	return r, nil
}

// fingerprint covers the key, and the names, headers and places of everything.
func (r *Resumed) fingerprint(key string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d %s\n", len(key), key)
	for _, f := range r.files {
		fmt.Fprintf(h, "%d %s%d %d\n", len(f.Name), f.Name, f.Layout.Size, len(f.Layout.Header))
		h.Write(f.Layout.Header)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Path returns where the file of that name is until Commit.
func (r *Resumed) Path(name string) string {
	if name == "" {
		return r.target + partialEnding
	}
	return filepath.Join(r.target+partialEnding, name)
}

func (r *Resumed) open(ctx context.Context, fingerprint string, verified func(int64)) (err error) {
	if r.journal, err = os.OpenFile(r.target+journalEnding, os.O_RDWR|os.O_CREATE, 0o666); err != nil {
		return err
	}
	if err := filelock.Try(r.journal); err != nil {
		return fmt.Errorf("another process is writing it: %w", err)
	}
	old, err := io.ReadAll(r.journal)
	if err != nil {
		return err
	}
	lines := strings.SplitAfter(string(old), "\n")
	goesOn := lines[0] == fingerprint+"\n"
	if !goesOn {
		// What is there is of another source, or of other settings.
		if err := os.RemoveAll(r.target + partialEnding); err != nil {
			return err
		}
	}
	if err := r.openFiles(); err != nil {
		return err
	}
	if goesOn {
		if err := r.verify(ctx, lines[1:], verified); err != nil {
			return err
		}
	}
	// The journal begins anew with what is true: a torn line, or a wrong one, is gone.
	var text bytes.Buffer
	fmt.Fprintln(&text, fingerprint)
	for _, name := range slices.Sorted(maps.Keys(r.done)) {
		fmt.Fprintf(&text, "%x %s\n", r.done[name], name)
	}
	if err := r.journal.Truncate(0); err != nil {
		return err
	}
	if _, err := r.journal.WriteAt(text.Bytes(), 0); err != nil {
		return err
	}
	_, err = r.journal.Seek(0, io.SeekEnd)
	return err
}

func (r *Resumed) openFiles() error {
	for _, f := range r.files {
		path := r.Path(f.Name)
		if f.Name != "" {
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				return err
			}
		}
		h, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
		if err != nil {
			return err
		}
		r.handles = append(r.handles, h)
		if err := h.Truncate(f.Layout.Size); err != nil {
			return err
		}
	}
	return nil
}

// verify reads the sections that lines of a journal name.
func (r *Resumed) verify(ctx context.Context, lines []string, verified func(int64)) error {
	buf := make([]byte, 1<<20)
	for _, line := range lines {
		text, whole := strings.CutSuffix(line, "\n")
		sum, name, ok := strings.Cut(text, " ")
		w, known := r.places[name]
		if !whole || !ok || !known || len(sum) != hexSum {
			continue
		}
		h := sha256.New()
		section := io.NewSectionReader(r.handles[w.file], w.Offset, w.Size)
		for {
			n, err := section.Read(buf)
			h.Write(buf[:n])
			if err == io.EOF {
				break
			}
			if err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		if hex.EncodeToString(h.Sum(nil)) != sum {
			continue
		}
		r.done[name] = Sum(h.Sum(nil))
		if verified != nil {
			verified(w.Size)
		}
	}
	return nil
}

// Done returns the sum of a section that is whole, and whether it is.
func (r *Resumed) Done(name string) (Sum, bool) {
	sum, ok := r.done[name]
	return sum, ok
}

// WriteAt writes bytes of a section, from byte offset of it on.
func (r *Resumed) WriteAt(name string, p []byte, offset int64) error {
	w, ok := r.places[name]
	if !ok || offset < 0 || int64(len(p)) > w.Size-offset {
		return fmt.Errorf("%s: %q: bytes %d to %d, want them within its %d", r.target, name, offset, offset+int64(len(p)), w.Size)
	}
	if _, err := r.handles[w.file].WriteAt(p, w.Offset+offset); err != nil {
		return fmt.Errorf("%s: %w", r.target, full(err))
	}
	return nil
}

// Finish notes that a section is whole, and what its sum is.
func (r *Resumed) Finish(name string, sum Sum) error {
	if _, err := fmt.Fprintf(r.journal, "%x %s\n", sum, name); err != nil {
		return fmt.Errorf("%s: %w", r.target, full(err))
	}
	r.done[name] = sum
	return nil
}

// Sync waits until what was written is on the disk, so that the wait at the end is short.
func (r *Resumed) Sync() error {
	for _, h := range r.handles {
		if err := h.Sync(); err != nil {
			return fmt.Errorf("%s: %w", r.target, full(err))
		}
	}
	return nil
}

// Commit writes the header of each file, brings everything to the disk, and gives the target
// its name. A file of that name is replaced; a folder of that name must be empty.
func (r *Resumed) Commit(headers [][]byte) error {
	if err := r.commit(headers); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", r.target, full(err)), r.Close())
	}
	return nil
}

func (r *Resumed) commit(headers [][]byte) error {
	for name := range r.places {
		if _, ok := r.done[name]; !ok {
			return fmt.Errorf("%q was not written", name)
		}
	}
	for i, h := range r.handles {
		if len(headers[i]) != len(r.files[i].Layout.Header) {
			return fmt.Errorf("a header of %d bytes, declared with %d", len(headers[i]), len(r.files[i].Layout.Header))
		}
		if _, err := h.WriteAt(headers[i], 0); err != nil {
			return err
		}
		if err := h.Sync(); err != nil {
			return err
		}
	}
	// Without its journal a partial target is begun again: the other order would leave a
	// journal of nothing behind.
	name := r.journal.Name()
	if err := r.Close(); err != nil {
		return err
	}
	if err := os.Remove(name); err != nil {
		return err
	}
	if r.files[0].Name != "" {
		if err := os.Remove(r.target); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		syncFolder(r.target + partialEnding)
	}
	if err := os.Rename(r.target+partialEnding, r.target); err != nil {
		return err
	}
	syncFolder(filepath.Dir(r.target))
	return nil
}

// Close leaves what was written where it is, to go on later.
func (r *Resumed) Close() (err error) {
	for _, h := range r.handles {
		err = errors.Join(err, h.Close())
	}
	if r.journal != nil {
		err = errors.Join(err, r.journal.Close())
	}
	r.handles, r.journal = nil, nil
	return err
}

// Taken returns the bytes that the disk has given a target which is not finished.
func Taken(target string) (bytes int64) {
	_ = filepath.WalkDir(target+partialEnding, func(_ string, d os.DirEntry, err error) error {
		if err != nil {
			return nil // what cannot be seen counts as nothing
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			bytes += allocated(info)
		}
		return nil
	})
	return bytes
}

// TargetOf returns the target of which path is the unfinished part.
func TargetOf(path string) (target string, ok bool) { return strings.CutSuffix(path, partialEnding) }

// Discard removes what there is of a target that was not finished.
func Discard(target string) error {
	return errors.Join(os.RemoveAll(target+partialEnding), os.RemoveAll(target+journalEnding))
}

// full says what to do about a disk that has no room left.
func full(err error) error {
	if isFull(err) {
		return fmt.Errorf("%w; free some and start again: it goes on where it stopped", err)
	}
	return err
}
