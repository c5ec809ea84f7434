package main

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadLine(t *testing.T) {
	// A buffer of 16 bytes makes every longer line come in pieces.
	r := bufio.NewReaderSize(strings.NewReader("short\r\n\n"+strings.Repeat("x", 40)+"\n"+strings.Repeat("y", 41)+"\nlast"), 16)
	want := []struct {
		line string
		err  error
	}{{"short", nil}, {"", nil}, {strings.Repeat("x", 40), nil}, {"", errLongLine}, {"last", nil}, {"", io.EOF}, {"", io.EOF}}
	for i, w := range want {
		line, err := readLine(r, 41) // the end of the line counts
		if string(line) != w.line || !errors.Is(err, w.err) {
			t.Errorf("line %d: %q, %v; want %q, %v", i, line, err, w.line, w.err)
		}
	}
}

func TestResume(t *testing.T) {
	tests := []struct{ name, content, kept, last string }{
		{"no file", "", "", ""},
		{"whole lines", "{\"id\":1}\n{\"id\":2}\n", "{\"id\":1}\n{\"id\":2}\n", "{\"id\":2}\n"},
		{"a torn line is cut", "{\"id\":1}\n{\"id\":", "{\"id\":1}\n", "{\"id\":1}\n"},
		{"nothing but a torn line", "{\"id\":", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "answers.jsonl")
			if tt.content != "" {
				if err := os.WriteFile(path, []byte(tt.content), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			f, done, last, err := resume(path)
			if err != nil {
				t.Fatal(err)
			}
			if done != strings.Count(tt.kept, "\n") || string(last) != tt.last {
				t.Errorf("%d lines, last %q; want %d, %q", done, last, strings.Count(tt.kept, "\n"), tt.last)
			}
			if _, err := f.WriteString("next\n"); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			if got, _ := os.ReadFile(path); string(got) != tt.kept+"next\n" {
				t.Errorf("file %q, want %q", got, tt.kept+"next\n")
			}
		})
	}
}

func TestRequestID(t *testing.T) {
	tests := []struct{ line, want string }{
		{`{"id": "a b"}`, `"a b"`},
		{`{"id": 12345678901234567890}`, `12345678901234567890`}, // no float on the way
		{`{"id": {"a": [1, 2]}}`, `{"a":[1,2]}`},
		{`{"id": null}`, ""},
		{`{"messages": []}`, ""},
		{`[{"role": "user"}]`, ""},
		{`{"id": "x", "messages": [`, `"x"`}, // a broken request still says who asks
		{`{"messages": [], "id": 7, "split": fal`, `7`},
		{`{"messages": [{"id": "inner"`, ""},
		{`not JSON`, ""},
		{``, ""},
	}
	for _, tt := range tests {
		if got := string(requestID([]byte(tt.line))); got != tt.want {
			t.Errorf("requestID(%s) = %s, want %s", tt.line, got, tt.want)
		}
	}
}

func FuzzRequestID(f *testing.F) {
	for _, s := range []string{`{"id": 1}`, `{"id": "x", "messages": [`, `[{"id":1}]`, `{"a":{"id":2},"id":`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		id := requestID(line)
		if id != nil && strings.ContainsAny(string(id), "\r\n") {
			t.Errorf("%q gives an id of several lines: %q", line, id)
		}
		memberNames(line)
	})
}
