package train_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"idefics2"
	"idefics2/checkpoint"
	"idefics2/input"
	"idefics2/internal/golden"
	"idefics2/model"
	"idefics2/nn"
	"idefics2/processor"
	"idefics2/safetensors"
	"idefics2/train"
)

// recorded is a training case of the reference.
type recorded struct {
	dir    string
	batch  []*input.Input
	stages *safetensors.File
	expect struct {
		Batch struct {
			IDs    [][]int32 `json:"input_ids"`
			Mask   [][]int32 `json:"attention_mask"`
			Labels [][]int32 `json:"labels"`
		} `json:"batch"`
		Loss struct {
			Batch   float64   `json:"batch"`
			Alone   []float64 `json:"alone"`
			Targets []int     `json:"targets"`
			Images  float64   `json:"image_tokens_as_labels"`
		} `json:"loss"`
		Sums   map[string][3]float64 `json:"param_after_sums"`
		Frozen struct {
			Trained []string              `json:"trained"`
			Sums    map[string][3]float64 `json:"param_after_sums"`
		} `json:"frozen_vision"`
		Adapters map[string]struct {
			Loss float64 `json:"loss"`
		} `json:"adapters"`
	}
}

func readJSON(t testing.TB, path string, to any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, to); err != nil {
		t.Fatal(err)
	}
}

// readCase reads a case and processes its examples.
func readCase(t testing.TB, name string) *recorded {
	t.Helper()
	c := &recorded{dir: filepath.Join("testdata", name)}
	readJSON(t, filepath.Join(c.dir, "expect.json"), &c.expect)
	var requests struct{ Examples []json.RawMessage }
	readJSON(t, filepath.Join(c.dir, "requests.json"), &requests)
	p, err := idefics2.OpenProcessor(filepath.Join(c.dir, "checkpoint"), idefics2.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, example := range requests.Examples {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(example, &fields); err != nil {
			t.Fatal(err)
		}
		body, err := json.Marshal(map[string]any{"messages": fields["messages"], "split": false, "add_generation_prompt": false})
		if err != nil {
			t.Fatal(err)
		}
		request, err := idefics2.ParseRequest(body, c.dir)
		if err != nil {
			t.Fatal(err)
		}
		out, err := p.Processor.Process(t.Context(), processor.Request{Messages: request.Messages, NoGenerationPrompt: true}, idefics2.ReadSource)
		if err != nil {
			t.Fatal(err)
		}
		padding := slices.Index(c.expect.Batch.Mask[i], 1)
		if ids := c.expect.Batch.IDs[i][padding:]; !slices.Equal(out.Input.IDs, ids) {
			t.Fatalf("example %d: ids %v, want %v", i, out.Input.IDs, ids)
		}
		out.Input.Labels = c.expect.Batch.Labels[i][padding:]
		c.batch = append(c.batch, &out.Input)
	}
	stages := c.dir
	if shared, ok := golden.Shared(t, "model/"+name); ok { // with all gradients of "train", too
		stages = shared
	}
	if c.stages, err = safetensors.Open(filepath.Join(stages, "stages.safetensors")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.stages.Close() })
	return c
}

func (c *recorded) tensor(t testing.TB, name string) []float32 {
	t.Helper()
	v, ok := c.stages.View(name)
	if !ok {
		t.Fatalf("%s: no %q", c.dir, name)
	}
	return v.Floats()
}

// open loads the case's checkpoint anew.
func (c *recorded) open(t testing.TB, threads int) *model.Model {
	t.Helper()
	return openModel(t, filepath.Join(c.dir, "checkpoint"), threads)
}

func openModel(t testing.TB, dir string, threads int) *model.Model {
	t.Helper()
	source, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.Load(source, model.Options{Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		m.Close()
		if err := source.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// off returns the largest distance between two tensors, as a share of want's largest value.
func off(got, want []float32) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	var scale, far float64
	for i, w := range want {
		scale = max(scale, math.Abs(float64(w)))
		if d := math.Abs(float64(got[i]) - float64(w)); d > far || d != d {
			far = d
		}
	}
	if scale == 0 {
		return far
	}
	return far / scale
}

// trainable gives every chosen parameter a gradient, and returns them.
func trainable(m *model.Model, choose func(name string) bool) map[string]nn.Param {
	all := map[string]nn.Param{}
	m.Params(func(p nn.Param) {
		if choose == nil || choose(p.Name) {
			p.Train()
			all[p.Name] = p
		}
	})
	return all
}

func grad(p nn.Param) []float32 {
	_, g := p.Values()
	return g
}

// noise reports whether a gradient is rounding and nothing else: softmax does not see a bias of keys.
func noise(name string) bool { return strings.HasSuffix(name, "k_proj.bias") }

func TestGradientsOfTheReference(t *testing.T) {
	for _, name := range []string{"train", "train_variant"} {
		t.Run(name, func(t *testing.T) {
			c := readCase(t, name)
			m := c.open(t, 2)
			params := trainable(m, nil)
			tokens := 0
			for _, n := range c.expect.Loss.Targets {
				tokens += n
			}
			var tape model.Tape
			losses, err := m.Backward(&tape, c.batch, 1/float32(tokens))
			if err != nil {
				t.Fatal(err)
			}
			sum := 0.0
			for i, l := range losses {
				sum += l.Sum
				if mean := l.Sum / float64(l.Tokens); l.Tokens != c.expect.Loss.Targets[i] || math.Abs(mean-c.expect.Loss.Alone[i]) > 1e-6*mean {
					t.Errorf("example %d: loss %v over %d tokens, want %v over %d", i, mean, l.Tokens, c.expect.Loss.Alone[i], c.expect.Loss.Targets[i])
				}
			}
			if mean := sum / float64(tokens); math.Abs(mean-c.expect.Loss.Batch) > 1e-6*mean {
				t.Errorf("loss %v, want %v", mean, c.expect.Loss.Batch)
			} else {
				t.Logf("loss %v, want %v", mean, c.expect.Loss.Batch)
			}
			worst, where := 0.0, ""
			for name, p := range params {
				if _, ok := c.stages.View("grad." + name); !ok && c.expect.Frozen.Trained != nil {
					continue // of "train" they are in the shared recording alone
				}
				want := c.tensor(t, "grad."+name)
				if noise(name) {
					for _, v := range grad(p) {
						if math.Abs(float64(v)) > 1e-7 {
							t.Fatalf("%s: %v, want nothing but noise", name, v)
						}
					}
					continue
				}
				d := off(grad(p), want)
				if d > worst {
					worst, where = d, name
				}
				if d > 2e-5 {
					t.Errorf("gradient of %s is off by %.2g of its largest", name, d)
				}
			}
			t.Logf("worst gradient: %s, %.2g of its largest", where, worst)
		})
	}
}

// steps makes the ten recorded steps and compares losses and norms.
func steps(t *testing.T, c *recorded, tr *train.Trainer, prefix string, tolerance float64) {
	t.Helper()
	losses, norms := c.tensor(t, prefix+"adamw.loss"), c.tensor(t, prefix+"adamw.grad_norm")
	worst := 0.0
	for i := range losses {
		s, err := tr.Step(c.batch)
		if err != nil {
			t.Fatal(err)
		}
		d := math.Abs(s.Loss-float64(losses[i])) / float64(losses[i])
		worst = max(worst, d)
		if d > tolerance {
			t.Errorf("step %d: loss %v, want %v", i, s.Loss, losses[i])
		}
		if math.Abs(s.GradientNorm-float64(norms[i])) > 50*tolerance*s.GradientNorm {
			t.Errorf("step %d: norm %v, want %v", i, s.GradientNorm, norms[i])
		}
	}
	t.Logf("%sten losses: off by %.2g at most", prefix, worst)
}

// recordedOptions are those of the recordings: everything decays.
func recordedOptions() train.Options {
	return train.Options{Schedule: train.Schedule{Peak: 1e-3}, AdamW: train.AdamW{Decay: 0.01, DecayAll: true}}
}

// In the whole of "train" some gradients are as small as AdamW's ε, so that their rounding moves a
// parameter by a good part of a step. The reference itself, run in float64 over the same steps, is
// 1.9e-5 away from its recording in float32 (4.4834785 for the sixth loss, recorded 4.4833918);
// ours is 9e-6 from the former with AVX2, and up to 2.9e-5 from the latter; 6e-6 in portable Go, and
// 4.9e-5 with NEON.
func TestTenStepsOfTheReference(t *testing.T) {
	tolerance := map[string]float64{"train": 1e-4, "train_variant": 1e-5}
	for _, name := range []string{"train", "train_variant"} {
		t.Run(name, func(t *testing.T) {
			c := readCase(t, name)
			m := c.open(t, 2)
			tr, err := train.New(m, recordedOptions())
			if err != nil {
				t.Fatal(err)
			}
			steps(t, c, tr, "", tolerance[name])
			m.Params(func(p nn.Param) {
				if noise(p.Name) {
					return
				}
				values, _ := p.Values()
				if _, ok := c.stages.View("param_after." + p.Name); ok {
					if d := off(values, c.tensor(t, "param_after."+p.Name)); d > 1e-2 {
						t.Errorf("%s is off by %.2g of its largest", p.Name, d)
					}
				}
				sums(t, p.Name, values, c.expect.Sums[p.Name])
			})
		})
	}
}

// sums compares sum, sum of magnitudes and norm.
func sums(t *testing.T, name string, values []float32, want [3]float64) {
	t.Helper()
	var got [3]float64
	for _, v := range values {
		got[0] += float64(v)
		got[1] += math.Abs(float64(v))
		got[2] += float64(v) * float64(v)
	}
	got[2] = math.Sqrt(got[2])
	for i := range got {
		if math.Abs(got[i]-want[i]) > 1e-4*max(1, want[1]) {
			t.Errorf("%s: sums %v, want %v", name, got, want)
			return
		}
	}
}

func TestFrozenTower(t *testing.T) {
	c := readCase(t, "train")
	m := c.open(t, 2)
	o := recordedOptions()
	var names []string
	o.Train = func(name string) bool { return !strings.HasPrefix(name, "model.vision_model.") }
	tr, err := train.New(m, o)
	if err != nil {
		t.Fatal(err)
	}
	steps(t, c, tr, "frozen.", 1e-5)
	m.Params(func(p nn.Param) {
		if p.Trained() {
			names = append(names, p.Name)
			values, _ := p.Values()
			sums(t, p.Name, values, c.expect.Frozen.Sums[p.Name])
		}
	})
	slices.Sort(names)
	if !slices.Equal(names, c.expect.Frozen.Trained) {
		t.Errorf("trained %v, want %v", names, c.expect.Frozen.Trained)
	}
}

func TestImageTokensMayCarryLoss(t *testing.T) {
	c := readCase(t, "train")
	m := c.open(t, 2)
	for _, in := range c.batch {
		in.Labels = slices.Clone(in.Labels)
		for i, id := range in.IDs {
			if int(id) == m.Config.ImageTokenID {
				in.Labels[i] = id
			}
		}
	}
	var tape model.Tape
	losses, err := m.Loss(&tape, c.batch)
	if err != nil {
		t.Fatal(err)
	}
	var sum, n float64
	for _, l := range losses {
		sum, n = sum+l.Sum, n+float64(l.Tokens)
	}
	if got := sum / n; math.Abs(got-c.expect.Loss.Images) > 1e-6*got {
		t.Error(fmt.Sprint(got, " want ", c.expect.Loss.Images))
	}
}
