package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"idefics2/internal/spelling"
)

// flags is a flag.FlagSet whose flags stand in groups, may come after other arguments,
// and are corrected when they are misspelt.
type flags struct {
	*flag.FlagSet
	command *command
	groups  []flagGroup
}

type flagGroup struct {
	title string
	flags []*flag.Flag
}

func newFlags(c *command) *flags {
	f := &flags{FlagSet: flag.NewFlagSet(c.name, flag.ContinueOnError), command: c}
	f.SetOutput(io.Discard) // errors are printed once, by main
	f.Usage = func() {}
	return f
}

// group puts the flags that define adds under one title.
func (f *flags) group(title string, define func()) {
	before := map[string]bool{}
	f.VisitAll(func(x *flag.Flag) { before[x.Name] = true })
	define()
	g := flagGroup{title: title}
	f.VisitAll(func(x *flag.Flag) {
		if !before[x.Name] {
			g.flags = append(g.flags, x)
		}
	})
	f.groups = append(f.groups, g)
}

// parse sets the flags and returns the other arguments. Flags may stand before, after
// and between them; everything after "--" is an argument.
func (f *flags) parse(args []string) (positional []string, err error) {
	for {
		if err := f.Parse(args); err != nil {
			return nil, f.explain(err)
		}
		rest := f.Args()
		if used := len(args) - len(rest); used > 0 && args[used-1] == "--" {
			return append(positional, rest...), nil
		}
		if len(rest) == 0 {
			return positional, nil
		}
		positional, args = append(positional, rest[0]), rest[1:]
	}
}

// explain turns an error of package flag into one that says what to do.
func (f *flags) explain(err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: -"); ok {
		text = fmt.Sprintf("%s has no flag -%s%s", f.Name(), name, didYouMean(name, f.names(), "-"))
	}
	return misused(text, f.hint())
}

// hint says where the flags are listed.
func (f *flags) hint() string { return "idefics2 help " + f.Name() + " lists its flags" }

func (f *flags) names() (names []string) {
	f.VisitAll(func(x *flag.Flag) { names = append(names, x.Name) })
	return names
}

// given returns the names of the flags that the command line set, in alphabetical order.
func (f *flags) given() (names []string) {
	f.Visit(func(x *flag.Flag) { names = append(names, x.Name) })
	return names
}

// has reports whether the command line set any of the named flags.
func (f *flags) has(names ...string) bool {
	return slices.ContainsFunc(f.given(), func(n string) bool { return slices.Contains(names, n) })
}

// print lists the flags by group.
func (f *flags) print(w io.Writer) {
	for _, g := range f.groups {
		fmt.Fprintf(w, "\n%s:\n", g.title)
		for _, x := range g.flags {
			value, usage := flag.UnquoteUsage(x)
			usage = strings.TrimPrefix(usage, value+": ") // the name of the value stands on the left
			left := "-" + x.Name
			if value != "" {
				left += " " + value
			}
			if x.DefValue != "" && x.DefValue != "0" && x.DefValue != "false" {
				usage += " (default " + x.DefValue + ")"
			}
			const column = 28
			if len(left) > column {
				fmt.Fprintf(w, "  %s\n  %*s%s\n", left, column, "", wrap(usage, column+2))
				continue
			}
			fmt.Fprintf(w, "  %-*s%s\n", column, left+" ", wrap(usage, column+2))
		}
	}
}

// wrap breaks text at 96 columns and indents all lines but the first.
func wrap(text string, indent int) string {
	var b strings.Builder
	column := indent
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case column+1+len(word) > 96:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			column = indent
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String()
}

// list is a flag that may be given several times.
type list []string

func (l *list) String() string { return strings.Join(*l, ", ") }

func (l *list) Set(s string) error {
	*l = append(*l, s)
	return nil
}

// choice is a flag with a few possible values.
type choice struct {
	value *string
	of    []string
}

func (c choice) String() string {
	if c.value == nil {
		return ""
	}
	return *c.value
}

func (c choice) Set(s string) error {
	if !slices.Contains(c.of, s) {
		return fmt.Errorf("want one of %s", strings.Join(c.of, ", "))
	}
	*c.value = s
	return nil
}

// choiceVar defines a flag that takes one of the given values; the first is the default.
func (f *flags) choiceVar(p *string, name, usage string, of ...string) {
	*p = of[0]
	f.Var(choice{p, of}, name, "`"+strings.Join(of, "|")+"`: "+usage)
}

// maybe is a boolean flag that knows whether it was given.
type maybe struct{ value *bool }

func (m *maybe) String() string {
	if m == nil || m.value == nil {
		return ""
	}
	return fmt.Sprint(*m.value)
}

func (m *maybe) IsBoolFlag() bool { return true }

func (m *maybe) Set(s string) error {
	switch strings.ToLower(s) {
	case "true", "1", "on", "yes":
		m.value = new(true)
	case "false", "0", "off", "no":
		m.value = new(false)
	default:
		return errors.New("want true or false")
	}
	return nil
}

// didYouMean names the nearest of the words that exist, if one is near.
func didYouMean(word string, words []string, prefix string) string {
	nearest := spelling.Nearest(word, words)
	if nearest == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s%s?", prefix, nearest)
}
