package connector

import (
	"fmt"

	"idefics2/checkpoint"
	"idefics2/model/load"
	"idefics2/tensor"
)

// Load takes the connector's tensors.
func Load(l *load.Loader, config checkpoint.Config) *Connector {
	const root = "model.connector."
	const resampler = root + "perceiver_resampler."
	c := config.Perceiver
	width := c.HiddenSize
	t := &Connector{
		Projection: l.GatedMLP(root+"modality_projection", config.Vision.HiddenSize, config.Text.IntermediateSize, width, config.Text.Activation),
		Latents:    tensor.Mat{Rows: c.Latents, Cols: width, Data: l.Floats(resampler+"latents", c.Latents, width)},
		Layers:     make([]Layer, c.Depth),
		Norm:       l.RMSNorm(resampler+"norm", width, c.RMSNormEps),
		Heads:      c.Heads,
		KVHeads:    c.KVHeads,
		HeadDim:    c.HeadDim,
	}
	for i := range t.Layers {
		at := fmt.Sprintf("%slayers.%d.", resampler, i)
		t.Layers[i] = Layer{
			LatentNorm:  l.RMSNorm(at+"input_latents_norm", width, c.RMSNormEps),
			ContextNorm: l.RMSNorm(at+"input_context_norm", width, c.RMSNormEps),
			MLPNorm:     l.RMSNorm(at+"post_attention_layernorm", width, c.RMSNormEps),
			Q:           l.Linear(at+"self_attn.q_proj", c.Heads*c.HeadDim, width, false),
			K:           l.Linear(at+"self_attn.k_proj", c.KVHeads*c.HeadDim, width, false),
			V:           l.Linear(at+"self_attn.v_proj", c.KVHeads*c.HeadDim, width, false),
			O:           l.Linear(at+"self_attn.o_proj", width, c.Heads*c.HeadDim, false),
			MLP:         l.GatedMLP(at+"mlp", width, c.IntermediateSize(), width, c.Activation),
		}
	}
	return t
}
