package sections

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var layout = Layout{
	Header: []byte("HEAD"),
	Places: map[string]Place{"a": {4, 2}, "b": {8, 1}, "empty": {6, 0}},
	Size:   10,
}

func TestGapsAreZeros(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	w, err := Create("test", path, layout)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if err := errors.Join(w.Write("b", []byte("B")), w.Copy("a", strings.NewReader("aa")), w.Sync(), w.Commit()); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); string(got) != "HEADaa\x00\x00B\x00" {
		t.Errorf("%q, %v", got, err)
	}
	if w.Commit() == nil || w.Write("a", []byte("aa")) == nil || w.Sync() == nil {
		t.Error("a committed writer was used again")
	}
}

// A disk that fails, at any step, leaves the file that was there before and nothing beside it.
func TestAFailingDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, use := range map[string]func(w *Writer) error{
		"in Write": func(w *Writer) error { return w.Write("a", []byte("aa")) },
		"in Copy":  func(w *Writer) error { return w.Copy("a", strings.NewReader("aa")) },
		"in Sync":  func(w *Writer) error { return w.Sync() },
	} {
		w, err := Create("test", path, layout)
		if err != nil {
			t.Fatal(err)
		}
		w.file.Close()
		if err := use(w); err == nil || !strings.Contains(err.Error(), "test: "+path) {
			t.Errorf("%s: %v", name, err)
		}
		if err := w.Abort(); err != nil {
			t.Errorf("%s: Abort: %v", name, err)
		}
		if got, err := os.ReadFile(path); string(got) != "before" {
			t.Errorf("%s: the old file holds %q, %v", name, got, err)
		}
		if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
			t.Errorf("%s: the folder holds %v, %v", name, left, err)
		}
	}
}

func ExampleWriter_Commit() {
	dir, err := os.MkdirTemp("", "sections")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	w, err := Create("demo", filepath.Join(dir, "file"), layout)
	if err != nil {
		panic(err)
	}
	fmt.Println(w.Write("a", []byte("too long")) != nil, w.Commit() != nil) // nothing is left behind
	left, err := os.ReadDir(dir)
	fmt.Println(len(left), err)
	// Output:
	// true true
	// 0 <nil>
}
