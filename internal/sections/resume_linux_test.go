package sections

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A disk that fills up says what to do, leaves nothing under the final name, and what was
// whole is still whole when there is room again.
func TestDiskFull(t *testing.T) {
	target := filepath.Join(t.TempDir(), "x")
	files := []File{{Layout: layout}}
	r := resumed(t, target, "key", files)
	put(t, r, "a", "aa")
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	file := r.handles[0]
	defer file.Close()
	r.handles[0] = full
	err = r.WriteAt("b", []byte("B"), 0)
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "goes on where it stopped") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(target); err == nil {
		t.Error("a file under the final name")
	}
	r.Close()
	if r = resumed(t, target, "key", files); done(r) != "a" {
		t.Errorf("done: %q", done(r))
	}
}
