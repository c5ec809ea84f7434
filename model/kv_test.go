package model

import (
	"fmt"
	"testing"

	"idefics2/kvcache"
	"idefics2/model/text"
	"idefics2/tensor"
)

// Keys and values in fewer bits: the same bits however a prompt is read, and near float32's.
func TestPackedCache(t *testing.T) {
	wide := openWide(t)
	for _, tt := range []struct {
		name  string
		m     *Model
		typ   tensor.DType
		limit float64 // most nats a token
	}{
		{"tiny", open(t, "tiny", 2), tensor.BF16, 1e-4}, {"tiny", open(t, "tiny", 2), tensor.Q8_0, 7e-4},
		{"window", open(t, "window", 2), tensor.Q8_0, 7e-4},
		{"wide", wide, tensor.BF16, 1e-4}, {"wide", wide, tensor.Q8_0, 7e-4},
	} {
		t.Run(fmt.Sprint(tt.name, " ", tt.typ), func(t *testing.T) {
			m := tt.m
			latents := encode(m, crops(m, [2]int{3, 4}))
			ids := prompt(m, 1, 100, 9)
			readPacked := func(typ tensor.DType, piece int) (all []float32) {
				shape := m.Text.CacheShape()
				shape.Type = typ
				past := kvcache.New(shape, 0).NewSequence()
				latents := latents
				for at := 0; at < len(ids); at += piece {
					s := Segment{Segment: text.Segment{Past: past}, IDs: ids[at:min(len(ids), at+piece)], Latents: latents}
					s.Wanted = len(s.IDs)
					logits, err := m.Decode([]Segment{s}, nil)
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, logits.Data...)
					latents = latents.Slice(m.ImageTokens(s.IDs), latents.Rows)
					m.Text.Forget(past, past.Len())
				}
				return all
			}
			whole := readPacked(tt.typ, len(ids))
			for _, piece := range []int{1, 7, 50} {
				same(t, fmt.Sprintf("in pieces of %d", piece), readPacked(tt.typ, piece), whole)
			}
			kl, agree := divergence(whole, readPacked(tensor.F32, len(ids)), m.Text.Vocabulary())
			t.Logf("%.9f nats a token, %.0f %% of greedy tokens", kl, 100*agree)
			if !(kl < tt.limit) {
				t.Errorf("%v nats a token, want at most %v", kl, tt.limit)
			}
		})
	}
}
