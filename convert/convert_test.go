package convert

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"idefics2/checkpoint"
	"idefics2/gguf"
	"idefics2/internal/sections"
	"idefics2/quant"
	"idefics2/tensor"
)

const goldens = "../testdata/golden/"

func open(t testing.TB, path string) *checkpoint.Checkpoint {
	t.Helper()
	c, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// wide makes a model whose decoder's rows are whole blocks of every type.
func wide(t testing.TB) string {
	b, err := checkpoint.LoadBlueprint("tiny")
	if err != nil {
		t.Fatal(err)
	}
	c := &b.Config
	c.Text.VocabSize, c.ImageTokenID = 640, 601
	b.Generation.EOS, b.Generation.BadWords = []int{2}, nil
	c.Text.Heads, c.Text.KVHeads = 16, 4
	c.Text.HiddenSize, c.Text.IntermediateSize = 256, 512
	c.Perceiver.HiddenSize, c.Vision.ImageSize = 256, 98
	dir := filepath.Join(t.TempDir(), "wide")
	if err := checkpoint.Init(t.Context(), dir, b, 1, checkpoint.InitOptions{DType: tensor.F32}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// tree returns the files of a folder by name.
func tree(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if files[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// A folder becomes a file and the file the same folder, to the byte where it was one shard.
func TestRoundTrip(t *testing.T) {
	for _, name := range []string{"tiny", "sharded", "sharded_f16", "variant_tied", "window"} {
		t.Run(name, func(t *testing.T) {
			from := filepath.Join(goldens, name, "checkpoint")
			file, back := filepath.Join(t.TempDir(), "a.gguf"), filepath.Join(t.TempDir(), "back")
			c := open(t, from)
			if err := GGUF(t.Context(), file, c, Options{}); err != nil {
				t.Fatal(err)
			}
			one := open(t, file)
			if err := Folder(t.Context(), back, one, Options{}); err != nil {
				t.Fatal(err)
			}
			was, is := tree(t, from), tree(t, back)
			for file := range was {
				shard := strings.HasPrefix(file, "model")
				if shard && !strings.HasPrefix(name, "sharded") || slices.Contains(checkpoint.FileNames(), file) {
					if !bytes.Equal(was[file], is[file]) {
						t.Errorf("%s differs", file)
					}
				}
			}
			sameTensors(t, c, open(t, back))
			sameTensors(t, c, one)
			if n, err := Check(t.Context(), file, nil); err != nil || n != len(c.Names()) {
				t.Errorf("Check: %d, %v", n, err)
			}
		})
	}
}

func sameTensors(t *testing.T, a, b *checkpoint.Checkpoint) {
	t.Helper()
	if a.Config.Tied != b.Config.Tied || a.ChatTemplate != b.ChatTemplate || !slices.Equal(a.Names(), b.Names()) {
		t.Fatal("another model")
	}
	for _, name := range a.Names() {
		v, _ := a.View(name)
		w, _ := b.View(name)
		if v.DType != w.DType || !slices.Equal(v.Shape, w.Shape) || !bytes.Equal(v.Data, w.Data) {
			t.Errorf("%s: %v %v, want %v %v", name, w.DType, w.Shape, v.DType, v.Shape)
		}
	}
}

// What bitsandbytes stored in 4 bits is stored as its values, and says nothing of 4 bits.
func TestQuantizedSource(t *testing.T) {
	c := open(t, filepath.Join(goldens, "quant", "checkpoint"))
	file, back := filepath.Join(t.TempDir(), "a.gguf"), filepath.Join(t.TempDir(), "back")
	if err := GGUF(t.Context(), file, c, Options{}); err != nil {
		t.Fatal(err)
	}
	if err := Folder(t.Context(), back, open(t, file), Options{}); err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join(back, "config.json"))
	if err != nil || !json.Valid(config) || bytes.Contains(config, []byte("quantization_config")) {
		t.Errorf("config.json: %v\n%s", err, config)
	}
	d := open(t, back)
	for _, name := range c.Names() {
		want, err := c.Take(name, shapeOf(c, name)...)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := d.View(name); !slices.Equal(got.Floats(), want.Floats()) {
			t.Errorf("%s differs", name)
		}
	}
}

func shapeOf(c *checkpoint.Checkpoint, name string) []int {
	s, _ := c.Stored(name)
	return s.Shape
}

// Every type decodes to what its encoder made, and lies where the rules say.
func TestQuantize(t *testing.T) {
	c := open(t, wide(t))
	rule := func(text string) Rule {
		r, err := ParseRule(text)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, typ := range []quant.Type{quant.Q8_0, quant.Q6_K, quant.Q4_K, quant.Q4_0} {
		file := filepath.Join(t.TempDir(), "a.gguf")
		var notes []string
		rules := []Rule{rule("*.layers.1.mlp.down_proj.weight"), rule("resampler=bf16")}
		o := Options{Type: Quantized(typ, rules), Note: func(line string) { notes = append(notes, line) }}
		if err := GGUF(t.Context(), file, c, o); err != nil {
			t.Fatal(err)
		}
		q := open(t, file)
		q.KeepBlocks = true
		for name, want := range map[string]tensor.DType{
			"model.text_model.layers.0.mlp.down_proj.weight":                               typ.DType(),
			"model.text_model.layers.1.mlp.down_proj.weight":                               tensor.F32,
			"model.text_model.layers.0.input_layernorm.weight":                             tensor.F32,
			"model.text_model.embed_tokens.weight":                                         tensor.Q8_0,
			"model.connector.perceiver_resampler.layers.0.self_attn.q_proj.weight":         tensor.BF16,
			"model.vision_model.encoder.layers.0.self_attn.q_proj.weight":                  tensor.BF16, // rows of 48
			"model.vision_model.encoder.layers.0.mlp.fc2.weight":                           tensor.Q8_0, // of 96
			"model.vision_model.embeddings.position_embedding.weight":                      tensor.F32,
			"model.vision_model.embeddings.patch_embedding.weight":                         tensor.F32,
			"model.connector.modality_projection.gate_proj.weight":                         tensor.BF16,
			"model.connector.perceiver_resampler.layers.0.post_attention_layernorm.weight": tensor.F32,
		} {
			v, err := q.Take(name, shapeOf(c, name)...)
			if err != nil || v.DType != want {
				t.Errorf("%v: %s is %v, want %v, %v", typ, name, v.DType, want, err)
				continue
			}
			plain, _ := c.View(name)
			as, _ := quant.OfDType(want)
			data := make([]byte, len(v.Data))
			if err := as.Encode(data, plain.Floats()); err != nil || !bytes.Equal(data, v.Data) {
				t.Errorf("%v: %s differs, %v", typ, name, err)
			}
		}
		if len(notes) != 1 || !strings.Contains(notes[0], "rows of 48 are not whole blocks of q8_0, bf16 instead: model.vision_model.encoder.layers.0.self_attn.q_proj.weight and ") {
			t.Errorf("notes %q", notes)
		}
		// Without KeepBlocks they are decoded, as into a folder.
		back := filepath.Join(t.TempDir(), "back")
		if err := Folder(t.Context(), back, open(t, file), Options{Type: Decoded(quant.F32)}); err != nil {
			t.Fatal(err)
		}
		const down = "model.text_model.layers.0.mlp.down_proj.weight"
		want, err := open(t, file).Take(down, 256, 512)
		got, _ := open(t, back).View(down)
		if err != nil || want.DType != tensor.F32 || !slices.Equal(got.Floats(), want.Floats()) {
			t.Errorf("%v: decoded values differ, %v", typ, err)
		}
	}
}

func TestParseRule(t *testing.T) {
	for _, bad := range []string{"", "=q8_0", "visoin", "vision=q3", "[", "text=", "*=x"} {
		if r, err := ParseRule(bad); err == nil {
			t.Errorf("%q: %v", bad, r)
		}
	}
}

// The decoder alone is what llama.cpp's converter makes of a Mistral.
func TestText(t *testing.T) {
	c := open(t, filepath.Join(goldens, "sharded", "checkpoint"))
	file := filepath.Join(t.TempDir(), "text.gguf")
	if err := Text(t.Context(), file, c, Options{}); err != nil {
		t.Fatal(err)
	}
	g, err := gguf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if a, _ := g.Text("general.architecture"); a != "llama" {
		t.Errorf("architecture %q", a)
	}
	for _, name := range g.Names() {
		if !strings.HasPrefix(name, "blk.") && name != "token_embd.weight" && name != "output_norm.weight" && name != "output.weight" {
			t.Errorf("%s is not of the decoder", name)
		}
		if info, _ := g.Tensor(name); len(info.Shape) == 1 && info.Type != gguf.F32 {
			t.Errorf("%s: vectors want F32", name)
		}
	}
	// Rows 2j and 2j+1 of a head are our rows j and j + D/2.
	q, _ := g.Tensor("blk.0.attn_q.weight")
	v, _ := c.View("model.text_model.layers.0.self_attn.q_proj.weight")
	row, dim := len(v.Data)/v.Shape[0], c.Config.Text.HeadDim
	at := func(data []byte, i int) []byte { return data[i*row : (i+1)*row] }
	for _, r := range []struct{ there, here int }{{0, 0}, {1, dim / 2}, {2, 1}, {dim, dim}, {dim + 3, dim + 1 + dim/2}} {
		if !bytes.Equal(at(q.Data, r.there), at(v.Data, r.here)) {
			t.Errorf("row %d is not our %d", r.there, r.here)
		}
	}
	tokens, err := g.Texts("tokenizer.ggml.tokens")
	scores, _ := g.Floats("tokenizer.ggml.scores")
	kinds, _ := g.Ints("tokenizer.ggml.token_type")
	if err != nil || len(tokens) != c.Config.Text.VocabSize || len(scores) != len(tokens) || len(kinds) != len(tokens) {
		t.Fatalf("%d tokens, %d scores, %d kinds, %v", len(tokens), len(scores), len(kinds), err)
	}
	if tokens[1] != "<s>" || kinds[1] != int(controlToken) || kinds[0] != int(unknownToken) || kinds[slices.Index(tokens, "<0x0A>")] != int(byteToken) {
		t.Error("kinds of tokens")
	}
	if _, err := checkpoint.Open(file); err == nil || !strings.Contains(err.Error(), `architecture "llama"`) {
		t.Errorf("Open of the text alone: %v", err)
	}
	activations := open(t, filepath.Join(goldens, "variant_activations", "checkpoint"))
	if err := Text(t.Context(), file, activations, Options{Force: true}); err == nil || !strings.Contains(err.Error(), "silu") {
		t.Errorf("another activation: %v", err)
	}
}

// What is stopped after each tensor goes on, and ends in the bytes of a run that was not.
func TestResume(t *testing.T) {
	c := open(t, wide(t))
	dir := t.TempDir()
	o := Options{Type: Quantized(quant.Q4_K, nil), Threads: 2}
	if err := GGUF(t.Context(), filepath.Join(dir, "whole.gguf"), c, o); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join(dir, "whole.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "a.gguf")
	stops := 0
	for {
		ctx, cancel := context.WithCancelCause(t.Context())
		o.Progress = func(done, total int64) {
			if done > total*int64(stops)/6 {
				cancel(fs.ErrClosed) // any error
			}
		}
		err := GGUF(ctx, path, c, o)
		cancel(nil)
		if err == nil {
			break
		}
		if stops++; !errors.Is(err, fs.ErrClosed) && !errors.Is(err, context.Canceled) || stops > 30 {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); err == nil {
			t.Fatal("a file before it is whole")
		}
		if stops == 2 { // what was written is damaged while nobody looks
			damage(t, path+".partial", len(want)/9)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) || stops < 3 {
		t.Errorf("%d bytes after %d stops, want the same %d, %v", len(got), stops, len(want), err)
	}
	if names := slices.Sorted(maps.Keys(tree(t, dir))); len(names) != 2 {
		t.Errorf("left behind: %q", names)
	}
}

func damage(t *testing.T, path string, at int) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("damaged bytes"), int64(at)); err != nil {
		t.Fatal(err)
	}
}

// Other settings, or another source, begin anew; a second process is refused.
func TestResumeAnew(t *testing.T) {
	c := open(t, filepath.Join(goldens, "tiny", "checkpoint"))
	path := filepath.Join(t.TempDir(), "a.gguf")
	stop := func(typ quant.Type) {
		ctx, cancel := context.WithCancel(t.Context())
		o := Options{Type: Matrices(typ), Progress: func(done, total int64) {
			if done > total/2 {
				cancel()
			}
		}}
		if err := GGUF(ctx, path, c, o); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	stop(quant.BF16)
	begun := int64(0)
	o := Options{Type: Matrices(quant.F16), Progress: func(done, total int64) {
		if begun == 0 {
			begun = done
		}
		if err := GGUF(t.Context(), path, c, Options{Type: Matrices(quant.F16)}); begun == done && (err == nil || !strings.Contains(err.Error(), "another process")) {
			t.Errorf("a second writer: %v", err)
		}
	}}
	if err := GGUF(t.Context(), path, c, o); err != nil {
		t.Fatal(err)
	}
	if begun > c.Bytes()/3 {
		t.Errorf("began at %d bytes", begun)
	}
	if v, _ := open(t, path).View("lm_head.weight"); v.DType != tensor.F16 {
		t.Errorf("matrices are %v", v.DType)
	}
	if err := GGUF(t.Context(), path, c, Options{}); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Errorf("over a file: %v", err)
	}
	stopped := filepath.Join(filepath.Dir(path), "b.gguf")
	if err := sections.Discard(stopped); err != nil {
		t.Error(err)
	}
}

// Values that no block holds are refused, and named; nothing is left under the name.
func TestInfinite(t *testing.T) {
	dir := wide(t)
	c := open(t, dir)
	values := tree(t, dir)["model.safetensors"]
	v, _ := c.View("model.text_model.layers.0.mlp.down_proj.weight")
	i := bytes.Index(values, v.Data)
	c.Close()
	copy(values[i+4:], []byte{0, 0, 0x80, 0x7f})
	if err := os.WriteFile(filepath.Join(dir, "model.safetensors"), values, 0o666); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "a.gguf")
	err := GGUF(t.Context(), path, open(t, dir), Options{Type: Quantized(quant.Q4_K, nil)})
	if err == nil || !strings.Contains(err.Error(), "model.text_model.layers.0.mlp.down_proj.weight") || !strings.Contains(err.Error(), "Inf") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a file was made")
	}
}

// What is not a model's folder is not replaced, whatever is asked.
func TestTargets(t *testing.T) {
	c := open(t, filepath.Join(goldens, "tiny", "checkpoint"))
	dir := t.TempDir()
	if err := Folder(t.Context(), dir, c, Options{}); err != nil {
		t.Fatalf("into an empty folder: %v", err)
	}
	if err := Folder(t.Context(), dir, c, Options{}); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Errorf("over a model: %v", err)
	}
	if err := Folder(t.Context(), dir, c, Options{Force: true, Type: Matrices(quant.BF16)}); err != nil {
		t.Errorf("over a model, by force: %v", err)
	}
	if err := os.Mkdir(filepath.Join(dir, "photos"), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{dir, "."} {
		if err := Folder(t.Context(), target, c, Options{Force: true}); err == nil || !strings.Contains(err.Error(), "not a model's folder") {
			t.Errorf("%s: %v", target, err)
		}
	}
	if err := GGUF(t.Context(), filepath.Join(dir, "none", "a.gguf"), c, Options{}); err == nil || !strings.Contains(err.Error(), "the folder to make it in") {
		t.Errorf("in a folder that is not there: %v", err)
	}
}

func TestCheckDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.gguf")
	if err := GGUF(t.Context(), path, open(t, filepath.Join(goldens, "tiny", "checkpoint")), Options{}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	damage(t, path, int(info.Size())-100)
	if _, err := Check(t.Context(), path, nil); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("error %v", err)
	}
}

func TestModelName(t *testing.T) {
	for path, want := range map[string]string{
		"/c/models--Owner--idefics2-8b/snapshots/0123": "Owner/idefics2-8b",
		"/a/b/model.gguf": "model", "/a/b/folder": "folder",
	} {
		if got := modelName(filepath.FromSlash(path)); got != want {
			t.Errorf("modelName(%q) = %q, want %q", path, got, want)
		}
	}
}

func ExampleGGUF() {
	dir := "../testdata/golden/tiny/checkpoint"
	out, _ := os.MkdirTemp("", "example")
	defer os.RemoveAll(out)
	from, err := checkpoint.Open(dir)
	if err != nil {
		panic(err)
	}
	defer from.Close()
	file := filepath.Join(out, "tiny.gguf")
	if err := GGUF(context.Background(), file, from, Options{Type: Matrices(quant.BF16)}); err != nil {
		panic(err)
	}
	n, err := Check(context.Background(), file, nil)
	fmt.Println(n, err)
	// Output: 92 <nil>
}
