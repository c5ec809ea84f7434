package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"idefics2"
	"idefics2/eval"
	"idefics2/internal/terminal"
)

var evalCmd = command{
	name: "eval",
	args: "-task reading [-model M] [FLAGS] DIR",
	help: "measure what a model can do",
	more: `The task reading asks about pictures of text, charts, shapes and pages: DIR holds cases.jsonl and
its pictures ("data synth -form reading" makes such folders). Answers are drawn greedily and
marked by each category's metric; the table shows the mean, and between which bounds 95 % of
bootstrap samples lie. -o keeps every answer with its mark, and goes on where that file stops.`,
	examples: []example{
		{"the table", "idefics2 eval -task reading -model DIR CASES"},
		{"every answer, to look at and to be gone on with", "idefics2 eval -task reading -model DIR -o answers.jsonl CASES"},
	},
	files: true,
	new: func(f *flags) runFunc {
		e := &evaluation{flags: f}
		e.model = newModelFlags(f)
		f.group("Task", func() {
			f.choiceVar(&e.task, "task", "what is measured", "reading")
			f.Var(&e.split, "split", "read each picture as four quarters and the whole, or with -split=false as the whole alone (default: as the model's files say)")
			f.StringVar(&e.categories, "categories", "", "`LIST`: only these categories, with commas between them")
			f.IntVar(&e.limit, "limit", 0, "`N`: only the first N cases of each category; 0 is all")
			f.IntVar(&e.parallel, "parallel", 8, "`N`: questions in flight at once")
			f.IntVar(&e.tokens, "max-tokens", idefics2.DefaultMaxTokens, "`N`: of an answer")
			f.StringVar(&e.format, "format", "", "`FILE`: answers as this JSON schema asks, or json: any JSON object")
			f.Uint64Var(&e.seed, "seed", 1, "`N`: of the bootstrap")
		})
		f.group("Output", func() {
			f.BoolVar(&e.json, "json", false, "print the table as JSON")
			f.StringVar(&e.out, "o", "", "`FILE`: every answer with its mark, a line of JSON each; gone on with if it exists")
		})
		return e.run
	},
}

type evaluation struct {
	flags                   *flags
	model                   *modelFlags
	task, categories, out   string
	format                  string
	split                   maybe
	limit, parallel, tokens int
	seed                    uint64
	json                    bool
}

func (e *evaluation) run(ctx context.Context, std stdio, args []string) (err error) {
	switch {
	case len(args) != 1:
		return misused(fmt.Sprintf("eval wants one folder of cases, found %d arguments", len(args)), e.flags.hint())
	case e.parallel < 1 || e.parallel > 1024:
		return misused(fmt.Sprintf("-parallel %d: want 1 to 1024", e.parallel), e.flags.hint())
	case e.limit < 0 || e.tokens < 1:
		return misused("-limit wants 0 or more, -max-tokens 1 or more", e.flags.hint())
	}
	if err := e.model.check(e.flags); err != nil {
		return err
	}
	var format *idefics2.Format
	if e.format != "" {
		if format, err = readFormat(e.format); err != nil {
			return misused(err.Error(), e.flags.hint())
		}
	}
	cases, err := eval.ReadCases(args[0])
	if err != nil {
		return err
	}
	if cases, err = e.chosen(cases); err != nil {
		return err
	}
	bars := terminal.NewProgress(std.err)
	defer bars.Close()
	options := eval.Options{Model: e.model.model, Parallel: e.parallel, Progress: func(done, total int) { bars.Count("answers", int64(done), int64(total)) }}
	if e.out != "" {
		file, done, openErr := resumeRecords(e.out)
		if openErr != nil {
			return openErr
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		if _, err := eval.Resume(cases, done, e.model.model); err != nil { // before the model is loaded
			return withRemedy(err, "give another file with -o, or remove this one to begin again")
		}
		options.Out, options.Done = file, done
		if len(done) > 0 {
			fmt.Fprintf(std.err, "idefics2: %s holds %d answers; going on after them\n", terminal.Clean(e.out), len(done))
		}
	}
	model, err := e.model.open(ctx, std, bars)
	if err != nil {
		return err
	}
	defer closeModel(ctx, model)
	asked := &asker{model: model, split: e.split.value, tokens: e.tokens, format: format}
	records, err := eval.Run(ctx, cases, asked, options)
	if err != nil {
		return err
	}
	bars.Close()
	report := eval.Summarize(records, e.seed)
	if e.json {
		return writeJSON(std.out, report)
	}
	return report.WriteTable(std.out)
}

// chosen returns the cases that -categories and -limit leave.
func (e *evaluation) chosen(cases []eval.Case) ([]eval.Case, error) {
	var names []string
	if e.categories != "" {
		names = strings.Split(e.categories, ",")
	}
	seen := map[string]int{}
	var out []eval.Case
	for _, c := range cases {
		if seen[c.Category]++; names == nil || slices.Contains(names, c.Category) {
			out = append(out, c)
		}
	}
	for _, name := range names {
		if seen[name] == 0 {
			return nil, misused(fmt.Sprintf("no case of the category %q", name), "-categories wants names that cases.jsonl has")
		}
	}
	return eval.Limit(out, e.limit), nil
}

// asker asks a model about pictures, as an eval.Model.
type asker struct {
	model  *idefics2.Model
	split  *bool
	tokens int
	format *idefics2.Format
}

func (a *asker) Answer(ctx context.Context, images []string, text string) (string, error) {
	r := question(text, images)
	r.Split = a.split
	r.Generate.MaxNewTokens = a.tokens
	r.Format = a.format
	answer, err := a.model.Chat(ctx, r).Answer()
	if err != nil {
		return "", err
	}
	return answer.Text, nil
}

// resumeRecords opens a file of results to write on behind its last whole line.
func resumeRecords(path string) (*os.File, []eval.Record, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, nil, err
	}
	data, err := io.ReadAll(io.LimitReader(file, maxRecords+1))
	if err == nil && len(data) > maxRecords {
		err = fmt.Errorf("%s: more than %d MiB", path, maxRecords>>20)
	}
	var done []eval.Record
	var whole int
	if err == nil {
		done, whole, err = eval.ParseRecords(data)
	}
	if err == nil {
		err = file.Truncate(int64(whole))
	}
	if err == nil {
		_, err = file.Seek(int64(whole), io.SeekStart)
	}
	if err != nil {
		file.Close()
		return nil, nil, withRemedy(err, "give another file with -o, or remove this one to begin again")
	}
	return file, done, nil
}

// maxRecords bounds a file of results.
const maxRecords = 1 << 30
