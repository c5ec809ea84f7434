package dataset

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"idefics2/chat"
	"idefics2/parquet"
)

// Folder is a folder of pictures with their texts, as Hugging Face's ImageFolder lays it
// out: metadata.jsonl, metadata.csv or metadata.parquet with a column file_name, and text
// or messages.
//
// A text alone is learnt as a document, the picture and then the text, or as the answer to
// Question where there is one.
type Folder struct {
	Question string

	dir  string
	rows rows
}

// rows are the rows of a metadata file.
type rows interface {
	len() int
	row(i int) (row, error)
	close() error
}

// row is one row: pictures' names, and a text or messages in JSON.
type row struct {
	origin   string
	files    []string
	text     string
	messages json.RawMessage
}

// metadata are the names that a folder's metadata may have, and how each is read.
var metadata = []struct {
	name string
	open func(path string) (rows, error)
}{
	{"metadata.jsonl", openJSONLRows},
	{"metadata.csv", openCSVRows},
	{"metadata.parquet", openParquetRows},
}

// OpenFolder opens the folder.
func OpenFolder(dir string) (*Folder, error) {
	for _, m := range metadata {
		path := filepath.Join(dir, m.name)
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			continue
		}
		r, err := m.open(path)
		if err != nil {
			return nil, err
		}
		return &Folder{dir: dir, rows: r}, nil
	}
	return nil, fmt.Errorf("dataset: %s has no metadata.jsonl, metadata.csv or metadata.parquet, which would say what belongs to which picture", dir)
}

// Name returns the folder's name.
func (f *Folder) Name() string { return filepath.Base(f.dir) }

// Len returns the number of rows.
func (f *Folder) Len() int { return f.rows.len() }

// Close closes the metadata.
func (f *Folder) Close() error { return f.rows.close() }

// At reads example i. Its pictures are read by who uses it.
func (f *Folder) At(_ context.Context, i int) (Example, error) {
	r, err := f.rows.row(i)
	if err == nil && len(r.files) == 0 && r.messages == nil {
		err = errors.New("no file_name, which would say the picture")
	}
	e := Example{Origin: r.origin}
	for _, name := range r.files {
		if !filepath.IsLocal(filepath.FromSlash(name)) {
			return Example{}, bad(r.origin, "file_name %q leads out of the folder", name)
		}
		e.Images = append(e.Images, Image{Name: filepath.Join(f.dir, filepath.FromSlash(name))})
	}
	if err == nil {
		err = e.say(r.text, r.messages, f.Question)
	}
	if err != nil {
		return Example{}, &BadError{r.origin, err}
	}
	return e, nil
}

// say gives the example its words: messages where there are some, or a text, which answers
// the question, or follows the pictures where there is none.
func (e *Example) say(text string, messages json.RawMessage, question string) (err error) {
	switch {
	case messages != nil:
		if err := json.Unmarshal(messages, &e.Messages); err != nil {
			return fmt.Errorf("messages: %w", err)
		}
	case text == "":
		return errors.New("neither text nor messages")
	case question == "":
		for range e.Images {
			e.Document = append(e.Document, chat.Image(""))
		}
		e.Document = append(e.Document, chat.Text(text))
		return nil
	default:
		e.Messages = []chat.Message{
			{Role: "user", Content: []chat.Part{chat.Text(question)}},
			{Role: "assistant", Content: []chat.Part{chat.Text(text)}},
		}
	}
	e.Messages, err = withImages(e.Messages, len(e.Images))
	return err
}

type jsonlRows struct{ *lines }

func openJSONLRows(path string) (rows, error) {
	l, err := openLines(path)
	if err != nil {
		return nil, err
	}
	return jsonlRows{l}, nil
}

func (l jsonlRows) len() int { return len(l.starts) }

func (l jsonlRows) row(i int) (r row, err error) {
	line, origin, err := l.at(i)
	if r.origin = origin; err != nil {
		return r, err
	}
	var o struct {
		File     string          `json:"file_name"`
		Files    []string        `json:"file_names"`
		Text     string          `json:"text"`
		Caption  string          `json:"caption"`
		Messages json.RawMessage `json:"messages"`
	}
	if err := json.Unmarshal(line, &o); err != nil {
		return r, fmt.Errorf("%w; want an object of file_name and text or messages", err)
	}
	r.files, r.text, r.messages = o.Files, o.Text, o.Messages
	if o.File != "" {
		r.files = append([]string{o.File}, r.files...)
	}
	if r.text == "" {
		r.text = o.Caption
	}
	if string(r.messages) == "null" {
		r.messages = nil
	}
	return r, nil
}

// tableRows are rows in memory.
type tableRows []row

func (t tableRows) len() int               { return len(t) }
func (t tableRows) row(i int) (row, error) { return t[i], nil }
func (t tableRows) close() error           { return nil }

// maxTable bounds a table that is held in memory, in bytes.
const maxTable = 1 << 30

func openCSVRows(path string) (rows, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("dataset: %w", err)
	}
	defer f.Close()
	t, err := readCSV(f, filepath.Base(path))
	if err != nil {
		return nil, fmt.Errorf("dataset: %s: %w", path, err)
	}
	return t, nil
}

func readCSV(from io.Reader, name string) (tableRows, error) {
	r := csv.NewReader(io.LimitReader(from, maxTable))
	r.ReuseRecord = true
	header, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("no header: %w", err)
	}
	file, text, messages := -1, -1, -1
	for i, column := range header {
		switch column {
		case "file_name", "\ufefffile_name": // Excel begins a file with a byte order mark
			file = i
		case "text", "caption":
			text = i
		case "messages":
			messages = i
		}
	}
	if file < 0 || text < 0 && messages < 0 {
		return nil, fmt.Errorf("columns %q, want file_name and text (or messages)", header)
	}
	var t tableRows
	for {
		record, err := r.Read()
		if err == io.EOF {
			return t, nil
		}
		if err != nil {
			return nil, err
		}
		line, _ := r.FieldPos(0)
		next := row{origin: fmt.Sprintf("%s:%d", name, line)}
		if record[file] != "" {
			next.files = []string{record[file]}
		}
		if text >= 0 {
			next.text = record[text]
		}
		if messages >= 0 && record[messages] != "" {
			next.messages = json.RawMessage(record[messages])
		}
		t = append(t, next)
	}
}

// openParquetRows reads the columns of a metadata.parquet into memory.
func openParquetRows(path string) (_ rows, err error) {
	f, err := parquet.Open(path)
	if err != nil {
		return nil, fmt.Errorf("dataset: %w", err)
	}
	defer f.Close()
	names := []string{"file_name"}
	for _, name := range []string{"text", "caption", "messages"} {
		if f.Has(name) {
			names = append(names, name)
		}
	}
	if len(names) == 1 {
		return nil, fmt.Errorf("dataset: %s has no column text, caption or messages", path)
	}
	columns := make([]parquet.Column, len(names))
	for i, name := range names {
		if columns[i], err = f.Column(name, name); err != nil {
			return nil, fmt.Errorf("dataset: %s: %w", path, err)
		}
		if columns[i].Repeated {
			return nil, fmt.Errorf("dataset: %s: column %s is a list, want text", path, name)
		}
	}
	var t tableRows
	size := 0
	for g := range f.Groups() {
		values := make([]*parquet.Values, len(names))
		for i := range values {
			if values[i], err = f.Read(g, columns[i]); err != nil {
				return nil, fmt.Errorf("dataset: %s: %w", path, err)
			}
			defer values[i].Close()
		}
		for n := range f.Rows(g) {
			next := row{origin: fmt.Sprintf("%s, row group %d, row %d", filepath.Base(path), g, n)}
			for i, name := range names {
				cell, err := values[i].Row()
				if err != nil {
					return nil, fmt.Errorf("dataset: %s: %w", next.origin, err)
				}
				if size += len(cell[0]) + 64; size > maxTable {
					return nil, fmt.Errorf("dataset: %s: more than %d MiB of text", path, maxTable>>20)
				}
				next.set(name, cell[0])
			}
			t = append(t, next)
		}
	}
	return t, nil
}

// set takes the cell of a column.
func (r *row) set(name string, cell []byte) {
	switch {
	case len(cell) == 0:
	case name == "file_name":
		r.files = []string{string(cell)}
	case name == "messages":
		r.messages = cell
	default:
		r.text = string(cell)
	}
}
