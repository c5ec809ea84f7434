package checkpoint

import (
	"fmt"
	"strings"
)

// Tensor declares one tensor of a model: its name in transformers 4.57.3 and its
// shape, weights being [out, in] (spec/model.md §12).
type Tensor struct {
	Name  string
	Shape []int

	start start
}

// Matrix reports whether the tensor is a matrix [out, in] that a product reads, or the table
// of words: what may be stored in blocks. Vectors, the latents, the convolution of patches
// and the table of positions are few numbers that much depends on.
func (t Tensor) Matrix() bool {
	return len(t.Shape) == 2 && strings.HasSuffix(t.Name, ".weight") && !strings.HasSuffix(t.Name, ".position_embedding.weight")
}

// start says how a tensor of a new model begins.
type start uint8

const (
	normal     start = iota // of the text's initializer_range
	ones                    // gains of norms
	zeros                   // biases
	embeddings              // normal, but for the row of the padding id, which is zero
)

// The names that the rest of the package knows.
const (
	embedTokens = "model.text_model.embed_tokens.weight"
	lmHead      = "lm_head.weight"
)

// Tensors lists every tensor of the model in the order of its stages: 763 in the
// released one. lm_head is left out of a tied model.
func (c Config) Tensors() []Tensor {
	l := list{}
	l.vision(c.Vision)
	l.connector(c)
	l.text(c.Text)
	if !c.Tied {
		l.add(normal, lmHead, c.Text.VocabSize, c.Text.HiddenSize)
	}
	return l
}

// Parameters returns the number of elements of all tensors: 8,402,768,112 in the released model.
func (c Config) Parameters() int64 {
	n := int64(0)
	for _, t := range c.Tensors() {
		n += t.elements()
	}
	return n
}

func (t Tensor) elements() int64 {
	n := int64(1)
	for _, d := range t.Shape {
		n *= int64(d)
	}
	return n
}

type list []Tensor

func (l *list) add(s start, name string, shape ...int) {
	*l = append(*l, Tensor{name, shape, s})
}

// linear adds a weight [out, in] and its bias [out].
func (l *list) linear(name string, out, in int) {
	l.add(normal, name+".weight", out, in)
	l.add(zeros, name+".bias", out)
}

func (l *list) layerNorm(name string, width int) {
	l.add(ones, name+".weight", width)
	l.add(zeros, name+".bias", width)
}

func (l *list) vision(v Vision) {
	const at = "model.vision_model."
	l.add(normal, at+"embeddings.patch_embedding.weight", v.HiddenSize, v.Channels, v.PatchSize, v.PatchSize)
	l.add(zeros, at+"embeddings.patch_embedding.bias", v.HiddenSize)
	l.add(normal, at+"embeddings.position_embedding.weight", v.Side()*v.Side(), v.HiddenSize)
	for i := range v.Layers {
		layer := fmt.Sprintf("%sencoder.layers.%d.", at, i)
		l.layerNorm(layer+"layer_norm1", v.HiddenSize)
		for _, p := range []string{"q_proj", "k_proj", "v_proj", "out_proj"} {
			l.linear(layer+"self_attn."+p, v.HiddenSize, v.HiddenSize)
		}
		l.layerNorm(layer+"layer_norm2", v.HiddenSize)
		l.linear(layer+"mlp.fc1", v.IntermediateSize, v.HiddenSize)
		l.linear(layer+"mlp.fc2", v.HiddenSize, v.IntermediateSize)
	}
	l.layerNorm(at+"post_layernorm", v.HiddenSize)
}

func (l *list) connector(c Config) {
	const at = "model.connector."
	l.mlp(at+"modality_projection.", c.Vision.HiddenSize, c.Text.IntermediateSize, c.Text.HiddenSize)
	p := c.Perceiver
	const resampler = at + "perceiver_resampler."
	l.add(normal, resampler+"latents", p.Latents, p.HiddenSize)
	for i := range p.Depth {
		layer := fmt.Sprintf("%slayers.%d.", resampler, i)
		l.add(ones, layer+"input_latents_norm.weight", p.HiddenSize)
		l.add(ones, layer+"input_context_norm.weight", p.HiddenSize)
		l.attention(layer+"self_attn.", p.HiddenSize, p.Heads, p.KVHeads, p.HeadDim)
		l.add(ones, layer+"post_attention_layernorm.weight", p.HiddenSize)
		l.mlp(layer+"mlp.", p.HiddenSize, p.IntermediateSize(), p.HiddenSize)
	}
	l.add(ones, resampler+"norm.weight", p.HiddenSize)
}

func (l *list) text(t Text) {
	const at = "model.text_model."
	l.add(embeddings, embedTokens, t.VocabSize, t.HiddenSize)
	for i := range t.Layers {
		layer := fmt.Sprintf("%slayers.%d.", at, i)
		l.add(ones, layer+"input_layernorm.weight", t.HiddenSize)
		l.attention(layer+"self_attn.", t.HiddenSize, t.Heads, t.KVHeads, t.HeadDim)
		l.add(ones, layer+"post_attention_layernorm.weight", t.HiddenSize)
		l.mlp(layer+"mlp.", t.HiddenSize, t.IntermediateSize, t.HiddenSize)
	}
	l.add(ones, at+"norm.weight", t.HiddenSize)
}

// attention adds the four projections of grouped-query attention, which have no biases.
func (l *list) attention(at string, width, heads, kvHeads, headDim int) {
	l.add(normal, at+"q_proj.weight", heads*headDim, width)
	l.add(normal, at+"k_proj.weight", kvHeads*headDim, width)
	l.add(normal, at+"v_proj.weight", kvHeads*headDim, width)
	l.add(normal, at+"o_proj.weight", width, heads*headDim)
}

// mlp adds the three projections of a gated feed-forward, which have no biases.
func (l *list) mlp(at string, in, between, out int) {
	l.add(normal, at+"gate_proj.weight", between, in)
	l.add(normal, at+"up_proj.weight", between, in)
	l.add(normal, at+"down_proj.weight", out, between)
}
