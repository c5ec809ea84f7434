package synth

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"runtime"

	"idefics2/chat"
)

// Metric returns the metric of the reading evaluation for a kind of question.
func Metric(category, kind string) string {
	switch category {
	case "line", "paragraph", "scene", "columns":
		return "cer"
	case "form", "web":
		return "anls"
	case "html":
		return "html"
	case "bar", "linechart", "pie":
		if kind == "value" || kind == "difference" {
			return "relaxed5"
		}
	case "receipt":
		if kind == "shop" {
			return "anls"
		}
	}
	return "exact"
}

// Form is how WriteFolder describes examples.
type Form string

const (
	// Messages: examples.jsonl, a conversation a line as training reads it: {"id": …,
	// "messages": […]}, or {"id": …, "document": […]} for an interleaved document.
	Messages Form = "messages"
	// Reading: cases.jsonl, a question a line as the reading evaluation reads it.
	Reading Form = "reading"
)

// WriteFolder writes the first n examples into a folder, which may exist but must hold no
// examples: pictures as PNG in images/, and one file of JSON lines. It draws on all cores;
// the files do not depend on how many there are. Progress may be nil.
func (g *Generator) WriteFolder(ctx context.Context, dir string, n int, form Form, progress func(done, total int)) (err error) {
	name := "examples.jsonl"
	switch form {
	case Messages:
	case Reading:
		name = "cases.jsonl"
	default:
		return fmt.Errorf("synth: form %q, want %s or %s", form, Messages, Reading)
	}
	if err := os.MkdirAll(filepath.Join(dir, "images"), 0o777); err != nil {
		return fmt.Errorf("synth: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return fmt.Errorf("synth: %w; give a new folder, or remove the file", err)
	}
	defer func() {
		if e := file.Close(); err == nil && e != nil {
			err = fmt.Errorf("synth: %w", e)
		}
	}()
	out := bufio.NewWriter(file)
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	done := 0
	err = g.each(ctx, n, func(i int, e *Example) ([]string, error) {
		return e.writeImages(dir, i)
	}, func(i int, e *Example, images []string) error {
		for _, line := range e.lines(form, i, images) {
			if err := lines.Encode(line); err != nil {
				return fmt.Errorf("synth: %w", err)
			}
		}
		if done++; progress != nil {
			progress(done, n)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("synth: %w", err)
	}
	return nil
}

// Each draws the first n examples on all cores and calls use for each, in order.
func (g *Generator) Each(ctx context.Context, n int, use func(i int, e *Example) error) error {
	return g.each(ctx, n, func(int, *Example) ([]string, error) { return nil, nil }, func(i int, e *Example, _ []string) error { return use(i, e) })
}

// each draws examples and calls work for each, on all cores, and use in their order.
func (g *Generator) each(ctx context.Context, n int, work func(int, *Example) ([]string, error), use func(int, *Example, []string) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		example *Example
		names   []string
		err     error
	}
	queue := make(chan chan result, 2*runtime.GOMAXPROCS(0)) // in order; bounds what is drawn ahead
	free := make(chan struct{}, runtime.GOMAXPROCS(0))
	go func() {
		defer close(queue)
		for i := range n {
			p := make(chan result, 1)
			select {
			case free <- struct{}{}:
			case <-ctx.Done():
				return
			}
			go func() {
				r := result{example: g.Example(uint64(i))}
				r.names, r.err = work(i, r.example)
				<-free
				p <- r
			}()
			select {
			case queue <- p:
			case <-ctx.Done():
				return
			}
		}
	}()
	var failed error
	i := 0
	for p := range queue {
		r := <-p
		if failed == nil && ctx.Err() == nil {
			if failed = r.err; failed == nil {
				failed = use(i, r.example, r.names)
			}
			if i++; failed != nil {
				cancel()
			}
		}
	}
	if failed != nil {
		return failed
	}
	return context.Cause(ctx)
}

// writeImages writes the pictures of example i and returns their names in the folder.
func (e *Example) writeImages(dir string, i int) (names []string, err error) {
	for k, m := range e.Images {
		name := fmt.Sprintf("images/%06d.png", i)
		if len(e.Images) > 1 {
			name = fmt.Sprintf("images/%06d%c.png", i, 'a'+k)
		}
		var file bytes.Buffer
		if err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&file, rgba(m)); err != nil {
			return nil, fmt.Errorf("synth: %s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), file.Bytes(), 0o666); err != nil {
			return nil, fmt.Errorf("synth: %w", err)
		}
		names = append(names, name)
	}
	return names, nil
}

// lines returns what a file says about example i.
func (e *Example) lines(form Form, i int, images []string) (out []any) {
	id := fmt.Sprintf("%s-%06d", e.Category, i)
	if form == Reading {
		for k, t := range e.Turns {
			c := struct {
				ID       string   `json:"id"`
				Category string   `json:"category"`
				Kind     string   `json:"kind"`
				Images   []string `json:"images"`
				Question string   `json:"question"`
				Answers  []string `json:"answers"`
				Metric   string   `json:"metric"`
				Tags     []string `json:"tags"`
			}{id, e.Category, t.Kind, images, t.Question, t.Answers, Metric(e.Category, t.Kind), []string{}}
			if k > 0 {
				c.ID += fmt.Sprintf("-%d", k)
			}
			out = append(out, c)
		}
		return out
	}
	name := func(parts []chat.Part) []chat.Part {
		for k := range parts {
			if parts[k].Type == chat.TypeImage {
				parts[k].Image, images = images[0], images[1:]
			}
		}
		return parts
	}
	if e.Document != nil {
		type part struct {
			Type  string `json:"type"`
			Text  string `json:"text,omitempty"`
			Image string `json:"image,omitempty"`
		}
		var parts []part
		for _, p := range name(append([]chat.Part(nil), e.Document...)) {
			parts = append(parts, part{p.Type, p.Text, p.Image})
		}
		return []any{struct {
			ID       string `json:"id"`
			Document []part `json:"document"`
		}{id, parts}}
	}
	messages := e.Messages()
	for k := range messages {
		name(messages[k].Content)
	}
	return []any{struct {
		ID       string         `json:"id"`
		Messages []chat.Message `json:"messages"`
	}{id, messages}}
}

// Texts returns what the example says, as a prompt has it, to learn a vocabulary from.
func (e *Example) Texts() (questions, answers []string) {
	for _, t := range e.Turns {
		questions = append(questions, "User:"+t.Question)
		answers = append(answers, "\nAssistant: "+t.Answers[0])
	}
	for _, p := range e.Document {
		if p.Type == chat.TypeText {
			answers = append(answers, p.Text)
		}
	}
	return questions, answers
}
