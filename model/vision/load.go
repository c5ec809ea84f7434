package vision

import (
	"fmt"

	"idefics2/checkpoint"
	"idefics2/model/load"
	"idefics2/nn"
)

// Load takes the tower's tensors.
func Load(l *load.Loader, c checkpoint.Vision) *Tower {
	const root = "model.vision_model."
	width := c.HiddenSize
	t := &Tower{
		Patch: nn.Linear{
			Name: root + "embeddings.patch_embedding",
			W:    l.Weight(root+"embeddings.patch_embedding.weight", width, c.Channels, c.PatchSize, c.PatchSize),
			Bias: l.Floats(root+"embeddings.patch_embedding.bias", width),
		},
		Positions: nn.Embedding{Name: root + "embeddings.position_embedding", W: l.Weight(root+"embeddings.position_embedding.weight", c.Side()*c.Side(), width)},
		Layers:    make([]Layer, c.Layers),
		Post:      l.LayerNorm(root+"post_layernorm", width, c.LayerNormEps),
		Heads:     c.Heads,
	}
	for i := range t.Layers {
		at := fmt.Sprintf("%sencoder.layers.%d.", root, i)
		t.Layers[i] = Layer{
			Norm1: l.LayerNorm(at+"layer_norm1", width, c.LayerNormEps),
			Norm2: l.LayerNorm(at+"layer_norm2", width, c.LayerNormEps),
			Q:     l.Linear(at+"self_attn.q_proj", width, width, true),
			K:     l.Linear(at+"self_attn.k_proj", width, width, true),
			V:     l.Linear(at+"self_attn.v_proj", width, width, true),
			O:     l.Linear(at+"self_attn.out_proj", width, width, true),
			MLP: nn.MLP{
				Up:   l.Linear(at+"mlp.fc1", c.IntermediateSize, width, true),
				Down: l.Linear(at+"mlp.fc2", width, c.IntermediateSize, true),
				Act:  l.Activation(c.Activation),
			},
		}
	}
	return t
}
