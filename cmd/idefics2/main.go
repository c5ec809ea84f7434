// Command idefics2 answers questions about images with the Idefics2 model, and shows
// how it came to the answer. "idefics2 help" lists what it does.
//
// Results go to standard output and everything else to standard error. The exit status
// is 0 when the work was done, 1 when it failed, 2 when the command line was wrong and
// 130 when it was interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"idefics2/internal/terminal"
)

// commands is what idefics2 can do, in the order in which help lists it.
var commands []*command

// Set here and not above, because completion and help read the table that they are in.
func init() {
	commands = []*command{
		&askCmd, &chatCmd, &serveCmd,
		&processCmd, &traceCmd, &verifyCmd, &tokenizeCmd,
		&dataCmd, &trainCmd, &mergeCmd, &evalCmd,
		&inspectCmd, &pullCmd, &initCmd, &convertCmd, &quantizeCmd, &cacheCmd, &benchCmd, &doctorCmd,
		&completionCmd, &versionCmd,
	}
}

// The exit status, a contract.
const (
	exitDone        = 0
	exitFailed      = 1
	exitMisused     = 2
	exitInterrupted = 130
)

// stdio is what a command has of the world around it. Commands read the environment
// through it and nowhere else.
type stdio struct {
	in     io.Reader
	out    io.Writer
	err    io.Writer
	getenv func(string) string
	signal *interrupts
}

func main() {
	std := stdio{in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv, signal: newInterrupts()}
	ctx := std.signal.context()
	code := execute(ctx, std, os.Args[1:])
	if ctx.Err() != nil {
		std.signal.leave(code)
	}
	os.Exit(code)
}

// execute runs one command line and returns the exit status.
func execute(ctx context.Context, std stdio, args []string) int {
	err := dispatch(ctx, std, args)
	switch usage := new(usageError); {
	case ctx.Err() != nil && err != nil:
		fmt.Fprintln(std.err, "idefics2: interrupted")
		return exitInterrupted
	case err == nil:
		return exitDone
	case errors.As(err, &usage):
		complain(std.err, err)
		return exitMisused
	default:
		complain(std.err, err)
		return exitFailed
	}
}

func dispatch(ctx context.Context, std stdio, args []string) error {
	if len(args) == 0 {
		overview(std.err)
		return misused("no command given", "idefics2 help lists the commands")
	}
	name, args := args[0], args[1:]
	switch name {
	case "help", "-h", "-help", "--help":
		return help(std, args)
	case "-version", "--version":
		name = "version"
	}
	c := find(name)
	if c == nil {
		return unknownCommand(name)
	}
	f := newFlags(c)
	run := c.new(f)
	positional, err := f.parse(args)
	if errors.Is(err, flag.ErrHelp) {
		c.usage(std.out, f)
		return nil
	}
	if err != nil {
		return err
	}
	return run(ctx, std, positional)
}

// find returns the command called name, or nil.
func find(name string) *command {
	for _, c := range commands {
		if c.name == name {
			return c
		}
	}
	return nil
}

func unknownCommand(name string) error {
	var names []string
	for _, c := range commands {
		names = append(names, c.name)
	}
	return misused(fmt.Sprintf("no command %q%s", name, didYouMean(name, append(names, "help"), "")), "idefics2 help lists the commands")
}

// usageError is a command line that cannot be meant. It ends the command with exitMisused.
type usageError struct{ what, remedy string }

func (e *usageError) Error() string { return e.what }

// misused returns a usageError.
func misused(what, remedy string) error { return &usageError{what, remedy} }

// withRemedy adds to an error the line that says what to do about it.
func withRemedy(err error, remedy string) error {
	if err == nil {
		return nil
	}
	return &remedied{err, remedy}
}

type remedied struct {
	error
	remedy string
}

func (r *remedied) Unwrap() error { return r.error }

// complain prints what is wrong, and on a second line what to do about it. Either may
// quote a file's name or content, so nothing in it may act on the terminal.
func complain(w io.Writer, err error) {
	text := err.Error()
	if !strings.HasPrefix(text, "idefics2: ") {
		text = "idefics2: " + text
	}
	fmt.Fprintln(w, terminal.Clean(text))
	if r := remedy(err); r != "" {
		fmt.Fprintln(w, "  "+terminal.Clean(r))
	}
}
