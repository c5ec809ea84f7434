package main

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// A command is one thing that idefics2 does. Help, completion and the parsing of its
// flags all come from this value.
type command struct {
	name     string
	args     string // the synopsis after the name
	help     string // one line
	more     string // further paragraphs of help; may be empty
	examples []example
	files    bool     // arguments that are not flags name files
	words    []string // or are these words

	// new adds the command's flags to f and returns the function that runs with
	// what they then hold.
	new func(f *flags) runFunc
}

// A runFunc does a command's work. Args are the arguments that are not flags.
type runFunc func(ctx context.Context, std stdio, args []string) error

type example struct{ what, line string }

// help answers "idefics2 help [COMMAND]".
func help(std stdio, args []string) error {
	if len(args) == 0 {
		overview(std.out)
		return nil
	}
	c := find(args[0])
	if c == nil {
		return unknownCommand(args[0])
	}
	f := newFlags(c)
	c.new(f)
	c.usage(std.out, f)
	return nil
}

// overview lists the commands.
func overview(w io.Writer) {
	fmt.Fprint(w, "idefics2 answers questions about images, with the Idefics2 model.\n\nUsage: idefics2 COMMAND [FLAGS] [ARGUMENTS]\n\n")
	for _, c := range commands {
		fmt.Fprintf(w, "  %-11s %s\n", c.name, c.help)
	}
	fmt.Fprint(w, `
A model is a folder in the Hugging Face layout, a .gguf file that convert or quantize made
of one, or the name of one in the local Hugging Face cache, such as
HuggingFaceM4/idefics2-8b, with @REVISION if it must be that one.

  idefics2 ask -model DIR -image photo.jpg "What is this?"
  idefics2 help COMMAND     flags and examples
  idefics2 doctor           this machine, and what would run on it
`)
}

// usage prints all about c.
func (c *command) usage(w io.Writer, f *flags) {
	fmt.Fprintf(w, "%s: %s\n\nUsage: idefics2 %s\n", c.name, c.help, strings.TrimSpace(c.name+" "+c.args))
	if c.more != "" {
		fmt.Fprintf(w, "\n%s\n", strings.TrimSpace(c.more))
	}
	f.print(w)
	if len(c.examples) > 0 {
		fmt.Fprint(w, "\nExamples:\n")
	}
	for _, e := range c.examples {
		fmt.Fprintf(w, "  # %s\n  %s\n", e.what, e.line)
	}
}
