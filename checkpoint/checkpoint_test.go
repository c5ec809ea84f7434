package checkpoint

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"idefics2/safetensors"
	"idefics2/tensor"
)

// micro is a model of a few thousand parameters.
func micro() Blueprint {
	b := released()
	b.Config = Config{
		ImageTokenID: 9,
		Vision:       Vision{8, 12, 2, 2, 3, 56, 14, GELUTanh, 1e-6},
		Perceiver:    Perceiver{8, 2, 2, 2, 3, 1, SiLU, 1e-6},
		Text:         Text{16, 8, 12, 2, 4, 2, 2, 128, SiLU, 1e-5, 1e4, 4, 1, 0, []int{2}, 0.02},
	}
	b.Generation = DefaultGeneration(b.Config)
	return b
}

// newFolder makes a folder of the micro model's weights in float32, in one file.
func newFolder(t testing.TB, b Blueprint, opt InitOptions) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "model")
	if opt.DType == tensor.Invalid {
		opt.DType = tensor.F32
	}
	if err := Init(t.Context(), dir, b, 1, opt); err != nil {
		t.Fatal(err)
	}
	return dir
}

// copyOf returns a copy of a folder, which is quicker than making it again.
func copyOf(t testing.TB, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "model")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// weights are the tensors of a file, to be changed and written again.
type weights map[string]tensor.View

func load(t testing.TB, path string) weights {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := weights{}
	for _, name := range f.Names() {
		v, _ := f.View(name)
		v.Data = bytes.Clone(v.Data)
		w[name] = v
	}
	return w
}

func (w weights) save(t testing.TB, path string) {
	t.Helper()
	var entries []safetensors.Entry
	for name, v := range w {
		entries = append(entries, safetensors.Entry{Name: name, DType: v.DType, Shape: v.Shape})
	}
	out, err := safetensors.Create(path, entries, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Abort()
	for name, v := range w {
		if err := out.Write(name, v.Data); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Commit(); err != nil {
		t.Fatal(err)
	}
}

// rows returns rows lo to hi of a matrix.
func rows(v tensor.View, lo, hi int) tensor.View {
	size := len(v.Data) / v.Shape[0]
	return tensor.View{DType: v.DType, Shape: append([]int{hi - lo}, v.Shape[1:]...), Data: v.Data[lo*size : hi*size]}
}

func (w weights) rename(from, to string) {
	w[to] = w[from]
	delete(w, from)
}

func replaceIn(t testing.TB, path, old, new string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte(old)) {
		t.Fatalf("%s has no %q", path, old)
	}
	if err := os.WriteFile(path, bytes.Replace(text, []byte(old), []byte(new), 1), 0o600); err != nil {
		t.Fatal(err)
	}
}

// contents returns all tensors of a folder that opens, as the loader sees them.
func contents(t testing.TB, dir string) weights {
	t.Helper()
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w := weights{}
	for _, want := range c.Config.Tensors() {
		v, err := c.Take(want.Name, want.Shape...)
		if err != nil {
			t.Fatal(err)
		}
		v.Data = bytes.Clone(v.Data)
		w[want.Name] = v
	}
	if err := c.Finish(); err != nil {
		t.Fatal(err)
	}
	return w
}

func same(a, b weights) bool {
	return maps.EqualFunc(a, b, func(x, y tensor.View) bool {
		return x.DType == y.DType && slices.Equal(x.Shape, y.Shape) && bytes.Equal(x.Data, y.Data)
	})
}

func TestTakeAndFinish(t *testing.T) {
	c, err := Open(newFolder(t, micro(), InitOptions{}))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if v, err := c.Take(embedTokens, -1, 8); err != nil || !slices.Equal(v.Shape, []int{16, 8}) || v.DType != tensor.F32 || len(v.Data) != 512 {
		t.Errorf("Take = %v %v, %v", v.DType, v.Shape, err)
	}
	for want, take := range map[string]func() (tensor.View, error){
		"taken twice":                func() (tensor.View, error) { return c.Take(embedTokens, 16, 8) },
		"no such tensor":             func() (tensor.View, error) { return c.Take("model.x", 1) },
		"shape [16 8], want [any 9]": func() (tensor.View, error) { return c.Take(lmHead, -1, 9) },
	} {
		if _, err := take(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	// 83 tensors (spec/model.md §15), one of them taken.
	if err := c.Finish(); err == nil || !strings.Contains(err.Error(), "82 tensors were not used: lm_head.weight, ") || !strings.Contains(err.Error(), "and 62 more") {
		t.Errorf("Finish: %v", err)
	}
	if !c.Has(lmHead) || c.Has("model.x") || len(c.Names()) != 83 || c.Bytes() != 4*c.Config.Parameters() {
		t.Errorf("%d names, %d bytes", len(c.Names()), c.Bytes())
	}
}

// Folders that were saved in other ways hold the same model.
func TestOpenHistory(t *testing.T) {
	plain := newFolder(t, micro(), InitOptions{})
	want := contents(t, plain)
	for name, change := range map[string]func(w weights){
		"computed tables are ignored": func(w weights) {
			w["model.text_model.layers.0.self_attn.rotary_emb.inv_freq"] = tensor.View{DType: tensor.F32, Shape: []int{1}, Data: make([]byte, 4)}
			w["model.vision_model.embeddings.position_ids"] = tensor.View{DType: tensor.I64, Shape: []int{1, 1}, Data: make([]byte, 8)}
		},
		"the authors' training format": func(w weights) {
			for _, key := range slices.Collect(maps.Keys(w)) {
				for from, to := range map[string]string{
					"model.text_model.layers.": "model.layers.", "model.text_model.norm.": "model.norm.",
					"model.connector.perceiver_resampler.": "model.perceiver_resampler.", "model.connector.modality_projection.": "model.modality_projection.",
				} {
					if rest, ok := strings.CutPrefix(key, from); ok {
						w.rename(key, to+rest)
					}
				}
			}
			w["model.embed_tokens.weight"], w["model.embed_tokens.additional_embedding.weight"] = rows(w[embedTokens], 0, 13), rows(w[embedTokens], 13, 16)
			delete(w, embedTokens)
			w[lmHead], w["additional_fc.weight"] = rows(w[lmHead], 0, 13), rows(w[lmHead], 13, 16)
		},
		"its head under another name": func(w weights) {
			w["lm_head.linear.weight"], w["lm_head.additional_fc.weight"] = rows(w[lmHead], 0, 1), rows(w[lmHead], 1, 16)
			delete(w, lmHead)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := newFolder(t, micro(), InitOptions{})
			path := filepath.Join(dir, singleFile)
			w := load(t, path)
			change(w)
			w.save(t, path)
			if !same(contents(t, dir), want) {
				t.Error("the tensors differ")
			}
		})
	}
	t.Run("shards", func(t *testing.T) {
		if !same(contents(t, newFolder(t, micro(), InitOptions{ShardSize: 4000})), want) {
			t.Error("the tensors differ")
		}
	})
	t.Run("a single file wins over shards", func(t *testing.T) {
		dir := newFolder(t, micro(), InitOptions{ShardSize: 4000})
		if err := os.Remove(filepath.Join(dir, "model-00001-of-00006.safetensors")); err != nil {
			t.Fatal(err)
		}
		want.save(t, filepath.Join(dir, singleFile))
		if !same(contents(t, dir), want) {
			t.Error("the tensors differ")
		}
	})
}

// An enlarged vocabulary loads, whatever config.json says.
func TestOpenVocabulary(t *testing.T) {
	dir := newFolder(t, micro(), InitOptions{})
	replaceIn(t, filepath.Join(dir, "config.json"), `"vocab_size": 16`, `"vocab_size": 7`)
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.Config.Text.VocabSize != 16 {
		t.Errorf("vocabulary of %d, want the table's 16", c.Config.Text.VocabSize)
	}
}

// Either flag ties, unless both tables are there (spec/checkpoint.md §2.2).
func TestOpenTied(t *testing.T) {
	const top, text = "\n  \"tie_word_embeddings\": ", "\n    \"tie_word_embeddings\": " // told apart by their indent
	for _, head := range []bool{false, true} {
		for _, flag := range []string{top, text} {
			dir := newFolder(t, micro(), InitOptions{})
			replaceIn(t, filepath.Join(dir, "config.json"), flag+"false", flag+"true")
			path := filepath.Join(dir, singleFile)
			w := load(t, path)
			if !head {
				delete(w, lmHead)
			}
			w.save(t, path)
			c, err := Open(dir)
			if err != nil {
				t.Errorf("head %v, %q: %v", head, flag, err)
				continue
			}
			if c.Config.Tied == head || c.Has(lmHead) != head {
				t.Errorf("head %v, %q: Tied %v, Has %v", head, flag, c.Config.Tied, c.Has(lmHead))
			}
			c.Close()
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	const q = "model.text_model.layers.0.self_attn.q_proj.weight"
	const norm = "model.text_model.norm.weight"
	// weight changes the tensors of the single file, file the folder.
	weight := func(change func(w weights)) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, singleFile)
			w := load(t, path)
			change(w)
			w.save(t, path)
		}
	}
	rename := func(from, to string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			if err := os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := []struct {
		name   string
		change func(t *testing.T, dir string)
		want   []string
	}{
		{"missing", weight(func(w weights) { delete(w, norm); delete(w, q) }), []string{"2 missing: ", norm, q}},
		{"no head", weight(func(w weights) { delete(w, lmHead) }), []string{"1 missing: lm_head.weight", "base model"}},
		{"extra", weight(func(w weights) { w["model.text_model.layers.2.input_layernorm.weight"] = w[norm] }),
			[]string{"1 not part of the model", `"model.text_model.layers.2.input_layernorm.weight" in model.safetensors`}},
		{"many extra", weight(func(w weights) {
			for i := range 50 {
				w[fmt.Sprintf("extra.%02d", i)] = w[norm]
			}
		}), []string{"50 not part of the model", "extra.19", "and 30 more"}},
		{"shape", weight(func(w weights) { w[q] = tensor.View{DType: tensor.F32, Shape: []int{4, 16}, Data: w[q].Data} }),
			[]string{"1 of another shape", q, "[4 16], want [8 8]"}},
		{"rank", weight(func(w weights) { w[norm] = tensor.View{DType: tensor.F32, Shape: []int{8, 1}, Data: w[norm].Data} }),
			[]string{norm, "[8 1], want [8]"}},
		{"head of another vocabulary", weight(func(w weights) { w[lmHead] = rows(w[lmHead], 0, 15) }), []string{lmHead, "[15 8], want [16 8]"}},
		{"table of rank 1", weight(func(w weights) { w[embedTokens] = w[norm] }), []string{embedTokens, "[8], want [16 8]"}},
		{"type", weight(func(w weights) {
			w[norm] = tensor.View{DType: tensor.I8, Shape: []int{8}, Data: make([]byte, 8)}
		}), []string{"1 not of type F32, F16 or BF16", norm, "I8"}},
		{"everything at once", weight(func(w weights) {
			delete(w, norm)
			w["more"] = w[q]
			w[lmHead] = rows(w[lmHead], 0, 15)
		}), []string{"missing", "another shape", "not part of the model"}},
		{"two names of one tensor", weight(func(w weights) { w["model.norm.weight"] = w[norm] }), []string{"are the same tensor", "model.norm.weight"}},
		{"base names and a head", weight(func(w weights) { w.rename(norm, "text_model.norm.weight") }), []string{"corrupted", "text_model.norm.weight"}},
		{"base names", weight(func(w weights) { w.rename(norm, "text_model.norm.weight"); delete(w, lmHead) }), []string{"1 missing: lm_head.weight"}},
		{"extra rows without table", weight(func(w weights) {
			w.rename(embedTokens, "model.embed_tokens.additional_embedding.weight")
		}), []string{"adds rows to", "not there"}},
		{"extra rows of another width", weight(func(w weights) {
			w["additional_fc.weight"] = reshape(w["model.connector.modality_projection.up_proj.weight"], 24, 4)
		}),
			[]string{"additional_fc.weight", "[24 4]", "rows like those"}},
		{"image token outside the vocabulary", func(t *testing.T, dir string) {
			replaceIn(t, filepath.Join(dir, "config.json"), `"image_token_id": 9`, `"image_token_id": 16`)
		}, []string{"image_token_id: found 16, want less than 16"}},
		{"configuration of more layers", func(t *testing.T, dir string) {
			replaceIn(t, filepath.Join(dir, "config.json"), `"num_hidden_layers": 2`, `"num_hidden_layers": 3`)
		}, []string{"missing", "layers.2.", "is it another model's?"}},
		{"truncated", func(t *testing.T, dir string) {
			path := filepath.Join(dir, singleFile)
			if err := os.Truncate(path, 12345); err != nil {
				t.Fatal(err)
			}
		}, []string{singleFile, "truncated"}},
		{"no weights", func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, singleFile)) }, []string{"no weights"}},
		{"pickle", rename(singleFile, "pytorch_model.bin"), []string{"pytorch_model.bin", "never opened", "save_pretrained"}},
		{"pickle in shards", rename(singleFile, "pytorch_model-00001-of-00002.bin"), []string{"never opened"}},
		{"adapter", rename(singleFile, "adapter_model.safetensors"), []string{"adapter"}},
		{"GGUF", rename(singleFile, "idefics2.gguf"), []string{"GGUF"}},
		{"a shard without index", rename(singleFile, "model-00001-of-00002.safetensors"), []string{"model-00001-of-00002.safetensors", "neither"}},
		{"no config", rename("config.json", "config.txt"), []string{"no config.json"}},
		{"config is a folder", func(t *testing.T, dir string) {
			rename("config.json", "config.txt")(t, dir)
			if err := os.Mkdir(filepath.Join(dir, "config.json"), 0o700); err != nil {
				t.Fatal(err)
			}
		}, []string{"config.json", "not a regular file"}},
		{"huge config", func(t *testing.T, dir string) {
			if err := os.Truncate(filepath.Join(dir, "config.json"), maxJSON+1); err != nil {
				t.Fatal(err)
			}
		}, []string{"config.json", "want at most 67108864"}},
		{"image tokens", func(t *testing.T, dir string) {
			replaceIn(t, filepath.Join(dir, "processor_config.json"), `"image_seq_len": 2`, `"image_seq_len": 64`)
		}, []string{"image_seq_len: found 64, want 2"}},
	}
	whole := newFolder(t, micro(), InitOptions{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := copyOf(t, whole)
			tt.change(t, dir)
			refused(t, dir, tt.want...)
		})
	}
	refused(t, filepath.Join(t.TempDir(), "none"), "none")
}

func reshape(v tensor.View, shape ...int) tensor.View {
	return tensor.View{DType: v.DType, Shape: shape, Data: v.Data}
}

func refused(t *testing.T, dir string, wants ...string) {
	t.Helper()
	c, err := Open(dir)
	if err == nil {
		c.Close()
		t.Fatal("the folder opened")
	}
	for _, want := range append(wants, "checkpoint: ", dir) {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q, want it to say %q", err, want)
		}
	}
}

func TestIndexRefuses(t *testing.T) {
	const norm = "model.text_model.norm.weight"
	index := func(change func(x map[string]string)) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, indexFile)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			x, err := parseIndex(data)
			if err != nil {
				t.Fatal(err)
			}
			change(x)
			if data, err = json.Marshal(map[string]any{"weight_map": x}); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	text := func(content string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, indexFile), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := []struct {
		name   string
		change func(t *testing.T, dir string)
		want   string
	}{
		{"parent folder", index(func(x map[string]string) { x[norm] = "../model.safetensors" }), "want a plain name"},
		{"absolute", index(func(x map[string]string) { x[norm] = "/etc/model.safetensors" }), "want a plain name"},
		{"below", index(func(x map[string]string) { x[norm] = "a/model.safetensors" }), "want a plain name"},
		{"backslash", index(func(x map[string]string) { x[norm] = `a\model.safetensors` }), "want a plain name"},
		{"drive", index(func(x map[string]string) { x[norm] = `c:model.safetensors` }), "want a plain name"},
		{"hidden", index(func(x map[string]string) { x[norm] = ".safetensors" }), "want a plain name"},
		{"pickle", index(func(x map[string]string) { x[norm] = "pytorch_model.bin" }), "want a plain name"},
		{"empty", index(func(x map[string]string) { x[norm] = "" }), "want a plain name"},
		{"missing shard", index(func(x map[string]string) { x[norm] = "model-00009-of-00009.safetensors" }), "1 of the 7 files"},
		{"another shard", index(func(x map[string]string) { x[norm] = x["model.vision_model.post_layernorm.weight"] }), "says that it is in"},
		{"name in no shard", index(func(x map[string]string) { x["more"] = x[norm] }), `"more" is not in`},
		{"too many shards", index(func(x map[string]string) {
			for i := range maxShards + 1 {
				x[fmt.Sprint(i)] = fmt.Sprintf("%d.safetensors", i)
			}
		}), "want at most 4096"},
		{"no JSON", text("weights"), "want an object"},
		{"no map", text(`{"metadata":{}}`), "no weight_map"},
		{"map of numbers", text(`{"weight_map":{"x":1}}`), "want a string"},
		{"repeated name", text(`{"weight_map":{"x":"a.safetensors","x":"a.safetensors"}}`), "repeated"},
		{"a tensor in two shards", func(t *testing.T, dir string) {
			path := filepath.Join(dir, "model-00001-of-00006.safetensors")
			w := load(t, path)
			w["model.norm.weight"] = tensor.View{DType: tensor.F32, Shape: []int{8}, Data: make([]byte, 32)}
			w.save(t, path)
		}, "are the same tensor"},
		{"a tensor that the index does not know", func(t *testing.T, dir string) {
			path := filepath.Join(dir, "model-00001-of-00006.safetensors")
			w := load(t, path)
			w["more"] = tensor.View{DType: tensor.F32, Shape: []int{8}, Data: make([]byte, 32)}
			w.save(t, path)
		}, "1 not part of the model"},
	}
	whole := newFolder(t, micro(), InitOptions{ShardSize: 4000})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := copyOf(t, whole)
			tt.change(t, dir)
			refused(t, dir, tt.want)
		})
	}
}

// No text of an index leads out of its folder.
func FuzzIndex(f *testing.F) {
	f.Add([]byte(`{"metadata":{"total_size":8},"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}`))
	f.Add([]byte(`{"weight_map":{"a":"../x.safetensors"}}`))
	f.Add([]byte(`{"weight_map":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		x, err := parseIndex(data)
		if err != nil {
			return
		}
		for name, file := range x {
			if filepath.Base(file) != file || !filepath.IsLocal(file) || strings.ContainsAny(file, `/\`) {
				t.Errorf("%q is in %q", name, file)
			}
		}
	})
}
