package model

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"idefics2/checkpoint"
	"idefics2/kernel"
	"idefics2/kvcache"
	"idefics2/model/text"
	"idefics2/nn"
	"idefics2/quant"
	"idefics2/sample"
	"idefics2/tensor"
)

// openWide makes a model whose matrices are whole blocks of every type, and whose logits spread as
// those of a trained one do: random weights of variance 1/In, and a head of nine times that.
func openWide(t testing.TB) *Model {
	t.Helper()
	b, err := checkpoint.LoadBlueprint("tiny")
	if err != nil {
		t.Fatal(err)
	}
	c := &b.Config
	c.ImageTokenID, c.Text.VocabSize = 614, 616
	c.Vision.HiddenSize, c.Vision.IntermediateSize, c.Vision.Layers, c.Vision.Heads = 256, 256, 1, 4
	c.Text.HiddenSize, c.Text.IntermediateSize, c.Text.Layers = 256, 512, 2
	c.Text.Heads, c.Text.KVHeads, c.Text.HeadDim = 8, 2, 32
	c.Perceiver.HiddenSize, c.Perceiver.Depth, c.Perceiver.Latents = 256, 1, 8
	c.Perceiver.Heads, c.Perceiver.KVHeads, c.Perceiver.HeadDim = 4, 2, 64
	dir := filepath.Join(t.TempDir(), "wide")
	if err := checkpoint.Init(context.Background(), dir, b, 1, checkpoint.InitOptions{DType: tensor.F32}); err != nil {
		t.Fatal(err)
	}
	m := openFolder(t, dir, 2)
	r := rand.New(rand.NewPCG(8, 8))
	for _, w := range matrices(m) {
		scale := 1 / math.Sqrt(float64(w.In))
		if w == &m.Text.Head.W {
			scale *= 3
		}
		w.F32 = make([]float32, w.Out*w.In)
		for i := range w.F32 {
			w.F32[i] = float32(scale * r.NormFloat64())
		}
	}
	return m
}

// matrices returns the matrices that have whole blocks of every type: all but the patches' one.
func matrices(m *Model) (all []*kernel.Weight) {
	add := func(linear ...*nn.Linear) {
		for _, l := range linear {
			all = append(all, &l.W)
		}
	}
	all = append(all, &m.Text.Embed.W)
	add(&m.Text.Head, &m.Connector.Projection.Gate, &m.Connector.Projection.Up, &m.Connector.Projection.Down)
	for i := range m.Text.Layers {
		l := &m.Text.Layers[i]
		add(&l.Q, &l.K, &l.V, &l.O, &l.MLP.Gate, &l.MLP.Up, &l.MLP.Down)
	}
	for i := range m.Vision.Layers {
		l := &m.Vision.Layers[i]
		add(&l.Q, &l.K, &l.V, &l.O, &l.MLP.Up, &l.MLP.Down)
	}
	for i := range m.Connector.Layers {
		l := &m.Connector.Layers[i]
		add(&l.Q, &l.K, &l.V, &l.O, &l.MLP.Gate, &l.MLP.Up, &l.MLP.Down)
	}
	return all
}

// encodeMatrices stores a model's matrices in a type of blocks, and the float32 values that those
// stand for in another model.
func encodeMatrices(t testing.TB, m, wide *Model, typ quant.Type) {
	stored := map[quant.Type]tensor.DType{quant.Q8_0: tensor.Q8_0, quant.Q6_K: tensor.Q6_K, quant.Q4_K: tensor.Q4_K, quant.Q4_0: tensor.Q4_0}
	to := matrices(wide)
	for i, w := range matrices(m) {
		size, _ := typ.Size(w.Out * w.In)
		data := make([]byte, size)
		if err := typ.Encode(data, w.F32); err != nil {
			t.Fatal(err)
		}
		typ.Decode(to[i].F32, data)
		*w = nn.WeightOf(tensor.View{DType: stored[typ], Shape: []int{w.Out, w.In}, Data: data})
	}
}

// divergence returns the mean Kullback-Leibler divergence of the rows of got from those of want, in
// nats, and the share of rows with the same largest logit.
func divergence(got, want []float32, vocab int) (kl, same float64) {
	rows := len(want) / vocab
	p, q := make([]float32, vocab), make([]float32, vocab)
	for at := 0; at < len(want); at += vocab {
		g, w := got[at:][:vocab], want[at:][:vocab]
		kernel.LogSoftmax(p, w)
		kernel.LogSoftmax(q, g)
		for i, l := range p {
			kl += math.Exp(float64(l)) * float64(l-q[i]) / float64(rows)
		}
		if best(g) == best(w) {
			same += 1 / float64(rows)
		}
	}
	return kl, same
}

func best(logits []float32) int32 {
	id, _ := sample.Argmax(logits)
	return id
}

// A model in blocks is held against the same blocks widened to float32, which leaves the error of
// int8 activations alone; and against the weights before they were stored, which adds that of the type.
func TestBlocks(t *testing.T) {
	limits := []struct {
		typ                 quant.Type
		arithmetic, storage float64 // most nats a token
	}{{quant.Q8_0, 0.004, 0.012}, {quant.Q6_K, 0.004, 0.08}, {quant.Q4_K, 0.004, 0.8}, {quant.Q4_0, 0.004, 1}}
	whole := openWide(t)
	pictures := crops(whole, [2]int{5, 4})
	ids := prompt(whole, 1, 90, 6)
	original := read(t, whole, ids, encode(whole, pictures), len(ids))
	for _, l := range limits {
		t.Run(l.typ.String(), func(t *testing.T) {
			m, wide := openWide(t), openWide(t)
			encodeMatrices(t, m, wide, l.typ)
			latents := encode(m, pictures)
			got := read(t, m, ids, latents, len(ids))
			for _, piece := range []int{1, 5, 32} {
				same(t, fmt.Sprintf("in pieces of %d", piece), read(t, m, ids, latents, piece), got)
			}
			same(t, "a picture among others", encode(m, slices.Concat(crops(m, [2]int{2, 3}), pictures)).Slice(m.Latents(), 2*m.Latents()).Data, latents.Data)

			kl, agree := divergence(got, read(t, wide, ids, encode(wide, pictures), len(ids)), 616)
			klAll, agreeAll := divergence(got, original, 616)
			t.Logf("int8 activations: %.6f nats a token, %.0f %% of greedy tokens; with the type: %.6f, %.0f %%", kl, 100*agree, klAll, 100*agreeAll)
			if !(kl < l.arithmetic) || !(klAll < l.storage) {
				t.Errorf("want at most %v and %v", l.arithmetic, l.storage)
			}
			testBatch(t, m)

			exact := read(t, wide, ids, latents, len(ids))
			m.team.Precision = kernel.Exact
			same(t, "exact", read(t, m, ids, latents, len(ids)), exact)
		})
	}
}

// testBatch runs sequences of unequal length in one pass.
func testBatch(t *testing.T, m *Model) {
	cache := kvcache.New(m.Text.CacheShape(), 0)
	var batch []Segment
	var alone []float32
	for i, n := range []int{40, 1, 3, 75} {
		ids := prompt(m, 0, n-1, uint64(i))
		alone = append(alone, read(t, m, ids, tensor.Mat{}, len(ids))...)
		batch = append(batch, Segment{Segment: text.Segment{Past: cache.NewSequence(), Wanted: n}, IDs: ids})
	}
	logits, err := m.Decode(batch, nil)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "a batch", logits.Data, alone)
}
