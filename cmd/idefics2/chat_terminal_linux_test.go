package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestChatInTerminal types into a chat as a person does, through a pseudo-terminal.
func TestChatInTerminal(t *testing.T) {
	dir := t.TempDir()
	tiny, err := filepath.Abs("../../testdata/golden/tiny")
	if err != nil {
		t.Fatal(err)
	}
	c := startInTerminal(t, dir, "chat", "-model", filepath.Join(tiny, "checkpoint"), "-max-tokens", "6", "-split=false")
	c.expect("/help lists commands")
	c.expect("> ")

	c.say("/im\t") // completed
	c.expect("/image ")
	c.say(filepath.Join(tiny, "images", "har") + "\t")
	c.expect("harbour.png")
	c.say("\r")
	c.expect("▀") // shown
	c.expect("goes with the next question")
	c.expect("> ")

	c.say("this is never asked\x03/hel\tp\x7f\r") // Ctrl-C empties the line; backspace takes the p away
	c.expect("leave; Ctrl-D does too")
	c.expect("> ")

	c.say("What colour is it?\r")
	c.expect("cut after 6 tokens")
	c.expect("> ")
	c.say("/save talk.json\r")
	c.expect("saved 2 messages")

	for _, line := range []string{"/set ignore-eos on", "/set max-tokens 3000", "Why?"} {
		c.expect("> ")
		c.say(line + "\r")
	}
	c.expect("Why?\r\n")
	c.words(100) // the answer is under way
	c.say("\x03")
	c.expect("stopped") // and the program goes on
	c.expect("> ")
	c.say("\x1b[A") // up: the question again
	c.expect("Why?")
	c.say("\x03/info\r")
	c.expect("messages   4")
	c.expect("> ")
	c.say("\x04")
	if err := c.wait(); err != nil {
		t.Errorf("after Ctrl-D: %v", err)
	}
	history, err := os.ReadFile(filepath.Join(dir, "config", "idefics2", "history"))
	if err != nil || !strings.Contains(string(history), "What colour is it?\n") || strings.Contains(string(history), "never asked") {
		t.Errorf("history %q, %v", history, err)
	}
	if saved, err := os.ReadFile(filepath.Join(dir, "talk.json")); err != nil || !bytes.Contains(saved, []byte("harbour.png")) {
		t.Errorf("saved %s, %v", saved, err)
	}
}

// console is a program in a pseudo-terminal.
type console struct {
	t      *testing.T
	master *os.File
	cmd    *exec.Cmd

	mu   sync.Mutex
	text []byte // everything it printed
	seen int    // how much of it was expected
	more chan struct{}
}

func startInTerminal(t *testing.T, dir string, args ...string) *console {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}); err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	program, err := exec.LookPath("idefics2") // what TestMain installed
	if err != nil {
		t.Fatal(err)
	}
	c := &console{t: t, master: master, more: make(chan struct{}, 1)}
	c.cmd = exec.Command(program, args...)
	c.cmd.Dir = dir
	c.cmd.Env = append(os.Environ(), "TERM=xterm-256color", "TERM_PROGRAM=", "KITTY_WINDOW_ID=", "TMUX=", "NO_COLOR=",
		"XDG_CONFIG_HOME="+filepath.Join(dir, "config"))
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = slave, slave, slave
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.cmd.Process.Kill()
		master.Close()
	})
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, err := master.Read(buffer)
			c.mu.Lock()
			c.text = append(c.text, buffer[:n]...)
			c.mu.Unlock()
			select {
			case c.more <- struct{}{}:
			default:
			}
			if err != nil {
				return // EIO when the program ends
			}
		}
	}()
	return c
}

func (c *console) say(keys string) {
	c.t.Helper()
	if _, err := c.master.WriteString(keys); err != nil {
		c.t.Fatal(err)
	}
}

// until waits for found to accept what was printed since the last wait.
func (c *console) until(what string, found func(text string) (end int)) {
	c.t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		c.mu.Lock()
		text := string(c.text[c.seen:])
		end := found(text)
		if end >= 0 {
			c.seen += end
		}
		c.mu.Unlock()
		if end >= 0 {
			return
		}
		select {
		case <-c.more:
		case <-deadline:
			c.t.Fatalf("no %s in %q", what, text)
		}
	}
}

func (c *console) expect(want string) {
	c.t.Helper()
	c.until(fmt.Sprintf("%q", want), func(text string) int {
		if i := strings.Index(text, want); i >= 0 {
			return i + len(want)
		}
		return -1
	})
}

// words waits for n bytes of whatever comes.
func (c *console) words(n int) {
	c.t.Helper()
	c.until(fmt.Sprintf("%d bytes", n), func(text string) int {
		if len(text) >= n {
			return n
		}
		return -1
	})
}

func (c *console) wait() error { return c.cmd.Wait() }
