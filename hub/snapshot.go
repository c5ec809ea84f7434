package hub

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// link makes the snapshot of blobs that are all there, and then the ref.
func (p *Plan) link() (dir string, err error) {
	root := filepath.Join(p.cache.Dir, p.Name.folder())
	dir = filepath.Join(root, "snapshots", p.Commit)
	for i := range p.Files {
		if err := p.Files[i].link(); err != nil {
			return "", err
		}
	}
	if p.Name.Revision == p.Commit {
		return dir, nil
	}
	ref := filepath.Join(root, "refs", filepath.FromSlash(p.Name.Revision))
	if now, err := os.ReadFile(ref); err == nil && string(now) == p.Commit {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(ref), 0o777); err != nil {
		return "", err
	}
	// The ref leads to the old commit or to the new one at any time. Whoever else writes this file
	// writes the same.
	next := filepath.Join(root, "tmp_"+p.Commit)
	if err := os.WriteFile(next, []byte(p.Commit), 0o666); err != nil {
		return "", err
	}
	return dir, os.Rename(next, ref)
}

// symlink is taken away by tests, as Windows does from most of its users.
var symlink = os.Symlink

// link puts a file at its place in the snapshot: a link to its blob or, where there are no links, the
// blob itself, and copies of it where several files share one.
func (f *File) link() error {
	b := f.blob
	if b.at(f.pointer) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(f.pointer), 0o777); err != nil {
		return err
	}
	if err := os.Remove(f.pointer); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	switch from := b.found(); from {
	case b.path:
	case "":
		return fmt.Errorf("%s: another process removed it", b.path)
	default: // a file of the snapshot, for want of links
		return copyFile(f.pointer, from)
	}
	target, err := filepath.Rel(filepath.Dir(f.pointer), b.path)
	if err != nil {
		return err
	}
	if symlink(target, f.pointer) == nil || b.at(f.pointer) { // or another process was faster
		return nil
	}
	return os.Rename(b.path, f.pointer)
}

func copyFile(to, from string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	part := to + ".incomplete"
	out, err := os.Create(part)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Close()); err == nil {
		return os.Rename(part, to)
	}
	_ = os.Remove(part)
	return err
}
