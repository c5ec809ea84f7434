package train_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"idefics2/checkpoint"
	"idefics2/input"
	"idefics2/model"
	"idefics2/nn"
	"idefics2/train"
)

// newModel makes a model of random weights.
func newModel(b *testing.B, shape func(c *checkpoint.Config)) *model.Model {
	b.Helper()
	blueprint, err := checkpoint.LoadBlueprint("tiny")
	if err != nil {
		b.Fatal(err)
	}
	shape(&blueprint.Config)
	dir := filepath.Join(b.TempDir(), "model")
	if err := checkpoint.Init(context.Background(), dir, blueprint, 1, checkpoint.InitOptions{}); err != nil {
		b.Fatal(err)
	}
	return openModel(b, dir, 0)
}

// pages makes n examples of one picture and some words each, half of which carry loss.
func pages(m *model.Model, n, rows, columns, words int) []*input.Input {
	r := rand.New(rand.NewPCG(1, 1))
	var batch []*input.Input
	for range n {
		in := &input.Input{}
		if rows > 0 {
			crop := input.Crop{Rows: rows, Columns: columns, Patches: make([]float32, rows*columns*m.Vision.Patch.W.In)}
			for i := range crop.Patches {
				crop.Patches[i] = 2*r.Float32() - 1
			}
			for range rows * columns {
				crop.Positions = append(crop.Positions, r.Int32N(int32(m.Vision.Positions.W.Out)))
			}
			in.Crops = []input.Crop{crop}
			for range m.Latents() {
				in.IDs = append(in.IDs, int32(m.Config.ImageTokenID))
			}
		}
		for range words {
			in.IDs = append(in.IDs, r.Int32N(int32(m.Config.ImageTokenID)))
		}
		in.Labels = make([]int32, len(in.IDs))
		for i := range in.Labels {
			in.Labels[i] = input.Ignore
			if i >= len(in.IDs)-words/2 {
				in.Labels[i] = in.IDs[i]
			}
		}
		batch = append(batch, in)
	}
	return batch
}

// operations counts those of a pass and its way back: three products for each matrix, five and two
// for attention, a multiplication with its addition being two.
func operations(m *model.Model, batch []*input.Input) float64 {
	linear := map[string]float64{} // operations a row, by part
	m.Params(func(p nn.Param) {
		if p.Linear != nil {
			part := "text"
			switch name := p.Name; {
			case len(name) > 12 && name[:12] == "model.vision":
				part = "vision"
			case len(name) > 15 && name[:15] == "model.connector":
				part = "connector"
			}
			linear[part] += 2 * float64(p.Len())
		}
	})
	head := 2 * float64(m.Text.Head.W.Out*m.Text.Head.W.In)
	linear["text"] -= head
	projection := 2 * float64(3*m.Connector.Projection.Gate.W.Out*m.Vision.Width()) // near enough: down is [C, F]
	var sum float64
	for _, in := range batch {
		n := float64(len(in.IDs))
		_, labelled := in.Targets(nil)
		sum += 3*(n*linear["text"]+float64(labelled)*head) + 14*n*n/2*float64(m.Text.Heads*m.Text.HeadDim*len(m.Text.Layers))
		for _, c := range in.Crops {
			p := float64(c.Rows * c.Columns)
			sum += 3*(p*linear["vision"]+p*projection) + 14*p*p*float64(m.Vision.Width()*len(m.Vision.Layers))
			sum += 3 * float64(m.Latents()) * (linear["connector"] - projection)
		}
	}
	return sum
}

// BenchmarkStep tells tokens a second and the share of the processors' peak, for a model of the size of
// the default one and for one layer at the released decoder's width.
func BenchmarkStep(b *testing.B) {
	small := func(c *checkpoint.Config) {
		c.Vision.HiddenSize, c.Vision.IntermediateSize, c.Vision.Layers, c.Vision.Heads = 256, 1024, 4, 4
		c.Text.HiddenSize, c.Text.IntermediateSize, c.Text.Layers = 384, 1024, 4
		c.Text.Heads, c.Text.KVHeads, c.Text.HeadDim = 6, 2, 64
		c.Text.VocabSize, c.ImageTokenID = 2048, 2046
		c.Perceiver.HiddenSize, c.Perceiver.Depth, c.Perceiver.Latents = 384, 2, 32
		c.Perceiver.Heads, c.Perceiver.KVHeads, c.Perceiver.HeadDim = 6, 2, 64
	}
	// narrow is as narrow as a model that reads pictures can well be: everything beside products weighs most.
	narrow := func(c *checkpoint.Config) {
		c.Vision.HiddenSize, c.Vision.IntermediateSize, c.Vision.Layers, c.Vision.Heads = 192, 768, 6, 3
		c.Text.HiddenSize, c.Text.IntermediateSize, c.Text.Layers = 256, 768, 5
		c.Text.Heads, c.Text.KVHeads, c.Text.HeadDim = 4, 2, 64
		c.Text.VocabSize, c.ImageTokenID = 2048, 2046
		c.Perceiver.HiddenSize, c.Perceiver.Depth, c.Perceiver.Latents = 256, 2, 64
		c.Perceiver.Heads, c.Perceiver.KVHeads, c.Perceiver.HeadDim = 4, 2, 64
	}
	wide := func(c *checkpoint.Config) {
		c.Text.HiddenSize, c.Text.IntermediateSize, c.Text.Layers = 4096, 14336, 1
		c.Text.Heads, c.Text.KVHeads, c.Text.HeadDim = 32, 8, 128
		c.Text.VocabSize, c.ImageTokenID = 512, 510
		c.Perceiver.HiddenSize = 4096
	}
	for _, bench := range []struct {
		name          string
		shape         func(c *checkpoint.Config)
		n             int
		rows, columns int
		words         int
	}{
		{"small/text", small, 16, 0, 0, 128},
		{"small/pictures", small, 16, 16, 16, 96},
		{"narrow/pictures", narrow, 8, 20, 24, 64},
		{"narrow/page", narrow, 1, 32, 32, 900},
		{"layer4096/text", wide, 4, 0, 0, 128},
	} {
		for _, recompute := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/recompute=%v", bench.name, recompute), func(b *testing.B) {
				m := newModel(b, bench.shape)
				o := train.Options{Schedule: train.Schedule{Peak: 1e-4}, Recompute: recompute}
				if bench.rows == 0 {
					o.Train = func(name string) bool { return name[:11] == "model.text_" || name == "lm_head.weight" }
				}
				tr, err := train.New(m, o)
				if err != nil {
					b.Fatal(err)
				}
				batch := pages(m, bench.n, bench.rows, bench.columns, bench.words)
				peak := m.Team().Peaks(50 * time.Millisecond)[0].Rate
				tokens := 0
				for _, in := range batch {
					tokens += len(in.IDs)
				}
				if _, err := tr.Step(batch); err != nil { // memory grows to its size
					b.Fatal(err)
				}
				for b.Loop() {
					if _, err := tr.Step(batch); err != nil {
						b.Fatal(err)
					}
				}
				per := b.Elapsed().Seconds() / float64(b.N)
				b.ReportMetric(float64(tokens)/per, "tokens/s")
				b.ReportMetric(float64(len(batch))/per, "examples/s")
				b.ReportMetric(100*operations(m, batch)/per/peak, "%peak")
			})
		}
	}
}
