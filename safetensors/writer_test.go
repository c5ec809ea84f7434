package safetensors

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"idefics2/tensor"
)

var specEntries = []Entry{{"b", tensor.F16, []int{3}}, {"a", tensor.F32, []int{2}}, {"c", tensor.I64, []int{1}}}

// The bytes are those of the reference's writer (spec/checkpoint.md §1): N = 168.
func TestWriterBytes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	w, err := Create(path, specEntries, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for name, text := range map[string]string{"b": "bbbbbb", "a": "aaaaaaaa", "c": "cccccccc"} {
		if err := w.Write(name, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file has its name before Commit: %v", err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	header := specHeader + strings.Repeat(" ", 168-len(specHeader))
	if want := file(header, []byte("ccccccccaaaaaaaabbbbbb")...); !bytes.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	onlyFile(t, path)
}

// Goroutines write parts in any order.
func TestWriterParallel(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	want := bytes.Repeat([]byte("0123456789abcdef"), 1000)
	w, err := Create(path, []Entry{{"x", tensor.F32, []int{len(want) / 4}}, {"empty", tensor.F32, []int{0, 3}}}, map[string]string{"format": "pt", "<&>": "é"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() {
			at := i * len(want) / 16
			if err := w.WriteAt("x", want[at:at+len(want)/16], int64(at)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if x, _ := f.View("x"); !bytes.Equal(x.Data, want) {
		t.Error("x differs from what was written")
	}
	if _, ok := f.View("empty"); !ok || f.Metadata()["format"] != "pt" || f.Metadata()["<&>"] != "é" {
		t.Errorf("metadata %v", f.Metadata())
	}
}

func TestWriterCopy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	data := bytes.Repeat([]byte{1, 2, 3}, 1<<20) // more than one buffer, and no multiple of it
	create := func() *Writer {
		w, err := Create(path, []Entry{{"x", tensor.U8, []int{len(data)}}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	w := create()
	if err := w.Copy("x", iotest.HalfReader(bytes.NewReader(data))); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]*bytes.Reader{
		"too few":  bytes.NewReader(data[1:]),
		"too many": bytes.NewReader(append(data, 4)),
	} {
		w := create()
		if err := w.Copy("x", r); err == nil {
			t.Errorf("%s bytes: no error", name)
		}
		w.Abort()
	}
	w = create()
	if err := w.Copy("x", iotest.ErrReader(os.ErrDeadlineExceeded)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a failing reader: %v", err)
	}
	w.Abort()
	onlyFile(t, path)
}

// Whatever goes wrong, what was there before stays, and nothing is left beside it.
func TestWriterLeavesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, use := range map[string]func(w *Writer) error{
		"missing bytes": func(w *Writer) error {
			return errors.Join(w.Write("a", make([]byte, 8)), w.WriteAt("b", make([]byte, 5), 0), w.Write("c", make([]byte, 8)), w.Commit())
		},
		"written twice": func(w *Writer) error {
			return errors.Join(w.Write("a", make([]byte, 8)), w.Write("a", make([]byte, 8)), w.Write("b", make([]byte, 6)), w.Write("c", make([]byte, 8)), w.Commit())
		},
		"undeclared":    func(w *Writer) error { return w.Write("d", nil) },
		"wrong size":    func(w *Writer) error { return w.Write("a", make([]byte, 7)) },
		"past the end":  func(w *Writer) error { return w.WriteAt("a", make([]byte, 2), 7) },
		"before it":     func(w *Writer) error { return w.WriteAt("a", make([]byte, 2), -1) },
		"commits twice": func(w *Writer) error { w.Abort(); return w.Commit() },
	} {
		w, err := Create(path, specEntries, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := use(w); err == nil || !strings.Contains(err.Error(), "safetensors: "+path) {
			t.Errorf("%s: %v", name, err)
		}
		w.Abort()
		if got, err := os.ReadFile(path); string(got) != "before" {
			t.Errorf("%s: the old file holds %q, %v", name, got, err)
		}
		onlyFile(t, path)
	}
}

func TestCreateRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, entries := range map[string][]Entry{
		"twice":         {{"x", tensor.F32, nil}, {"x", tensor.F32, nil}},
		"metadata":      {{"__metadata__", tensor.F32, nil}},
		"no type":       {{"x", tensor.Invalid, nil}},
		"negative":      {{"x", tensor.F32, []int{-1}}},
		"overflow":      {{"x", tensor.F32, []int{1 << 40, 1 << 40}}},
		"sum overflows": {{"x", tensor.U8, []int{1<<63 - 1}}, {"y", tensor.U8, []int{1}}},
		"half a byte":   {{"x", tensor.F4, []int{1}}},
		"long name":     {{strings.Repeat("x", 5000), tensor.F32, nil}},
		"no UTF-8":      {{"\xff", tensor.F32, nil}},
	} {
		if _, err := Create(filepath.Join(dir, "x"), entries, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := Create(filepath.Join(dir, "none", "x"), nil, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("%v was left behind", left)
	}
}

// onlyFile checks that path is alone in its folder.
func onlyFile(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 || entries[0].Name() != filepath.Base(path) {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}
