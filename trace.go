package idefics2

import (
	"context"
	"errors"
	"fmt"

	"idefics2/kvcache"
	"idefics2/model"
	"idefics2/model/text"
	"idefics2/nn"
	"idefics2/processor"
	"idefics2/tensor"
)

// Stage receives one stage of a forward pass: its name as the recordings of the reference
// have it, its shape, and its values, which are valid during the call only.
type Stage func(name string, shape []int, values []float32) error

// Trace runs a request's prompt through the model in one pass and shows every stage:
// "image.0.pixels" and all that follows of each crop, then "text.embeddings" to "logits",
// those of all positions.
func (m *Model) Trace(ctx context.Context, r Request, show Stage) error {
	ready, err := m.processor.process(ctx, &r)
	if err != nil {
		return err
	}
	return m.engine.Exclusive(ctx, func(net *model.Model) error {
		return m.trace(ctx, net, ready, show, r.report)
	})
}

func (m *Model) trace(ctx context.Context, net *model.Model, ready *processor.Output, show Stage, report func(stage string, done, total int)) error {
	if err := net.CheckInput(&ready.Input); err != nil {
		return err
	}
	if n, limit := len(ready.Input.IDs), net.Config.Text.MaxPositions; n > limit || n == 0 {
		return fmt.Errorf("idefics2: the prompt has %d tokens, want 1 to %d, the model's positions", n, limit)
	}
	var failed error
	see := nn.Observer(func(stage string, shape []int, values []float32) {
		if failed == nil {
			failed = errors.Join(show(stage, shape, values), ctx.Err())
		}
	})
	latents := tensor.NewMat(len(ready.Input.Crops)*net.Latents(), net.Text.Width())
	at := 0
	for i := range ready.Images {
		for j := range ready.Images[i].Crops {
			crop := &ready.Images[i].Crops[j]
			image := see.Under(fmt.Sprintf("image.%d.", at))
			image("pixels", []int{3, crop.RGB.Height, crop.RGB.Width}, m.processor.Pixels(crop))
			if failed != nil {
				return failed
			}
			net.Encode(latents.Slice(at*net.Latents(), (at+1)*net.Latents()), ready.Input.Crops[at:at+1], image)
			at++
			report("image", at, len(ready.Input.Crops))
		}
	}
	shape := net.Text.CacheShape()
	shape.Type = m.kv
	cache := kvcache.New(shape, 0)
	logits, err := net.Decode([]model.Segment{{
		Segment: text.Segment{Past: cache.NewSequence(), Wanted: len(ready.Input.IDs)},
		IDs:     ready.Input.IDs, Latents: latents,
	}}, see.Under("text."))
	if err != nil {
		return err
	}
	see.Mat("logits", logits)
	return failed
}
