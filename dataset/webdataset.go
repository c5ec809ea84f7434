package dataset

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"

	"idefics2/chat"
)

// WebDataset is tar files in which consecutive members of one name, up to its first dot,
// are one example: pictures (.jpg, .png, …), and .json or .txt. Tars may be compressed with
// gzip or zstd.
//
// The JSON is an example as a line of [JSONL] is, or an object of text or caption, or The
// Cauldron's texts. A text alone is learnt as in a [Folder]. Names of the authors' layout,
// key.0.text.txt, key.1.image.jpeg, make a document of texts and images in the order of
// their numbers.
type WebDataset struct {
	Question string

	title string
	paths []string
}

// OpenWebDataset opens tars: of a folder, of a pattern (train-*.tar), or one file.
func OpenWebDataset(name string) (*WebDataset, error) {
	paths := []string{name}
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		entries, err := os.ReadDir(name)
		if err != nil {
			return nil, fmt.Errorf("dataset: %w", err)
		}
		paths = nil
		for _, e := range entries {
			if isTar(e.Name()) {
				paths = append(paths, filepath.Join(name, e.Name()))
			}
		}
	} else if err != nil {
		if paths, err = filepath.Glob(name); err != nil {
			return nil, fmt.Errorf("dataset: %s: %w", name, err)
		}
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("dataset: %s: no .tar, .tar.gz, .tgz or .tar.zst there", name)
	}
	slices.Sort(paths)
	return &WebDataset{title: filepath.Base(name), paths: paths}, nil
}

func isTar(name string) bool {
	for _, end := range []string{".tar", ".tar.gz", ".tgz", ".tar.zst"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

// Name returns the name of the folder, pattern or file.
func (w *WebDataset) Name() string { return w.title }

// Len returns -1: nobody counted.
func (w *WebDataset) Len() int { return -1 }

// Close does nothing: shards are closed by their readers.
func (w *WebDataset) Close() error { return nil }

// Shards returns the number of tars.
func (w *WebDataset) Shards() int { return len(w.paths) }

// Open opens a tar.
func (w *WebDataset) Open(_ context.Context, shard, skip int) (Reader, error) {
	f, err := os.Open(w.paths[shard])
	if err != nil {
		return nil, fmt.Errorf("dataset: %w", err)
	}
	r, err := newTarReader(f, filepath.Base(w.paths[shard]), w.Question)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("dataset: %s: %w", w.paths[shard], err)
	}
	r.close = append(r.close, f.Close)
	for range skip {
		if _, err := r.sample(false); err != nil {
			r.Close()
			return nil, fmt.Errorf("dataset: %s ends before the example at which reading should go on; it is not the file it was: %w", w.paths[shard], err)
		}
	}
	return r, nil
}

type tarReader struct {
	tar      *tar.Reader
	name     string
	question string
	close    []func() error
	next     *tar.Header // first member of the next sample
	done     error
}

// maxWindow bounds the memory that a zstd stream may ask for.
const maxWindow = 128 << 20

func newTarReader(from io.Reader, name, question string) (*tarReader, error) {
	r := &tarReader{name: name, question: question}
	buffered := bufio.NewReaderSize(from, 1<<16)
	magic, _ := buffered.Peek(4)
	var plain io.Reader = buffered
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, err
		}
		plain = z
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, err
		}
		plain = z
		r.close = append(r.close, func() error { z.Close(); return nil })
	}
	r.tar = tar.NewReader(plain)
	return r, nil
}

// Close closes the tar.
func (r *tarReader) Close() (err error) {
	for _, c := range r.close {
		err = errors.Join(err, c())
	}
	r.close = nil
	return err
}

// Next reads the next example.
func (r *tarReader) Next() (Example, error) {
	s, err := r.sample(true)
	if err != nil {
		return Example{}, err
	}
	origin := r.name + "/" + s.key
	if s.err != nil {
		return Example{}, &BadError{origin, s.err}
	}
	e, err := s.example(r.question)
	if e.Origin = origin; err != nil {
		return Example{}, &BadError{origin, err}
	}
	return e, nil
}

// sample is the members of one example.
type sample struct {
	key     string
	members []member
	err     error // why it cannot be used
}

type member struct {
	ending string // behind the key and its dot: "jpg", "0.text.txt"
	data   []byte
}

// Bounds of one sample.
const (
	maxMembers = 512
	maxSample  = 512 << 20 // bytes
)

// sample reads the members of the next example, their content only where it is wanted.
func (r *tarReader) sample(content bool) (s sample, err error) {
	size := int64(0)
	for {
		h := r.next
		if r.next = nil; h == nil {
			if h, err = r.header(); err != nil {
				break
			}
		}
		key, ending := split(h.Name)
		if len(s.members) > 0 && key != s.key {
			r.next = h
			return s, nil
		}
		s.key = key
		size += h.Size
		m := member{ending: ending}
		switch {
		case len(s.members) == maxMembers:
			s.err = fmt.Errorf("more than %d files", maxMembers)
			continue
		case h.Size > maxPicture || size > maxSample:
			s.err = fmt.Errorf("%s has %d bytes, together %d; at most %d and %d", h.Name, h.Size, size, maxPicture, maxSample)
		case content && s.err == nil:
			if m.data, err = io.ReadAll(io.LimitReader(r.tar, h.Size)); err == nil && int64(len(m.data)) != h.Size {
				err = io.ErrUnexpectedEOF
			}
		}
		if err != nil {
			break
		}
		s.members = append(s.members, m)
	}
	if err == io.EOF && len(s.members) > 0 {
		return s, nil
	}
	if err != io.EOF {
		err = fmt.Errorf("dataset: %s: the tar is damaged behind %q: %w", r.name, s.key, err)
	}
	return sample{}, err
}

// header moves to the next file.
func (r *tarReader) header() (*tar.Header, error) {
	if r.done != nil {
		return nil, r.done
	}
	for {
		h, err := r.tar.Next()
		if err != nil {
			r.done = err
			return nil, err
		}
		if h.Typeflag == tar.TypeReg && !strings.HasPrefix(path.Base(h.Name), ".") {
			return h, nil
		}
	}
}

// split cuts a name at the first dot of its last part.
func split(name string) (key, ending string) {
	dir, base := path.Split(name)
	base, ending, _ = strings.Cut(base, ".")
	return dir + base, strings.ToLower(ending)
}

var pictureEndings = []string{"jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff"}

// kind returns whether a member is a picture, a text, JSON or something else.
func (m *member) kind() string {
	last := m.ending[strings.LastIndexByte(m.ending, '.')+1:]
	switch {
	case slices.Contains(pictureEndings, last):
		return "picture"
	case last == "txt" || last == "json":
		return last
	}
	return ""
}

func (s *sample) example(question string) (e Example, err error) {
	var texts []member
	var object []byte
	for _, m := range s.members {
		switch m.kind() {
		case "picture":
			e.Images = append(e.Images, Image{Name: m.ending, Data: m.data})
		case "txt":
			if m.ending != "metadata.txt" {
				texts = append(texts, m)
			}
		case "json":
			if object != nil {
				return e, errors.New("two .json, want one")
			}
			object = m.data
		}
	}
	switch {
	case len(e.Images) > maxImages:
		return e, fmt.Errorf("%d pictures, at most %d", len(e.Images), maxImages)
	case len(object) > maxText:
		return e, fmt.Errorf(".json of %d bytes, at most %d", len(object), maxText)
	case object != nil:
		return s.fromJSON(e, object, question)
	case len(texts) == 0:
		return e, errors.New("neither .json nor .txt")
	case len(texts) > 1 || strings.Contains(texts[0].ending, ".text."):
		return s.numbered(e)
	}
	err = e.say(strings.TrimSpace(string(texts[0].data)), nil, question)
	return e, err
}

// fromJSON reads the JSON of a sample; its messages may name the sample's pictures by their
// ending, or the next by no name.
func (s *sample) fromJSON(e Example, data []byte, question string) (Example, error) {
	images := e.Images
	var o struct {
		Messages json.RawMessage `json:"messages"`
		Text     string          `json:"text"`
		Caption  string          `json:"caption"`
		Texts    []turn          `json:"texts"`
	}
	objectErr := json.Unmarshal(data, &o)
	switch {
	case objectErr == nil && o.Texts != nil && o.Messages == nil:
		messages, err := conversation(o.Texts, len(images))
		e.Messages = messages
		return e, err
	case objectErr == nil && o.Messages == nil && o.Text+o.Caption != "":
		if o.Text == "" {
			o.Text = o.Caption
		}
		return e, e.say(o.Text, nil, question)
	}
	e, err := parseExample(data, "")
	if err != nil {
		return e, err
	}
	e.Images = nil // names in a request's own list mean nothing inside a tar
	if e.Messages, err = withImages(e.Messages, len(images)); err != nil && e.Document == nil {
		return e, err
	}
	for i := range e.Messages {
		if images, err = e.take(e.Messages[i].Content, images); err != nil {
			return e, err
		}
	}
	if images, err = e.take(e.Document, images); err != nil {
		return e, err
	}
	e.Images = append(e.Images, images...) // too many is an error of the processor's
	return e, nil
}

// take gives each image entry of parts its picture: the one it names, or the next. Nothing
// outside of the tar can be named.
func (e *Example) take(parts []chat.Part, images []Image) ([]Image, error) {
	for i := range parts {
		if parts[i].Type != chat.TypeImage {
			continue
		}
		at := 0
		if name := parts[i].Image; name != "" {
			_, ending := split(name)
			at = slices.IndexFunc(images, func(m Image) bool { return m.Name == ending || m.Name == strings.ToLower(name) })
			if at < 0 {
				return nil, fmt.Errorf("the messages name a picture %.80q, which is not among the example's files", name)
			}
		}
		if at >= len(images) {
			return nil, errors.New("more image entries in the messages than pictures")
		}
		parts[i].Image = ""
		e.Images = append(e.Images, images[at])
		images = slices.Delete(slices.Clone(images), at, at+1)
	}
	return images, nil
}

// numbered makes a document, or a conversation where every text is a turn in JSON.
func (s *sample) numbered(e Example) (Example, error) {
	type entry struct {
		at int
		member
	}
	var entries []entry
	for _, m := range s.members {
		kind := m.kind()
		if kind != "picture" && kind != "txt" || m.ending == "metadata.txt" {
			continue
		}
		first, _, _ := strings.Cut(m.ending, ".")
		at, err := strconv.Atoi(first)
		if err != nil && len(s.members) > 2 {
			return e, fmt.Errorf("a file ends with %q, and the others are several: want names like key.0.text.txt and key.1.image.jpeg", m.ending)
		}
		entries = append(entries, entry{at, m})
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return a.at - b.at })
	e.Images = nil
	var turns []turn
	texts := 0
	for _, m := range entries {
		if m.kind() == "picture" {
			e.Images = append(e.Images, Image{Name: m.ending, Data: m.data})
			e.Document = append(e.Document, chat.Image(""))
			continue
		}
		texts++
		var t turn
		if json.Unmarshal(m.data, &t) == nil && t.Assistant != "" {
			turns = append(turns, t)
		}
		e.Document = append(e.Document, chat.Text(string(m.data)))
	}
	if len(turns) == texts {
		messages, err := conversation(turns, len(e.Images))
		e.Messages, e.Document = messages, nil
		return e, err
	}
	return e, nil
}
