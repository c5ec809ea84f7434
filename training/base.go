package training

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"idefics2/adapter"
	"idefics2/checkpoint"
	"idefics2/convert"
	"idefics2/defaultmodel"
	"idefics2/hub"
	"idefics2/recipe"
	"idefics2/tensor"
	"idefics2/tokenizer"
)

// path returns where a path of the recipe leads.
func (o *Options) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(o.Base, p)
}

// find returns the folder or file of a model: a path of the recipe, or a name in the local cache.
func (o *Options) find(name string) (string, error) {
	if path := o.path(name); exists(path) {
		return path, nil
	}
	cache := o.Hub
	if cache == nil {
		cache = &hub.Cache{Dir: hub.DefaultDir(os.Getenv)}
	}
	dir, err := cache.Find(name)
	if err != nil {
		return "", fmt.Errorf("model.from: %q is no folder or file beside the recipe, and: %w", name, err)
	}
	return dir, nil
}

// fromDefault reports whether the training begins with the model inside the program.
func (o *Options) fromDefault() bool {
	return o.Recipe.Model.From == defaultmodel.Name && !exists(o.path(defaultmodel.Name))
}

// unpackDefault writes the folder of the default model, which gets its name when it is whole.
func unpackDefault(dir string) (err error) {
	temp, err := os.MkdirTemp(filepath.Dir(dir), ".start-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	if err := os.CopyFS(temp, defaultmodel.Files()); err != nil {
		return err
	}
	return os.Rename(temp, dir)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// tokenizerNames are the files that a new model takes from its tokenizer's folder.
var tokenizerNames = []string{"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "tokenizer.model", "added_tokens.json"}

// maxFile bounds a file of a tokenizer.
const maxFile = 64 << 20

// blueprint returns what the recipe's new model is made from, and the files of its tokenizer. Of a size that
// has a name the vocabulary is the tokenizer's.
func (o *Options) blueprint() (b checkpoint.Blueprint, files map[string][]byte, err error) {
	m := o.Recipe.Model
	named := false
	for _, p := range checkpoint.Presets() {
		named = named || p[0] == m.Config
	}
	config := m.Config
	if !named {
		config = o.path(config)
	}
	if b, err = checkpoint.LoadBlueprint(config); err != nil {
		return b, nil, fmt.Errorf("model.config: %w", err)
	}
	dir := o.path(m.Tokenizer)
	if strings.HasSuffix(dir, ".json") {
		dir = filepath.Dir(dir)
	}
	files = map[string][]byte{}
	for _, name := range append([]string{"chat_template.jinja"}, tokenizerNames...) {
		data, err := readBounded(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) && name != tokenizerNames[0] {
			continue
		}
		if err != nil {
			return b, nil, fmt.Errorf("model.tokenizer: %w", err)
		}
		files[name] = data
	}
	if template, ok := files["chat_template.jinja"]; ok {
		b.ChatTemplate = string(template)
		delete(files, "chat_template.jinja")
	}
	if !named {
		return b, files, nil
	}
	t, err := tokenizer.Parse(files[tokenizerNames[0]])
	if err != nil {
		return b, nil, fmt.Errorf("model.tokenizer: %w", err)
	}
	return b, files, fit(&b, t)
}

// fit gives a named size the vocabulary of a tokenizer.
func fit(b *checkpoint.Blueprint, t *tokenizer.Tokenizer) error {
	b.Config.Text.VocabSize = t.Size()
	for _, want := range []struct {
		token string
		set   func(id int)
	}{
		{"<s>", func(id int) { b.Config.Text.BOS, b.Generation.BOS = id, id }},
		{"</s>", func(id int) { b.Config.Text.EOS, b.Generation.EOS = []int{id}, []int{id} }},
		{"<unk>", func(id int) { b.Config.Text.PAD, b.Generation.PAD = id, id }},
		{"<fake_token_around_image>", func(id int) { b.Generation.BadWords = [][]int{{id}} }},
		{"<image>", func(id int) {
			b.Config.ImageTokenID = id
			b.Generation.BadWords = append(b.Generation.BadWords, []int{id})
		}},
		{"<end_of_utterance>", func(id int) { b.Generation.EOS = append(b.Generation.EOS, id) }},
	} {
		id, ok := t.ID(want.token)
		if !ok {
			return fmt.Errorf("model.tokenizer: there is no token %q; \"idefics2 data vocabulary\" makes one that has it, or give a config.json instead of the name of a size", want.token)
		}
		want.set(int(id))
	}
	return nil
}

// newModel makes the model of random weights that a training begins with, in float32.
func (o *Options) newModel(ctx context.Context, dir string) error {
	b, files, err := o.blueprint()
	if err != nil {
		return err
	}
	return checkpoint.Init(ctx, dir, b, o.Recipe.Seed, checkpoint.InitOptions{DType: tensor.F32, Threads: o.Threads, Files: files})
}

// withFolder calls use with a folder that has all of the model but, where it is new, the weights.
func (o *Options) withFolder(use func(dir string, weights int64) error) error {
	if o.fromDefault() {
		dir, err := os.MkdirTemp("", "idefics2-plan-*")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if err := os.CopyFS(dir, defaultmodel.Files()); err != nil {
			return err
		}
		c, err := checkpoint.OpenFS(defaultmodel.Name, defaultmodel.Files())
		if err != nil {
			return err
		}
		return use(dir, c.Bytes())
	}
	if o.Recipe.Model.From != "" {
		dir, err := o.find(o.Recipe.Model.From)
		if err != nil {
			return err
		}
		c, err := checkpoint.Open(dir)
		if err != nil {
			return err
		}
		weights := o.weights(c)
		if err := c.Close(); err != nil {
			return err
		}
		return use(dir, weights)
	}
	b, files, err := o.blueprint()
	if err != nil {
		return err
	}
	for name, v := range map[string]any{"config.json": b.Config, "generation_config.json": b.Generation, "preprocessor_config.json": b.Preprocessor} {
		if files[name], err = json.Marshal(v); err != nil {
			return err
		}
	}
	if b.ChatTemplate != "" {
		files["chat_template.jinja"] = []byte(b.ChatTemplate)
	}
	dir, err := os.MkdirTemp("", "idefics2-plan-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			return err
		}
	}
	weights := int64(0)
	quantizes := o.nf4()
	for _, t := range b.Config.Tensors() {
		n := int64(4)
		for _, side := range t.Shape {
			n *= int64(side)
		}
		if quantizes != nil && convert.NF4(t) {
			n = nf4Bytes(t)
		}
		weights += n
	}
	return use(dir, weights)
}

// nf4 returns which matrices the recipe wants in 4 bits, or nil for none.
func (o *Options) nf4() func(name string) bool {
	if a := o.Recipe.Adapter; a == nil || a.Base != "nf4" {
		return nil
	}
	return nf4Matrix
}

// nf4Matrix is convert.NF4 for the name of a matrix that a layer loads: only the convolution of patches and the
// table of positions are none of a linear layer.
func nf4Matrix(name string) bool {
	part := convert.PartOf(name)
	return part != "embeddings" && part != "output" && !strings.Contains(name, "patch_embedding") && !strings.Contains(name, "position_embedding")
}

// weights returns the bytes of a model's weights while it is trained.
func (o *Options) weights(c *checkpoint.Checkpoint) (bytes int64) {
	quantizes := o.nf4()
	for _, t := range c.Config.Tensors() {
		s, _ := c.Stored(t.Name)
		if _, plain := c.View(t.Name); plain && quantizes != nil && convert.NF4(t) {
			bytes += nf4Bytes(t)
		} else {
			bytes += s.Bytes
		}
	}
	return bytes
}

// nf4Bytes returns what a matrix takes in NF4 with double quantization: codes, a byte for each block of
// 64, and a float32 for each 256 of these.
func nf4Bytes(t checkpoint.Tensor) int64 {
	n := int64(t.Shape[0]) * int64(t.Shape[1])
	blocks := (n + 63) / 64
	return (n+1)/2 + blocks + 4*((blocks+255)/256)
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s: more than %d bytes", path, maxFile)
	}
	return data, err
}

// adapterConfig is the recipe's adapter as PEFT writes it.
func adapterConfig(r *recipe.Recipe) adapter.Config {
	a := r.Adapter
	return adapter.Config{
		Rank: a.Rank, Alpha: a.Alpha, Dropout: a.Dropout, Pattern: a.Targets,
		DoRA: a.Kind == "dora", RSLoRA: a.RankScaled, Base: r.Model.From,
	}
}
