package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func init() { programs["letgo"] = letGoOf }

// letGoOf maps the file that it is given, lets go of it, and finds it unchanged. It is a
// process of its own because letGo puts all other threads behind.
func letGoOf() {
	f, err := os.Open(os.Args[1])
	if err != nil {
		panic(err)
	}
	data, err := unix.Mmap(int(f.Fd()), 0, largeMapping+4096, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	before := data[largeMapping]
	parts := largeMappings("/proc/self/maps")
	i := slices.IndexFunc(parts, func(p []byte) bool { return unsafe.SliceData(p) == unsafe.SliceData(data) })
	if i < 0 || i+1 >= len(parts) || len(parts[i]) != largeMapping || len(parts[i+1]) != 4096 {
		panic(fmt.Sprintf("the mapping is not among %d large ones, or not whole", len(parts)))
	}
	letGo()
	fmt.Println(before, data[largeMapping])
}

func TestLetGo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weights")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(largeMapping + 4096); err != nil { // a hole: it takes no disk
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{42}, largeMapping); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("letgo", path).CombinedOutput()
	if string(out) != "42 42\n" || err != nil {
		t.Errorf("%s%v", out, err)
	}
	if parts := largeMappings(path + ".missing"); parts != nil {
		t.Error("mappings of a process that is not there")
	}
}
