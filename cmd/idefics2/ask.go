package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"idefics2"
	"idefics2/chat"
	"idefics2/internal/terminal"
)

var askCmd = command{
	name: "ask",
	args: `[-model M] [-image FILE_OR_URL]… [FLAGS] ["QUESTION"]`,
	help: "answer a question about images, a conversation, or many of them",
	more: `The question is an argument or standard input. A whole conversation comes from -messages, as
JSON: a list of messages, or {"messages": […], "images": […], "split": bool, …} which may also
hold generation settings by the names of the flags (max_tokens, temperature, …). Flags go
before what the file says; in a batch, what a request says goes before the flags.

With -batch each line of a file is such a request, with an "id" if it likes; the answers
come in the same order, a line of -json each. -o writes them to a file, and goes on where
that file stops.`,
	examples: []example{
		{"one picture", `idefics2 ask -model DIR -image receipt.jpg "What is the total?"`},
		{"two pictures, each split in four for small print", `idefics2 ask -model DIR -image a.png -image b.png -split "What changed?"`},
		{"everything about the answer, as JSON", `idefics2 ask -model DIR -messages chat.json -json -logprobs 5`},
		{"requests for several adapters over one model", `idefics2 ask -model DIR -adapter forms=DIR -adapter charts=DIR -batch requests.jsonl`},
		{"many requests, to be gone on with after an interruption", `idefics2 ask -model DIR -batch requests.jsonl -o answers.jsonl`},
	},
	new: newAsk,
}

// ask holds the flags of the command.
type ask struct {
	requestFlags
	model          *modelFlags
	settings       *generation
	json           bool
	batch, answers string
	parallel       int
	flags          *flags
}

func newAsk(f *flags) runFunc {
	a := &ask{flags: f}
	a.model = newModelFlags(f)
	f.group("Adapter", func() {
		f.Var((*adapterFlag)(&a.model.options), "adapter", "`DIR`: answers with an adapter beside the model, as train and PEFT leave it; NAME=DIR, several times, for the requests that say \"adapter\": \"NAME\"")
	})
	f.group("Request", func() {
		a.add(f)
		f.StringVar(&a.batch, "batch", "", "`FILE`: many requests, one JSON object a line, or - for standard input")
		f.IntVar(&a.parallel, "parallel", 8, "`N`: requests of a batch in flight at once")
	})
	f.group("Output", func() {
		f.BoolVar(&a.json, "json", false, "print one JSON object when the answer is complete")
		f.StringVar(&a.answers, "o", "", "`FILE`: the answers of a batch, gone on with if it exists")
	})
	a.settings = generationFlags(f)
	return a.run
}

func (a *ask) run(ctx context.Context, std stdio, args []string) error {
	if err := a.check(args); err != nil {
		return err
	}
	bars := terminal.NewProgress(std.err)
	defer bars.Close()
	if a.batch != "" {
		model, err := a.model.open(ctx, std, bars)
		if err != nil {
			return err
		}
		defer closeModel(ctx, model)
		b := &batch{model: model, settings: a.settings, change: a.change, parallel: a.parallel, bars: bars}
		return runBatch(ctx, std, b, a.batch, a.answers)
	}
	request, err := a.asked(std, args) // before the model is loaded: it may be wrong
	if err != nil {
		return err
	}
	model, err := a.model.open(ctx, std, bars)
	if err != nil {
		return err
	}
	defer closeModel(ctx, model)
	request.Progress = show(bars)
	reply := model.Chat(ctx, request)
	if !a.json {
		if err := stream(std, bars, reply); err != nil {
			return err
		}
	}
	answer, err := reply.Answer()
	if err != nil {
		return err
	}
	bars.Close()
	if a.json {
		return writeJSON(std.out, answer)
	}
	return finish(std, answer)
}

// check refuses combinations of flags that cannot be meant.
func (a *ask) check(args []string) error {
	for _, c := range []struct {
		wrong bool
		what  string
	}{
		{len(args) > 1, fmt.Sprintf("ask takes one question, not %d arguments; quote it", len(args))},
		{a.messages != "" && len(args) > 0, "-messages holds the question; there can be no other"},
		{a.batch != "" && (len(args) > 0 || a.messages != "" || len(a.images) > 0), "-batch holds the questions, conversations and images"},
		{a.batch == "" && a.answers != "", "-o is for -batch; send the output of one question where it should go with >"},
		{a.batch == "" && a.flags.has("parallel"), "-parallel is for -batch"},
		{a.parallel < 1 || a.parallel > 1024, fmt.Sprintf("-parallel %d: want 1 to 1024", a.parallel)},
	} {
		if c.wrong {
			return misused(c.what, a.flags.hint())
		}
	}
	if len(a.model.options.Adapters) > 0 && a.batch == "" && a.messages == "" {
		return misused("-adapter NAME=DIR is for requests that say which they want", "give -adapter DIR for this question")
	}
	return a.model.check(a.flags)
}

// asked makes the request of flags, arguments and standard input.
func (a *ask) asked(std stdio, args []string) (r idefics2.Request, err error) {
	switch {
	case a.messages != "":
		r, _, err = readMessages(std.in, a.messages)
	case len(args) == 1:
		r = question(args[0], a.images)
	case terminal.Is(std.in):
		return r, misused("no question given", `idefics2 ask -image photo.jpg "What is this?"`)
	default:
		var text []byte
		if text, err = io.ReadAll(io.LimitReader(std.in, maxMessages)); err == nil {
			if strings.TrimSpace(string(text)) == "" {
				return r, misused("no question given, and none on standard input", `idefics2 ask -image photo.jpg "What is this?"`)
			}
			r = question(strings.TrimRight(string(text), "\r\n"), a.images)
		}
	}
	if err != nil {
		return r, err
	}
	if a.messages != "" {
		r.Images = append(r.Images, named(a.images)...)
	}
	a.change(&r)
	return r, a.settings.apply(&r, nil)
}

// question is one turn of a user: the pictures, then the text.
func question(text string, images []string) idefics2.Request {
	var parts []idefics2.Part
	for range images {
		parts = append(parts, chat.Image(""))
	}
	return idefics2.Request{
		Messages: []idefics2.Message{{Role: "user", Content: append(parts, chat.Text(text))}},
		Images:   named(images),
	}
}

func named(images []string) (all []idefics2.Image) {
	for _, name := range images {
		all = append(all, idefics2.Image{Name: name})
	}
	return all
}

// maxMessages bounds a conversation's JSON, with room for pictures as data URLs.
const maxMessages = 256 << 20

// readMessages reads a -messages file; paths in it are relative to it. Told reports whether
// it says itself if a generation prompt is wanted.
func readMessages(in io.Reader, path string) (r idefics2.Request, told bool, err error) {
	dir := "."
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return r, false, err
		}
		defer f.Close()
		in, dir = f, filepath.Dir(path)
	}
	data, err := io.ReadAll(io.LimitReader(in, maxMessages+1))
	if err != nil {
		return r, false, fmt.Errorf("%s: %w", path, err)
	}
	if len(data) > maxMessages {
		return r, false, withRemedy(fmt.Errorf("%s: more than %d MiB", path, maxMessages>>20), "give pictures as files instead of data URLs")
	}
	r, err = idefics2.ParseRequest(data, dir)
	if err != nil {
		return r, false, fmt.Errorf("%s: %w", path, err)
	}
	return r, memberNames(data)["add_generation_prompt"], nil
}

// stream prints the first answer as it comes.
func stream(std stdio, bars *terminal.Progress, reply *idefics2.Reply) error {
	out := std.out
	if terminal.Is(std.out) {
		out = terminal.NewCleaner(std.out)
	}
	begun := false
	for piece, err := range reply.Text() {
		bars.Close() // a bar and the answer share a screen
		if err != nil {
			if begun {
				io.WriteString(out, "\n")
			}
			return err
		}
		begun = true
		if _, err := io.WriteString(out, piece); err != nil {
			return err
		}
	}
	_, err := io.WriteString(out, "\n")
	return err
}

// finish prints the answers after the first, and says if one was cut.
func finish(std stdio, a *idefics2.Answer) error {
	out := std.out
	if terminal.Is(std.out) {
		out = terminal.NewCleaner(std.out)
	}
	for _, c := range a.Choices[min(1, len(a.Choices)):] {
		if _, err := fmt.Fprintf(out, "\n%s\n", c.Text); err != nil {
			return err
		}
	}
	if a.Finish == "length" {
		fmt.Fprintf(std.err, "idefics2: cut after %d tokens; -max-tokens allows more\n", len(a.OutputIDs))
	}
	return nil
}

// writeJSON prints v on one line.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false) // prompts are full of <image>
	return e.Encode(v)
}
