package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"idefics2/tensor"
)

// Blueprint is what a new model is made from: everything in its folder but the
// weights, and the tokenizer, which InitOptions has.
type Blueprint struct {
	Config       Config
	Generation   Generation
	Preprocessor Preprocessor
	ChatTemplate string
}

// ReleasedChatTemplate is the chat template of HuggingFaceM4/idefics2-8b.
const ReleasedChatTemplate = "{% for message in messages %}{{message['role'].capitalize()}}{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}" +
	"{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}" +
	"{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"

// presets are the sizes that have names. All but the base model take the released
// tokenizer of 32003 words.
var presets = []struct {
	name  string
	about string
	make  func() Blueprint
}{
	{"idefics2-8b", "the released model, 8.4 billion parameters", released},
	{"idefics2-8b-base", "the released base model: no <end_of_utterance>, no splitting", base},
	{"small", "45 million parameters, for experiments", small},
	{"tiny", "5 million parameters, for trying things out", tiny},
}

// Released returns the configuration of HuggingFaceM4/idefics2-8b (spec/model.md §1).
// The perceiver's eps is the one it was trained with.
func Released() Config {
	return Config{
		ImageTokenID: 32001,
		DType:        tensor.F32,
		Vision: Vision{
			HiddenSize: 1152, IntermediateSize: 4304, Layers: 27, Heads: 16, Channels: 3,
			ImageSize: 980, PatchSize: 14, Activation: GELUTanh, LayerNormEps: 1e-6,
		},
		Perceiver: Perceiver{
			HiddenSize: 4096, Latents: 64, Depth: 3, Heads: 16, HeadDim: 96, KVHeads: 4,
			Activation: SiLU, RMSNormEps: 1e-5,
		},
		Text: Text{
			VocabSize: 32003, HiddenSize: 4096, IntermediateSize: 14336, Layers: 32, Heads: 32, KVHeads: 8, HeadDim: 128,
			MaxPositions: 32768, Activation: SiLU, RMSNormEps: 1e-5, RopeTheta: 10000, SlidingWindow: 4096,
			BOS: 1, PAD: 0, EOS: []int{2}, InitializerRange: 0.02,
		},
	}
}

func released() Blueprint {
	p := DefaultPreprocessor()
	p.Split = true
	return Blueprint{
		Config:       Released(),
		Generation:   Generation{BOS: 1, PAD: 0, EOS: []int{2, 32002}, BadWords: [][]int{{32000}, {32001}}},
		Preprocessor: p,
		ChatTemplate: ReleasedChatTemplate,
	}
}

func base() Blueprint {
	b := released()
	b.Config.Text.VocabSize = 32002
	b.Generation.EOS = []int{2}
	b.Preprocessor.Split = false
	b.ChatTemplate = "" // it continues text and knows no turns
	return b
}

func small() Blueprint {
	b := released()
	c := &b.Config
	c.Vision.HiddenSize, c.Vision.IntermediateSize, c.Vision.Layers, c.Vision.Heads = 256, 1024, 6, 4
	c.Text.HiddenSize, c.Text.IntermediateSize, c.Text.Layers = 384, 1024, 6
	c.Text.Heads, c.Text.KVHeads, c.Text.HeadDim = 6, 2, 64
	c.Perceiver.HiddenSize, c.Perceiver.Depth = 384, 2
	c.Perceiver.Heads, c.Perceiver.KVHeads, c.Perceiver.HeadDim = 6, 2, 64
	return b
}

func tiny() Blueprint {
	b := released()
	c := &b.Config
	c.Vision.HiddenSize, c.Vision.IntermediateSize, c.Vision.Layers, c.Vision.Heads = 48, 96, 2, 3
	c.Text.HiddenSize, c.Text.IntermediateSize, c.Text.Layers = 64, 160, 2
	c.Text.Heads, c.Text.KVHeads, c.Text.HeadDim = 4, 2, 16
	c.Perceiver.HiddenSize, c.Perceiver.Depth = 64, 1
	c.Perceiver.Heads, c.Perceiver.KVHeads, c.Perceiver.HeadDim = 4, 2, 16
	return b
}

// Presets lists the names that LoadBlueprint knows, each with a line about it.
func Presets() (list [][2]string) {
	for _, p := range presets {
		list = append(list, [2]string{p.name, p.about})
	}
	return list
}

// LoadBlueprint returns the preset of that name, or reads a config.json, given by its
// path or its folder, and what lies beside it: generation_config.json,
// preprocessor_config.json and a chat template. Where one of those is missing the
// released model's is taken, but for ids, which the configuration has.
func LoadBlueprint(nameOrPath string) (Blueprint, error) {
	for _, p := range presets {
		if p.name == nameOrPath {
			return p.make(), nil
		}
	}
	dir := nameOrPath
	if strings.HasSuffix(dir, ".json") {
		if filepath.Base(dir) != "config.json" {
			return loadConfigAlone(dir)
		}
		dir = filepath.Dir(dir)
	}
	if _, err := os.Stat(nameOrPath); errors.Is(err, fs.ErrNotExist) {
		var names []string
		for _, p := range presets {
			names = append(names, p.name)
		}
		return Blueprint{}, fmt.Errorf("checkpoint: configuration %q: no such file, and not one of %s", nameOrPath, strings.Join(names, ", "))
	}
	f, err := ReadFolder(dir)
	if err != nil {
		return Blueprint{}, err
	}
	b := released()
	b.Config, b.Generation = f.Config, f.Generation
	if _, err := f.File("preprocessor_config.json"); err == nil {
		b.Preprocessor = f.Preprocessor
	}
	if f.ChatTemplate != "" {
		b.ChatTemplate = f.ChatTemplate
	}
	return b, nil
}

// loadConfigAlone reads a configuration under another name, which says nothing about
// the files beside it.
func loadConfigAlone(path string) (Blueprint, error) {
	data, err := readBounded(path)
	if err != nil {
		return Blueprint{}, err
	}
	b := released()
	if b.Config, err = parseConfig(data); err != nil {
		return Blueprint{}, fmt.Errorf("checkpoint: %s: %w", path, err)
	}
	b.Generation = DefaultGeneration(b.Config)
	return b, nil
}
