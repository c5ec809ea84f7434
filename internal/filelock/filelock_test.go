package filelock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain is also the process that holds a folder until it is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("FILELOCK_TEST_FOLDER"); dir != "" {
		if _, err := Folder(dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("held")
		time.Sleep(time.Hour)
	}
	os.Exit(m.Run())
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "FILELOCK_TEST_FOLDER="+dir)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 5)
	if _, err := out.Read(said); err != nil {
		t.Fatal(err)
	}
	if _, err := Folder(dir); !errors.Is(err, ErrHeld) || !strings.Contains(err.Error(), fmt.Sprintf("process %d", c.Process.Pid)) {
		t.Errorf("while process %d has it: %v", c.Process.Pid, err)
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	for range 2 { // after a kill, and after Close
		held, err := Folder(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := held.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A file is waited for, also when its owner removes it before letting go, as Python's filelock does.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.lock")
	first, err := File(t.Context(), path, func() { t.Error("waits for a file that nobody has") })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if f, err := File(ctx, path, cancel); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v, %v", f, err)
	}
	second, err := File(t.Context(), path, func() {
		if err := errors.Join(os.Remove(path), first.Close()); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	if f, err := File(ctx, path, cancel); !errors.Is(err, context.Canceled) {
		t.Errorf("the file of a removed name is what was taken: %v, %v", f, err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
}
