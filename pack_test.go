package idefics2

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"idefics2/convert"
)

// copyOf returns a folder of the same files.
func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "model")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

func lastLogits(t *testing.T, dir string, o Options) []float32 {
	t.Helper()
	m, err := Open(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	logits, err := m.logits(t.Context(), Request{Prompt: "The harbour lies in the north."})
	if err != nil {
		t.Fatal(err)
	}
	return logits
}

// A large folder in float32 is packed once, into itself, and computes what its matrices
// rounded to bfloat16 do; f32 uses it as it is.
func TestPack(t *testing.T) {
	dir, cacheDir := copyOf(t, filepath.Join(tiny, "checkpoint")), t.TempDir()
	packed := filepath.Join(dir, ".idefics2", "packed-bf16-v1.gguf")
	var notes []string
	o := Options{CacheDir: cacheDir, packFrom: 1, Note: func(line string) { notes = append(notes, line) }}
	exact := o
	exact.DType = "f32"
	want := lastLogits(t, dir, exact)
	if _, err := os.Stat(packed); err == nil || notes != nil {
		t.Fatalf("f32 packed: %q", notes)
	}
	narrow := lastLogits(t, dir, Options{DType: "bf16"})

	// Interrupted, it ends with the reason, and goes on the next time.
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("enough")
	stopped := o
	stopped.Progress = func(p Progress) { cancel(reason) }
	if _, err := Open(ctx, dir, stopped); !errors.Is(err, reason) {
		t.Fatalf("interrupted: %v", err)
	}
	got := lastLogits(t, dir, o)
	for i := range got {
		if got[i] != narrow[i] {
			t.Fatalf("logit %d is %v, want %v", i, got[i], narrow[i])
		}
	}
	if got[0] == want[0] {
		t.Error("nothing was rounded")
	}
	if len(notes) != 3 || !strings.Contains(notes[2], packed) {
		t.Errorf("notes %q", notes)
	}
	list, err := convert.ListPacked([]string{dir}, cacheDir)
	if err != nil || len(list) != 1 || list[0].Path != packed || list[0].State != "current" {
		t.Fatalf("%+v, %v", list, err)
	}
	lastLogits(t, dir, o)
	if len(notes) != 3 {
		t.Errorf("packed again: %q", notes)
	}

	// A changed folder is packed again, in the user's cache if it cannot be written to.
	if err := os.Rename(filepath.Join(dir, ".idefics2"), filepath.Join(t.TempDir(), "gone")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".idefics2"), nil, 0o600); err != nil { // no folder can be made there
		t.Fatal(err)
	}
	lastLogits(t, dir, o)
	if err := os.Remove(filepath.Join(dir, ".idefics2")); err != nil {
		t.Fatal(err)
	}
	list, err = convert.ListPacked([]string{dir}, cacheDir)
	if err != nil || len(list) != 1 || filepath.Dir(list[0].Path) != cacheDir || list[0].State != "current" {
		t.Fatalf("%+v, %v", list, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "added_tokens.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if list, err = convert.ListPacked(nil, cacheDir); err != nil || list[0].State != "stale" {
		t.Fatalf("%+v, %v", list, err)
	}
	if err := list[0].Remove(); err != nil {
		t.Fatal(err)
	}

	// Where nothing can be written the model is used as it is.
	o.CacheDir = filepath.Join(dir, "config.json", "nowhere")
	if err := os.WriteFile(filepath.Join(dir, ".idefics2"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := lastLogits(t, dir, o); got[0] != want[0] {
		t.Errorf("logit %v, want %v", got[0], want[0])
	}
}

// A model is no distance from itself, and a rounded one is a little.
func TestDiverge(t *testing.T) {
	dir := filepath.Join(tiny, "checkpoint")
	m, err := Open(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	narrow, err := Open(t.Context(), dir, Options{DType: "bf16"})
	if err != nil {
		t.Fatal(err)
	}
	defer narrow.Close()
	prompts, err := DivergencePrompts()
	if err != nil {
		t.Fatal(err)
	}
	prompts = prompts[:3]
	d, err := Diverge(t.Context(), m, m, prompts)
	if err != nil || d.KLMax > 1e-12 || d.Top1 != 1 || d.PerplexityRatio != 1 || d.Prompts != 3 || d.Tokens < 100 {
		t.Errorf("%+v, %v", d, err)
	}
	d, err = Diverge(t.Context(), m, narrow, prompts)
	if err != nil || d.KLMean < 1e-7 || d.KLMean > 1e-3 || d.KL99 < d.KLMean || d.KLMax < d.KL99 || d.Top1 < 0.95 {
		t.Errorf("%+v, %v", d, err)
	}
	other, err := Open(t.Context(), filepath.Join("testdata", "golden", "variant_tied", "checkpoint"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if other.Config().Text.VocabSize != m.Config().Text.VocabSize {
		if _, err := Diverge(t.Context(), m, other, prompts); err == nil {
			t.Error("models of other words were compared")
		}
	}
	if _, err := Diverge(t.Context(), m, m, nil); err == nil {
		t.Error("no prompts")
	}
}
