package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"idefics2"
	"idefics2/chat"
	"idefics2/internal/terminal"
)

var chatCmd = command{
	name: "chat",
	args: "[-model M] [-messages FILE] [-image FILE_OR_URL]… [FLAGS]",
	help: "talk with the model about images, in the terminal",
	more: `Type a question and Enter; a line that ends in \ goes on. Lines that begin with / are commands, and
/help lists them. Tab completes commands and file names, the arrows bring back earlier
lines. Ctrl-C stops an answer, or empties the line; Ctrl-D leaves.

From a pipe each line is a question or a command, and only the answers are printed.`,
	examples: []example{
		{"begin with a picture", "idefics2 chat -model DIR -image photo.jpg"},
		{"go on with a conversation that /save wrote", "idefics2 chat -model DIR -messages talk.json"},
		{"sample instead of taking the likeliest words", "idefics2 chat -model DIR -temperature 0.7 -top-p 0.9"},
	},
	new: func(f *flags) runFunc {
		var o struct {
			messages, system, pictures string
			images                     list
			split                      maybe
			history                    bool
		}
		m := newModelFlags(f)
		f.group("Conversation", func() {
			f.StringVar(&o.messages, "messages", "", "`FILE`: go on with this conversation")
			f.Var(&o.images, "image", "`FILE_OR_URL`: a picture for the first question; may be given several times")
			f.StringVar(&o.system, "system", "", "`TEXT`: what the model is told before everything else")
			f.Var(&o.split, "split", "read each picture as four quarters and the whole, or with -split=false as the whole alone (default: as the model's files say)")
		})
		f.group("Terminal", func() {
			f.BoolVar(&o.history, "history", true, "keep the lines typed, for the next time; -history=false does not")
			f.choiceVar(&o.pictures, "pictures", "how to show them", "auto", "none", "blocks", "sixel", "iterm2", "kitty")
		})
		settings := generationFlags(f)
		return func(ctx context.Context, std stdio, args []string) error {
			if len(args) > 0 {
				return misused(fmt.Sprintf("chat takes no arguments, found %q", args[0]), "ask answers a single question")
			}
			if err := m.check(f); err != nil {
				return err
			}
			bars := terminal.NewProgress(std.err)
			defer bars.Close()
			c := newConversation(std, bars, settings)
			c.graphics = pictures(std, o.pictures)
			if o.messages != "" {
				if err := c.load(o.messages); err != nil {
					return err
				}
			}
			if err := settings.apply(&c.request, nil); err != nil {
				return err
			}
			if o.split.value != nil {
				c.request.Split = o.split.value
			}
			if o.system != "" {
				c.setSystem(o.system)
			}
			var err error
			if c.model, err = m.open(ctx, std, bars); err != nil {
				return err
			}
			defer closeModel(ctx, c.model)
			bars.Close()
			for _, name := range o.images {
				if err := c.addImage(ctx, name); err != nil {
					return err
				}
			}
			return c.run(ctx, newLineReader(std, c, o.history))
		}
	},
}

// pictures chooses how to show them.
func pictures(std stdio, wanted string) terminal.Graphics {
	if g, ok := terminal.ParseGraphics(wanted); ok {
		return g
	}
	if !terminal.Is(std.out) {
		return terminal.None
	}
	return terminal.DetectGraphics(std.getenv)
}

// conversation is what a chat consists of.
type conversation struct {
	std      stdio
	bars     *terminal.Progress
	model    *idefics2.Model
	settings *generation
	graphics terminal.Graphics
	screen   bool      // out is a terminal
	out      io.Writer // answers; harmless on a terminal

	request idefics2.Request // messages so far, and settings
	pending []string         // pictures for the next question
	failed  bool             // something that was asked for could not be done
	last    *idefics2.Answer // nil before the first
}

func newConversation(std stdio, bars *terminal.Progress, settings *generation) *conversation {
	c := &conversation{std: std, bars: bars, settings: settings, screen: terminal.Is(std.out), out: std.out}
	if c.screen {
		c.out = terminal.NewCleaner(std.out)
	}
	return c
}

// A lineReader gives one question or command after the other, and io.EOF at the end.
type lineReader interface{ readLine() (string, error) }

var errQuit = errors.New("quit")

func (c *conversation) run(ctx context.Context, in lineReader) error {
	if c.screen {
		c.note("%s. /help lists commands, Ctrl-D leaves.", c.model.Name())
	}
	for {
		line, err := in.readLine()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		line = strings.TrimSpace(line)
		switch {
		case line == "":
		case strings.HasPrefix(line, "/"):
			err = c.command(ctx, line)
		default:
			err = c.ask(ctx, line)
		}
		if errors.Is(err, errQuit) {
			break
		}
		if err := ctx.Err(); err != nil {
			return err // the program was interrupted, not the answer
		}
		if err != nil {
			c.failed = true
			complain(c.std.err, err)
		}
	}
	if c.failed && !c.screen {
		return errors.New("not all that was asked for could be done")
	}
	return nil
}

// ask adds a question, with the pictures that wait for one, and answers it.
func (c *conversation) ask(ctx context.Context, text string) error {
	var parts []idefics2.Part
	for _, name := range c.pending {
		parts = append(parts, chat.Image(name))
	}
	c.request.Messages = append(c.request.Messages, idefics2.Message{Role: "user", Content: append(parts, chat.Text(text))})
	waiting := c.pending
	c.pending = nil
	err := c.answer(ctx)
	if err != nil || c.role(-1) == "user" { // no answer: the question does not stand either
		c.request.Messages = c.request.Messages[:len(c.request.Messages)-1]
		c.pending = waiting
	}
	return err
}

// answer streams the answer to the last question, and adds it. Ctrl-C ends it early: what
// was said until then counts.
func (c *conversation) answer(ctx context.Context) error {
	ctx, done := c.std.signal.within(ctx)
	defer done()
	c.request.Progress = show(c.bars)
	reply := c.model.Chat(ctx, c.request)
	var text strings.Builder
	var failed error
	for piece, err := range reply.Text() {
		c.bars.Close()
		if err != nil {
			failed = err
			break
		}
		text.WriteString(piece)
		if _, err := io.WriteString(c.out, piece); err != nil {
			return err
		}
	}
	c.bars.Close()
	stopped := ctx.Err() != nil
	if stopped || failed == nil {
		io.WriteString(c.out, "\n")
	}
	switch {
	case stopped:
		c.note("stopped")
	case failed != nil:
		return failed
	}
	if text.Len() > 0 || !stopped {
		c.request.Messages = append(c.request.Messages, idefics2.Message{Role: "assistant", Content: []idefics2.Part{chat.Text(text.String())}})
	}
	if stopped {
		return nil
	}
	answer, err := reply.Answer()
	if err != nil {
		return err
	}
	c.last = answer
	if answer.Finish == "length" {
		c.note("cut after %d tokens; /set max-tokens N allows more", len(answer.OutputIDs))
	}
	return nil
}

// role returns who spoke in the message at i, counted from the end if negative.
func (c *conversation) role(i int) string {
	if i < 0 {
		i += len(c.request.Messages)
	}
	if i < 0 || i >= len(c.request.Messages) {
		return ""
	}
	return c.request.Messages[i].Role
}

// note tells the user something that is not part of an answer.
func (c *conversation) note(format string, args ...any) {
	text := terminal.Clean(fmt.Sprintf(format, args...))
	if terminal.Is(c.std.err) && c.std.getenv("NO_COLOR") == "" {
		text = "\x1b[2m" + text + "\x1b[0m"
	}
	fmt.Fprintln(c.std.err, text)
}

// addImage keeps a picture for the next question, and shows it. A picture that cannot be
// read is refused now rather than with the question.
func (c *conversation) addImage(ctx context.Context, name string) error {
	if abs, err := filepath.Abs(name); err == nil && !idefics2.IsURL(name) {
		name = abs // the conversation may be saved elsewhere
	}
	img, err := look(ctx, name)
	if err != nil {
		return err
	}
	if img != nil && c.screen {
		if err := terminal.Draw(c.std.out, c.graphics, img, min(60, terminal.Columns(c.std.out)-1), 20); err != nil {
			return err
		}
	}
	c.pending = append(c.pending, name)
	if img != nil {
		size := img.Bounds().Size()
		c.note("%s, %d×%d, goes with the next question", filepath.Base(name), size.X, size.Y)
	}
	return nil
}

func (c *conversation) setSystem(text string) {
	messages := c.request.Messages
	if c.role(0) == "system" {
		messages = messages[1:]
	}
	if text != "" {
		messages = slices.Insert(slices.Clone(messages), 0, idefics2.Message{Role: "system", Content: []idefics2.Part{chat.Text(text)}})
	}
	c.request.Messages = messages
}
