package model

import (
	"fmt"
	"math"
	"testing"

	"idefics2/internal/worked"
	"idefics2/kvcache"
	"idefics2/model/text"
	"idefics2/nn"
	"idefics2/sample"
	"idefics2/tensor"
)

// The whole function worked in numbers (spec/model.md §15), under the position ids of
// transformers 4.57 and under the released ones. Values are rounded to six digits.
func TestWorkedModel(t *testing.T) {
	tests := []struct {
		released bool
		want     map[string]map[int][]float64 // stage, row: first components
		loss     float64
	}{
		{false, map[string]map[int][]float64{
			"vision.embeddings": {0: {-3.297468, 3.150318, -3.617747, 2.981521}, 5: {-0.452792, 0.841878, -0.179943, 0.253717}},
			"vision.layer.0":    {0: {-4.218002, 2.513304, -3.925056, 2.845541}},
			"vision.norm":       {0: {-1.438913, 1.134602, -1.029587, 1.090903}, 5: {-1.938596, 1.382992, 0.829031, -0.625707}},
			"projection":        {0: {0.013998, -0.010797, -0.002785, 0.013689}},
			"resampler.layer.0": {0: {-1.165745, -0.334931, 0.682187, -0.883432}},
			"resampler.norm":    {0: {-1.575859, -0.508582, 1.250746, -1.544703, 0.319108, 1.213090, -0.318114, -0.360604}, 1: {-1.197802, -0.684791, 1.254422, -1.689680, -0.230947, 1.401602, -0.486215, -0.114590}},
			"text.layer.0":      {0: {-1.445423, -1.832319, 0.620651, -1.714721}, 6: {0.298240, -0.798387, 0.293287, 0.710657}},
			"text.norm":         {6: {1.482904, -0.740188, 0.679042, 0.942742}},
			"logits":            {0: {-0.267905, -0.291344, -0.184008, 0.005924}, 6: {0.498188, 0.108848, -0.329351, -0.619715, -0.631908, -0.360458, 0.072790, 0.473365, 0.661461, 0.552649, 0.195769, -0.248984, -0.581977, -0.653739, -0.432058, -0.016440}},
		}, 2.8514402},
		{true, map[string]map[int][]float64{
			"vision.embeddings": {0: {-3.297468, 3.150318, -3.617747, 2.981521}, 5: {-0.524883, 0.411118, -0.766779, -0.213197}},
			"vision.layer.0":    {0: {-3.601063, 2.692388, -4.154066, 2.532534}},
			"vision.norm":       {0: {-1.244740, 1.288495, -0.952385, 1.155790}, 5: {-0.496182, 1.631780, -1.529744, 0.251047}},
			"projection":        {0: {0.007031, -0.002816, -0.004106, 0.007080}},
			"resampler.layer.0": {0: {-1.163960, -0.338001, 0.683181, -0.881186}},
			"resampler.norm":    {0: {-1.575920, -0.510855, 1.251243, -1.545119, 0.320224, 1.211409, -0.314222, -0.362979}, 1: {-1.196299, -0.688101, 1.255314, -1.689225, -0.232620, 1.401822, -0.483741, -0.116363}},
			"text.layer.0":      {0: {-1.445423, -1.832319, 0.620651, -1.714721}, 6: {0.298498, -0.797545, 0.292666, 0.710756}},
			"text.norm":         {6: {1.483824, -0.739217, 0.677954, 0.943559}},
		}, 2.8513956},
	}
	m := openFolder(t, worked.Folder(t), 2)
	for _, tt := range tests {
		t.Run(fmt.Sprintf("released=%v", tt.released), func(t *testing.T) {
			in := worked.Input(tt.released)
			seen := 0
			see := nn.Observer(func(stage string, shape []int, values []float32) {
				for row, want := range tt.want[stage] {
					for i, w := range want {
						if got := float64(values[row*shape[len(shape)-1]+i]); math.Abs(got-w) > 5e-6 {
							t.Errorf("%s, row %d, component %d: %v, want %v", stage, row, i, got, w)
						}
						seen++
					}
				}
			})
			latents := tensor.NewMat(m.Latents(), m.Text.Width())
			m.Encode(latents, in.Crops, see)
			logits, err := m.Decode([]Segment{{
				Segment: text.Segment{Past: kvcache.New(m.Text.CacheShape(), 0).NewSequence(), Wanted: len(in.IDs)},
				IDs:     in.IDs, Latents: latents,
			}}, see.Under("text."))
			if err != nil {
				t.Fatal(err)
			}
			see.Mat("logits", logits)
			if seen < 50 {
				t.Errorf("only %d values were compared", seen)
			}
			// Labels: −100 for the first five, then 5 and 6; each row predicts the next.
			loss := -(sample.Logprobs(logits.Row(4), 5, nil) + sample.Logprobs(logits.Row(5), 6, nil)) / 2
			if math.Abs(float64(loss)-tt.loss) > 1e-6 {
				t.Errorf("loss %v, want %v", loss, tt.loss)
			}
		})
	}
}
