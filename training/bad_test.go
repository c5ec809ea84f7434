package training_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"idefics2/adapter"
	"idefics2/dataset"
	"idefics2/recipe"
	"idefics2/training"
)

const badData = `
model: {from: base}
data: {mine: {path: mine.jsonl}}
stages: [{name: tune, epochs: 1, data: {mine: 0}, length: 96, shortest: 42, longest: 70, schedule: constant}]
`

// An example that cannot be used is left out, and skipped-1.jsonl says which and why; the others are learnt.
func TestBadExamples(t *testing.T) {
	base := newBase(t)
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(base, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write("torn.png", "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")
	write("text.png", "no picture")
	turn := func(content string) string {
		return `{"messages":[{"role":"user","content":` + content + `},{"role":"assistant","content":"ok"}]}`
	}
	picture := `{"type":"image","image":"cases/0.bmp"}`
	for _, tt := range []struct{ name, line, want string }{
		{"no answer", `{"messages":[{"role":"user","content":"3 and one?"}]}`, "assistant"},
		{"an empty answer", `{"messages":[{"role":"user","content":"3 and one?"},{"role":"assistant","content":""}]}`, "answer"},
		{"more pictures than places", `{"messages":[{"role":"user","content":[{"type":"image"},{"type":"text","text":"a"}]},{"role":"assistant","content":"b"}],"images":["cases/0.bmp","cases/1.bmp"]}`, "2 images"},
		{"more places than pictures", `{"messages":[{"role":"user","content":[{"type":"image"},{"type":"image"}]},{"role":"assistant","content":"b"}],"images":["cases/0.bmp"]}`, "1 image"},
		{"longer than a sequence", turn(`"` + strings.Repeat("seven and one ", 200) + `"`), "96"},
		{"more pictures than a sequence takes", turn("[" + strings.Repeat(picture+",", 40) + picture + "]"), "96"},
		{"a picture that is not there", turn(`[{"type":"image","image":"nowhere.png"}]`), "nowhere.png"},
		{"a torn picture", turn(`[{"type":"image","image":"torn.png"}]`), "torn.png"},
		{"no picture", turn(`[{"type":"image","image":"text.png"}]`), "text.png"},
		{"another schema", `{"question":"a","answer":"b"}`, "messages"},
		{"a list of numbers", `{"messages":[1,2]}`, "message"},
		{"no JSON", `{"messages":[`, "mine.jsonl:2"},
		{"an address", turn(`[{"type":"image","image":"` + server.URL + `/x.png"}]`), "urls: true"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			write("mine.jsonl", turn(`"first?"`)+"\n"+tt.line+"\n"+turn(`"last?"`)+"\n")
			dir := train(t, base, badData, nil)
			data, err := os.ReadFile(filepath.Join(dir, "skipped-1.jsonl"))
			if err != nil {
				t.Fatal(err)
			}
			var s dataset.Skip
			if err := json.Unmarshal(data, &s); err != nil {
				t.Fatalf("%s: %v", data, err)
			}
			if s.Origin != "mine.jsonl:2" || !strings.Contains(s.Origin+" "+s.Reason, tt.want) {
				t.Errorf("%+v, want a reason with %q", s, tt.want)
			}
			if steps := readLog(t, dir); steps[0].Examples != 2 {
				t.Errorf("%d examples were learnt, want 2", steps[0].Examples)
			}
		})
	}
	t.Run("an address that must not be dialled", func(t *testing.T) {
		write("mine.jsonl", turn(`"first?"`)+"\n"+turn(`[{"type":"image","image":"`+server.URL+`/x.png"}]`)+"\n")
		dir := train(t, base, badData+"urls: true\n", nil)
		data, err := os.ReadFile(filepath.Join(dir, "skipped-1.jsonl"))
		if err != nil || !strings.Contains(string(data), "not a public one") {
			t.Errorf("%s, %v", data, err)
		}
	})
}

// What is wrong with all of a training is one error, which says what was found and what helps.
func TestBadTrainings(t *testing.T) {
	base := newBase(t)
	for name, text := range map[string]string{
		"mine.jsonl":     `{"messages":[{"role":"user","content":"a"}]}` + "\n",
		"empty.jsonl":    "",
		"cases.parquet":  "no parquet",
		"other.json":     "{}",
		"unknown/a.text": "",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(base, name)), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(base, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ name, from, to, want string }{
		{"no example can be used", "", "", "none of its examples can be used; the first, mine.jsonl:1"},
		{"an empty file", "mine.jsonl", "empty.jsonl", "example"},
		{"no such file", "mine.jsonl", "nowhere.jsonl", "nowhere.jsonl"},
		{"not what its name says", "mine.jsonl", "cases.parquet", "no parquet file"},
		{"of no kind", "mine.jsonl", "unknown", "say which kind it is"},
		{"nothing learns", "mine.jsonl}}\nstages:", "texts.jsonl}}\ntrain: [nothing]\nstages:", "nothing is to be trained"},
		{"no such task", "stages:", "eval: {every: 1, tasks: {reading: {path: nowhere}}}\nstages:", "eval.tasks.reading"},
		{"longer than the model", "length: 96", "length: 65536", "lower length"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := recipe.Parse([]byte(strings.Replace(badData, tt.from, tt.to, 1)))
			if err != nil {
				t.Fatal(err)
			}
			err = training.Run(t.Context(), training.Options{Recipe: r, Base: base, Dir: filepath.Join(t.TempDir(), "run")})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	t.Run("the folder of another training", func(t *testing.T) {
		o := options(t, base, "lora.yaml", filepath.Join(t.TempDir(), "run"))
		if err := training.Run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		other := options(t, base, "scratch.yaml", o.Dir)
		other.Resume = true
		if err := training.Run(t.Context(), other); err == nil || !strings.Contains(err.Error(), "another run") {
			t.Errorf("%v", err)
		}
		// Its adapter is for that model alone.
		config := filepath.Join(o.Dir, "adapter", "adapter_config.json")
		data, err := os.ReadFile(config)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(config, []byte(strings.Replace(string(data), `"r": 2`, `"r": 3`, 1)), 0o666); err != nil {
			t.Fatal(err)
		}
		c, m := load(t, filepath.Join(base, "base"))
		defer c.Close()
		defer m.Close()
		if _, err := adapter.Load(m, filepath.Join(o.Dir, "adapter")); err == nil || !strings.Contains(err.Error(), "want [3") {
			t.Errorf("an adapter of other shapes: %v", err)
		}
		if _, err := adapter.Load(m, base); !errors.Is(err, adapter.ErrNone) {
			t.Errorf("no adapter: %v", err)
		}
	})
}

// What is frozen has the bytes that it began with, and nothing else has.
func TestFrozen(t *testing.T) {
	base := newBase(t)
	dir := train(t, base, strings.NewReplacer("adapter: {kind: dora, rank: 2, dropout: 0.1}\n", "", "stages:", "train: [\".*text_model.layers.0.*\"]\nfreeze: [\".*norm.*\"]\nstages:").Replace(lora), nil)
	before, after := tensors(t, filepath.Join(base, "base")), tensors(t, filepath.Join(dir, "model"))
	learnt := 0
	for name, was := range before {
		wanted := strings.Contains(name, "text_model.layers.0.") && !strings.Contains(name, "norm")
		if changed := was != after[name]; changed != wanted {
			t.Errorf("%s changed: %v", name, changed)
		}
		if wanted {
			learnt++
		}
	}
	if learnt == 0 || len(before) != len(after) {
		t.Errorf("%d of %d learnt, %d after", learnt, len(before), len(after))
	}
}

func tensors(t *testing.T, dir string) map[string]string {
	t.Helper()
	c, m := load(t, dir)
	defer c.Close()
	defer m.Close()
	all := map[string]string{}
	for _, name := range c.Names() {
		v, ok := c.View(name)
		if !ok {
			t.Fatal(name)
		}
		all[name] = fmt.Sprint(v.DType, v.Shape, string(v.Data))
	}
	return all
}
