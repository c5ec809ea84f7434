package sections

import (
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func resumed(t *testing.T, target, key string, files []File) *Resumed {
	t.Helper()
	r, err := Resume(t.Context(), target, key, files, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func put(t *testing.T, r *Resumed, name, data string) {
	t.Helper()
	if err := errors.Join(r.WriteAt(name, []byte(data), 0), r.Finish(name, sha256.Sum256([]byte(data)))); err != nil {
		t.Fatal(err)
	}
}

func done(r *Resumed) (names string) {
	for _, name := range []string{"a", "b", "empty"} {
		if _, ok := r.Done(name); ok {
			names += name
		}
	}
	return names
}

func TestResumeGoesOn(t *testing.T) {
	for _, name := range []string{"", "in.folder"} {
		target := filepath.Join(t.TempDir(), "x")
		files := []File{{Name: name, Layout: layout}}
		r := resumed(t, target, "key", files)
		put(t, r, "a", "aa")
		if r.WriteAt("b", []byte("BB"), 0) == nil || r.WriteAt("c", nil, 0) == nil {
			t.Error("beyond a section")
		}
		if _, err := Resume(t.Context(), target, "key", files, nil); err == nil || !strings.Contains(err.Error(), "another process") {
			t.Errorf("a second writer: %v", err)
		}
		r.Close()
		if Taken(target) == 0 {
			t.Error("nothing taken")
		}
		if text, err := os.ReadFile(r.Path(name)); err != nil || strings.Contains(string(text), "HEAD") {
			t.Errorf("%q, %v: a header before the end", text, err)
		}

		r = resumed(t, target, "key", files)
		if done(r) != "a" {
			t.Fatalf("done: %q", done(r))
		}
		put(t, r, "b", "B")
		if err := r.Commit([][]byte{layout.Header}); err == nil || !strings.Contains(err.Error(), `"empty" was not written`) {
			t.Errorf("Commit of a part: %v", err)
		}
		// A torn line, one of nothing, and one that says what is not so.
		journal := target + journalEnding
		text, err := os.ReadFile(journal)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(journal, []byte(string(text)+strings.Repeat("0", 64)+" empty\nx\n"+strings.Repeat("1", 64)+" a"), 0o600); err != nil {
			t.Fatal(err)
		}
		r = resumed(t, target, "key", files)
		if done(r) != "ab" {
			t.Fatalf("done: %q", done(r))
		}
		put(t, r, "empty", "")
		if err := r.Commit([][]byte{[]byte("FOOT")}); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(target, name)); string(got) != "FOOTaa\x00\x00B\x00" {
			t.Errorf("%q, %v", got, err)
		}
		if entries, _ := os.ReadDir(filepath.Dir(target)); len(entries) != 1 {
			t.Errorf("left behind: %v", entries)
		}
	}
}

func TestResumeBeginsAnew(t *testing.T) {
	target := filepath.Join(t.TempDir(), "x")
	files := []File{{Layout: layout}}
	r := resumed(t, target, "key", files)
	put(t, r, "a", "aa")
	r.Close()
	other := layout
	other.Header = []byte("HEAT")
	for _, next := range []*Resumed{resumed(t, target, "another key", files)} {
		if done(next) != "" {
			t.Errorf("done: %q", done(next))
		}
		put(t, next, "a", "aa")
		next.Close()
	}
	next := resumed(t, target, "another key", []File{{Layout: other}})
	if done(next) != "" {
		t.Errorf("of another header: done %q", done(next))
	}
	next.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r = resumed(t, target, "key", files)
	put(t, r, "a", "aa")
	r.Close()
	if _, err := Resume(ctx, target, "key", files, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := Discard(target); err != nil {
		t.Fatal(err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(target)); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
}
