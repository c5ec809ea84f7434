package recipe

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"idefics2/dataset"
)

const smallest = `model: {from: idefics2}
data:
  mine: {path: train.jsonl}
stages:
  - name: only
    steps: 10
    data: {mine: 1}
`

func TestDefaults(t *testing.T) {
	r, err := Parse([]byte(smallest))
	if err != nil {
		t.Fatal(err)
	}
	s := r.Stages[0]
	if s.Length != 2048 || s.Batch != 1 || s.Loss != "answers" || !s.Packs() || s.LearningRate != 1e-4 || s.Schedule != "linear" || *s.Warmup != 0 || r.Save.Keep != 3 || r.Adapter != nil {
		t.Errorf("%+v of %+v", s, r)
	}
}

func TestStages(t *testing.T) {
	r, err := Load("testdata/recipe.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Stages) != 4 || r.Stages[0].Longest != 384 || *r.Stages[0].Warmup != 2000 || *r.Stages[1].Warmup != 100 || r.Stages[1].Data["pages"] != 20 ||
		r.Stages[2].LearningRate != 5e-5 || *r.Stages[2].NEFTune != 5 || r.Stages[2].UpscaleMax != 2 || r.Stages[3].Schedule != "constant" || r.Data["pairs"].Kind != "folder" {
		t.Errorf("%+v", r)
	}
}

func TestKindsAreThoseOfDataset(t *testing.T) {
	if !slices.Equal(kinds, dataset.Kinds) {
		t.Errorf("%q, want %q", kinds, dataset.Kinds)
	}
}

func TestRefused(t *testing.T) {
	tests := []struct{ name, change, to, want string }{
		{"unknown key", "steps: 10", "stepz: 10", `line 6: there is no key "stepz" here; did you mean "steps"?`},
		{"unknown key at the top", "model:", "modle: 1\nmodel:", `line 1: there is no key "modle" here; did you mean "model"?`},
		{"unknown key like none", "steps: 10", "steps: 10\n    xylophone: 1", `line 7: there is no key "xylophone" here`},
		{"twice", "steps: 10", "steps: 10\n    steps: 11", "line 7: "},
		{"a word for a number", "steps: 10", "steps: many", "line 6: "},
		{"no steps", "    steps: 10\n", "", "line 5: stages[0]: 0 steps and 0 epochs; want one"},
		{"both", "steps: 10", "steps: 10\n    epochs: 1", "want one of the two"},
		{"unknown source", "{mine: 1}", "{yours: 1}", `line 7: stages[0].data: there is no source "yours" in data, only mine`},
		{"bad weight", "{mine: 1}", "{mine: -1}", "line 7: stages[0].data.mine: the weight -1"},
		{"infinite weight", "{mine: 1}", "{mine: .inf}", "stages[0].data.mine: the weight +Inf"},
		{"length", "steps: 10", "steps: 10\n    length: 2", "line 7: stages[0].length: 2, want 8 to"},
		{"share", "steps: 10", "steps: 10\n    split: 1.5", "line 7: stages[0].split: 1.5, want a share from 0 to 1"},
		{"not a number", "steps: 10", "steps: 10\n    split: .nan", "stages[0].split: NaN"},
		{"one edge", "steps: 10", "steps: 10\n    longest: 980", "want both or neither"},
		{"loss", "steps: 10", "steps: 10\n    loss: everything", `line 7: stages[0].loss: "everything", want answers or text`},
		{"kind", "{path: train.jsonl}", "{path: x, kind: laion}", `line 3: data.mine.kind: "laion", want one of jsonl, cauldron`},
		{"no source", "{path: train.jsonl}", "{}", "line 3: data.mine: neither path nor generate"},
		{"a generator without a count", "{path: train.jsonl}", "{generate: shapes}", "a generator wants a count"},
		{"no model", "{from: idefics2}", "{}", "line 1: model: neither from"},
		{"a new model", "{from: idefics2}", "{config: small}", "a new model needs a tokenizer"},
		{"adapter", "model:", "adapter: {rank: 0}\nmodel:", "line 1: adapter.rank: 0, want 1 to 4096"},
		{"pattern", "model:", "train: ['(']\nmodel:", "line 1: train[0]: error parsing regexp"},
		{"alias", "{from: idefics2}", "&a {from: idefics2}", "line 1: \"&\": anchors, aliases"},
		{"brackets", "{mine: 1}", strings.Repeat("[", 1000), "nested too deep"},
		{"nothing", smallest, "", "the file is empty"},
		{"two documents", "model:", "{}\n---\nmodel:", "several documents"},
		{"not YAML", "stages:", "stages: [", "line "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(smallest, tt.change, tt.to, 1)
			if text == smallest {
				t.Fatal("nothing was changed")
			}
			if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
	if _, err := Load("testdata/nowhere.yaml"); err == nil {
		t.Error("a file that is not there")
	}
}

// Every key has a line in the documentation.
func TestEveryKeyIsExplained(t *testing.T) {
	docs, err := os.ReadFile("../docs/recipe.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys() {
		if !strings.Contains(string(docs), "`"+key+"`") {
			t.Errorf("docs/recipe.md does not explain %q", key)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(smallest))
	data, err := os.ReadFile("testdata/recipe.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := Parse(data); err == nil && (len(r.Stages) == 0 || len(r.Data) == 0) {
			t.Error("a recipe of nothing")
		}
	})
}

func ExampleParse() {
	_, err := Parse([]byte("model: {from: idefics2}\ndata: {mine: {path: a.jsonl}}\nstages:\n  - {name: a, stpes: 10}\n"))
	fmt.Println(err)
	// Output: recipe: line 4: there is no key "stpes" here; did you mean "steps"?
}
