package training

import (
	"errors"
	"fmt"
	"math"

	"idefics2/feed"
	"idefics2/input"
	"idefics2/kvcache"
	"idefics2/model"
	"idefics2/model/text"
	"idefics2/tensor"
)

// ErrNotFinite is what Run returns, wrapped, when a loss is infinite or not a number. Nothing of the step was
// kept, and the checkpoints before it are there.
var ErrNotFinite = errors.New("the loss is not finite")

// notFinite says which example of a sequence has no finite loss, and in which layer that began.
func (j *job) notFinite(b *feed.Batch, i int, loss float64) error {
	where := j.firstNotFinite(&b.Examples[i])
	if where == "" {
		where = "none without the noise of training: lower neftune or the adapter's dropout"
	}
	return fmt.Errorf("step %d: %w: it is %v for example %s (draw %d of the stage, from %s), and the first layer with such a value is %s; nothing of the step was kept. A lower learning rate, a longer warm-up or a smaller clip may help, from the last checkpoint on",
		j.progress.Step+1, ErrNotFinite, loss, b.Origins[i], b.Draws[i], b.Parts[i], where)
}

// firstNotFinite runs an example forward and returns the first stage with a value that is not finite, "" for none.
func (j *job) firstNotFinite(in *input.Input) (where string) {
	see := func(stage string, _ []int, data []float32) {
		if where != "" {
			return
		}
		for _, v := range data {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				where = stage
				return
			}
		}
	}
	latents := tensor.NewMat(len(in.Crops)*j.net.Latents(), j.net.Text.Width())
	for k := range in.Crops {
		n := j.net.Latents()
		j.net.Encode(latents.Slice(k*n, (k+1)*n), in.Crops[k:k+1], func(stage string, shape []int, data []float32) {
			see(fmt.Sprintf("image.%d.%s", k, stage), shape, data)
		})
	}
	past := kvcache.New(j.net.Text.CacheShape(), 0).NewSequence()
	s := model.Segment{Segment: text.Segment{Past: past, Wanted: 1}, IDs: in.IDs, Latents: latents}
	if _, err := j.net.Decode([]model.Segment{s}, func(stage string, shape []int, data []float32) { see("text."+stage, shape, data) }); err != nil && where == "" {
		where = fmt.Sprintf("not found: %v", err)
	}
	return where
}
