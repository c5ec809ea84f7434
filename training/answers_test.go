package training_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"idefics2"
	"idefics2/chat"
	"idefics2/eval"
	"idefics2/recipe"
	"idefics2/training"
	"idefics2/watch"
)

// train runs a recipe that is made of another, and returns the run's folder.
func train(t *testing.T, base, text string, view *bytes.Buffer) string {
	t.Helper()
	r, err := recipe.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	o := training.Options{Recipe: r, Base: base, Dir: filepath.Join(t.TempDir(), "run")}
	if view != nil {
		o.View = view
	}
	if err := training.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	return o.Dir
}

// An evaluation asks the model as it is: it marks what the eval command marks of the finished model, shows
// what it answered, and leaves the training's bits alone.
func TestAnswers(t *testing.T) {
	base := newBase(t)
	var shown bytes.Buffer
	const stages = "stages:\n  - {name: all, steps: 6, data: {colours: 2, texts: 1}, length: 192, batch: 1, shortest: 42, longest: 70, loss: text}\noptimizer: {learning_rate: 2.0e-3}\n"
	head := fromScratch[:strings.Index(fromScratch, "stages:")]
	asked := train(t, base, head+stages+"eval: {every: 3, data: [texts], samples: 3, max_tokens: 9, tasks: {mine: {path: cases}}}\n", &shown)
	plain := train(t, base, head+stages, nil)
	for _, name := range []string{"model/model.safetensors", "step-000006/moments.safetensors"} {
		a, err := os.ReadFile(filepath.Join(asked, name))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(plain, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("%s is another without evaluations", name)
		}
	}
	m, err := idefics2.Open(t.Context(), filepath.Join(asked, "model"), idefics2.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	cases, err := eval.ReadCases(filepath.Join(base, "cases"))
	if err != nil {
		t.Fatal(err)
	}
	records, err := eval.Run(t.Context(), cases, asker{m}, eval.Options{})
	if err != nil {
		t.Fatal(err)
	}
	mean, categories := eval.Means(records)
	last := readLog(t, asked)[5]
	if last.Marks["mine"] != mean || last.Marks["mine/colour"] != categories["colour"] || len(last.Marks) != 3 {
		t.Errorf("marks %v, of the finished model %v, %v", last.Marks, mean, categories)
	}
	if len(last.Samples) != 3 {
		t.Fatalf("samples %+v", last.Samples)
	}
	for i, s := range last.Samples {
		question := fmt.Sprintf("%d and one?", i)
		given, err := asker{m}.Answer(t.Context(), nil, question)
		want := watch.Sample{Source: "texts", Origin: fmt.Sprintf("texts.jsonl:%d", i+1), Question: question, Wanted: fmt.Sprint(i + 1), Given: given}
		if err != nil || s != want {
			t.Errorf("%+v, want %+v; %v", s, want, err)
		}
	}
	page, err := os.ReadFile(filepath.Join(asked, "samples.html"))
	if err != nil {
		t.Fatal(err)
	}
	for where, text := range map[string]string{"the view": shown.String(), "samples.html": string(page)} {
		for _, want := range []string{"2 and one?", "wanted"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s has no %q: %s", where, want, text)
			}
		}
	}
	if !strings.Contains(shown.String(), "mine/colour") {
		t.Errorf("no marks in the view: %s", shown.String())
	}
}

type asker struct{ model *idefics2.Model }

func (a asker) Answer(ctx context.Context, images []string, question string) (string, error) {
	var parts []idefics2.Part
	for _, name := range images {
		parts = append(parts, chat.Image(name))
	}
	r := idefics2.Request{Messages: []idefics2.Message{{Role: "user", Content: append(parts, chat.Text(question))}}}
	r.Generate.MaxNewTokens = 9
	answer, err := a.model.Chat(ctx, r).Answer()
	if err != nil {
		return "", err
	}
	return answer.Text, nil
}

// A training whose evaluations get worse ends early, and its model is the best one's.
func TestBest(t *testing.T) {
	base := newBase(t)
	text := strings.NewReplacer(
		"adapter: {kind: dora, rank: 2, dropout: 0.1}\n", "", "steps: 5", "steps: 40", "save: {every: 3}", "save: {every: 100, model: best}\neval: {every: 2, data: [colours], examples: 3, patience: 2}",
		"learning_rate: 1.0e-2", "learning_rate: 0.5").Replace(lora)
	var shown bytes.Buffer
	dir := train(t, base, text, &shown)
	steps := readLog(t, dir)
	best, at := 0.0, int64(0)
	for _, s := range steps {
		if v := s.Eval["colours"]; v > 0 && (at == 0 || v < best) {
			best, at = v, s.Step
		}
	}
	if n := steps[len(steps)-1].Step; n != at+4 || n > 40 {
		t.Errorf("ended at step %d, and the best was %d", n, at)
	}
	if !strings.Contains(shown.String(), fmt.Sprintf("of step %d, the best", at)) || !strings.Contains(shown.String(), "eval.patience") {
		t.Errorf("shown: %s", shown.String())
	}
	saved, err := os.ReadFile(filepath.Join(dir, "model", "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := recipe.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	o := training.Options{Recipe: r, Base: base, Dir: dir}
	for _, tt := range []struct {
		which string
		same  bool
		want  string
	}{{"last", false, ""}, {"best", true, ""}, {fmt.Sprint(at), true, ""}, {"7777", false, "no checkpoint \"7777\", only best, last"}} {
		o.Export = tt.which
		err := training.Run(t.Context(), o)
		if tt.want != "" {
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: %v", tt.which, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		now, err := os.ReadFile(filepath.Join(dir, "model", "model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(now, saved) != tt.same {
			t.Errorf("%s: the model is the best one's: %v", tt.which, !tt.same)
		}
	}
	if now := readLog(t, dir); len(now) != len(steps) {
		t.Errorf("the log has %d lines, and had %d", len(now), len(steps))
	}
	// What ended early has ended: going on adds nothing.
	o.Export, o.Resume = "", true
	if err := training.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if now := readLog(t, dir); len(now) != len(steps) {
		t.Errorf("after going on the log has %d lines, and had %d", len(now), len(steps))
	}
}

// Two trainings in one folder would harm both.
func TestTwoInOneFolder(t *testing.T) {
	base := newBase(t)
	o := options(t, base, "lora.yaml", filepath.Join(t.TempDir(), "run"))
	other := o
	other.Resume = true
	var second error
	o.View = &after{n: 1, do: func() { second = training.Run(t.Context(), other) }}
	if err := training.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("process %d", os.Getpid()); second == nil || !strings.Contains(second.Error(), want) || !strings.Contains(second.Error(), "another folder") {
		t.Errorf("%v, want an error that names %s", second, want)
	}
}
