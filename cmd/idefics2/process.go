package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"idefics2"
	"idefics2/internal/terminal"
)

var processCmd = command{
	name: "process",
	args: "[-model M] -messages FILE | -image FILE… [FLAGS]",
	help: "show what the model is given: prompt, token ids, and each picture's crops",
	more: `With -image and no messages only pictures are processed, and no model is needed: without
-model the settings are those of the released model.`,
	examples: []example{
		{"what a photo becomes, and what it costs in tokens", "idefics2 process -image photo.jpg -split"},
		{"the prompt and ids of a conversation", "idefics2 process -model DIR -messages chat.json -json"},
		{"the pictures as the model sees them", "idefics2 process -image page.png -split -png seen"},
	},
	new: func(f *flags) runFunc {
		var p struct {
			requestFlags
			png  string
			json bool
		}
		m := new(modelFlags)
		f.group("Request", func() {
			f.StringVar(&m.model, "model", "", "`MODEL`: a folder, or a name in the local Hugging Face cache")
			p.add(f)
		})
		f.group("Output", func() {
			f.BoolVar(&p.json, "json", false, "print one JSON object")
			f.StringVar(&p.png, "png", "", "`DIR`: write each crop as the model sees it")
		})
		return func(ctx context.Context, std stdio, args []string) error {
			if len(args) > 0 {
				return misused(fmt.Sprintf("process takes no arguments, found %q", args[0]), "-image names a picture, -messages a conversation")
			}
			if p.messages == "" && len(p.images) == 0 {
				return misused("nothing to process", "-image names a picture, -messages a conversation")
			}
			r, err := p.request(std)
			if err != nil {
				return err
			}
			bars := terminal.NewProgress(std.err)
			defer bars.Close()
			r.Progress = show(bars)
			processor, err := processorFor(m, std, p.messages == "")
			if err != nil {
				return err
			}
			process := processor.Process
			if p.messages == "" {
				process = processor.Images
			}
			done, err := process(ctx, r)
			if err != nil {
				return err
			}
			bars.Close()
			if p.png != "" {
				if err := writeCrops(p.png, done); err != nil {
					return err
				}
			}
			if p.json {
				return writeJSON(std.out, done)
			}
			return describe(std, done)
		}
	},
}

// processorFor opens a model's processor. For pictures alone and of no model it is the released model's.
func processorFor(m *modelFlags, std stdio, pictures bool) (*idefics2.Processor, error) {
	if pictures && m.model == "" {
		return idefics2.ReleasedPictures(m.with(std, nil))
	}
	return m.processor(std)
}

// describe prints what was made in a form to be read.
func describe(std stdio, p *idefics2.Processed) error {
	w := &printer{w: std.out}
	if terminal.Is(std.out) {
		w.w = terminal.NewCleaner(std.out)
	}
	if p.Prompt != "" || len(p.InputIDs) > 0 {
		w.printf("prompt  %q\nids     %d: %v\n", p.Prompt, len(p.InputIDs), p.InputIDs)
	}
	for _, m := range p.Images {
		w.printf("image   %s  %d×%d  %d crops, %d tokens\n", m.File, m.Width, m.Height, len(m.Crops), m.Tokens)
		for _, c := range m.Crops {
			w.printf("  crop  %v → %d×%d  %d×%d patches\n", c.Box, c.Width, c.Height, c.Columns, c.Rows)
		}
	}
	return w.err
}

// writeCrops writes every crop of every image as a PNG file in dir.
func writeCrops(dir string, p *idefics2.Processed) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	for i, m := range p.Images {
		for j, c := range m.Crops {
			data, err := c.Pixels.PNG()
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, fmt.Sprintf("image%d_crop%d.png", i, j)), data, 0o666)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
