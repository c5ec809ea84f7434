package runs

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Log is a file with an object of JSON a line, each with a number that does not fall: the
// step, or the draw. A run that goes on cuts it back to where it goes on from.
type Log struct {
	path string
	file *os.File
	out  *bufio.Writer
}

// maxLine bounds a line of a log.
const maxLine = 1 << 20

// OpenLog opens a log of the run for appending. Lines whose member key is at or above from
// are cut off, and so is a last line that is not whole: a process was killed while it was
// written.
func (r *Run) OpenLog(name, key string, from int64) (*Log, error) {
	path := filepath.Join(r.Dir, name)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, fmt.Errorf("runs: %w", err)
	}
	keep, err := keepUntil(f, key, from)
	if err == nil {
		err = f.Truncate(keep)
	}
	if err == nil {
		_, err = f.Seek(keep, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("runs: %s: %w", path, err)
	}
	return &Log{path, f, bufio.NewWriter(f)}, nil
}

// keepUntil returns how many bytes of the log come before the first line that must go.
func keepUntil(from io.Reader, key string, until int64) (keep int64, err error) {
	r := bufio.NewReaderSize(from, maxLine)
	for number := 1; ; number++ {
		line, err := r.ReadSlice('\n')
		if err == io.EOF {
			return keep, nil // a line without an end is not whole
		}
		if err != nil {
			return 0, fmt.Errorf("line %d: %w", number, err)
		}
		var object map[string]json.RawMessage
		var at int64
		if json.Unmarshal(line, &object) != nil || json.Unmarshal(object[key], &at) != nil {
			return 0, fmt.Errorf("line %d is no object with a whole number %q: is it another program's file? Move it away", number, key)
		}
		if at >= until {
			return keep, nil
		}
		keep += int64(len(line))
	}
}

// Write appends an object, and lets others see it.
func (l *Log) Write(object any) error {
	data, err := json.Marshal(object)
	if err != nil {
		return fmt.Errorf("runs: %s: %w", l.path, err)
	}
	if len(data) >= maxLine {
		return fmt.Errorf("runs: %s: a line of %d bytes, at most %d", l.path, len(data), maxLine)
	}
	if _, err := l.out.Write(append(data, '\n')); err != nil {
		return fmt.Errorf("runs: %s: %w", l.path, err)
	}
	if err := l.out.Flush(); err != nil {
		return fmt.Errorf("runs: %s: %w", l.path, err)
	}
	return nil
}

// Sync brings the log to the disk, as is due before a checkpoint that relies on it.
func (l *Log) Sync() error {
	if err := l.file.Sync(); err != nil {
		return fmt.Errorf("runs: %s: %w", l.path, err)
	}
	return nil
}

// Close closes the log.
func (l *Log) Close() error {
	if err := errors.Join(l.out.Flush(), l.file.Close()); err != nil {
		return fmt.Errorf("runs: %s: %w", l.path, err)
	}
	return nil
}
