package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"idefics2"
	"idefics2/internal/terminal"
)

// chatCommand is a line of a chat that begins with a slash.
type chatCommand struct {
	name, args, help string
	files            bool // arguments are file names, for completion
	words            []string
	whole            bool // the rest of the line is one argument
	run              func(c *conversation, ctx context.Context, args []string) error
}

// chatCommands in the order in which /help lists them. Set in init because help reads it.
var chatCommands []chatCommand

func init() {
	chatCommands = []chatCommand{
		{name: "image", args: "FILE…", help: "show pictures to the model with the next question", files: true, run: (*conversation).cmdImage},
		{name: "undo", help: "take back the last question and its answer", run: (*conversation).cmdUndo},
		{name: "retry", help: "answer the last question again", run: (*conversation).cmdRetry},
		{name: "clear", help: "begin a new conversation, keeping the settings", run: (*conversation).cmdClear},
		{name: "system", args: "[TEXT]", help: "tell the model something before everything else, or no longer", whole: true, run: (*conversation).cmdSystem},
		{name: "split", args: "on|off", help: "read pictures in quarters too", words: []string{"on", "off"}, run: (*conversation).cmdSplit},
		{name: "set", args: "[NAME VALUE]", help: "change how answers are drawn: /set temperature 0.7", run: (*conversation).cmdSet},
		{name: "save", args: "FILE", help: "write the conversation as JSON, for -messages and /load", files: true, run: (*conversation).cmdSave},
		{name: "load", args: "FILE", help: "go on with a saved conversation", files: true, run: (*conversation).cmdLoad},
		{name: "info", help: "tell about the model and the conversation", run: (*conversation).cmdInfo},
		{name: "help", help: "list these commands", run: (*conversation).cmdHelp},
		{name: "quit", help: "leave; Ctrl-D does too", run: func(*conversation, context.Context, []string) error { return errQuit }},
	}
}

// command does what a line that begins with a slash says.
func (c *conversation) command(ctx context.Context, line string) error {
	name, rest, _ := strings.Cut(strings.TrimPrefix(line, "/"), " ")
	i := slices.IndexFunc(chatCommands, func(k chatCommand) bool { return k.name == name })
	if i < 0 {
		var names []string
		for _, k := range chatCommands {
			names = append(names, k.name)
		}
		return withRemedy(fmt.Errorf("no command /%s%s", name, didYouMean(name, names, "/")), "/help lists the commands")
	}
	k := chatCommands[i]
	args, err := words(rest)
	if k.whole {
		args, err = []string{strings.TrimSpace(rest)}, nil
	}
	if err != nil {
		return err
	}
	return k.run(c, ctx, args)
}

// words splits a line as a shell does, with quotes and backslashes, so that a file that is
// dragged into a terminal arrives whole.
func words(line string) (all []string, err error) {
	var b strings.Builder
	started, quote, escaped := false, rune(0), false
	for _, r := range line {
		switch {
		case escaped:
			b.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'' && filepath.Separator != '\\':
			started, escaped = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			b.WriteRune(r)
		case r == '\'' || r == '"':
			started, quote = true, r
		case r == ' ' || r == '\t':
			if started {
				all = append(all, b.String())
				b.Reset()
			}
			started = false
		default:
			started = true
			b.WriteRune(r)
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("a quote %c without an end", quote)
	}
	if started {
		all = append(all, b.String())
	}
	return all, nil
}

func (c *conversation) cmdImage(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("/image wants the name of a picture")
	}
	for _, name := range args {
		if err := c.addImage(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func (c *conversation) cmdUndo(context.Context, []string) error {
	if len(c.pending) > 0 {
		c.pending = nil
		c.note("no pictures wait for a question any more")
		return nil
	}
	if c.role(-1) == "assistant" {
		c.request.Messages = c.request.Messages[:len(c.request.Messages)-1]
	}
	if c.role(-1) != "user" {
		return errors.New("nothing to undo")
	}
	c.request.Messages = c.request.Messages[:len(c.request.Messages)-1]
	c.note("took back the last question; %d messages left", len(c.request.Messages))
	return nil
}

func (c *conversation) cmdRetry(ctx context.Context, _ []string) error {
	kept := c.request.Messages
	if c.role(-1) == "assistant" {
		c.request.Messages = c.request.Messages[:len(c.request.Messages)-1]
	}
	if c.role(-1) != "user" {
		c.request.Messages = kept
		return errors.New("no question to answer again")
	}
	if c.request.Generate.Temperature > 0 {
		c.request.Generate.Seed++ // the same seed would give the same answer
	}
	c.request.Messages = slices.Clip(c.request.Messages) // so that a failure leaves kept as it is
	if err := c.answer(ctx); err != nil || c.role(-1) == "user" {
		c.request.Messages = kept
		return err
	}
	return nil
}

func (c *conversation) cmdClear(context.Context, []string) error {
	system := ""
	if c.role(0) == "system" {
		system = messageText(c.request.Messages[0])
	}
	c.request.Messages, c.pending, c.last = nil, nil, nil
	c.setSystem(system)
	return nil
}

func (c *conversation) cmdSystem(_ context.Context, args []string) error {
	c.setSystem(args[0])
	return nil
}

func (c *conversation) cmdSplit(_ context.Context, args []string) error {
	var m maybe
	if len(args) != 1 || m.Set(args[0]) != nil {
		return errors.New("/split wants on or off")
	}
	c.request.Split = m.value
	return nil
}

func (c *conversation) cmdSet(_ context.Context, args []string) error {
	if len(args) == 0 {
		c.note("settings: %s", strings.Join(c.settings.names(), ", "))
		return nil
	}
	name := strings.TrimLeft(args[0], "-")
	set, ok := c.settings.setters[name]
	if !ok {
		return withRemedy(fmt.Errorf("no setting %q%s", name, didYouMean(name, c.settings.names(), "")), "/set lists them")
	}
	if len(args) != 2 {
		return fmt.Errorf("/set %s wants one value", name)
	}
	if name == "stop" {
		c.request.Generate.StopStrings = nil // set replaces, while the flag adds
	}
	if err := set(&c.request, args[1]); err != nil {
		return fmt.Errorf("/set %s %s: %w", name, args[1], err)
	}
	return nil
}

func (c *conversation) cmdSave(_ context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New("/save wants the name of a file")
	}
	data, err := conversationJSON(c.request, filepath.Dir(args[0]))
	if err != nil {
		return err
	}
	// Through another name, so that a full disk does not cost an earlier file.
	f, err := os.CreateTemp(filepath.Dir(args[0]), ".idefics2-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), args[0])
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	c.note("saved %d messages", len(c.request.Messages))
	return nil
}

func (c *conversation) cmdLoad(_ context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New("/load wants the name of a file")
	}
	return c.load(args[0])
}

// load replaces the conversation by that of a file.
func (c *conversation) load(path string) error {
	r, _, err := readMessages(c.std.in, path)
	if err != nil {
		return err
	}
	if r.Prompt != "" {
		return withRemedy(fmt.Errorf("%s holds a bare prompt, no conversation", path), "ask -messages takes it")
	}
	if err := nameImages(&r); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	c.request.Messages = r.Messages
	if r.Split != nil {
		c.request.Split = r.Split
	}
	c.pending, c.last = nil, nil
	if c.role(-1) == "user" {
		c.note("%d messages; the last is a question, and /retry answers it", len(r.Messages))
	}
	return nil
}

func (c *conversation) cmdInfo(context.Context, []string) error {
	config := c.model.Config()
	c.note("model      %s, %s parameters", c.model.Name(), count(config.Parameters()))
	c.note("messages   %d, %d pictures waiting", len(c.request.Messages), len(c.pending))
	if c.last != nil {
		t := c.last.Timings
		c.note("last       %d tokens read, %d written; image %.2f s, prefill %.2f s, decode %.2f s",
			t.PromptTokens, t.OutputTokens, t.Image, t.Prefill, t.Decode)
		c.note("length     %d of %d tokens", t.PromptTokens+t.OutputTokens, config.Text.MaxPositions)
	}
	c.note("memory     %s at most so far", size(idefics2.PeakMemory()))
	c.note("pictures   %s", c.graphics)
	return nil
}

func (c *conversation) cmdHelp(context.Context, []string) error {
	for _, k := range chatCommands {
		fmt.Fprintf(c.std.err, "  %-20s %s\n", "/"+k.name+" "+k.args, k.help)
	}
	return nil
}

// complete is what Tab does with a line up to the cursor: it returns the line with what is
// certain added, and all the ways to go on.
func (c *conversation) complete(line string) (string, []string) {
	if !strings.HasPrefix(line, "/") {
		return line, nil
	}
	name, rest, more := strings.Cut(line[1:], " ")
	if !more {
		var names []string
		for _, k := range chatCommands {
			names = append(names, k.name)
		}
		word, ways := extend(name, names, " ")
		return "/" + word, ways
	}
	i := slices.IndexFunc(chatCommands, func(k chatCommand) bool { return k.name == name })
	if i < 0 {
		return line, nil
	}
	k := chatCommands[i]
	at := lastWord(rest)
	head, word := line[:len(line)-len(rest)+at], rest[at:]
	switch {
	case k.files:
		word, ways := extendFile(word)
		return head + word, ways
	case k.name == "set" && at == 0:
		word, ways := extend(word, c.settings.names(), " ")
		return head + word, ways
	default:
		word, ways := extend(word, k.words, " ")
		return head + word, ways
	}
}

// extend completes word from words: with end behind it where only one fits.
func extend(word string, words []string, end string) (string, []string) {
	var fit []string
	for _, w := range words {
		if strings.HasPrefix(w, word) {
			fit = append(fit, w)
		}
	}
	switch len(fit) {
	case 0:
		return word, nil
	case 1:
		return fit[0] + end, nil
	}
	common := fit[0]
	for _, w := range fit[1:] {
		for !strings.HasPrefix(w, common) {
			common = common[:len(common)-1]
		}
	}
	return common, fit
}

// extendFile completes a file's name, in which backslashes stand before spaces and quotes.
func extendFile(word string) (string, []string) {
	plain, err := words(word)
	path := ""
	if err == nil && len(plain) == 1 {
		path = plain[0]
	}
	dir, base := filepath.Split(path)
	entries, err := os.ReadDir(filepath.Clean("./" + dir))
	if filepath.IsAbs(dir) {
		entries, err = os.ReadDir(dir)
	}
	if err != nil {
		return word, nil
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") && !strings.HasPrefix(base, ".") {
			continue
		}
		name := e.Name()
		if e.IsDir() {
			name += string(filepath.Separator)
		}
		if terminal.Clean(name) == name { // others could not be typed
			names = append(names, name)
		}
	}
	done, ways := extend(base, names, "")
	return escapeWord(dir + done), ways
}

// lastWord returns where the last word of a line begins.
func lastWord(line string) int {
	at, escaped := 0, false
	for i, r := range line {
		if (r == ' ' || r == '\t') && !escaped {
			at = i + 1
		}
		escaped = r == '\\' && !escaped
	}
	return at
}

// escapeWord puts backslashes where words would split or end.
func escapeWord(s string) string {
	if filepath.Separator == '\\' {
		return s
	}
	return strings.NewReplacer(`\`, `\\`, " ", `\ `, `'`, `\'`, `"`, `\"`).Replace(s)
}
