package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// programs are what tests can run as processes of their own.
var programs = map[string]func(){"idefics2": main}

func TestMain(m *testing.M) { testscript.Main(m, programs) }

// TestScripts runs the command as a person does: see testdata. In the scripts $TINY is a
// recorded model of the reference with its pictures and requests.
func TestScripts(t *testing.T) {
	tiny, err := filepath.Abs("../../testdata/golden/tiny")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		UpdateScripts:       os.Getenv("UPDATE") != "",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("TINY", tiny)
			env.Setenv("MODEL", filepath.Join(tiny, "checkpoint"))
			env.Setenv("HF_HOME", filepath.Join(env.WorkDir, "hf"))
			env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, "config"))
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"status":    scriptStatus,
			"interrupt": scriptInterrupt,
			"same":      scriptSame,
			"head":      scriptHead,
		},
	})
}

// scriptStatus is "status N PROGRAM ARGS…": the program must end with N.
func scriptStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N PROGRAM ARGS…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got, exit := 0, new(exec.ExitError)
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// scriptInterrupt is "interrupt stdout|stderr|nothing PROGRAM ARGS…": it starts the program
// with a standard input that never ends, waits for it to print something there, or for a
// moment, sends SIGINT, and wants exit status 130.
func scriptInterrupt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: interrupt stdout|stderr|nothing PROGRAM ARGS…")
	}
	program, err := exec.LookPath(args[1])
	ts.Check(err)
	cmd := exec.Command(program, args[2:]...)
	cmd.Dir = ts.Getenv("WORK")
	cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+ts.Getenv("XDG_CONFIG_HOME"))
	stdin, err := cmd.StdinPipe()
	ts.Check(err)
	defer stdin.Close()
	outputs := map[string]*notifier{"stdout": newNotifier(), "stderr": newNotifier(), "nothing": newNotifier()}
	cmd.Stdout, cmd.Stderr = outputs["stdout"], outputs["stderr"]
	ts.Check(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	wait := 20 * time.Second
	if args[0] == "nothing" {
		wait = 500 * time.Millisecond // until it reads its input; earlier is as good
		listens(cmd.Process.Pid)
	}
	select {
	case <-outputs[args[0]].first:
	case <-time.After(wait):
	case err := <-ended:
		ts.Fatalf("ended by itself: %v\n%s", err, outputs["stderr"])
	}
	ts.Check(cmd.Process.Signal(os.Interrupt))
	<-ended
	if got := cmd.ProcessState.ExitCode(); got != exitInterrupted {
		ts.Fatalf("exit status %d, want %d\n%s", got, exitInterrupted, outputs["stderr"])
	}
}

// listens waits until the process has taken SIGINT over, where the system tells: a busy machine may
// take its time to start it.
func listens(pid int) {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return
		}
		_, after, _ := strings.Cut(string(status), "SigCgt:")
		line, _, _ := strings.Cut(strings.TrimSpace(after), "\n")
		if caught, err := strconv.ParseUint(line, 16, 64); err != nil || caught>>(uint(syscall.SIGINT)-1)&1 == 1 {
			return
		}
	}
}

// scriptSame is "same A B": two files of answers must differ in nothing but what a clock
// and the system measure.
func scriptSame(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: same A B")
	}
	measured := regexp.MustCompile(`"(load|image|prefill|decode|peak_memory)":[-+.e0-9]+`)
	a := measured.ReplaceAllString(ts.ReadFile(args[0]), "")
	b := measured.ReplaceAllString(ts.ReadFile(args[1]), "")
	if a != b {
		ts.Fatalf("%s and %s differ:\n%s\n%s", args[0], args[1], a, b)
	}
}

// scriptHead is "head N FROM TO TAIL": it writes the first N lines of a file, and TAIL after
// them.
func scriptHead(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: head N FROM TO TAIL")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	lines := strings.SplitAfter(ts.ReadFile(args[1]), "\n")
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(strings.Join(lines[:n], "")+args[3]), 0o666))
}

// notifier is a buffer that says when it is first written to.
type notifier struct {
	buffer bytes.Buffer // not embedded: its ReadFrom would be used instead of Write
	first  chan struct{}
}

func newNotifier() *notifier { return &notifier{first: make(chan struct{})} }

func (n *notifier) Write(p []byte) (int, error) {
	if n.buffer.Len() == 0 && len(p) > 0 {
		close(n.first)
	}
	return n.buffer.Write(p)
}

func (n *notifier) String() string { return n.buffer.String() }

func TestParse(t *testing.T) {
	tests := []struct {
		name string
		args string
		want string // image, json, positional
		err  string
	}{
		{"flags first", "-image a.png -json what", "[a.png] true [what]", ""},
		{"flags last", "what -image a.png -image b.png", "[a.png b.png] false [what]", ""},
		{"between, and with two dashes", "x --image=a.png y --json", "[a.png] true [x y]", ""},
		{"after -- everything is an argument", "-json -- -image x", "[] true [-image x]", ""},
		{"a dash is an argument", "- -json", "[] true [-]", ""},
		{"misspelt", "-imgae a.png", "", "ask has no flag -imgae; did you mean -image?"},
		{"nothing near", "-zzzzzz", "", "ask has no flag -zzzzzz"},
		{"no value", "-image", "", "flag needs an argument: -image"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFlags(&command{name: "ask"})
			var images list
			f.Var(&images, "image", "")
			json := f.Bool("json", false, "")
			rest, err := f.parse(strings.Fields(tt.args))
			if tt.err != "" {
				usage := new(usageError)
				if !errors.As(err, &usage) || err.Error() != tt.err {
					t.Fatalf("error %v, want %q", err, tt.err)
				}
				return
			}
			if got := fmt.Sprint([]string(images), *json, rest); err != nil || got != tt.want {
				t.Errorf("%s, %v; want %s", got, err, tt.want)
			}
		})
	}
}

func TestDidYouMean(t *testing.T) {
	words := []string{"ask", "chat", "process", "tokenize", "inspect", "init"}
	tests := []struct{ word, want string }{
		{"aks", "ask"}, {"proces", "process"}, {"tok", "tokenize"}, {"ins", "inspect"}, {"CHAT", "chat"}, {"int", "init"}, {"serve", ""}, {"", ""},
	}
	for _, tt := range tests {
		want := ""
		if tt.want != "" {
			want = "; did you mean -" + tt.want + "?"
		}
		if got := didYouMean(tt.word, words, "-"); got != want {
			t.Errorf("didYouMean(%q) = %q, want %q", tt.word, got, want)
		}
	}
}

// Every command explains itself, and every flag of it says something and stands in a
// group.
func TestHelpIsComplete(t *testing.T) {
	for _, c := range commands {
		t.Run(c.name, func(t *testing.T) {
			f := newFlags(c)
			c.new(f)
			var b bytes.Buffer
			c.usage(&b, f)
			if len(c.examples) == 0 || c.help == "" {
				t.Error("no example, or no line of help")
			}
			grouped := 0
			for _, g := range f.groups {
				grouped += len(g.flags)
			}
			if grouped != len(f.names()) {
				t.Errorf("%d of %d flags are in groups", grouped, len(f.names()))
			}
			for _, name := range f.names() {
				if f.Lookup(name).Usage == "" || !strings.Contains(b.String(), "  -"+name) {
					t.Errorf("-%s is not explained", name)
				}
			}
			for line := range strings.Lines(b.String()) {
				if len([]rune(line)) > 110 {
					t.Errorf("line of %d characters: %s", len(line), line)
				}
			}
		})
	}
}

func TestCompletionNamesEverything(t *testing.T) {
	for name, write := range map[string]func(*bytes.Buffer){
		"bash":       func(b *bytes.Buffer) { completeBash(b, completions()) },
		"zsh":        func(b *bytes.Buffer) { completeZsh(b, completions()) },
		"fish":       func(b *bytes.Buffer) { completeFish(b, completions()) },
		"powershell": func(b *bytes.Buffer) { completePowerShell(b, completions()) },
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			write(&b)
			script := b.String()
			for _, c := range completions() {
				if !strings.Contains(script, c.name) {
					t.Errorf("no command %s", c.name)
				}
				for _, f := range c.flags {
					for _, word := range append([]string{f.name}, f.words...) {
						if !strings.Contains(script, word) {
							t.Errorf("%s: no %s", c.name, word)
						}
					}
				}
			}
		})
	}
}

// The scripts are run by the shells themselves where they are installed.
func TestCompletionInShells(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a picture.png", "a page.png"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for shell, c := range map[string]struct {
		write  func(*bytes.Buffer)
		script string // $1 is the completion, $2 the words; prints one way a line
	}{
		"bash": {func(b *bytes.Buffer) { completeBash(b, completions()) },
			`source "$1"; IFS=, read -ra COMP_WORDS <<< "$2"; COMP_WORDS+=("${3-}"); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _idefics2; printf '%s\n' "${COMPREPLY[@]}"`},
		"fish": {func(b *bytes.Buffer) { completeFish(b, completions()) },
			`source $argv[1]; complete -C (string replace -a , ' ' $argv[2])' '$argv[3] | string replace -r '\t.*' ''; true`},
	} {
		t.Run(shell, func(t *testing.T) {
			if _, err := exec.LookPath(shell); err != nil {
				t.Logf("%s is not installed; TestCompletionNamesEverything has read its script", shell)
				return
			}
			var b bytes.Buffer
			c.write(&b)
			path := filepath.Join(dir, "completion."+shell)
			if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
				t.Fatal(err)
			}
			for _, tt := range []struct{ words, word, want string }{
				{"idefics2", "tok", "tokenize"},
				{"idefics2,ask", "-temp", "-temperature"},
				{"idefics2,ask,-dtype", "b", "bf16"},
				{"idefics2,ask,-image", "a", "a page.png\na picture.png"},
				{"idefics2,completion", "f", "fish"},
			} {
				args := []string{"-c", c.script, path, tt.words, tt.word}
				if shell == "bash" {
					args = []string{"-c", c.script, "bash", path, tt.words, tt.word}
				}
				cmd := exec.Command(shell, args...)
				cmd.Dir = dir
				cmd.Env = append(os.Environ(), "HOME="+dir)
				out, err := cmd.CombinedOutput()
				lines := strings.Split(strings.TrimSpace(string(out)), "\n")
				slices.Sort(lines)
				if got := strings.Join(lines, "\n"); err != nil || got != tt.want {
					t.Errorf("%s %s: %q, %v; want %q", tt.words, tt.word, got, err, tt.want)
				}
			}
		})
	}
}

// Ctrl-C ends an answer where one is being given, and the program elsewhere.
func TestInterrupts(t *testing.T) {
	i := newInterrupts()
	i.grace = time.Hour // the process must not end under the test
	program, cancel := context.WithCancel(t.Context())
	defer cancel()
	i.cancel = cancel
	answer, done := i.within(program)
	i.handle(program, os.Interrupt)
	if answer.Err() == nil || program.Err() != nil {
		t.Fatalf("within an answer: answer %v, program %v", answer.Err(), program.Err())
	}
	done()
	answer, done = i.within(program)
	done()
	if answer.Err() == nil {
		t.Error("an answer's context outlives it")
	}
	i.handle(program, os.Interrupt)
	if program.Err() == nil {
		t.Error("outside an answer the program goes on")
	}

	program, cancel = context.WithCancel(t.Context())
	defer cancel()
	i.cancel = cancel
	i.prompt()
	i.handle(program, os.Interrupt)
	if program.Err() != nil {
		t.Error("at a prompt Ctrl-C ends the program")
	}
	_, done = i.within(program)
	defer done()
	i.handle(program, os.Interrupt)
	i.handle(program, os.Interrupt)
	if program.Err() == nil {
		t.Error("an answer that does not end at the first Ctrl-C holds the program at the second")
	}
}
