package text

import (
	"fmt"

	"idefics2/checkpoint"
	"idefics2/kernel"
	"idefics2/model/load"
	"idefics2/nn"
)

// Load takes the decoder's tensors. A tied model has no output matrix of its own.
func Load(l *load.Loader, config checkpoint.Config) *Decoder {
	const root = "model.text_model."
	c := config.Text
	width := c.HiddenSize
	d := &Decoder{
		Embed:   nn.Embedding{Name: root + "embed_tokens", W: l.Weight(root+"embed_tokens.weight", c.VocabSize, width)},
		Layers:  make([]Layer, c.Layers),
		Norm:    l.RMSNorm(root+"norm", width, c.RMSNormEps),
		Heads:   c.Heads,
		KVHeads: c.KVHeads,
		HeadDim: c.HeadDim,
		Window:  c.SlidingWindow,
		Tied:    config.Tied,
		Padding: int32(c.PAD),
		Inverse: kernel.RopeFrequencies(c.HeadDim, c.RopeTheta),
	}
	for i := range d.Layers {
		at := fmt.Sprintf("%slayers.%d.", root, i)
		d.Layers[i] = Layer{
			Norm1: l.RMSNorm(at+"input_layernorm", width, c.RMSNormEps),
			Norm2: l.RMSNorm(at+"post_attention_layernorm", width, c.RMSNormEps),
			Q:     l.Linear(at+"self_attn.q_proj", c.Heads*c.HeadDim, width, false),
			K:     l.Linear(at+"self_attn.k_proj", c.KVHeads*c.HeadDim, width, false),
			V:     l.Linear(at+"self_attn.v_proj", c.KVHeads*c.HeadDim, width, false),
			O:     l.Linear(at+"self_attn.o_proj", width, c.Heads*c.HeadDim, false),
			MLP:   l.GatedMLP(at+"mlp", width, c.IntermediateSize, width, c.Activation),
		}
	}
	if config.Tied {
		d.Head = nn.Linear{Name: "lm_head", W: d.Embed.W}
	} else {
		d.Head = l.Linear("lm_head", c.VocabSize, width, false)
	}
	return d
}
