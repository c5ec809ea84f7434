package checkpoint

import (
	"fmt"
	"strings"

	"idefics2/internal/strictjson"
	"idefics2/tensor"
)

// Config holds a model's sizes and constants: config.json with the defaults of the
// reference filled in (spec/model.md §1, transformers configuration_idefics2.py and
// configuration_mistral.py).
type Config struct {
	ImageTokenID int          // the placeholder that an image's latents replace
	DType        tensor.DType // type that the weights were saved in; Invalid where the file does not say
	Tied         bool         // lm_head shares the embedding table, unless the file holds both
	Quantization Quantization // of the matrices that are not stored as floats; not marshalled
	Vision       Vision
	Perceiver    Perceiver
	Text         Text
}

// Vision is the SigLIP tower: patches to features [patches, HiddenSize].
type Vision struct {
	HiddenSize       int
	IntermediateSize int
	Layers           int
	Heads            int // each of HiddenSize/Heads
	Channels         int // always 3
	ImageSize        int // with PatchSize gives the side of the position table, Side
	PatchSize        int
	Activation       Activation
	LayerNormEps     float64
}

// HeadDim returns the size of one attention head.
func (v Vision) HeadDim() int { return v.HiddenSize / v.Heads }

// Side returns the rows, and columns, of the position table: 70 in the released model.
func (v Vision) Side() int { return v.ImageSize / v.PatchSize }

// Perceiver is the resampler: an image's features to Latents vectors of HiddenSize.
type Perceiver struct {
	HiddenSize int // always that of Text
	Latents    int // vectors an image becomes
	Depth      int // layers
	Heads      int
	HeadDim    int // Heads × HeadDim need not be HiddenSize
	KVHeads    int
	Activation Activation
	RMSNormEps float64
}

// IntermediateSize returns the width of the resampler's feed-forward layers.
func (p Perceiver) IntermediateSize() int { return 4 * p.HiddenSize }

// Text is the Mistral decoder.
type Text struct {
	VocabSize        int // of the embedding table once a checkpoint is open, whatever the file says
	HiddenSize       int
	IntermediateSize int
	Layers           int
	Heads            int
	KVHeads          int
	HeadDim          int // Heads × HeadDim need not be HiddenSize
	MaxPositions     int
	Activation       Activation
	RMSNormEps       float64
	RopeTheta        float64
	SlidingWindow    int // keys that a query sees, itself included; 0 for all
	BOS, PAD         int // -1 for none
	EOS              []int
	InitializerRange float64 // standard deviation of a new model's weights, all of them
}

// Activation is one of the four functions that Idefics2 models are made with.
type Activation uint8

// The activations.
const (
	SiLU     Activation = iota + 1 // u / (1 + e^-u)
	GELUTanh                       // 0.5u(1 + tanh(√(2/π)(u + 0.044715u³)))
	GELU                           // u·Φ(u), by erf
	ReLU                           // max(u, 0)
)

// activations has the reference's names (transformers activations.py, ACT2FN) of what
// we compute: those first that a config.json of ours says. Names of one function in
// different arithmetic are one here.
var activations = []struct {
	name string
	act  Activation
}{
	{"silu", SiLU}, {"swish", SiLU},
	{"gelu_pytorch_tanh", GELUTanh}, {"gelu_new", GELUTanh}, {"gelu_fast", GELUTanh},
	{"gelu_accurate", GELUTanh}, {"gelu_python_tanh", GELUTanh},
	{"gelu", GELU}, {"gelu_python", GELU},
	{"relu", ReLU},
}

// String returns the name that config.json uses.
func (a Activation) String() string {
	for _, known := range activations {
		if known.act == a {
			return known.name
		}
	}
	return fmt.Sprintf("Activation(%d)", uint8(a))
}

// Bounds on sizes: far above any model, low enough that no product of them overflows
// and that a wrong file is refused before anything is allocated.
const (
	maxWidth     = 1 << 20
	maxLayers    = 1 << 12
	maxHeads     = 1 << 12
	maxHeadDim   = 1 << 14
	maxVocab     = 1 << 24
	maxLatents   = 1 << 14
	maxPositions = 1 << 26
	maxImageSide = 1 << 16
	maxTable     = 1 << 24 // entries of the position table
)

// ParseConfig reads the text of a config.json. Its error names every field that is
// wrong, what was found and what was wanted.
func ParseConfig(data []byte) (Config, error) {
	c, err := parseConfig(data)
	if err != nil {
		return Config{}, fmt.Errorf("checkpoint: config.json: %w", err)
	}
	return c, nil
}

func parseConfig(data []byte) (Config, error) {
	o, err := parseObject(data)
	if err != nil {
		return Config{}, err
	}
	checkArchitecture(o)
	if err := o.err(); err != nil {
		return Config{}, err // fields of another architecture mean something else
	}
	c := Config{ImageTokenID: o.int("image_token_id", 32001, 0, maxVocab-1)}
	if q, ok := o.object("quantization_config"); ok {
		c.Quantization = parseQuantization(q)
	}

	vision, _ := o.object("vision_config")
	c.Vision = parseVision(vision)
	text, hasText := o.object("text_config")
	c.Text = parseText(text, hasText)
	perceiver, _ := o.object("perceiver_config")
	c.Perceiver = parsePerceiver(perceiver, c.Text)

	// The reference follows the text's flag alone, and then loads a head that the other
	// flag let the writer leave out at random. Here either flag will do (spec/checkpoint.md §2.2).
	c.Tied = text.bool("tie_word_embeddings", false)
	c.Tied = o.bool("tie_word_embeddings", false) || c.Tied
	c.DType = parseStorage(o)
	if err := o.err(); err != nil {
		return Config{}, err
	}
	return c, c.validate()
}

func checkArchitecture(o object) {
	if t := o.string("model_type", ""); t != "idefics2" {
		o.fail("model_type", "found %q, want \"idefics2\": only Idefics2 models are supported", t)
	}
	o.array("architectures", func(raw []byte) error {
		name, err := scan(raw).String()
		if err == nil && name != "Idefics2ForConditionalGeneration" && name != "Idefics2Model" {
			err = fmt.Errorf("want Idefics2ForConditionalGeneration")
		}
		return err
	})
}

func parseVision(o object) Vision {
	return Vision{
		HiddenSize:       o.int("hidden_size", 768, 1, maxWidth),
		IntermediateSize: o.int("intermediate_size", 3072, 1, maxWidth),
		Layers:           o.int("num_hidden_layers", 12, 1, maxLayers),
		Heads:            o.int("num_attention_heads", 12, 1, maxHeads),
		Channels:         o.int("num_channels", 3, 3, 3),
		ImageSize:        o.int("image_size", 224, 1, maxImageSide),
		PatchSize:        o.int("patch_size", 32, 1, maxImageSide),
		Activation:       parseActivation(o, GELUTanh),
		LayerNormEps:     parseEps(o, "layer_norm_eps", 1e-6),
	}
}

// parseText reads the decoder's part. A text_config that is there takes the defaults
// of MistralConfig; one that is missing, others (spec/model.md §1.4).
func parseText(o object, present bool) Text {
	positions, eps, pad := 131072, 1e-6, -1
	if !present {
		positions, eps, pad = 32768, 1e-5, 0
	}
	if t := o.string("model_type", "mistral"); t != "mistral" {
		o.fail("model_type", "found %q, want \"mistral\"", t)
	}
	t := Text{
		VocabSize:        o.int("vocab_size", 32000, 1, maxVocab),
		HiddenSize:       o.int("hidden_size", 4096, 1, maxWidth),
		IntermediateSize: o.int("intermediate_size", 14336, 1, maxWidth),
		Layers:           o.int("num_hidden_layers", 32, 1, maxLayers),
		Heads:            o.int("num_attention_heads", 32, 1, maxHeads),
		MaxPositions:     o.int("max_position_embeddings", positions, 1, maxPositions),
		Activation:       parseActivation(o, SiLU),
		RMSNormEps:       parseEps(o, "rms_norm_eps", eps),
		RopeTheta:        parseRope(o),
		SlidingWindow:    o.intOrNull("sliding_window", 4096, 0, 1, maxPositions),
		BOS:              o.intOrNull("bos_token_id", 1, -1, 0, maxVocab-1),
		PAD:              o.intOrNull("pad_token_id", pad, -1, -1, maxVocab-1), // -1 was written for none
		EOS:              []int{2},
		InitializerRange: o.float("initializer_range", 0.02, 0, 1),
	}
	if o.has("eos_token_id") {
		t.EOS = o.ints("eos_token_id", 0, maxVocab-1)
	} else if o.kind("eos_token_id") == strictjson.Null {
		t.EOS = nil
	}
	t.KVHeads = o.intOrNull("num_key_value_heads", 8, t.Heads, 1, maxHeads)
	t.HeadDim = o.intOrNull("head_dim", t.HiddenSize/t.Heads, t.HiddenSize/t.Heads, 1, maxHeadDim)
	return t
}

// parsePerceiver reads the resampler's part. Its width is the decoder's: where the
// file says another, the reference overwrites both width and eps.
//
// An eps that is not said is the class default of 1e-6, as recorded from the reference,
// with one exception: a part that does not even say its width was written at release, when
// the resampler took the decoder's eps. The released model's is such a one, and was
// trained with 1e-5 (spec/model.md §1.3.1).
func parsePerceiver(o object, text Text) Perceiver {
	p := Perceiver{
		HiddenSize: text.HiddenSize,
		Latents:    o.int("resampler_n_latents", 64, 1, maxLatents),
		Depth:      o.int("resampler_depth", 3, 1, maxLayers),
		Heads:      o.int("resampler_n_heads", 16, 1, maxHeads),
		HeadDim:    o.int("resampler_head_dim", 96, 1, maxHeadDim),
		KVHeads:    o.int("num_key_value_heads", 4, 1, maxHeads),
		Activation: parseActivation(o, SiLU),
	}
	eps := 1e-6
	if !o.has("hidden_size") {
		eps = text.RMSNormEps
	}
	p.RMSNormEps = parseEps(o, "rms_norm_eps", eps)
	if o.int("hidden_size", 4096, 1, maxWidth) != text.HiddenSize {
		p.RMSNormEps = text.RMSNormEps
	}
	return p
}

func parseActivation(o object, def Activation) Activation {
	name := o.string("hidden_act", def.String())
	for _, known := range activations {
		if known.name == name {
			return known.act
		}
	}
	o.fail("hidden_act", "found %q, want silu, gelu_pytorch_tanh, gelu or relu", name)
	return def
}

// parseEps wants a positive eps: a row of zeros would otherwise become NaN.
func parseEps(o object, key string, def float64) float64 {
	return o.float(key, def, 1e-30, 1)
}

// parseRope returns theta. Version 5 of the reference writes it inside rope_parameters.
func parseRope(o object) float64 {
	const lo, hi = 1e-3, 1e12
	theta := 10000.0
	for _, key := range []string{"rope_scaling", "rope_parameters"} {
		if r, ok := o.object(key); ok {
			if t := r.string("rope_type", r.string("type", "default")); t != "default" {
				o.fail(key, "found type %q, want none or \"default\": scaled rotary embeddings are not supported", t)
			}
			theta = r.float("rope_theta", theta, lo, hi)
		}
	}
	return o.float("rope_theta", theta, lo, hi)
}

// parseStorage reads the type of the weights, under its new name or its old one.
func parseStorage(o object) tensor.DType {
	for _, key := range []string{"dtype", "torch_dtype"} {
		switch name := o.string(key, ""); strings.TrimPrefix(name, "torch.") {
		case "":
			continue
		case "float32":
			return tensor.F32
		case "float16":
			return tensor.F16
		case "bfloat16":
			return tensor.BF16
		default:
			o.fail(key, "found %q, want float32, float16 or bfloat16", name)
		}
	}
	return tensor.Invalid
}

// validate checks what no field says alone.
func (c Config) validate() error {
	v, p, t := c.Vision, c.Perceiver, c.Text
	checks := []struct {
		bad          bool
		field, found string
		want         string
	}{
		{v.HiddenSize%v.Heads != 0, "vision_config.hidden_size", fmt.Sprint(v.HiddenSize),
			fmt.Sprintf("a multiple of num_attention_heads, %d", v.Heads)},
		{v.PatchSize > v.ImageSize, "vision_config.patch_size", fmt.Sprint(v.PatchSize),
			fmt.Sprintf("at most image_size, %d", v.ImageSize)},
		{v.Side() > 0 && v.Side() > maxTable/v.Side(), "vision_config.image_size", fmt.Sprint(v.ImageSize),
			fmt.Sprintf("at most %d positions of patch_size %d", maxTable, v.PatchSize)},
		{p.Heads%p.KVHeads != 0, "perceiver_config.num_key_value_heads", fmt.Sprint(p.KVHeads),
			fmt.Sprintf("a divisor of resampler_n_heads, %d", p.Heads)},
		{p.Heads > maxWidth/p.HeadDim, "perceiver_config.resampler_head_dim", fmt.Sprint(p.HeadDim),
			fmt.Sprintf("at most %d in all %d heads", maxWidth, p.Heads)},
		{t.Heads%t.KVHeads != 0, "text_config.num_key_value_heads", fmt.Sprint(t.KVHeads),
			fmt.Sprintf("a divisor of num_attention_heads, %d", t.Heads)},
		{t.HeadDim < 2 || t.HeadDim%2 != 0, "text_config.head_dim", fmt.Sprint(t.HeadDim),
			"an even number: rotary embedding turns pairs"},
		{t.HeadDim > 0 && t.Heads > maxWidth/t.HeadDim, "text_config.head_dim", fmt.Sprint(t.HeadDim),
			fmt.Sprintf("at most %d in all %d heads", maxWidth, t.Heads)},
	}
	o := object{errs: new([]error)}
	for _, check := range checks {
		if check.bad {
			o.fail(check.field, "found %s, want %s", check.found, check.want)
		}
	}
	return o.err()
}
