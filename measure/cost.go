package measure

import "idefics2/checkpoint"

// The operations of each stage, from the sizes of its matrices (spec/model.md §13): a product
// of n rows with [out, in] is 2·n·out·in, attention 4 operations for each pair of query and
// key and each element of a head. Norms, activations and sums are left out.

// textWeights counts the elements of one decoder layer's matrices, and of the output matrix.
func textWeights(t checkpoint.Text) (layer, head float64) {
	c := float64(t.HiddenSize)
	q, kv := float64(t.Heads*t.HeadDim), float64(t.KVHeads*t.HeadDim)
	return 2*c*q + 2*c*kv + 3*c*float64(t.IntermediateSize), c * float64(t.VocabSize)
}

// textOperations of a pass of rows in sequences of equal length, which end at a context of
// all keys; one row of each sequence gives logits.
func textOperations(t checkpoint.Text, sequences, rows, context int) float64 {
	layer, head := textWeights(t)
	pairs := 0
	for i := range rows {
		keys := context - rows + i + 1
		if t.SlidingWindow > 0 {
			keys = min(keys, t.SlidingWindow)
		}
		pairs += keys
	}
	attention := 4 * float64(pairs) * float64(t.Heads*t.HeadDim)
	return float64(sequences) * (float64(t.Layers)*(2*float64(rows)*layer+attention) + 2*head)
}

// towerWeights counts the elements of the vision tower's matrices.
func towerWeights(v checkpoint.Vision) float64 {
	c := float64(v.HiddenSize)
	return float64(v.Layers)*(4*c*c+2*c*float64(v.IntermediateSize)) + patchWeights(v)
}

func patchWeights(v checkpoint.Vision) float64 {
	return float64(v.HiddenSize * v.Channels * v.PatchSize * v.PatchSize)
}

// towerOperations of crops of so many patches.
func towerOperations(v checkpoint.Vision, crops []int) (sum float64) {
	for _, n := range crops {
		sum += 2*float64(n)*towerWeights(v) + 4*float64(n)*float64(n)*float64(v.HiddenSize*v.Layers)
	}
	return sum
}

// connectorCost of one crop of n patches.
func connectorCost(c checkpoint.Config, n int) (weights, operations float64) {
	p, patches, latents := c.Perceiver, float64(n), float64(c.Perceiver.Latents)
	width, q, kv := float64(p.HiddenSize), float64(p.Heads*p.HeadDim), float64(p.KVHeads*p.HeadDim)
	projection := float64(c.Text.IntermediateSize) * (2*float64(c.Vision.HiddenSize) + width)
	mlp := 3 * width * float64(p.IntermediateSize())
	weights = projection + float64(p.Depth)*(2*width*q+2*width*kv+mlp)
	layer := 2*latents*(2*width*q+mlp) + 2*(patches+latents)*2*width*kv + 4*latents*(patches+latents)*q
	return weights, 2*patches*projection + float64(p.Depth)*layer
}
