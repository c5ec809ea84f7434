package measure

import (
	"fmt"
	"image"
	"math/rand/v2"

	"idefics2/adapter"
	"idefics2/checkpoint"
	"idefics2/input"
	"idefics2/kernel"
	"idefics2/model"
	"idefics2/model/connector"
	"idefics2/model/load"
	"idefics2/model/text"
	"idefics2/model/vision"
	"idefics2/tensor"
	"idefics2/train"
)

// The layers of which a model is held to train: enough that the memory of a step tells what a layer
// costs, and few enough for a small machine.
const (
	trainText   = 4
	trainVision = 6
)

// trainTargets are the matrices beside which the official tutorial puts adapters.
const trainTargets = `.*(text_model|modality_projection|perceiver_resampler).*(down_proj|gate_proj|up_proj|k_proj|q_proj|v_proj|o_proj).*$`

// trainWorks are those of a step that trains adapters of rank 8 beside frozen bfloat16 matrices of the
// geometry's widths, with fewer layers: what is frozen below the lowest adapter, the vision tower, is
// computed as for an answer.
type trainWorks struct{ Options }

// works are, of words alone and with a picture, the forward pass, that with the way back, and the
// update.
func (t trainWorks) works() (all []work) {
	c := t.Config
	c.Text.Layers, c.Vision.Layers = min(trainText, c.Text.Layers), min(trainVision, c.Vision.Layers)
	recompute := ""
	if t.Recompute {
		recompute = "-recompute"
	}
	for _, kind := range []struct {
		name     string
		of       string
		words    int
		pictures int
	}{{"text512", "tokens", 512, 0}, {"picture735x980", "images", 64, 1}} {
		grids := gridsOf(c.Vision, image.Pt(980, 735), false)
		if kind.pictures == 0 {
			grids = nil
		}
		rows := kind.words + len(grids)*c.Perceiver.Latents
		yields := float64(rows)
		if kind.of == "images" {
			yields = float64(kind.pictures)
		}
		forward, back := trainOperations(c, grids, rows, kind.words/2)
		one := func(name string, operations float64, step func(*learner) error) work {
			return work{
				name: "train-" + name + "-" + kind.name + recompute, group: "train-" + kind.name, yields: yields, of: kind.of,
				memory: t.Memory,
				cost:   cost{bytes: 2 * trainWeights(c, len(grids) > 0), operations: operations, typ: "f32"},
				stand:  func(b *Bench) (stand, error) { return newLearner(b, c, grids, kind.words) },
				passes: func(s stand) ([]pass, error) {
					l := s.(*learner)
					return []pass{{times: 1, once: func() error { return step(l) }}}, nil
				},
			}
		}
		all = append(all,
			one("forward", forward, func(l *learner) error {
				_, err := l.trainer.Loss(l.batch)
				return err
			}),
			one("gradients", forward+back, func(l *learner) error {
				_, err := l.trainer.Accumulate(l.batch)
				return err
			}),
			one("step", forward+back, func(l *learner) error {
				_, err := l.trainer.Step(l.batch)
				return err
			}))
	}
	return all
}

// trainWeights counts the elements of the matrices that a pass reads.
func trainWeights(c checkpoint.Config, pictures bool) float64 {
	layer, head := textWeights(c.Text)
	n := float64(c.Text.Layers)*layer + head
	if pictures {
		joint, _ := connectorCost(c, 1)
		n += towerWeights(c.Vision) + joint
	}
	return n
}

// trainOperations counts those of a pass over rows, of which some carry loss, and of its way back: for the
// products one towards the input and none for the frozen matrices, for attention five products in
// place of two. What adapters add is left out: a hundredth.
func trainOperations(c checkpoint.Config, grids []image.Point, rows, labelled int) (forward, back float64) {
	layer, head := textWeights(c.Text)
	n := float64(rows)
	linear := 2 * (n*float64(c.Text.Layers)*layer + float64(labelled)*head)
	attention := 2 * n * (n + 1) * float64(c.Text.Layers*c.Text.Heads*c.Text.HeadDim)
	forward, back = linear+attention, linear+2.5*attention
	for _, g := range grids {
		patches := g.X * g.Y
		_, joint := connectorCost(c, patches)
		forward += towerOperations(c.Vision, []int{patches}) + joint
		// The gradients of gate and up of the projection go nowhere.
		back += joint - 4*float64(patches)*float64(c.Text.IntermediateSize*c.Vision.HiddenSize)
	}
	return forward, back
}

// learner is a model in memory that learns, and what it learns from.
type learner struct {
	weights *random
	trainer *train.Trainer
	batch   []*input.Input
}

func newLearner(b *Bench, c checkpoint.Config, grids []image.Point, words int) (*learner, error) {
	l := &learner{weights: &random{dtype: tensor.BF16}}
	loader := &load.Loader{Source: l.weights}
	tower, joint, decoder := vision.Load(loader, c.Vision), connector.Load(loader, c), text.Load(loader, c)
	if loader.Err != nil {
		l.close()
		return nil, loader.Err
	}
	b.team.Precision = kernel.Exact // as a training has it
	m := model.Of(c, tower, joint, decoder, b.team)
	set, err := adapter.New(m, adapter.Config{Rank: 8, Alpha: 8, Dropout: 0.1, Gaussian: true, Pattern: trainTargets}, 1)
	if err == nil {
		l.trainer, err = train.New(m, train.Options{Train: set.Trains, Schedule: train.Schedule{Peak: 1e-4}, Recompute: b.options.Recompute})
	}
	if err != nil {
		l.close()
		return nil, fmt.Errorf("measure: %w", err)
	}
	l.batch = []*input.Input{example(c, cropsOf(c.Vision, grids), words)}
	return l, nil
}

// example is some pictures and words, of which the later half carries loss.
func example(c checkpoint.Config, crops []input.Crop, words int) *input.Input {
	in := &input.Input{Crops: crops}
	for range len(crops) * c.Perceiver.Latents {
		in.IDs = append(in.IDs, int32(c.ImageTokenID))
	}
	source := rand.New(rand.NewPCG(8, 9))
	for len(in.IDs) < words+len(crops)*c.Perceiver.Latents {
		if id := source.Int32N(int32(c.Text.VocabSize)); int(id) != c.ImageTokenID {
			in.IDs = append(in.IDs, id)
		}
	}
	for i, id := range in.IDs {
		if i < len(in.IDs)-words/2 {
			id = input.Ignore
		}
		in.Labels = append(in.Labels, id)
	}
	return in
}

func (l *learner) close() { l.weights.free() }
