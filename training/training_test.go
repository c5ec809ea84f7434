package training_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"idefics2"
	"idefics2/adapter"
	"idefics2/chat"
	"idefics2/checkpoint"
	"idefics2/convert"
	"idefics2/eval"
	"idefics2/kvcache"
	"idefics2/model"
	"idefics2/model/text"
	"idefics2/quant"
	"idefics2/recipe"
	"idefics2/safetensors"
	"idefics2/synth"
	"idefics2/tokenizer"
	"idefics2/training"
	"idefics2/watch"
)

// TestMain is also the process that tests kill: a training by the recipe and in the folder that the
// environment names.
func TestMain(m *testing.M) {
	if dir := os.Getenv("TRAINING_TEST_RUN"); dir != "" {
		if err := runIn(context.Background(), dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func runIn(ctx context.Context, dir string) error {
	base := os.Getenv("TRAINING_TEST_BASE")
	r, err := recipe.Load(filepath.Join(base, os.Getenv("TRAINING_TEST_RECIPE")))
	if err != nil {
		return err
	}
	return training.Run(ctx, training.Options{Recipe: r, Base: base, Dir: dir, Resume: true})
}

const fromScratch = `
model: {config: tiny, tokenizer: .}
seed: 3
data:
  colours: {generate: "colour,count", count: 500, max_side: 192}
  texts: {path: texts.jsonl}
  held: {generate: colour, count: 6, max_side: 192, heldout: true}
stages:
  - {name: all, steps: 4, data: {colours: 2, texts: 1}, length: 192, batch: 2, shortest: 42, longest: 70, warmup: 1, upscale: 0.5, neftune: 5}
  - {name: head, epochs: 1, data: {texts: 0}, length: 64, batch: 2, shortest: 42, longest: 70, freeze: [".*vision_model.*"]}
optimizer: {learning_rate: 2.0e-3}
save: {every: 2, keep: 2}
eval: {every: 3, data: [held], examples: 4, samples: 1, max_tokens: 3, tasks: {reading: {path: cases, limit: 1}}}
`

const lora = `
model: {from: base}
seed: 5
adapter: {kind: dora, rank: 2, dropout: 0.1}
data:
  colours: {generate: colour, count: 500, max_side: 192}
stages:
  - {name: tune, steps: 5, data: {colours: 1}, length: 160, batch: 1, shortest: 42, longest: 70}
  - {name: more, steps: 3, data: {colours: 1}, length: 160, batch: 1, shortest: 42, longest: 70, schedule: constant}
optimizer: {learning_rate: 1.0e-2}
save: {every: 3}
`

// newBase makes a folder with a tokenizer, texts, recipes and a model.
func newBase(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	g, err := synth.New(synth.Options{Categories: []string{"colour", "count"}, MaxSide: 192})
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for i := range 40 {
		questions, answers := g.Example(uint64(i)).Texts()
		texts = append(append(texts, questions...), answers...)
	}
	data, err := tokenizer.Train(slices.Values(texts), tokenizer.TrainOptions{Size: 400, Characters: 80})
	if err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for i := range 17 {
		fmt.Fprintf(&lines, `{"messages":[{"role":"user","content":"%d and one?"},{"role":"assistant","content":"%d"}]}`+"\n", i, i+1)
	}
	lines.WriteString("{\"messages\": 1}\n") // a bad one
	for name, text := range map[string]string{
		"tokenizer.json": string(data), "texts.jsonl": lines.String(), "scratch.yaml": fromScratch, "lora.yaml": lora,
		"quick.yaml": strings.NewReplacer("stages:\n  - {name: all, steps: 4", "stages:\n  - {name: all, steps: 40", "eval: {every: 3", "eval: {every: 20", "save: {every: 2", "save: {every: 100").Replace(fromScratch),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	writeCases(t, filepath.Join(dir, "cases"), g)
	b, err := checkpoint.LoadBlueprint("tiny")
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	b.Config.Text.VocabSize = tok.Size()
	image, _ := tok.ID("<image>")
	b.Config.ImageTokenID, b.Generation.BadWords, b.Generation.EOS = int(image), nil, []int{2}
	err = checkpoint.Init(t.Context(), filepath.Join(dir, "base"), b, 1, checkpoint.InitOptions{DType: 0, Files: map[string][]byte{"tokenizer.json": data}})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// writeCases writes a folder of cases for the task reading.
func writeCases(t testing.TB, dir string, g *synth.Generator) {
	t.Helper()
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	var lines bytes.Buffer
	for i := range 4 {
		e := g.Example(uint64(1000 + i))
		questions, answers := e.Texts()
		name := fmt.Sprintf("%d.bmp", i)
		if err := os.WriteFile(filepath.Join(dir, name), synth.BMP(e.Images[0]), 0o666); err != nil {
			t.Fatal(err)
		}
		err := json.NewEncoder(&lines).Encode(eval.Case{ID: name, Category: []string{"colour", "count"}[i%2], Kind: "all", Images: []string{name}, Question: questions[0], Answers: answers[:1], Metric: "cer"})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "cases.jsonl"), lines.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
}

func options(t testing.TB, base, name, dir string) training.Options {
	t.Helper()
	r, err := recipe.Load(filepath.Join(base, name))
	if err != nil {
		t.Fatal(err)
	}
	return training.Options{Recipe: r, Base: base, Dir: dir}
}

// A model of random weights learns, and what it leaves can be asked.
func TestLearns(t *testing.T) {
	base, dir := newBase(t), filepath.Join(t.TempDir(), "run")
	o := options(t, base, "quick.yaml", dir)
	var shown bytes.Buffer
	o.View = &shown
	if err := training.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	steps := readLog(t, dir)
	first, last := steps[0].Loss, 0.0
	for _, s := range steps[35:40] {
		last += s.Loss / 5
	}
	t.Logf("loss %.3f to %.3f; evaluations %v, %v", first, last, steps[19].Eval, steps[39].Eval)
	if !(last < 0.65*first) {
		t.Errorf("the loss went from %.3f to %.3f, want at most 65 %%", first, last)
	}
	if a, b := steps[19].Eval["held"], steps[39].Eval["held"]; !(a > 0 && b > 0) {
		t.Errorf("evaluations %v and %v", a, b)
	}
	if n := steps[len(steps)-1].Step; n != int64(len(steps)) || steps[40].Stage != "head" {
		t.Errorf("%d lines, the last of step %d, and the stage after the first is %q", len(steps), n, steps[40].Stage)
	}
	for _, name := range []string{"model/config.json", "model/tokenizer.json", "model/model.safetensors", "model/preprocessor_config.json", "curves/loss.png"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	m, err := idefics2.Open(t.Context(), filepath.Join(dir, "model"), idefics2.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	reply := m.Chat(t.Context(), idefics2.Request{
		Messages: []idefics2.Message{{Role: "user", Content: []idefics2.Part{chat.Text("3 and one?")}}},
	})
	if _, err := reply.Answer(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(shown.String(), "steps done") {
		t.Errorf("shown: %q", shown.String())
	}
	if err := training.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "-resume") {
		t.Errorf("begun again in its folder: %v", err)
	}
}

func readLog(t testing.TB, dir string) []watch.Step {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "log.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	steps, err := watch.ReadSteps(f)
	if err != nil {
		t.Fatal(err)
	}
	for i := range steps {
		steps[i].Seconds, steps[i].Memory = 0, 0
	}
	return steps
}

// A process that is killed again and again ends with the bytes of one that was left alone.
func TestKilled(t *testing.T) {
	base := newBase(t)
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0)) // any moment will do
	for name, result := range map[string]string{"scratch.yaml": "model/model.safetensors", "lora.yaml": "adapter/adapter_model.safetensors"} {
		t.Run(name, func(t *testing.T) {
			alone, killed := filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "run")
			start := time.Now()
			if out, err := process(base, name, alone).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			took := time.Since(start)
			kills := 0
			for range 5 {
				c := process(base, name, killed)
				if err := c.Start(); err != nil {
					t.Fatal(err)
				}
				wait := time.AfterFunc(time.Duration(r.Float64()*float64(took)*0.9), func() { _ = c.Process.Kill() })
				if c.Wait() != nil {
					kills++
				}
				wait.Stop()
			}
			if out, err := process(base, name, killed).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			t.Logf("killed %d times", kills)
			same(t, alone, killed, result)
		})
	}
}

func process(base, name, dir string) *exec.Cmd {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "TRAINING_TEST_RUN="+dir, "TRAINING_TEST_BASE="+base, "TRAINING_TEST_RECIPE="+name, "GOMAXPROCS=2")
	return c
}

// same holds a run against another: what came of it, the last checkpoint, the log.
func same(t *testing.T, a, b, result string) {
	t.Helper()
	steps := readLog(t, a)
	last := fmt.Sprintf("step-%06d", len(steps))
	for _, name := range []string{result, last + "/weights.safetensors", last + "/moments.safetensors", last + "/progress.json"} {
		x, err := os.ReadFile(filepath.Join(a, name))
		if err != nil {
			t.Fatal(err)
		}
		y, err := os.ReadFile(filepath.Join(b, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(x, y) {
			t.Errorf("%s differs", name)
		}
	}
	x, _ := json.Marshal(steps)
	y, _ := json.Marshal(readLog(t, b))
	if !bytes.Equal(x, y) {
		t.Errorf("the logs differ:\n%s\n%s", x, y)
	}
}

// An interruption saves the last whole step, and the run goes on from it with the same bits.
func TestInterrupted(t *testing.T) {
	base := newBase(t)
	alone, cut := filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "run")
	if err := training.Run(t.Context(), options(t, base, "scratch.yaml", alone)); err != nil {
		t.Fatal(err)
	}
	o := options(t, base, "scratch.yaml", cut)
	o.Resume = true
	for try := 0; ; try++ {
		ctx, cancel := context.WithCancel(t.Context())
		o.View = &after{n: 1 + try, do: cancel}
		err := training.Run(ctx, o)
		cancel()
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) || try > 50 {
			t.Fatal(err)
		}
	}
	same(t, alone, cut, "model/model.safetensors")
}

// after calls do at the n-th line.
type after struct {
	n  int
	do func()
}

func (a *after) Write(p []byte) (int, error) {
	if a.n--; a.n == 0 {
		a.do()
	}
	return len(p), nil
}

func TestMerge(t *testing.T) {
	base, dir := newBase(t), filepath.Join(t.TempDir(), "run")
	if err := training.Run(t.Context(), options(t, base, "lora.yaml", dir)); err != nil {
		t.Fatal(err)
	}
	from, err := checkpoint.Open(filepath.Join(base, "base"))
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	out := filepath.Join(t.TempDir(), "merged")
	adapted := filepath.Join(dir, "adapter")
	if err := training.Merge(t.Context(), from, adapted, out, false, convert.Options{Type: convert.Matrices(quant.F32)}); err != nil {
		t.Fatal(err)
	}
	want := logits(t, filepath.Join(base, "base"), adapted)
	got := logits(t, out, "")
	plain := logits(t, filepath.Join(base, "base"), "")
	worst, changed := 0.0, 0.0
	for i := range want {
		worst = max(worst, math.Abs(float64(got[i]-want[i])))
		changed = max(changed, math.Abs(float64(plain[i]-want[i])))
	}
	t.Logf("off by %.3g at most, and the adapter changes %.3g", worst, changed)
	if worst > 1e-5 || changed < 1e-3 {
		t.Errorf("logits are off by %.3g, want at most 1e-5; the adapter changes %.3g", worst, changed)
	}
	if err := training.Merge(t.Context(), from, adapted, out, false, convert.Options{}); err == nil {
		t.Error("merged over what was there")
	}
}

// Over a base in 4 bits, adapters learn what they learn over the matrices that those decode to, and merge
// with them.
func TestQLoRA(t *testing.T) {
	base := newBase(t)
	text := strings.Replace(lora, "kind: dora, rank: 2, dropout: 0.1", "kind: lora, base: nf4, rank: 2", 1)
	train := func(text, from string) (dir string) {
		r, err := recipe.Parse([]byte(strings.Replace(text, "from: base", "from: "+from, 1)))
		if err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(t.TempDir(), "run")
		if err := training.Run(t.Context(), training.Options{Recipe: r, Base: base, Dir: dir}); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	run := train(text, "base")
	// The base as its 4 bits have it: merged with an adapter that does nothing yet.
	zero := filepath.Join(t.TempDir(), "zero")
	copyAdapter(t, filepath.Join(run, "adapter"), zero)
	merge := func(adapter, out string) {
		from, err := checkpoint.Open(filepath.Join(base, "base"))
		if err != nil {
			t.Fatal(err)
		}
		defer from.Close()
		if err := training.Merge(t.Context(), from, adapter, out, true, convert.Options{Type: convert.Matrices(quant.F32)}); err != nil {
			t.Fatal(err)
		}
	}
	merge(zero, filepath.Join(base, "decoded"))
	plain := train(strings.Replace(text, "base: nf4, ", "", 1), "decoded")
	weights := func(dir string) []byte {
		data, err := os.ReadFile(filepath.Join(dir, "adapter", "adapter_model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	if !bytes.Equal(weights(run), weights(plain)) {
		t.Error("over 4 bits the adapter learnt other numbers than over what they decode to")
	}
	merged := filepath.Join(t.TempDir(), "merged")
	merge(filepath.Join(run, "adapter"), merged)
	want, got := logits(t, filepath.Join(base, "decoded"), filepath.Join(run, "adapter")), logits(t, merged, "")
	for i := range want {
		if math.Abs(float64(got[i]-want[i])) > 1e-5 {
			t.Fatalf("merged, logit %d is %g, want %g", i, got[i], want[i])
		}
	}
	full, err := training.MakePlan(options(t, base, "lora.yaml", ""))
	if err != nil {
		t.Fatal(err)
	}
	o := options(t, base, "lora.yaml", "")
	o.Recipe.Adapter.Base = "nf4"
	small, err := training.MakePlan(o)
	if err != nil || 4*small.Weights > 3*full.Weights {
		t.Errorf("%d bytes of weights in 4 bits, %d without, %v", small.Weights, full.Weights, err)
	}
}

// copyAdapter copies an adapter's folder, with a B of zeros.
func copyAdapter(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(to, "adapter_model.safetensors")
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range f.Names() {
		if v, _ := f.View(name); strings.Contains(name, "lora_B") {
			at := bytes.Index(data, v.Data)
			clear(data[at:][:len(v.Data)])
		}
	}
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
}

// logits returns those of some ids.
func logits(t *testing.T, dir, adapterDir string) (all []float32) {
	t.Helper()
	c, m := load(t, dir)
	defer c.Close()
	defer m.Close()
	if adapterDir != "" {
		if _, err := adapter.Load(m, adapterDir); err != nil {
			t.Fatal(err)
		}
	}
	return logitsOf(t, m, []int32{1, 30, 31, 32, 33, 34, 40})
}

func load(t *testing.T, dir string) (*checkpoint.Checkpoint, *model.Model) {
	t.Helper()
	c, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.Load(c, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c, m
}

// A value that is not finite ends the training with the step, the example and the layer.
func TestNotFinite(t *testing.T) {
	base, dir := newBase(t), filepath.Join(t.TempDir(), "run")
	spoil(t, filepath.Join(base, "base", "model.safetensors"), "model.text_model.layers.1.mlp.up_proj.weight")
	err := training.Run(t.Context(), options(t, base, "lora.yaml", dir))
	if !errors.Is(err, training.ErrNotFinite) {
		t.Fatalf("%v", err)
	}
	for _, want := range []string{"step 1", "colour#", "text.layer.1"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q says nothing of %q", err, want)
		}
	}
}

// spoil makes a value of a tensor, in bfloat16, not a number.
func spoil(t *testing.T, path, name string) {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	v, ok := f.View(name)
	if !ok {
		t.Fatal(name)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(data, v.Data)
	f.Close()
	data[at], data[at+1] = 0xc0, 0x7f
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestPlan(t *testing.T) {
	base := newBase(t)
	full, err := training.MakePlan(options(t, base, "scratch.yaml", ""))
	if err != nil {
		t.Fatal(err)
	}
	if full.Learning != full.Parameters || full.Moments != 8*full.Parameters || full.Stages[1].Learning >= full.Learning {
		t.Errorf("%+v", full)
	}
	small, err := training.MakePlan(options(t, base, "lora.yaml", ""))
	if err != nil {
		t.Fatal(err)
	}
	if small.Learning == 0 || small.Learning > small.Parameters/4 {
		t.Errorf("%+v", small)
	}
	o := options(t, base, "lora.yaml", filepath.Join(t.TempDir(), "run"))
	o.Memory = 1 << 20
	if err := training.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "recompute") {
		t.Errorf("%v", err)
	}
}

func TestPreview(t *testing.T) {
	p, all, err := training.Preview(t.Context(), options(t, newBase(t), "scratch.yaml", ""), 3)
	if err != nil || p == nil || len(all) != 6 {
		t.Fatalf("%d examples, %v", len(all), err)
	}
	if all[0].Targets() == 0 {
		t.Error("nothing carries loss")
	}
}

func logitsOf(t *testing.T, m *model.Model, ids []int32) (all []float32) {
	t.Helper()
	past := kvcache.New(m.Text.CacheShape(), 0).NewSequence()
	out, err := m.Decode([]model.Segment{{Segment: text.Segment{Past: past, Wanted: len(ids)}, IDs: ids}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(out.Data)
}

// What cannot fit is refused before anything is loaded.
func TestFits(t *testing.T) {
	p := training.Plan{Weights: 1 << 30, Learning: 10, Checkpoint: 1 << 20, Kept: 5, Result: 1 << 30}
	for _, tt := range []struct {
		memory, disk int64
		want         string
	}{{0, 0, ""}, {2 << 30, 2 << 30, ""}, {1 << 20, 0, "of memory"}, {2 << 30, 1 << 30, "save.keep"}} {
		err := p.Fits(tt.memory, tt.disk)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("memory %d, disk %d: %v, want %q", tt.memory, tt.disk, err, tt.want)
		}
	}
	base := newBase(t)
	for _, tt := range []struct{ from, to, want string }{
		{"length: 160", "length: 1000000", "lower length"},
		{"kind: dora, rank: 2, dropout: 0.1}", "kind: dora, rank: 2}\ntrain: [\".*\"]", "adapter.targets"},
		{"generate: colour", "generate: poems", "generate: want synth"},
		{"from: base", "from: nowhere/at-all", "no folder or file beside the recipe"},
	} {
		r, err := recipe.Parse([]byte(strings.Replace(lora, tt.from, tt.to, 1)))
		if err != nil {
			t.Fatal(err)
		}
		err = training.Run(t.Context(), training.Options{Recipe: r, Base: base, Dir: filepath.Join(t.TempDir(), "run")})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.to, err, tt.want)
		}
	}
}
