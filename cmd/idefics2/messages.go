package main

import (
	"context"
	"encoding/json"
	"fmt"
	"image"
	"path/filepath"
	"slices"
	"strings"

	"idefics2"
	"idefics2/chat"
	"idefics2/imageproc"
)

// messageText returns the text of a message.
func messageText(m idefics2.Message) string {
	var b strings.Builder
	for _, p := range m.Content {
		b.WriteString(p.Text)
	}
	return b.String()
}

// look reads a picture.
func look(ctx context.Context, name string) (image.Image, error) {
	data, err := idefics2.ReadSource(ctx, name)
	if err != nil {
		return nil, err
	}
	rgb, _, err := imageproc.Decode(data, imageproc.Limits{})
	if err != nil {
		return nil, fmt.Errorf("%.200s: %w", name, err)
	}
	return rgb.Image(), nil
}

// nameImages gives each place for a picture that has no name the next of the request's
// images, so that messages can be taken away again with their pictures.
func nameImages(r *idefics2.Request) error {
	next, places := r.Images, 0
	for _, m := range r.Messages {
		for i := range m.Content {
			p := &m.Content[i]
			if p.Type != chat.TypeImage || p.Image != "" {
				continue
			}
			if places++; len(next) > 0 {
				p.Image, next = next[0].Name, next[1:]
			}
		}
	}
	if places != len(r.Images) {
		return fmt.Errorf("%d places for pictures in the messages, and %d images", places, len(r.Images))
	}
	r.Images = nil
	return nil
}

// conversationJSON writes messages as -messages reads them, to a file in dir. Pictures at or
// below that folder are named relative to it, so that the two can be moved together.
func conversationJSON(r idefics2.Request, dir string) ([]byte, error) {
	file := struct {
		Messages []idefics2.Message `json:"messages"`
		Split    *bool              `json:"split,omitempty"`
	}{[]idefics2.Message{}, r.Split}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	for _, m := range r.Messages {
		m.Content = slices.Clone(m.Content)
		for i := range m.Content {
			name := &m.Content[i].Image
			if rel, err := filepath.Rel(dir, *name); *name != "" && err == nil && !idefics2.IsURL(*name) && filepath.IsLocal(rel) {
				*name = filepath.ToSlash(rel)
			}
		}
		file.Messages = append(file.Messages, m)
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err = e.Encode(file)
	return []byte(b.String()), err
}
