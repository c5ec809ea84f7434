package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// Files that are dragged into a terminal arrive quoted or with backslashes.
func TestWords(t *testing.T) {
	tests := []struct {
		line, want, err string
	}{
		{"a.png b.png", "[a.png|b.png]", ""},
		{`  my\ photo.jpg  `, "[my photo.jpg]", ""},
		{`'my photo.jpg' "it's"`, "[my photo.jpg|it's]", ""},
		{`a""b ''`, "[ab|]", ""},
		{"", "[]", ""},
		{`'open`, "", "a quote ' without an end"},
	}
	for _, tt := range tests {
		got, err := words(tt.line)
		if tt.err != "" {
			if err == nil || err.Error() != tt.err {
				t.Errorf("words(%q): error %v, want %q", tt.line, err, tt.err)
			}
			continue
		}
		if s := "[" + strings.Join(got, "|") + "]"; err != nil || s != tt.want {
			t.Errorf("words(%q) = %s, %v; want %s", tt.line, s, err, tt.want)
		}
	}
	for _, name := range []string{`plain`, `two words`, `it's "so" \ here`, ` lead`} {
		if got, err := words(escapeWord(name)); err != nil || len(got) != 1 || got[0] != name {
			t.Errorf("words(escapeWord(%q)) = %q, %v", name, got, err)
		}
	}
}

func TestChatCompletion(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"photo one.jpg", "photo two.jpg", "page.png", ".hidden"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "album"), 0o777); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	c := newConversation(stdio{out: io.Discard, err: io.Discard}, nil, generationFlags(newFlags(&chatCmd)))
	tests := []struct {
		line, want string
		ways       int // shown when nothing can be added
	}{
		{"/im", "/image ", 0},
		{"/s", "/s", 4}, // system, split, set, save
		{"/qu", "/quit ", 0},
		{"hello", "hello", 0},
		{"/nonesuch x", "/nonesuch x", 0},
		{"/image pa", "/image page.png", 0},
		{"/image ph", `/image photo\ `, 2},
		{`/image photo\ t`, `/image photo\ two.jpg`, 0},
		{"/image page.png al", "/image page.png album" + string(filepath.Separator), 0},
		{"/image .h", "/image .hidden", 0},
		{"/set temp", "/set temperature ", 0},
		{"/set top-", "/set top-", 2},
		{"/set temperature 0", "/set temperature 0", 0},
		{"/split o", "/split o", 2},
		{"/split of", "/split off ", 0},
	}
	for _, tt := range tests {
		got, ways := c.complete(tt.line)
		if got != tt.want || tt.ways > 0 && len(ways) != tt.ways {
			t.Errorf("%q becomes %q with %q, want %q and %d ways", tt.line, got, ways, tt.want, tt.ways)
		}
	}
}

func TestPipeReader(t *testing.T) {
	r := newLineReader(stdio{in: strings.NewReader("one\ntwo \\\nlines\n\nlast")}, nil, false)
	var got []string
	for {
		line, err := r.readLine()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, line)
	}
	if want := []string{"one", "two \nlines", "", "last"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Ctrl-C at the prompt empties the line, however the keys are read.
func TestKeyboard(t *testing.T) {
	for _, read := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.HalfReader, func(r io.Reader) io.Reader { return r }} {
		got, err := io.ReadAll(read(&keyboard{in: strings.NewReader("ab\x03c\x03\x03")}))
		if want := "ab\x05\x15c\x05\x15\x05\x15"; err != nil || string(got) != want {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
}

func TestHistory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "idefics2", "history")
	h := &history{path: path}
	for _, line := range []string{"first", "second", "second", "  ", "third"} {
		h.Add(line)
	}
	again := &history{path: path}
	again.read()
	if again.Len() != 3 || again.At(0) != "third" || again.At(2) != "first" {
		t.Errorf("read %q", again.lines)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 && filepath.Separator == '/' {
		t.Errorf("mode %v, %v; others must not read what was asked", info.Mode(), err)
	}
	for i := range 3 * historyLines {
		again.Add(fmt.Sprint(i))
	}
	long := &history{path: path}
	long.read()
	if long.Len() != historyLines || long.At(0) != fmt.Sprint(3*historyLines-1) {
		t.Errorf("%d lines, the last %s", long.Len(), long.At(0))
	}
	data, err := os.ReadFile(path)
	if n := strings.Count(string(data), "\n"); err != nil || n != historyLines {
		t.Errorf("the file has %d lines, want %d: it is shortened when it is read", n, historyLines)
	}
	none := new(history)
	none.Add("kept for this session only")
	if none.Len() != 1 {
		t.Error("a history without a file forgets")
	}
}

func TestConfigDir(t *testing.T) {
	if filepath.Separator != '/' {
		t.Log("the folders of Windows come from one variable")
	}
	env := map[string]string{"XDG_CONFIG_HOME": "/x", "HOME": "/home/a", "AppData": "/x"}
	if got := configDir(func(k string) string { return env[k] }); got != "/x" && !strings.HasPrefix(got, "/home/a/Library") {
		t.Errorf("%q", got)
	}
	if got := configDir(func(string) string { return "" }); got != "" {
		t.Errorf("%q without a home", got)
	}
}
