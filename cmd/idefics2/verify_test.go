package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// run executes a command line in this process.
func run(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	std := stdio{in: strings.NewReader(""), out: &out, err: &errs, getenv: func(string) string { return "" }, signal: newInterrupts()}
	status = execute(context.Background(), std, args)
	return status, out.String(), errs.String()
}

// verify must fail where the recording says something else than the model: here one id of
// a greedy answer is another.
func TestVerifyFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "altered")
	if err := os.CopyFS(dir, os.DirFS("../../testdata/golden/tiny")); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr := run(t, "verify", dir)
	if status != exitDone || !strings.Contains(stdout, "comparisons passed") {
		t.Fatalf("unaltered: status %d\n%s%s", status, stdout, stderr)
	}
	path := filepath.Join(dir, "expect.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var expect map[string]any
	if err := json.Unmarshal(data, &expect); err != nil {
		t.Fatal(err)
	}
	ids := expect["requests"].(map[string]any)["photo"].(map[string]any)["greedy"].(map[string]any)["ids"].([]any)
	ids[3] = ids[3].(float64) + 1
	if data, err = json.Marshal(expect); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr = run(t, "verify", dir)
	if status != exitFailed || !strings.Contains(stdout, "FAIL altered photo greedy") || !strings.Contains(stderr, "1 of ") {
		t.Errorf("altered: status %d\n%s%s", status, stdout, stderr)
	}
	status, stdout, _ = run(t, "verify", "-json", dir)
	failed := 0
	for line := range strings.Lines(stdout) {
		var c checkJSON
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		if !c.OK {
			failed++
		}
	}
	if status != exitFailed || failed != 1 {
		t.Errorf("-json: status %d, %d failed", status, failed)
	}

	// A case that cannot be run does not keep the others from it.
	if err := os.Mkdir(filepath.Join(filepath.Dir(dir), "broken"), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"requests.json", "expect.json"} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(dir), "broken", name), []byte("{"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	status, stdout, stderr = run(t, "verify", filepath.Dir(dir))
	if status != exitFailed || !strings.Contains(stdout, "altered: ") || !strings.Contains(stderr, "1 cases could not be run") {
		t.Errorf("with a broken one: status %d\n%s%s", status, stdout, stderr)
	}
	if status, _, stderr = run(t, "verify", t.TempDir()); status != exitFailed || !strings.Contains(stderr, "no recordings") {
		t.Errorf("an empty folder: status %d, %s", status, stderr)
	}
}

func TestVerifyBuiltIn(t *testing.T) {
	status, stdout, stderr := run(t, "verify")
	if status != exitDone || !strings.Contains(stdout, "built-in: ") || !strings.Contains(stdout, "text.layer.*.attention") {
		t.Errorf("status %d\n%s%s", status, stdout, stderr)
	}
}
