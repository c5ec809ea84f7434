package main

import (
	"idefics2/checkpoint"
	"idefics2/engine"
	"idefics2/kvcache"
	"idefics2/tensor"
)

// use is what somebody wants to do with a model.
type use struct {
	Context int `json:"context"` // tokens of the longest conversation, images and answer included
	Images  int `json:"images"`  // pictures in it
	Batch   int `json:"batch"`   // conversations at once

	KV tensor.DType `json:"-"` // of keys and values, see kvcache.Shape
}

// plan is the memory that a use needs, in bytes. It follows what the packages hold: see
// the Scratch of model/vision, model/connector and model/text, and package kvcache.
type plan struct {
	use
	Weights int64 `json:"weights"`         // mapped from the files; the system may drop and read them again
	Cache   int64 `json:"keys_and_values"` // for every token
	Pixels  int64 `json:"pixels"`          // patches of the pictures that wait
	Vision  int64 `json:"vision"`          // one pass of the tower and the resampler
	Text    int64 `json:"text"`            // one pass of the decoder
	Latents int64 `json:"latents"`         // of all pictures
	Total   int64 `json:"total"`
}

// cropsPerImage is what splitting makes of a picture.
const cropsPerImage = 5

// planFor computes the memory of a use, with the largest pictures that the model takes.
func planFor(c checkpoint.Config, pre checkpoint.Preprocessor, weights int64, u use) plan {
	p := plan{use: u, Weights: weights}
	v, r, t := c.Vision, c.Perceiver, c.Text
	side := min(pre.LongestEdge/v.PatchSize, v.Side())
	patches := int64(max(1, side)) * int64(max(1, side))
	images := int64(u.Images) * int64(u.Batch)
	crops := images
	if pre.Split {
		crops *= cropsPerImage
	}
	pages := (int64(u.Context) + kvcache.PageLen - 1) / kvcache.PageLen
	page := kvcache.Shape{Layers: t.Layers, Heads: t.KVHeads, Dim: t.HeadDim, Type: u.KV}.PageBytes()
	p.Cache = int64(u.Batch) * pages * int64(page)
	if crops > 0 {
		p.Pixels = 4 * crops * patches * 3 * int64(v.PatchSize) * int64(v.PatchSize)
		tower := patches * int64(8*v.HiddenSize+v.IntermediateSize)
		projection := patches * int64(2*t.HiddenSize+2*t.IntermediateSize+2*r.KVHeads*r.HeadDim)
		p.Vision = 4 * (tower + projection)
		p.Latents = 4 * crops * int64(r.Latents) * int64(r.HiddenSize)
	}
	rows := min(int64(u.Context)*int64(u.Batch), engine.DefaultPassRows)
	p.Text = 4 * (rows*int64(4*t.HiddenSize+2*t.Heads*t.HeadDim+2*t.KVHeads*t.HeadDim+2*t.IntermediateSize) +
		int64(u.Batch)*int64(t.HiddenSize+t.VocabSize))
	p.Total = p.Weights + p.Cache + p.Pixels + p.Vision + p.Text + p.Latents
	return p
}

// print writes the plan in a form to be read.
func (p plan) print(w *printer) {
	w.printf("memory for %d × %d tokens with %d pictures each\n", p.Batch, p.Context, p.Images)
	for _, line := range []struct {
		name  string
		bytes int64
	}{
		{"weights (mapped)", p.Weights}, {"keys and values", p.Cache}, {"pixels", p.Pixels}, {"vision pass", p.Vision},
		{"text pass", p.Text}, {"latents", p.Latents}, {"total", p.Total},
	} {
		w.printf("  %-18s %10s\n", line.name, size(line.bytes))
	}
}
