package checkpoint

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"idefics2/gguf"
	"idefics2/tensor"
)

// writeOneFile writes a model of micro as a GGUF file, after change had its way with the
// metadata and the tensors.
func writeOneFile(t testing.TB, change func(pairs *[]gguf.Pair, entries *[]gguf.Entry)) string {
	t.Helper()
	dir := newFolder(t, micro(), InitOptions{})
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	pairs := []gguf.Pair{
		{Key: "general.architecture", Value: gguf.Of(Architecture)},
		{Key: LayoutKey, Value: gguf.Of(uint32(LayoutVersion))},
		{Key: PermutedKey, Value: gguf.Of(false)},
	}
	for _, name := range FileNames() {
		if data, err := c.File(name); err == nil {
			pairs = append(pairs, gguf.Pair{Key: FileKey(name), Value: gguf.Of(string(data))})
		}
	}
	data := map[string][]byte{}
	var entries []gguf.Entry
	for _, want := range c.Config.Tensors() {
		v, _ := c.View(want.Name)
		entries = append(entries, gguf.Entry{Name: GGUFName(want.Name), Type: gguf.F32, Shape: want.Shape})
		data[GGUFName(want.Name)] = v.Data
	}
	if change != nil {
		change(&pairs, &entries)
	}
	path := filepath.Join(t.TempDir(), "model.gguf")
	w, err := gguf.Create(path, pairs, entries)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	l, err := gguf.Layout(pairs, entries)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		d := make([]byte, l.Places[e.Name].Size)
		copy(d, data[e.Name])
		if err := w.Write(e.Name, d); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	return path
}

func set1(pairs *[]gguf.Pair, key string, v gguf.Value) {
	i := slices.IndexFunc(*pairs, func(p gguf.Pair) bool { return p.Key == key })
	if i < 0 {
		*pairs = append(*pairs, gguf.Pair{Key: key, Value: v})
		return
	}
	(*pairs)[i].Value = v
}

func TestOneFile(t *testing.T) {
	path := writeOneFile(t, nil)
	got, want := contents(t, path), contents(t, newFolder(t, micro(), InitOptions{}))
	if !same(got, want) {
		t.Error("the tensors differ")
	}
	f, err := ReadFolder(path)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := f.File("config.json"); err != nil || !bytes.Contains(text, []byte("idefics2")) || f.Path != path {
		t.Errorf("config.json %q, %v", text, err)
	}
	if _, err := f.File("README.md"); err == nil {
		t.Error("a file that is not there")
	}
}

// A GGUF file is checked as its folder would be, and says what is wrong with it.
func TestOneFileRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(pairs *[]gguf.Pair, entries *[]gguf.Entry)
		want   string
	}{
		"another architecture": {func(p *[]gguf.Pair, _ *[]gguf.Entry) { set1(p, "general.architecture", gguf.Of("llama")) }, `architecture "llama", want "idefics2"`},
		"a later layout":       {func(p *[]gguf.Pair, _ *[]gguf.Entry) { set1(p, LayoutKey, gguf.Of(uint32(9))) }, "found 9, want 1"},
		"a permuted one":       {func(p *[]gguf.Pair, _ *[]gguf.Entry) { set1(p, PermutedKey, gguf.Of(true)) }, "found true, want false"},
		"no configuration":     {func(p *[]gguf.Pair, _ *[]gguf.Entry) { *p = (*p)[:3] }, "no config.json"},
		"no text":              {func(p *[]gguf.Pair, _ *[]gguf.Entry) { set1(p, FileKey("config.json"), gguf.Of(uint8(1))) }, "want string"},
		"a wrong number": {func(p *[]gguf.Pair, _ *[]gguf.Entry) {
			set1(p, FileKey("config.json"), gguf.Of(`{"model_type":"idefics2","vision_config":{"patch_size":0}}`))
		}, "model.gguf: config.json: vision_config.patch_size"},
		"a long text": {func(p *[]gguf.Pair, _ *[]gguf.Entry) {
			set1(p, FileKey("added_tokens.json"), gguf.Of(strings.Repeat(" ", maxJSON+1)))
		}, "want at most"},
		"missing": {func(_ *[]gguf.Pair, e *[]gguf.Entry) { *e = (*e)[1:] }, "1 missing: model.vision_model.embeddings.patch_embedding.weight"},
		"extra": {func(_ *[]gguf.Pair, e *[]gguf.Entry) {
			*e = append(*e, gguf.Entry{Name: "lm_head.weight+additional", Shape: []int{1, 8}})
		}, "not part of the model"},
		"of another shape": {func(_ *[]gguf.Pair, e *[]gguf.Entry) { (*e)[3].Shape = []int{1, 1} }, "of another shape"},
		"whole numbers":    {func(_ *[]gguf.Pair, e *[]gguf.Entry) { (*e)[3].Type = 26 }, "type I32 are not read"},
		"a vector of blocks": {func(_ *[]gguf.Pair, e *[]gguf.Entry) {
			i := slices.IndexFunc(*e, func(e gguf.Entry) bool { return len(e.Shape) == 1 })
			(*e)[i] = gguf.Entry{Name: (*e)[i].Name, Type: gguf.Q8_0, Shape: []int{32}}
		}, "of another shape"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Open(writeOneFile(t, tt.change))
			if err == nil {
				c.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
	for path, want := range map[string]string{"nothing.gguf": "no such file", "onefile_test.go": "not a folder, nor a .gguf file"} {
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// Names fit llama.cpp's limit and differ from one another.
func TestGGUFName(t *testing.T) {
	for name, want := range map[string]string{
		"model.text_model.layers.31.self_attn.q_proj.weight":        "blk.31.attn_q.weight",
		"model.text_model.layers.0.post_attention_layernorm.weight": "blk.0.ffn_norm.weight",
		"lm_head.weight":                                                         "output.weight",
		"model.text_model.norm.weight":                                           "output_norm.weight",
		"model.vision_model.embeddings.patch_embedding.bias":                     "v.patch_embd.bias",
		"model.vision_model.encoder.layers.26.mlp.fc2.bias":                      "v.blk.26.ffn_down.bias",
		"model.vision_model.post_layernorm.weight":                               "v.post_ln.weight",
		"model.connector.modality_projection.gate_proj.weight":                   "mm.ffn_gate.weight",
		"model.connector.perceiver_resampler.latents":                            "mm.latents",
		"model.connector.perceiver_resampler.layers.2.input_context_norm.weight": "mm.blk.2.context_norm.weight",
		"model.connector.perceiver_resampler.layers.2.self_attn.o_proj.weight":   "mm.blk.2.attn_output.weight",
		"model.connector.perceiver_resampler.norm.weight":                        "mm.output_norm.weight",
		"model.text_model.layers.x.mlp.up_proj.weight":                           "model.text_model.layers.x.mlp.up_proj.weight",
	} {
		if got := GGUFName(name); got != want {
			t.Errorf("GGUFName(%q) = %q, want %q", name, got, want)
		}
	}
	seen := map[string]string{}
	for _, tensor := range Released().Tensors() {
		name := GGUFName(tensor.Name)
		if other, ok := seen[name]; ok || len(name) > 63 || strings.HasPrefix(name, "model.") {
			t.Errorf("%s: %q, as %s", tensor.Name, name, other)
		}
		seen[name] = tensor.Name
	}
}

// FuzzOneFile opens what somebody else wrote: no panic, and all that opens can be loaded.
func FuzzOneFile(f *testing.F) {
	data, err := os.ReadFile(writeOneFile(f, nil))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:len(data)/2])
	f.Add(bytes.Replace(data, []byte(`"num_hidden_layers"`), []byte(`"num_hidden_rayers"`), 1))
	f.Add(bytes.Replace(data, []byte("blk.0.attn_q"), []byte("blk.1.attn_q"), 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "model.gguf")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Open(path)
		if err != nil {
			return
		}
		defer c.Close()
		for _, keep := range []bool{false, true} {
			c.KeepBlocks, c.taken = keep, map[string]bool{}
			for _, want := range c.Config.Tensors() {
				v, err := c.Take(want.Name, want.Shape...)
				if err != nil {
					t.Fatalf("%s: %v", want.Name, err)
				}
				if v.DType.Float() && v.Len()*v.DType.Bits()/8 != len(v.Data) || v.DType == tensor.Invalid {
					t.Fatalf("%s: %v of %d bytes", want.Name, v.DType, len(v.Data))
				}
			}
		}
	})
}
