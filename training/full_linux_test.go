package training_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func init() {
	if most, err := strconv.ParseUint(os.Getenv("TRAINING_TEST_FILE"), 10, 64); err == nil {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: most, Max: most}); err != nil {
			panic(err)
		}
	}
}

// A checkpoint that cannot be written ends the training with an error; nothing of what was there is lost, and the
// run goes on from it with the same bytes.
func TestFull(t *testing.T) {
	base := newBase(t)
	alone, full := filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "run")
	if out, err := process(base, "lora.yaml", alone).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c := process(base, "lora.yaml", full)
	c.Env = append(c.Env, "TRAINING_TEST_FILE=8192")
	out, err := c.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "step 3 was not saved") || !strings.Contains(string(out), "untouched") {
		t.Fatalf("%v: %s", err, out)
	}
	if left, err := filepath.Glob(filepath.Join(full, ".saving-*")); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
	if out, err := process(base, "lora.yaml", full).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	same(t, alone, full, "adapter/adapter_model.safetensors")
}
