package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"idefics2/checkpoint"
	"idefics2/tensor"
)

// A conversion that is killed again and again, at any moment, goes on each time, and ends in
// the bytes of one that was left alone.
func TestKilled(t *testing.T) {
	program, err := exec.LookPath("idefics2")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	model := filepath.Join(dir, "model")
	b, err := checkpoint.LoadBlueprint("tiny")
	if err != nil {
		t.Fatal(err)
	}
	b.Config.Text.VocabSize, b.Config.ImageTokenID, b.Generation.BadWords = 700, 601, nil
	b.Config.Text.HiddenSize, b.Config.Perceiver.HiddenSize, b.Config.Text.IntermediateSize = 256, 256, 512
	b.Config.Vision.ImageSize = 98
	if err := checkpoint.Init(t.Context(), model, b, 1, checkpoint.InitOptions{DType: tensor.F32}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "model.gguf")
	run := func(args ...string) time.Duration {
		start := time.Now()
		if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return time.Since(start)
	}
	run("convert", model, file)
	for _, tt := range []struct {
		name string
		args []string // the last is the target
	}{
		{"quantize", []string{"quantize", "-type", "q4_k", model, filepath.Join(dir, "q4.gguf")}},
		{"to a folder", []string{"convert", "-dtype", "bf16", file, filepath.Join(dir, "folder")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target := tt.args[len(tt.args)-1]
			whole := target + ".whole" + filepath.Ext(target)
			takes := run(append(tt.args[:len(tt.args)-1:len(tt.args)-1], whole)...)
			kills := 0
			for range 6 {
				cmd := exec.Command(program, tt.args...)
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				timer := time.AfterFunc(time.Duration(rand.Int64N(int64(takes)*11/10)), func() { _ = cmd.Process.Kill() })
				err := cmd.Wait()
				timer.Stop()
				if _, there := os.Stat(target); there == nil {
					break // it was whole before the end
				}
				if err == nil {
					t.Fatal("done, and there is nothing")
				}
				kills++
			}
			if _, err := os.Stat(target); err != nil {
				run(tt.args...)
			}
			same(t, target, whole)
			left, err := filepath.Glob(target + ".partial*")
			if err != nil || len(left) > 0 {
				t.Errorf("left behind: %q, %v", left, err)
			}
			t.Logf("killed %d times", kills)
		})
	}
}

// same wants two files, or two folders of files, of the same bytes.
func same(t *testing.T, a, b string) {
	t.Helper()
	list := func(root string) (files string) {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			other := filepath.Join(b, path[len(root):])
			if root == b {
				other = filepath.Join(a, path[len(root):])
			}
			x, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			y, err := os.ReadFile(other)
			if err != nil || !bytes.Equal(x, y) {
				t.Errorf("%s and %s differ, %v", path, other, err)
			}
			files += fmt.Sprintln(path[len(root):])
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		return files
	}
	if x, y := list(a), list(b); x != y || x == "" {
		t.Errorf("files\n%s\nand\n%s", x, y)
	}
}
