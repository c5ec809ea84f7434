package train_test

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"idefics2/adapter"
	"idefics2/model"
	"idefics2/nn"
	"idefics2/safetensors"
	"idefics2/train"
)

const inFile = "base_model.model."

func TestAdaptersOfTheReference(t *testing.T) {
	for _, name := range []string{"lora", "rslora", "dora"} {
		t.Run(name, func(t *testing.T) {
			c := readCase(t, "lora")
			m := c.open(t, 2)
			a, err := adapter.Load(m, filepath.Join(c.dir, "adapters", name))
			if err != nil {
				t.Fatal(err)
			}
			tr, err := train.New(m, func() train.Options { o := recordedOptions(); o.Train = a.Trains; return o }())
			if err != nil {
				t.Fatal(err)
			}
			losses, err := tr.Accumulate(c.batch)
			if err != nil {
				t.Fatal(err)
			}
			var sum float64
			tokens := 0
			for _, l := range losses {
				sum, tokens = sum+l.Sum, tokens+l.Tokens
			}
			if want := c.expect.Adapters[name].Loss; math.Abs(sum/float64(tokens)-want) > 1e-6*want {
				t.Errorf("loss %v, want %v", sum/float64(tokens), want)
			}
			worst, count := 0.0, 0
			m.Params(func(p nn.Param) {
				if !p.Trained() {
					return
				}
				count++
				g := append([]float32(nil), grad(p)...)
				for i := range g {
					g[i] /= float32(tokens)
				}
				d := off(g, c.tensor(t, name+"/grad."+inFile+p.Name))
				worst = max(worst, d)
				if d > 2e-5 {
					t.Errorf("gradient of %s is off by %.2g of its largest", p.Name, d)
				}
			})
			t.Logf("%d gradients, the worst off by %.3g", count, worst)
			if file := openAdapter(t, filepath.Join(c.dir, "adapters", name)); count != len(file.Names()) {
				t.Errorf("%d gradients, want %d", count, len(file.Names()))
			}
			tr.Discard()

			for _, module := range []string{"model.text_model.layers.0.self_attn.q_proj", "model.vision_model.encoder.layers.0.self_attn.k_proj"} {
				w, ok := a.Merged(module)
				if !ok {
					t.Fatalf("%s is not adapted", module)
				}
				if d := off(w.F32, c.tensor(t, name+"/merged."+module+".weight")); d > 1e-6 {
					t.Errorf("merged %s is off by %.2g of its largest", module, d)
				}
			}
			steps(t, c, tr, name+"/", 1e-5)
			m.Params(func(p nn.Param) {
				if p.Trained() {
					values, _ := p.Values()
					if d := off(values, c.tensor(t, name+"/param_after."+inFile+p.Name)); d > 2e-3 {
						t.Errorf("%s after ten steps is off by %.2g of its largest", p.Name, d)
					}
				}
			})

			// Saved and loaded again it has the same loss; merged, nearly.
			want, err := tr.Loss(c.batch)
			if err != nil {
				t.Fatal(err)
			}
			want = append([]model.Loss(nil), want...)
			dir := filepath.Join(t.TempDir(), "saved")
			if err := a.Save(dir); err != nil {
				t.Fatal(err)
			}
			again := c.open(t, 1)
			if a, err = adapter.Load(again, dir); err != nil {
				t.Fatal(err)
			}
			var tape model.Tape
			got, err := again.Loss(&tape, c.batch)
			if err != nil {
				t.Fatal(err)
			}
			for i := range got {
				if got[i] != want[i] {
					t.Errorf("loaded again, example %d has loss %v, want %v", i, got[i], want[i])
				}
			}
			a.Merge()
			if got, err = again.Loss(&tape, c.batch); err != nil {
				t.Fatal(err)
			}
			for i := range got {
				if math.Abs(got[i].Sum-want[i].Sum) > 1e-5*want[i].Sum {
					t.Errorf("merged, example %d has loss %v, want %v", i, got[i], want[i])
				}
			}
		})
	}
}

func openAdapter(t *testing.T, dir string) *safetensors.File {
	t.Helper()
	f, err := safetensors.Open(filepath.Join(dir, "adapter_model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// Modules that are saved whole learn beside the adapters, and come back with them.
func TestModulesToSave(t *testing.T) {
	c := readCase(t, "lora")
	m := c.open(t, 2)
	a, err := adapter.New(m, adapter.Config{Rank: 2, Alpha: 4, Dropout: 0.1, Names: []string{"q_proj"}, Save: []string{"embed_tokens", "modality_projection"}, Gaussian: true}, 1)
	if err != nil {
		t.Fatal(err)
	}
	o := recordedOptions()
	o.Train = a.Trains
	tr, err := train.New(m, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tr.Step(c.batch); err != nil {
		t.Fatal(err)
	}
	m.Params(func(p nn.Param) {
		whole := strings.Contains(p.Name, "embed_tokens") || strings.Contains(p.Name, "modality_projection")
		if p.Trained() != (p.Adapter || whole) {
			t.Errorf("%s: trained %v", p.Name, p.Trained())
		}
	})
	want, err := tr.Loss(c.batch)
	if err != nil {
		t.Fatal(err)
	}
	want = append([]model.Loss(nil), want...)
	dir := t.TempDir()
	if err := a.Save(dir); err != nil {
		t.Fatal(err)
	}
	again := c.open(t, 2)
	if _, err := adapter.Load(again, dir); err != nil {
		t.Fatal(err)
	}
	var tape model.Tape
	got, err := again.Loss(&tape, c.batch)
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("example %d has loss %v, want %v", i, got[i], want[i])
		}
	}
}
