package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"idefics2"
	"idefics2/checkpoint"
	"idefics2/hub"
	"idefics2/imageproc"
	"idefics2/internal/terminal"
	"idefics2/measure"
	"idefics2/measure/chart"
	"idefics2/tokenizer"
)

var benchCmd = command{
	name: "bench",
	args: "[-train] [-only NAMES] [-quick] [-json] [-against FILE] [-plot DIR]",
	help: "measure how fast this machine does each stage, and how near its limits that is",
	more: `It measures the machine first: how fast it reads memory, and how many operations it does a
second. Then it times each stage on random weights of the model's geometry: a token behind
some context, prompts, pictures, text. Of a large model a few layers are held in memory, and
their time stands for all: such rows are marked. The time is the median of five or more; the
share compares it with the time that reading the weights once, or doing the operations,
takes at least. Nothing is read of a model but its configuration.`,
	examples: []example{
		{"all of the released model's stages, some minutes", "idefics2 bench"},
		{"one token with 4-bit and with 8-bit weights", "idefics2 bench -only decode-q4_0,decode-q8_0"},
		{"keep a run, and compare another with it", "idefics2 bench -json > before.json; idefics2 bench -against before.json"},
		{"a step of a training, 4 GB of memory", "idefics2 bench -train -quick -samples 2"},
		{"pictures of what the limits are", "idefics2 bench -plot ."},
	},
	new: func(f *flags) runFunc {
		var b bench
		f.group("Work", func() {
			f.StringVar(&b.config, "config", "idefics2-8b", "`NAME_OR_FILE`: the geometry, "+presetNames()+", or a config.json, or the folder that holds one")
			f.StringVar(&b.only, "only", "", "`NAMES`: works to do, separated by commas, * for any letters (default: all)")
			f.BoolVar(&b.options.Train, "train", false, "measure the steps of a training instead: adapters of rank 8 beside 4 decoder layers in bfloat16, and 6 of the vision tower, of the model's widths")
			f.BoolVar(&b.options.Recompute, "recompute", false, "with -train: keep the inputs of layers alone, as the recipe's recompute does")
			f.IntVar(&b.options.Layers, "layers", 0, "`N`: layers of each stack to hold in memory, scaled to all (default: 2, or 1 with -quick)")
			f.IntVar(&b.options.Samples, "samples", 5, "`N`: of each work at least; the median counts")
			f.BoolVar(&b.options.Quick, "quick", false, "one layer, and no more samples than -samples")
			f.IntVar(&b.options.Threads, "threads", 0, "`N`: cores to use; 0 is all")
			f.StringVar(&b.tokenizer, "tokenizer", "", "`FILE`: the tokenizer.json to make tokens with (default: that beside the config.json, or made-up words)")
			f.StringVar(&b.text, "text", "", "`FILE`: the text to make tokens of (default: 10 MB of made-up words)")
			f.StringVar(&b.photo, "image", "", "`FILE`: the picture to decode and resize (default: a made-up JPEG of 4000×3000)")
		})
		f.group("Output", func() {
			f.BoolVar(&b.json, "json", false, "print one JSON object")
			f.StringVar(&b.against, "against", "", "`FILE`: an earlier run's -json, to compare with")
			f.StringVar(&b.plot, "plot", "", "`DIR`: draw roofline.png and layers.png there")
		})
		return func(ctx context.Context, std stdio, args []string) error {
			switch {
			case len(args) > 0:
				return misused(fmt.Sprintf("bench takes no arguments, found %q", args[0]), f.hint())
			case b.options.Recompute && !b.options.Train:
				return misused("-recompute is for -train", f.hint())
			case b.options.Layers < 0 || b.options.Samples < 1 || b.options.Threads < 0:
				return misused("-layers and -threads want 0 or more, -samples 1 or more", f.hint())
			}
			return b.run(ctx, std)
		}
	},
}

type bench struct {
	options                    measure.Options
	config, only, tokenizer    string
	text, photo, against, plot string
	json                       bool
}

// benchReport is what -json prints.
type benchReport struct {
	Machine  benchMachine     `json:"machine"`
	Geometry string           `json:"geometry"`
	Rows     []measure.Row    `json:"rows"`
	Against  []measure.Change `json:"against,omitempty"`
}

type benchMachine struct {
	machine
	measure.Limits
}

func (b *bench) run(ctx context.Context, std stdio) error {
	before, err := b.read()
	if err != nil {
		return err
	}
	b.options.Only = strings.FieldsFunc(b.only, func(r rune) bool { return r == ',' || r == ' ' })
	bars := terminal.NewProgress(std.err)
	defer bars.Close()
	b.options.Memory = idefics2.PeakMemory
	b.options.Progress = func(work string, done, all int) { bars.Count("bench", int64(done), int64(all)) }
	m, err := measure.New(b.options)
	if err != nil {
		return misused(err.Error(), "leave -only out to do all of it")
	}
	defer m.Close()
	got, err := m.Run(ctx)
	if err != nil {
		return err
	}
	bars.Close()
	r := benchReport{Geometry: b.config, Rows: got.Rows}
	r.Machine = benchMachine{examine(hub.DefaultDir(std.getenv), std.getenv), got.Limits}
	if before != nil {
		r.Against = measure.Compare(before, got)
	}
	if b.json {
		err = writeJSON(std.out, r)
	} else {
		w := &printer{w: std.out}
		r.print(w)
		err = w.err
	}
	if err == nil && b.plot != "" {
		err = r.draw(b.plot, got)
	}
	return err
}

// maxReport bounds the bytes of an earlier run.
const maxReport = 16 << 20

// read gets the files that the flags name.
func (b *bench) read() (before *measure.Report, err error) {
	blueprint, err := checkpoint.LoadBlueprint(b.config)
	if err != nil {
		return nil, err
	}
	b.options.Config = blueprint.Config
	files, err := tokenizerFiles(b.tokenizer, b.config)
	if err != nil {
		return nil, err
	}
	if data := files["tokenizer.json"]; data != nil {
		if b.options.Tokenizer, err = tokenizer.Parse(data); err != nil {
			return nil, err
		}
	}
	if b.text != "" {
		if b.options.Text, err = readBounded(b.text, maxText); err != nil {
			return nil, err
		}
		if len(b.options.Text) == 0 {
			return nil, fmt.Errorf("%s: is empty, want text", b.text)
		}
	}
	if b.photo != "" {
		if b.options.Photo, err = imageproc.ReadFile(b.photo, imageproc.Limits{}); err != nil {
			return nil, err
		}
	}
	if b.against == "" {
		return nil, nil
	}
	data, err := readBounded(b.against, maxReport)
	if err != nil {
		return nil, err
	}
	if before, err = measure.ParseReport(data); err != nil {
		return nil, fmt.Errorf("%s: %w", b.against, err)
	}
	return before, nil
}

func (r benchReport) print(w *printer) {
	m := r.Machine
	variants := "portable Go"
	if len(m.Variants) > 0 {
		variants = strings.Join(m.Variants, ", ")
	}
	w.printf("%s, %d threads, %s; geometry %s\n", m.CPU, m.Threads, variants, r.Geometry)
	w.printf("  reads memory %8.1f GB/s\n", m.Read/1e9)
	for _, p := range m.Peaks {
		w.printf("  %-4s %-8s %7.1f Gop/s\n", p.Type, p.Variant, p.Rate/1e9)
	}
	w.printf("\n")
	const line = "%-24s %9s %16s %17s %8s  %s\n"
	w.printf(line, "work", "time", "yield", "rate", "share", "of the limit")
	var marks, memory []string
	for _, row := range r.Rows {
		name, yield := row.Work, ""
		if row.Memory > 0 {
			memory = append(memory, fmt.Sprintf("%s %.2f GB", name, float64(row.Memory)/1e9))
		}
		if row.Scaled != "" {
			name += " *"
			if !slices.Contains(marks, row.Scaled) {
				marks = append(marks, row.Scaled)
			}
		}
		if row.Of == "tokens" || row.Of == "images" {
			yield = fmt.Sprintf("%s %s/s", brief(row.Yields/row.Seconds), row.Of)
		}
		w.printf(line, name, seconds(row.Seconds), yield, brief(row.Rate)+" "+row.Unit, brief(100*row.Share)+" %",
			brief(row.Limit)+" ("+row.Bound+")")
	}
	if len(memory) > 0 {
		w.printf("largest resident memory up to the end of: %s\n", strings.Join(memory, ", "))
	}
	for _, m := range marks {
		w.printf("* scaled %s: %s\n", m, strings.Join(r.scaled(m), ", "))
	}
	if len(r.Against) > 0 {
		w.printf("\n%-24s %9s %9s %8s  %s\n", "work", "before", "now", "as fast", "share of the limit")
	}
	for _, c := range r.Against {
		w.printf("%-24s %9s %9s %7.2f×  %.2f×\n", terminal.Clean(c.Work), seconds(c.Before), seconds(c.After), c.Times, c.Corrected)
	}
}

// scaled names the works that were scaled so.
func (r benchReport) scaled(how string) (names []string) {
	for _, row := range r.Rows {
		if row.Scaled == how {
			names = append(names, row.Work)
		}
	}
	return names
}

// draw writes the pictures to a folder that is there.
func (r benchReport) draw(dir string, m *measure.Report) error {
	where := fmt.Sprintf("%s on %s, %d threads", r.Geometry, r.Machine.CPU, r.Machine.Threads)
	for _, picture := range []struct {
		name, title string
		draw        func(io.Writer, *measure.Report, string) error
	}{{"roofline.png", "What the limits are", chart.Roofline}, {"layers.png", "Where the time goes", chart.Layers}} {
		f, err := os.Create(filepath.Join(dir, picture.name))
		if err != nil {
			return err
		}
		err = picture.draw(f, m, picture.title+": "+where)
		if closed := f.Close(); err == nil {
			err = closed
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name(), err)
		}
	}
	return nil
}

// seconds prints a time in three digits.
func seconds(s float64) string {
	switch {
	case s >= 1:
		return brief(s) + " s"
	case s >= 1e-3:
		return brief(s*1e3) + " ms"
	}
	return brief(s*1e6) + " µs"
}

// digits prints at least three of a number's.
func brief(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3g", v)
}
