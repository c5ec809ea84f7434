package adapter

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"idefics2/checkpoint"
	"idefics2/model"
	"idefics2/nn"
	"idefics2/safetensors"
	"idefics2/tensor"
)

// The case lies beside the tests of training, which hold its numbers.
var golden = filepath.Join("..", "train", "testdata", "lora")

func open(t testing.TB) *model.Model {
	t.Helper()
	source, err := checkpoint.Open(filepath.Join(golden, "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.Load(source, model.Options{Threads: 1})
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

func TestParseConfig(t *testing.T) {
	c, err := ParseConfig([]byte(`{"peft_type": "LORA", "r": 4, "lora_alpha": 6, "lora_dropout": 0.1, "target_modules": ["q_proj", "v_proj"],
		"modules_to_save": ["lm_head"], "use_dora": true, "use_rslora": true, "rank_pattern": {"layers.1.self_attn.q_proj": 2},
		"init_lora_weights": "gaussian", "base_model_name_or_path": "x", "bias": "none", "fan_in_fan_out": false, "something_new": [1]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := Config{Rank: 4, Alpha: 6, Dropout: 0.1, Names: []string{"q_proj", "v_proj"}, Save: []string{"lm_head"}, DoRA: true, RSLoRA: true,
		Gaussian: true, Ranks: map[string]int{"layers.1.self_attn.q_proj": 2}, Base: "x"}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("%+v, want %+v", c, want)
	}
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseConfig(data)
	want.Alphas = map[string]float64{}
	if err != nil || !reflect.DeepEqual(again, want) {
		t.Errorf("written and read: %+v, %v", again, err)
	}
	m, err := c.matcher()
	if err != nil {
		t.Fatal(err)
	}
	if r, s := m.scale("a.layers.0.self_attn.q_proj"); r != 4 || s != 3 {
		t.Errorf("rank %d, scale %v, want 4 and 3", r, s)
	}
	if r, _ := m.scale("a.layers.1.self_attn.q_proj"); r != 2 {
		t.Errorf("rank %d by pattern, want 2", r)
	}
	if r, _ := m.scale("a.layers.11.self_attn.q_proj"); r != 4 {
		t.Errorf("rank %d where the pattern does not match, want 4", r)
	}
	for _, bad := range []struct{ text, want string }{
		{`{`, "adapter"}, {`{"peft_type": "IA3", "target_modules": ["x"]}`, "peft_type"}, {`{"peft_type": "LORA"}`, "target_modules"},
		{`{"peft_type": "LORA", "r": 0, "target_modules": "x"}`, "r: found 0"}, {`{"peft_type": "LORA", "r": 99999999, "target_modules": "x"}`, "r: found"},
		{`{"peft_type": "LORA", "lora_dropout": 1, "target_modules": "x"}`, "lora_dropout"}, {`{"peft_type": "LORA", "target_modules": "("}`, "target_modules"},
		{`{"peft_type": "LORA", "target_modules": "(?=x)"}`, "look-ahead"}, {`{"peft_type": "LORA", "r": "x", "target_modules": "x"}`, "r: found"},
		{`{"peft_type": "LORA", "target_modules": "x", "bias": "all"}`, "bias"}, {`{"peft_type": "LORA", "target_modules": "x", "use_qalora": true}`, "use_qalora"},
		{`{"peft_type": "LORA", "target_modules": "x", "rank_pattern": {"a": 0}}`, "rank_pattern"},
		{`{"peft_type": "LORA", "target_modules": "x", "r": 1, "r": 2}`, "r"},
	} {
		if _, err := ParseConfig([]byte(bad.text)); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%s: %v, want an error about %q", bad.text, err, bad.want)
		}
	}
}

// spec/checkpoint.md §4.2.
func TestTargets(t *testing.T) {
	const q = "model.text_model.layers.0.self_attn.q_proj"
	for _, tt := range []struct {
		config Config
		module string
		want   bool
	}{
		{Config{Pattern: ".*q_proj"}, q, true}, {Config{Pattern: "layers.*q_proj"}, q, false}, {Config{Pattern: "x|.*q_proj"}, q, true},
		{Config{Names: []string{"q_proj"}}, q, true}, {Config{Names: []string{"self_attn.q_proj"}}, q, true},
		{Config{Names: []string{"proj"}}, q, false}, {Config{Names: []string{q}}, q, true},
		{Config{Pattern: "all-linear"}, q, true}, {Config{Pattern: "all-linear"}, "lm_head", false},
		{Config{Pattern: ".*q_proj", Exclude: []string{"layers.0.self_attn.q_proj"}}, q, false},
	} {
		m, err := tt.config.matcher()
		if err != nil {
			t.Fatal(err)
		}
		if got := m.targets(tt.module); got != tt.want {
			t.Errorf("%+v targets %s: %v, want %v", tt.config, tt.module, got, tt.want)
		}
	}
	m, _ := (&Config{Save: []string{"norm", "modality_projection"}}).matcher()
	for name, want := range map[string]bool{
		"model.text_model.norm.weight": true, "model.connector.modality_projection.up_proj.weight": true,
		"model.text_model.layers.0.input_layernorm.weight": false, "lm_head.weight": false, "weight": false,
	} {
		if got := m.saves(name); got != want {
			t.Errorf("%s is saved: %v, want %v", name, got, want)
		}
	}
}

// A new adapter changes nothing, and is a function of its seed.
func TestNewIsNothing(t *testing.T) {
	start := func(c Config) (map[string][]float32, *Set) {
		m := open(t)
		s, err := New(m, c, 3)
		if err != nil {
			t.Fatal(err)
		}
		all := map[string][]float32{}
		m.Params(func(p nn.Param) { all[p.Name] = p.Floats() })
		return all, s
	}
	for _, c := range []Config{
		{Rank: 4, Alpha: 8, Pattern: allLinear}, {Rank: 4, Alpha: 8, Pattern: allLinear, DoRA: true}, {Rank: 4, Alpha: 8, Names: []string{"lm_head"}, Gaussian: true},
	} {
		one, s := start(c)
		two, _ := start(c)
		if !reflect.DeepEqual(one, two) {
			t.Errorf("%+v: other numbers from the same seed", c)
		}
		for _, module := range s.Modules() {
			merged, ok := s.Merged(module)
			if !ok {
				t.Fatal(module)
			}
			for i, w := range one[module+".weight"] {
				if d := merged.F32[i] - w; d > 1e-6 || d < -1e-6 {
					t.Fatalf("%+v: %s: element %d is %v merged, %v before", c, module, i, merged.F32[i], w)
				}
			}
			if len(one[module+".lora_A.weight"]) == 0 || one[module+".lora_A.weight"][0] == 0 {
				t.Errorf("%s has no A", module)
			}
		}
		s.Merge()
		if len(s.Modules()) != 0 {
			t.Error("merged, it has modules yet")
		}
	}
}

func TestNewErrors(t *testing.T) {
	for want, c := range map[string]Config{
		"matches the targets": {Rank: 1, Alpha: 1, Pattern: "q_proj"},
		"convolution":         {Rank: 1, Alpha: 1, Pattern: ".*patch_embedding"},
		"one of the two":      {Rank: 1, Alpha: 1, Names: []string{"q_proj"}, Save: []string{"q_proj"}},
		"to save":             {Rank: 1, Alpha: 1, Names: []string{"q_proj"}, Save: []string{"nothing"}},
		"r: found":            {Alpha: 1, Names: []string{"q_proj"}},
	} {
		m := open(t)
		if _, err := New(m, c, 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want an error about %q", c, err, want)
		}
	}
	m := open(t)
	c := Config{Rank: 1, Alpha: 1, Names: []string{"q_proj"}}
	if _, err := New(m, c, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := New(m, c, 1); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("twice: %v", err)
	}
}

// write makes a PEFT folder of the recorded one, changed.
func write(t *testing.T, change func(tensors map[string]tensor.View)) string {
	t.Helper()
	from := filepath.Join(golden, "adapters", "dora")
	f, err := safetensors.Open(filepath.Join(from, weightFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tensors := map[string]tensor.View{}
	for _, name := range f.Names() {
		tensors[name], _ = f.View(name)
	}
	change(tensors)
	dir := t.TempDir()
	var entries []safetensors.Entry
	for _, name := range sorted(tensors) {
		v := tensors[name]
		entries = append(entries, safetensors.Entry{Name: name, DType: v.DType, Shape: v.Shape})
	}
	w, err := safetensors.Create(filepath.Join(dir, weightFile), entries, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for name, v := range tensors {
		if err := w.Write(name, v.Data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join(from, configFile))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, configFile), config, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestLoadIsStrict(t *testing.T) {
	const q = prefix + "model.text_model.layers.0.self_attn.q_proj."
	tests := []struct {
		name, want string
		change     func(tensors map[string]tensor.View)
	}{
		{"as it is", "", func(map[string]tensor.View) {}},
		{"the older name of magnitudes, and a stored head", "", func(m map[string]tensor.View) {
			m[q+"lora_magnitude_vector.weight"] = m[q+"lora_magnitude_vector"]
			delete(m, q+"lora_magnitude_vector")
			m[prefix+"lm_head.base_layer.weight"] = m[q+"lora_A.weight"]
		}},
		{"half of a pair", q + `lora_B.weight" is missing`, func(m map[string]tensor.View) { delete(m, q+"lora_B.weight") }},
		{"another shape", "shape [64 4], want [4 48]", func(m map[string]tensor.View) { m[q+"lora_A.weight"] = m[q+"lora_B.weight"] }},
		{"another type", "type I32", func(m map[string]tensor.View) {
			v := m[q+"lora_A.weight"]
			v.DType = tensor.I32
			m[q+"lora_A.weight"] = v
		}},
		{"one too many", "belongs to no module", func(m map[string]tensor.View) {
			m[prefix+"lm_head.lora_A.weight"] = m[q+"lora_A.weight"]
		}},
		{"nothing", "more like these", func(m map[string]tensor.View) {
			for name := range m {
				if name != q+"lora_A.weight" {
					delete(m, name)
				}
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := open(t)
			s, err := Load(m, write(t, tt.change))
			if tt.want == "" {
				if err != nil || !slices.Contains(s.Modules(), "model.text_model.layers.0.self_attn.q_proj") {
					t.Errorf("%v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("%v, want an error about %q", err, tt.want)
			}
			m.Params(func(p nn.Param) {
				if p.Adapter {
					t.Fatalf("%s is there after an error", p.Name)
				}
			})
		})
	}
	if _, err := Load(open(t), t.TempDir()); err == nil || !strings.Contains(err.Error(), configFile) {
		t.Errorf("an empty folder: %v", err)
	}
}

func FuzzParseConfig(f *testing.F) {
	for _, name := range []string{"lora", "dora"} {
		data, err := os.ReadFile(filepath.Join(golden, "adapters", name, configFile))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"peft_type": "LORA", "target_modules": ["q_proj"], "rank_pattern": {"a|b": 3}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseConfig(data)
		if err != nil {
			return
		}
		written, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseConfig(written); err != nil {
			t.Fatalf("read %s, wrote %s: %v", data, written, err)
		}
		m, err := c.matcher()
		if err != nil {
			t.Fatal(err)
		}
		m.targets("model.text_model.layers.0.self_attn.q_proj")
		m.saves("model.text_model.norm.weight")
	})
}
