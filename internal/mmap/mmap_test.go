package mmap

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string][]byte{
		"empty": {},
		"one":   {42},
		"pages": bytes.Repeat([]byte("idefics2"), 4096),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			f.WillNeed()
			if !bytes.Equal(f.Data(), content) {
				t.Errorf("Data holds %d bytes that differ from the %d written", len(f.Data()), len(content))
			}
			for range 2 {
				if err := f.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}
			if len(f.Data()) != 0 {
				t.Error("Data is not empty after Close")
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	_, err := Open(filepath.Join(dir, "none"))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v, want fs.ErrNotExist", err)
	}
	if _, err = Open(dir); err == nil || !strings.Contains(err.Error(), "is a folder") {
		t.Errorf("a folder: %v", err)
	}
	if runtime.GOOS == "windows" {
		return // links need a privilege there
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "blob"), link); err != nil {
		t.Fatal(err)
	}
	if _, err = Open(link); err == nil || !strings.Contains(err.Error(), "interrupted download") {
		t.Errorf("a link without target: %v", err)
	}
}

// The mapping stays valid, with the old content, when the file is replaced by
// renaming: the way in which our writers change files.
func TestReplaceByRename(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // an open mapping forbids it there
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.WriteFile(path+".new", []byte("newer"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	if string(f.Data()) != "old" {
		t.Errorf("Data = %q, want the bytes that were mapped", f.Data())
	}
}
