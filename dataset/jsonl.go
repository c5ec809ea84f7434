package dataset

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"idefics2/chat"
)

// JSONL is a file with an example a line: an object of messages, and maybe images, split
// and what else there is (see [chat.ParseRequest]), a list of messages, or an object of a
// document, a list of texts and images. Paths of pictures are relative to the file's folder.
type JSONL struct {
	lines *lines
	dir   string
}

// OpenJSONL opens a file and finds its lines, which reads it once.
func OpenJSONL(path string) (*JSONL, error) {
	l, err := openLines(path)
	if err != nil {
		return nil, err
	}
	return &JSONL{l, filepath.Dir(path)}, nil
}

// Name returns the file's name.
func (s *JSONL) Name() string { return filepath.Base(s.lines.path) }

// Len returns the number of lines that are not blank.
func (s *JSONL) Len() int { return len(s.lines.starts) }

// Close closes the file.
func (s *JSONL) Close() error { return s.lines.close() }

// At reads example i.
func (s *JSONL) At(_ context.Context, i int) (Example, error) {
	line, origin, err := s.lines.at(i)
	if err != nil {
		return Example{}, &BadError{origin, err}
	}
	e, err := parseExample(line, s.dir)
	if e.Origin = origin; err != nil {
		return Example{}, &BadError{origin, err}
	}
	return e, nil
}

// parseExample reads an example from JSON.
func parseExample(data []byte, dir string) (e Example, err error) {
	if document, ok := documentOf(data); ok {
		var m chat.Message // a document has the forms of a message's content
		if err := json.Unmarshal(append(append([]byte(`{"role":"user","content":`), document...), '}'), &m); err != nil {
			return e, fmt.Errorf("document: %w", err)
		}
		e.Document = relative(m.Content, dir)
		return e, nil
	}
	r, err := chat.ParseRequest(data)
	if err != nil {
		return e, err
	}
	if r.Prompt != nil {
		return e, errors.New("a prompt has no answer to learn; give messages that end with the assistant's, or a document")
	}
	for i := range r.Messages {
		relative(r.Messages[i].Content, dir)
	}
	for _, name := range r.Images {
		e.Images = append(e.Images, Image{Name: within(dir, name)})
	}
	e.Messages, e.Split = r.Messages, r.Split
	return e, nil
}

// documentOf returns the member "document" of an object that has no messages.
func documentOf(data []byte) (json.RawMessage, bool) {
	if !bytes.Contains(data, []byte(`"document"`)) {
		return nil, false
	}
	var o struct {
		Document json.RawMessage `json:"document"`
		Messages json.RawMessage `json:"messages"`
	}
	return o.Document, json.Unmarshal(data, &o) == nil && o.Document != nil && o.Messages == nil
}

func relative(parts []chat.Part, dir string) []chat.Part {
	for i := range parts {
		parts[i].Image = within(dir, parts[i].Image)
	}
	return parts
}

// within makes a relative path relative to dir. URLs and data URLs are left alone.
func within(dir, name string) string {
	for _, scheme := range []string{"http://", "https://", "data:"} {
		if strings.HasPrefix(name, scheme) {
			return name
		}
	}
	if name == "" || dir == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

// lines is a text file whose lines can be had in any order.
type lines struct {
	path    string
	file    *os.File
	starts  []int64 // of the lines that are not blank
	numbers []int32 // of the same, from one
	size    int64
}

// maxLines bounds what the index of a file takes: 12 bytes a line.
const maxLines = 1 << 28

func openLines(path string) (*lines, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("dataset: %w", err)
	}
	l := &lines{path: path, file: f}
	if err := l.index(); err != nil {
		f.Close()
		return nil, fmt.Errorf("dataset: %s: %w", path, err)
	}
	return l, nil
}

func (l *lines) index() error {
	r := bufio.NewReaderSize(l.file, 1<<20)
	start, number := int64(0), int32(1)
	blank := true
	for {
		piece, err := r.ReadSlice('\n')
		blank = blank && len(bytes.TrimSpace(piece)) == 0
		l.size += int64(len(piece))
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err != nil && err != io.EOF:
			return err
		}
		if !blank {
			if len(l.starts) == maxLines {
				return fmt.Errorf("more than %d lines; split the file", maxLines)
			}
			l.starts, l.numbers = append(l.starts, start), append(l.numbers, number)
		}
		if err == io.EOF {
			return nil
		}
		start, blank = l.size, true
		number++
	}
}

// at returns line i and where it stands.
func (l *lines) at(i int) (line []byte, origin string, err error) {
	origin = fmt.Sprintf("%s:%d", filepath.Base(l.path), l.numbers[i])
	end := l.size
	if i+1 < len(l.starts) {
		end = l.starts[i+1]
	}
	n := end - l.starts[i]
	if n > maxText {
		return nil, origin, fmt.Errorf("a line of %d bytes, at most %d; put pictures into files of their own", n, maxText)
	}
	line = make([]byte, n)
	if _, err := l.file.ReadAt(line, l.starts[i]); err != nil {
		return nil, origin, fmt.Errorf("the file changed while it was read: %w", err)
	}
	return bytes.TrimSpace(line), origin, nil
}

func (l *lines) close() error { return l.file.Close() }
