package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"idefics2/internal/terminal"
	"idefics2/safetensors"
	"idefics2/tensor"
)

var traceCmd = command{
	name: "trace",
	args: "[-model M] -messages FILE [-image FILE…] -o OUT.safetensors",
	help: "write every stage of one forward pass to a file",
	more: `The stages have the names and shapes of the recordings that verify compares with:
image.<i>.vision.layer.<n>, text.layer.<n>, logits and so on, all float32. The arithmetic is
exact unless -dtype asks for another.`,
	examples: []example{
		{"all stages of a conversation", "idefics2 trace -model DIR -messages chat.json -o stages.safetensors"},
		{"what they are", "idefics2 inspect -tensors stages.safetensors"},
	},
	new: func(f *flags) runFunc {
		var t struct {
			requestFlags
			out string
		}
		m := newModelFlags(f)
		f.group("Request", func() { t.add(f) })
		f.group("Output", func() {
			f.StringVar(&t.out, "o", "", "`FILE`: the stages, as safetensors")
		})
		return func(ctx context.Context, std stdio, args []string) (err error) {
			switch {
			case len(args) > 0:
				return misused(fmt.Sprintf("trace takes no arguments, found %q", args[0]), f.hint())
			case t.messages == "" || t.out == "":
				return misused("trace wants -messages FILE and -o OUT.safetensors", f.hint())
			}
			if err := m.check(f); err != nil {
				return err
			}
			if !f.has("dtype") {
				m.options.DType = "f32"
			}
			r, err := t.request(std)
			if err != nil {
				return err
			}
			bars := terminal.NewProgress(std.err)
			defer bars.Close()
			r.Progress = show(bars)
			model, err := m.open(ctx, std, bars)
			if err != nil {
				return err
			}
			defer closeModel(ctx, model)
			s, err := newSpool(filepath.Dir(t.out))
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.close()) }()
			if err := model.Trace(ctx, r, s.add); err != nil {
				return err
			}
			if err := s.write(t.out); err != nil {
				return err
			}
			bars.Close()
			fmt.Fprintf(std.err, "idefics2: %d stages in %s\n", len(s.entries), terminal.Clean(t.out))
			return nil
		}
	},
}

// spool keeps stages on disk as they come. A safetensors file begins with a list of all its
// tensors, which is known only at the end, and all stages of a large model do not fit in
// memory.
type spool struct {
	file    *os.File
	at      int64
	entries []safetensors.Entry
	offsets []int64
}

func newSpool(dir string) (*spool, error) {
	f, err := os.CreateTemp(dir, ".idefics2-trace-*")
	if err != nil {
		return nil, err
	}
	return &spool{file: f}, nil
}

func (s *spool) add(name string, shape []int, data []float32) error {
	n, err := s.file.Write(floatBytes(data))
	if err != nil {
		return err
	}
	s.entries = append(s.entries, safetensors.Entry{Name: name, DType: tensor.F32, Shape: append([]int(nil), shape...)})
	s.offsets = append(s.offsets, s.at)
	s.at += int64(n)
	return nil
}

// write makes the file at path of what was added.
func (s *spool) write(path string) error {
	w, err := safetensors.Create(path, s.entries, map[string]string{"format": "pt"})
	if err != nil {
		return err
	}
	defer w.Abort()
	for i, e := range s.entries {
		bytes := int64(4)
		for _, side := range e.Shape {
			bytes *= int64(side)
		}
		if err := w.Copy(e.Name, io.NewSectionReader(s.file, s.offsets[i], bytes)); err != nil {
			return err
		}
	}
	return w.Commit()
}

func (s *spool) close() error {
	err := s.file.Close()
	return errors.Join(err, os.Remove(s.file.Name()))
}

// floatBytes returns the little-endian bytes of x, as the format wants them.
func floatBytes(x []float32) []byte {
	b := make([]byte, 0, 4*len(x))
	b, _ = binary.Append(b, binary.LittleEndian, x) // fails for types without a size only
	return b
}
