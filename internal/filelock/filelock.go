// Package filelock takes files for one process alone. The system gives a file back when the process
// ends, in whatever way, so that no lock outlives its owner.
package filelock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ErrHeld is what Folder returns, wrapped, when another process has the folder.
var ErrHeld = errors.New("another process works in it")

// name is the file in a folder that is locked; it holds the owner's process number.
const name = ".lock"

// Folder takes a folder, which must be there, until the file that it returns is closed. The error names
// the process that has it.
func Folder(dir string) (io.Closer, error) {
	path := filepath.Join(dir, name)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	if err := Try(f); err != nil {
		text, _ := io.ReadAll(io.LimitReader(f, 20))
		f.Close()
		if !errors.Is(err, busy) { // of a file system without locks
			return nil, fmt.Errorf("%s cannot be locked: %w", dir, err)
		}
		if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
			return nil, fmt.Errorf("%s: %w: process %d", dir, ErrHeld, pid)
		}
		return nil, fmt.Errorf("%s: %w", dir, ErrHeld)
	}
	if err = f.Truncate(0); err == nil {
		_, err = f.WriteString(strconv.Itoa(os.Getpid()) + "\n")
	}
	if err != nil { // a full disk: the lock holds all the same, and says less
		_ = f.Truncate(0)
	}
	return f, nil
}

// File takes the file at path, which it makes if it is not there, until what it returns is closed. It
// waits while another has the file, and calls waiting, which may be nil, when it begins to. Locks are those
// of Python's filelock: whole files on Unix, the first byte on Windows. Where the file system has no locks
// there is nothing to wait for.
func File(ctx context.Context, path string, waiting func()) (io.Closer, error) {
	const again = 100 * time.Millisecond
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
		if err != nil {
			return nil, err
		}
		err = tryFirst(f)
		if err == nil && sameFile(f, path) || err != nil && !errors.Is(err, busy) {
			return f, nil
		}
		f.Close()
		if err == nil { // its owner removed it before letting go
			continue
		}
		if waiting != nil {
			waiting()
			waiting = nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(again):
		}
	}
}

// sameFile reports whether an open file is still what its name leads to.
func sameFile(f *os.File, path string) bool {
	held, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(held, named)
}
