package dataset

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"idefics2/chat"
	"idefics2/parquet"
)

// Cauldron is parquet files in the schema of The Cauldron: images, a list of {bytes, path},
// and texts, a list of {user, assistant, source}. Each row is a conversation about its
// images, which stand before the first question. A shard is a row group.
type Cauldron struct {
	title  string
	files  []*parquet.File
	groups []group
	length int
}

// group is a row group of a file.
type group struct{ file, index int }

// turn is an element of texts.
type turn struct {
	User      string `json:"user"`
	Assistant string `json:"assistant"`
	Source    string `json:"source"`
}

// OpenCauldron opens a parquet file, those of a folder, or those of a pattern.
func OpenCauldron(name string) (*Cauldron, error) {
	return openParquet(name, func(t *parquet.File) error { _, err := cauldronColumns(t); return err })
}

// openParquet opens the files, whose columns check must accept.
func openParquet(name string, check func(*parquet.File) error) (*Cauldron, error) {
	paths := []string{name}
	if info, err := os.Stat(name); err != nil || info.IsDir() {
		pattern := name
		if err == nil {
			pattern = filepath.Join(name, "*.parquet")
		}
		if paths, err = filepath.Glob(pattern); err != nil {
			return nil, fmt.Errorf("dataset: %s: %w", name, err)
		}
		slices.Sort(paths)
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("dataset: %s: no .parquet there", name)
	}
	c := &Cauldron{title: filepath.Base(name)}
	for i, path := range paths {
		t, err := parquet.Open(path)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("dataset: %w", err), c.Close())
		}
		c.files = append(c.files, t)
		if err := check(t); err != nil {
			return nil, errors.Join(fmt.Errorf("dataset: %s: %w", path, err), c.Close())
		}
		for g := range t.Groups() {
			c.groups = append(c.groups, group{i, g})
			c.length += t.Rows(g)
		}
	}
	return c, nil
}

// Name returns the name of the file, folder or pattern.
func (c *Cauldron) Name() string { return c.title }

// Len returns the number of rows.
func (c *Cauldron) Len() int { return c.length }

// Close closes the files.
func (c *Cauldron) Close() (err error) {
	for _, t := range c.files {
		err = errors.Join(err, t.Close())
	}
	return err
}

// Shards returns the number of row groups.
func (c *Cauldron) Shards() int { return len(c.groups) }

// Open starts to read a row group.
func (c *Cauldron) Open(_ context.Context, shard, skip int) (Reader, error) {
	g := c.groups[shard]
	t := c.files[g.file]
	columns, err := cauldronColumns(t)
	if err != nil {
		return nil, fmt.Errorf("dataset: %s: %w", t.Path, err)
	}
	return openRows(t, g.index, skip, columns[:], func(cells [][][]byte) (Example, error) { return cauldronExample([columnCount][][]byte(cells)) })
}

// The columns of a row, as cauldronColumns orders them.
const (
	imageBytes = iota
	imagePath
	userText
	assistantText
	columnCount
)

// cauldronColumns finds the columns, by their names at both ends: writers differ in what
// they call the levels of a list between them.
func cauldronColumns(t *parquet.File) (columns [columnCount]parquet.Column, err error) {
	for i, want := range [columnCount][2]string{{"images", "bytes"}, {"images", "path"}, {"texts", "user"}, {"texts", "assistant"}} {
		if columns[i], err = t.Column(want[0], want[1]); err != nil {
			return columns, fmt.Errorf("%w; want The Cauldron's schema: images, a list of {bytes, path}, and texts, a list of {user, assistant, source}", err)
		}
		if !columns[i].Repeated {
			return columns, fmt.Errorf("%s.%s is no list; want The Cauldron's schema", want[0], want[1])
		}
	}
	return columns, nil
}

func cauldronExample(cells [columnCount][][]byte) (e Example, err error) {
	if len(cells[imageBytes]) != len(cells[imagePath]) || len(cells[userText]) != len(cells[assistantText]) {
		return e, errors.New("lists of different lengths in one row")
	}
	if n := len(cells[imageBytes]); n > maxImages {
		return e, fmt.Errorf("%d images, at most %d", n, maxImages)
	}
	for i, data := range cells[imageBytes] {
		path := string(cells[imagePath][i])
		if data == nil {
			return e, fmt.Errorf("image %d has no bytes, and its path %.120q is on another machine", i, path)
		}
		e.Images = append(e.Images, Image{Name: path, Data: data})
	}
	turns := make([]turn, len(cells[userText]))
	for i := range turns {
		if cells[userText][i] == nil || cells[assistantText][i] == nil {
			return e, fmt.Errorf("turn %d has no text", i)
		}
		turns[i] = turn{User: string(cells[userText][i]), Assistant: string(cells[assistantText][i])}
	}
	e.Messages, err = conversation(turns, len(e.Images))
	return e, err
}

// conversation makes messages of turns: images before the first question, texts without
// space at their ends (spec: data.md §4.1). Markers in a text are a sign of damage.
func conversation(turns []turn, images int) ([]chat.Message, error) {
	if len(turns) == 0 {
		return nil, errors.New("no turns")
	}
	var messages []chat.Message
	for i, t := range turns {
		for _, text := range []string{t.User, t.Assistant} {
			for _, marker := range []string{"<image>", "<fake_token_around_image>"} {
				if strings.Contains(text, marker) {
					return nil, fmt.Errorf("turn %d has %s in its text", i, marker)
				}
			}
		}
		if strings.TrimSpace(t.Assistant) == "" {
			return nil, fmt.Errorf("turn %d has no answer", i)
		}
		messages = append(messages,
			chat.Message{Role: "user", Content: []chat.Part{chat.Text(strings.TrimSpace(t.User))}},
			chat.Message{Role: "assistant", Content: []chat.Part{chat.Text(strings.TrimSpace(t.Assistant))}})
	}
	return withImages(messages, images)
}
