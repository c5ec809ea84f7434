// Package dataset reads examples to learn from, and mixes them.
//
//	files → Source → Mixture → Draw → Example
//
// A source is a JSONL file of messages, a parquet file or folder in The Cauldron's schema, a
// folder of images with their texts, WebDataset tars, or a function. A Mixture draws from
// several, shuffled by counters instead of by state: which example is drawn when depends on
// the seed and on how many were drawn, so that a [Cursor] of a few numbers goes on in the
// middle of an epoch, exactly.
//
// Files are hostile. Sizes are bounded before anything is allocated, and an example that
// cannot be used is an error that says where it stands and why; the others go on.
package dataset

import (
	"context"
	"errors"
	"fmt"

	"idefics2/chat"
)

// Example is one thing to learn: a finished conversation, or a document.
type Example struct {
	Origin   string         // where it stands, for messages: "train.jsonl:12"
	Messages []chat.Message // a conversation
	Document []chat.Part    // or texts and images in order, without roles
	Images   []Image        // for the image entries that name none, in order
	Split    *bool          // cut pictures in four; nil: as the training says
}

// Image is a picture: its file's bytes, or the path or URL to read them from.
type Image struct {
	Name string
	Data []byte
}

// size is about how much memory the example takes.
func (e *Example) size() (n int) {
	for _, m := range e.Messages {
		n += partsSize(m.Content)
	}
	n += partsSize(e.Document)
	for _, image := range e.Images {
		n += len(image.Data) + len(image.Name)
	}
	return n + 64
}

func partsSize(parts []chat.Part) (n int) {
	for _, p := range parts {
		n += len(p.Text) + len(p.Image) + 64
	}
	return n
}

// Source is where examples come from: it is Indexed or Sharded.
type Source interface {
	Name() string
	Len() int // examples, bad ones included; -1 where only reading all would tell
	Close() error
}

// Indexed is a source whose examples can be had in any order. At may be called by many
// goroutines at once.
type Indexed interface {
	Source
	At(ctx context.Context, i int) (Example, error)
}

// Sharded is a source of parts that are read from the front.
type Sharded interface {
	Source
	Shards() int
	// Open starts to read a shard behind its first skip examples.
	Open(ctx context.Context, shard, skip int) (Reader, error)
}

// Reader reads the examples of a shard. After an error that is no [BadError] it is at its end.
type Reader interface {
	Next() (Example, error) // io.EOF at the end
	Close() error
}

// BadError says why one example cannot be used.
type BadError struct {
	Origin string
	Err    error
}

func (e *BadError) Error() string { return fmt.Sprintf("dataset: %s: %v", e.Origin, e.Err) }

// Unwrap returns the reason alone.
func (e *BadError) Unwrap() error { return e.Err }

func bad(origin, format string, args ...any) error {
	return &BadError{origin, fmt.Errorf(format, args...)}
}

// Bounds of what one example may hold.
const (
	maxText    = 64 << 20  // bytes of JSON or text
	maxPicture = 256 << 20 // bytes of one picture's file
	maxImages  = 256       // pictures
)

// Func is a source of examples that are made: of synthetic pictures, or in tests.
type Func struct {
	Title string
	Count int
	Make  func(ctx context.Context, i int) (Example, error)
}

// Name returns the title.
func (f *Func) Name() string { return f.Title }

// Len returns the count.
func (f *Func) Len() int { return f.Count }

// Close does nothing.
func (f *Func) Close() error { return nil }

// At makes example i.
func (f *Func) At(ctx context.Context, i int) (Example, error) {
	e, err := f.Make(ctx, i)
	if e.Origin == "" {
		e.Origin = fmt.Sprintf("%s#%d", f.Title, i)
	}
	if err != nil {
		return Example{}, &BadError{e.Origin, err}
	}
	return e, nil
}

// withImages puts an image entry before the first user text for every image, where the
// messages have no entries of their own: so The Cauldron means it.
func withImages(messages []chat.Message, images int) ([]chat.Message, error) {
	if len(chat.Images(messages)) > 0 || images == 0 {
		return messages, nil
	}
	for i := range messages {
		if messages[i].Role == "user" {
			parts := make([]chat.Part, images, images+len(messages[i].Content))
			for k := range parts {
				parts[k] = chat.Image("")
			}
			messages[i].Content = append(parts, messages[i].Content...)
			return messages, nil
		}
	}
	return nil, errors.New("there are images, and no turn of the user to put them in")
}
