package main

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/term"

	"idefics2/internal/terminal"
)

// newLineReader returns an editor if a person types, and else plain lines.
func newLineReader(std stdio, c *conversation, keepHistory bool) lineReader {
	in, ok := std.in.(*os.File)
	if !ok || !terminal.Is(std.in) || !terminal.Is(std.out) {
		return &pipeReader{bufio.NewReaderSize(std.in, 1<<16)}
	}
	std.signal.prompt()
	e := &editor{std: std, fd: int(in.Fd())}
	e.term = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{&keyboard{in: in}, std.out}, "> ")
	e.term.SetBracketedPasteMode(true)
	h := new(history)
	if keepHistory {
		if dir := configDir(std.getenv); dir != "" {
			h.path = filepath.Join(dir, "idefics2", "history")
		}
		h.read()
	}
	e.term.History = h
	e.term.AutoCompleteCallback = func(line string, pos int, key rune) (string, int, bool) {
		if key != '\t' {
			return "", 0, false
		}
		head, ways := c.complete(line[:pos])
		if head == line[:pos] && len(ways) > 1 {
			io.WriteString(e.term, strings.Join(ways, "  ")+"\n")
		}
		return head + line[pos:], len(head), true
	}
	return e
}

// pipeReader reads lines from something that is no terminal.
type pipeReader struct{ in *bufio.Reader }

func (p *pipeReader) readLine() (string, error) {
	line, err := readLine(p.in, maxMessages)
	text := string(line)
	for err == nil && strings.HasSuffix(text, `\`) {
		line, err = readLine(p.in, maxMessages)
		text = strings.TrimSuffix(text, `\`) + "\n" + string(line)
	}
	if err == io.EOF && text != "" {
		err = nil
	}
	return text, err
}

// editor reads lines from a terminal, with editing, history and completion. The terminal
// is raw only while a line is typed: during an answer Ctrl-C must be a signal.
type editor struct {
	std  stdio
	fd   int
	term *term.Terminal
}

func (e *editor) readLine() (string, error) {
	state, err := term.MakeRaw(e.fd)
	if err != nil {
		return "", err
	}
	restore := func() {
		e.term.SetBracketedPasteMode(false)
		term.Restore(e.fd, state)
	}
	e.std.signal.onExit(restore)
	defer func() {
		e.std.signal.onExit(nil)
		restore()
	}()
	e.term.SetBracketedPasteMode(true)
	if width, height, err := term.GetSize(e.fd); err == nil && width > 0 {
		e.term.SetSize(width, height)
	}
	var text string
	for {
		line, err := e.term.ReadLine()
		text += line
		switch {
		case err == term.ErrPasteIndicator: // pasted lines wait for an Enter that is typed
			text += "\n"
		case err != nil:
			if err == io.EOF {
				io.WriteString(e.std.out, "\r\n")
			}
			return "", err
		case strings.HasSuffix(line, `\`):
			text = strings.TrimSuffix(text, `\`) + "\n"
		default:
			e.term.SetPrompt("> ")
			return text, nil
		}
		e.term.SetPrompt("… ")
	}
}

// keyboard turns Ctrl-C into the keys that empty the line (Ctrl-E, Ctrl-U): package term would
// take it for the end of the input.
type keyboard struct {
	in   io.Reader
	left []byte
}

func (k *keyboard) Read(p []byte) (int, error) {
	if len(k.left) == 0 {
		buffer := make([]byte, max(1, len(p)/2))
		n, err := k.in.Read(buffer)
		if err != nil {
			return 0, err
		}
		for _, b := range buffer[:n] {
			if b == 0x03 {
				k.left = append(k.left, 0x05, 0x15)
			} else {
				k.left = append(k.left, b)
			}
		}
	}
	n := copy(p, k.left)
	k.left = k.left[n:]
	return n, nil
}

// historyLines is how many lines are kept.
const historyLines = 1000

// history is what was typed, in a file of its own if it has a path. It implements
// term.History. Losing it is no reason to stop a conversation, so errors are left alone.
type history struct {
	path  string
	lines []string // oldest first
}

// Add is called with every line that is entered.
func (h *history) Add(line string) {
	line = strings.TrimSpace(line)
	if line == "" || len(h.lines) > 0 && h.lines[len(h.lines)-1] == line {
		return
	}
	h.lines = append(h.lines, line)
	if len(h.lines) > historyLines {
		h.lines = h.lines[1:]
	}
	if h.path == "" || os.MkdirAll(filepath.Dir(h.path), 0o700) != nil {
		return
	}
	f, err := os.OpenFile(h.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	io.WriteString(f, line+"\n")
}

// Len returns the number of lines.
func (h *history) Len() int { return len(h.lines) }

// At returns a line, the latest at 0.
func (h *history) At(i int) string { return h.lines[len(h.lines)-1-i] }

// read fills the history from its file, and shortens the file where it has grown long.
func (h *history) read() {
	f, err := os.Open(h.path)
	if err != nil {
		return
	}
	defer f.Close()
	r, all := bufio.NewReader(f), 0
	for {
		line, err := readLine(r, 1<<16)
		if err == errLongLine {
			continue
		}
		if err != nil {
			break
		}
		all++
		h.lines = append(h.lines, terminal.Clean(string(line)))
		if len(h.lines) > historyLines {
			h.lines = h.lines[1:]
		}
	}
	if all > 2*historyLines {
		os.WriteFile(h.path, []byte(strings.Join(h.lines, "\n")+"\n"), 0o600)
	}
}

// configDir returns the folder where programs keep such things, as os.UserConfigDir
// does, but from the environment that main passes on.
func configDir(getenv func(string) string) string {
	switch home := getenv("HOME"); {
	case runtime.GOOS == "windows":
		return getenv("AppData")
	case getenv("XDG_CONFIG_HOME") != "":
		return getenv("XDG_CONFIG_HOME")
	case home == "":
		return ""
	case runtime.GOOS == "darwin":
		return filepath.Join(home, "Library", "Application Support")
	default:
		return filepath.Join(home, ".config")
	}
}
