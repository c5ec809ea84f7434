package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/png"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"idefics2/internal/terminal"
	"idefics2/synth"
	"idefics2/synth/typeface"
	"idefics2/tokenizer"
)

var dataCmd = command{
	name:  "data",
	args:  "synth|vocabulary|licences [FLAGS] [FILE]…",
	help:  "draw pictures to train on, and learn a vocabulary",
	words: []string{"synth", "vocabulary", "licences"},
	more: `synth draws pictures of the sixteen kinds that "eval -task reading" asks about, and of two more,
with questions and answers. They never end, and follow from the seed: the same flags give the
same files. The split heldout has other seeds and other typefaces than train.

vocabulary learns a tokenizer.json by byte pair encoding, from the texts of files, a text a line,
or from those of synth. licences prints the notices of the typefaces.`,
	examples: []example{
		{"a contact sheet of what there is", "idefics2 data synth -n 60 -preview sheet.png"},
		{"ten thousand conversations as files", "idefics2 data synth -n 10000 -o DIR"},
		{"questions to measure on, in other typefaces", "idefics2 data synth -split heldout -form reading -n 1600 -o DIR"},
		{"small pictures and short answers, to begin with", "idefics2 data synth -n 1000 -max-side 224 -max-text 20 -o DIR"},
		{"a vocabulary for the default model", "idefics2 data vocabulary -size 1500 -o tokenizer.json"},
	},
	files: true,
	new: func(f *flags) runFunc {
		d := &dataFlags{flags: f}
		f.group("Examples", func() {
			f.IntVar(&d.n, "n", 0, "`N`: examples (default: 60 for a preview, 6000 for a vocabulary)")
			f.Uint64Var(&d.options.Seed, "seed", 0, "`N`: of the examples")
			f.choiceVar(&d.split, "split", "typefaces and seeds", "train", "heldout")
			f.StringVar(&d.categories, "categories", "", "`LIST`: with commas between them, of "+strings.Join(synth.Categories(), ", ")+" (default: all, by their weights)")
			f.IntVar(&d.options.MaxSide, "max-side", 980, "`N`: pixels of a picture's longer side at most")
			f.IntVar(&d.options.MaxText, "max-text", 0, "`N`: letters of an answer at most; 0 is any number")
			f.IntVar(&d.options.Questions, "questions", 1, "`N`: questions about one picture at most")
		})
		f.group("Output", func() {
			f.StringVar(&d.out, "o", "", "`DIR_OR_FILE`: the folder of examples, or the tokenizer.json")
			f.choiceVar(&d.form, "form", "conversations to train on, or cases to evaluate", "messages", "reading")
			f.StringVar(&d.preview, "preview", "", "`FILE`: a contact sheet, as PNG")
		})
		f.group("Vocabulary", func() {
			f.IntVar(&d.vocabulary.Size, "size", 1500, "`N`: ids, without the three that Idefics2 adds")
			f.IntVar(&d.vocabulary.Characters, "characters", 200, "`N`: characters with a piece of their own at most")
		})
		return d.run
	},
}

type dataFlags struct {
	flags                                 *flags
	options                               synth.Options
	split, categories, form, out, preview string
	vocabulary                            tokenizer.TrainOptions
	n                                     int
}

func (d *dataFlags) run(ctx context.Context, std stdio, args []string) error {
	if len(args) == 0 {
		return misused("data wants to know what: synth, vocabulary or licences", d.flags.hint())
	}
	d.options.Split = synth.Split(d.split)
	if d.categories != "" {
		d.options.Categories = strings.Split(d.categories, ",")
	}
	switch what, rest := args[0], args[1:]; {
	case what == "vocabulary":
		return d.learn(ctx, std, rest)
	case len(rest) > 0:
		return misused(fmt.Sprintf("data %s takes no files, found %q", what, rest[0]), d.flags.hint())
	case what == "synth":
		return d.draw(ctx, std)
	case what == "licences":
		_, err := io.WriteString(std.out, typeface.Licences)
		return err
	default:
		return misused(fmt.Sprintf("data has no %q%s", what, didYouMean(what, d.flags.command.words, "")), d.flags.hint())
	}
}

// draw is "data synth".
func (d *dataFlags) draw(ctx context.Context, std stdio) error {
	if d.out == "" && d.preview == "" {
		return misused("data synth wants -o or -preview", d.flags.hint())
	}
	if d.n == 0 && d.out == "" {
		d.n = 60
	}
	if d.n < 1 {
		return misused(fmt.Sprintf("-n %d: want 1 or more", d.n), d.flags.hint())
	}
	g, err := synth.New(d.options)
	if err != nil {
		return err
	}
	bars := terminal.NewProgress(std.err)
	defer bars.Close()
	progress := func(done, total int) { bars.Count("examples", int64(done), int64(total)) }
	if d.preview != "" {
		// More than that does not fit on a sheet that anything opens.
		var sheet []*synth.Example
		err := g.Each(ctx, min(d.n, 400), func(i int, e *synth.Example) error {
			sheet = append(sheet, e)
			return nil
		})
		if err != nil {
			return err
		}
		var file bytes.Buffer
		if err := png.Encode(&file, synth.Preview(sheet, 6)); err != nil {
			return err
		}
		if err := os.WriteFile(d.preview, file.Bytes(), 0o666); err != nil {
			return err
		}
	}
	if d.out == "" {
		return nil
	}
	return g.WriteFolder(ctx, d.out, d.n, synth.Form(d.form), progress)
}

// learn is "data vocabulary".
func (d *dataFlags) learn(ctx context.Context, std stdio, files []string) error {
	if d.out == "" {
		return misused("data vocabulary wants -o", "-o tokenizer.json")
	}
	var texts []string
	for _, name := range files {
		data, err := readBounded(name, maxText)
		if err != nil {
			return err
		}
		texts = append(texts, strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")...)
	}
	if len(files) == 0 {
		if d.n == 0 {
			d.n = 6000
		}
		if !d.flags.has("questions") {
			d.options.Questions = 4
		}
		g, err := synth.New(d.options)
		if err != nil {
			return err
		}
		bars := terminal.NewProgress(std.err)
		defer bars.Close()
		asked := map[string]bool{} // questions count once: answers are what takes time to write
		err = g.Each(ctx, d.n, func(i int, e *synth.Example) error {
			questions, answers := e.Texts()
			for _, q := range questions {
				if !asked[q] {
					asked[q] = true
					texts = append(texts, q)
				}
			}
			texts = append(texts, answers...)
			bars.Count("examples", int64(i+1), int64(d.n))
			return nil
		})
		if err != nil {
			return err
		}
		bars.Close()
	}
	data, err := tokenizer.Train(slices.Values(texts), d.vocabulary)
	if err != nil {
		return err
	}
	t, err := tokenizer.Parse(data)
	if err != nil {
		return err
	}
	letters, ids := 0, 0
	for _, text := range texts {
		letters += len(text)
		ids += len(t.Encode(text)) - 1
	}
	if err := os.WriteFile(d.out, data, 0o666); err != nil {
		return err
	}
	// transformers wants to be told the special tokens. A file that is there is somebody's own.
	beside, err := os.OpenFile(filepath.Join(filepath.Dir(d.out), "tokenizer_config.json"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err == nil {
		_, err = beside.Write(tokenizerConfig(0))
		err = errors.Join(err, beside.Close())
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	fmt.Fprintf(std.err, "idefics2: %s: %d ids, %.2f bytes of text an id\n", terminal.Clean(d.out), t.Size(), float64(letters)/float64(max(ids, 1)))
	return nil
}
