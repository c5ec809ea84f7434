package model

import (
	"fmt"
	"math"

	"idefics2/input"
	"idefics2/model/connector"
	"idefics2/model/text"
	"idefics2/model/vision"
	"idefics2/nn"
	"idefics2/tensor"
)

// Tape is the memory of a pass that learns, and how it is made. It grows to the largest pass.
type Tape struct {
	// Recompute keeps the inputs of layers alone and computes the rest again on the way back: a
	// fraction of the memory, for a third more time. The gradients have the same bits.
	Recompute bool

	// NEFTune, if not 0, adds noise to the embeddings (Jain et al., 2023): each element a number
	// from a uniform distribution within ±NEFTune/√(L·C), L being the example's own tokens,
	// images among them. WordsOnly leaves the vectors of images as they are.
	NEFTune   float64
	WordsOnly bool

	// Noise is where NEFTune and the dropout of adapters draw from. A pass with the same Noise
	// draws the same for an example, whatever else is in the batch.
	Noise nn.Noise

	vision    vision.Tape
	connector connector.Tape
	text      text.Tape

	crops    []input.Crop
	sizes    []int
	segments []text.Segment
	ids      []int32 // of words; -1 where a vector of an image stands
	targets  []int32
	patches  tensor.Mat // what the connector read; the vision tower's memory
	x        tensor.Mat
	dx       tensor.Mat
	dlatents tensor.Mat
	dpatches tensor.Mat
	losses   []Loss
}

// Loss is what the labelled tokens of one example cost.
type Loss struct {
	Sum    float64 // cross-entropy, in nats
	Tokens int     // that carry loss
}

// Params calls add with all parameters of the model, adapters' included: vision tower, connector,
// decoder.
func (m *Model) Params(add func(nn.Param)) {
	m.Vision.Params(add)
	m.Connector.Params(add)
	m.Text.Params(add)
}

// CheckLabels says what of an input does not fit the model, its labels included.
func (m *Model) CheckLabels(in *input.Input) error {
	if err := m.CheckInput(in); err != nil {
		return err
	}
	if len(in.Labels) != len(in.IDs) {
		return fmt.Errorf("model: %d labels for %d tokens, want one each", len(in.Labels), len(in.IDs))
	}
	for i, label := range in.Labels {
		if label != input.Ignore && (label < 0 || int(label) >= m.Text.Vocabulary()) {
			return fmt.Errorf("model: label %d is %d, want 0 to %d, or %d for none", i, label, m.Text.Vocabulary()-1, input.Ignore)
		}
	}
	return nil
}

// Loss returns the loss of each example, without gradients and without noise. The examples of a batch are
// rows of the same products and do not see one another: each has the loss that it has alone,
// bit for bit. The result is valid until the next pass.
func (m *Model) Loss(tape *Tape, batch []*input.Input) ([]Loss, error) {
	if err := m.labelled(tape, batch); err != nil {
		return nil, err
	}
	latents := m.latents(tape, len(m.Vision.Layers), len(m.Connector.Layers))
	m.embed(tape, batch, latents, false)
	m.Text.Record(m.team, &m.scratch.text, &tape.text, tape.x, tape.segments, len(m.Text.Layers))
	m.losses(tape, batch, 0, tensor.Mat{})
	return tape.losses, nil
}

// Backward returns the loss of each example, and adds to the gradients of all trained parameters
// weight times those of the sum of all losses. What is frozen below the lowest trained parameter is
// computed as for an answer, and nothing of it is kept. The result is valid until the next
// pass.
func (m *Model) Backward(tape *Tape, batch []*input.Input, weight float32) ([]Loss, error) {
	if err := m.labelled(tape, batch); err != nil {
		return nil, err
	}
	m.adapters(func(i uint64, a *nn.Adapter) { a.Training, a.Noise = true, tape.Noise.Of(i+1) })
	defer m.adapters(func(_ uint64, a *nn.Adapter) { a.Training = false })

	sees := m.Vision.Trained() && len(tape.crops) > 0
	reads := (sees || m.Connector.Trained()) && len(tape.crops) > 0
	below := reads || m.Text.Embed.DW != nil
	firstVision, firstConnector := len(m.Vision.Layers), len(m.Connector.Layers)
	if sees {
		firstVision = m.Vision.FirstTrained()
	}
	if reads {
		firstConnector = m.Connector.FirstTrained(sees)
	}
	latents := m.latents(tape, firstVision, firstConnector)
	m.embed(tape, batch, latents, true)
	x, s := tape.x, &m.scratch.text
	m.Text.Record(m.team, s, &tape.text, x, tape.segments, m.Text.FirstTrained(below))
	dx := tape.dx.Reshape(x.Rows, x.Cols)
	if m.losses(tape, batch, weight, dx) == 0 {
		return tape.losses, nil
	}
	m.Text.Backward(m.team, s, &tape.text, dx, tape.segments, below)
	m.Text.Embedded(&tape.text, dx, tape.ids)
	if !reads {
		return tape.losses, nil
	}
	dlatents := tape.dlatents.Reshape(latents.Rows, latents.Cols)
	image := 0
	for i, id := range tape.ids {
		if id < 0 {
			copy(dlatents.Row(image), dx.Row(i))
			image++
		}
	}
	patches := tape.patches
	var dpatches tensor.Mat
	if sees {
		dpatches = tape.dpatches.Reshape(patches.Rows, patches.Cols)
		clear(dpatches.Data)
	}
	m.Connector.Backward(m.team, &m.scratch.connector, &tape.connector, dpatches, dlatents, patches, tape.sizes)
	if sees {
		m.Vision.Backward(m.team, &m.scratch.vision, &tape.vision, dpatches, tape.crops)
	}
	return tape.losses, nil
}

// adapters calls f with each adapter and its number.
func (m *Model) adapters(f func(i uint64, a *nn.Adapter)) {
	n := uint64(0)
	m.Params(func(p nn.Param) {
		if p.Linear != nil && p.Linear.Adapter != nil {
			f(n, p.Linear.Adapter)
			n++
		}
	})
}

// labelled checks a batch and lays it out.
func (m *Model) labelled(tape *Tape, batch []*input.Input) error {
	tape.crops, tape.sizes, tape.segments = tape.crops[:0], tape.sizes[:0], tape.segments[:0]
	tape.ids, tape.targets = tape.ids[:0], tape.targets[:0]
	for i, in := range batch {
		if err := m.CheckLabels(in); err != nil {
			return fmt.Errorf("example %d: %w", i, err)
		}
		tape.crops = append(tape.crops, in.Crops...)
		for j := range in.Crops {
			tape.sizes = append(tape.sizes, in.Crops[j].Rows*in.Crops[j].Columns)
		}
		tape.segments = append(tape.segments, text.Segment{Rows: len(in.IDs)})
		for _, id := range in.IDs {
			if int(id) == m.Config.ImageTokenID {
				id = -1
			}
			tape.ids = append(tape.ids, id)
		}
		tape.targets, _ = in.Targets(tape.targets)
	}
	tape.vision.Recompute, tape.connector.Recompute, tape.text.Recompute = tape.Recompute, tape.Recompute, tape.Recompute
	return nil
}

// latents returns the vectors of all crops.
func (m *Model) latents(tape *Tape, firstVision, firstConnector int) tensor.Mat {
	if len(tape.crops) == 0 {
		return tensor.Mat{Cols: m.Text.Width()}
	}
	tape.patches = m.Vision.Record(m.team, &m.scratch.vision, &tape.vision, tape.crops, firstVision)
	return m.Connector.Record(m.team, &m.scratch.connector, &tape.connector, tape.patches, tape.sizes, firstConnector)
}

// embed writes the rows that the decoder reads to tape.x.
func (m *Model) embed(tape *Tape, batch []*input.Input, latents tensor.Mat, noise bool) {
	x := tape.x.Reshape(len(tape.ids), m.Text.Width())
	row, image := 0, 0
	for _, in := range batch {
		end := row + len(in.IDs)
		own := len(in.Crops) * m.Latents()
		m.merge(x.Slice(row, end), in.IDs, latents.Slice(image, image+own))
		if noise && tape.NEFTune != 0 {
			tape.blur(x.Slice(row, end), tape.ids[row:end], in.IDs)
		}
		row, image = end, image+own
	}
}

// blur adds the noise of NEFTune to one example.
func (tape *Tape) blur(x tensor.Mat, words, ids []int32) {
	size := float32(tape.NEFTune / math.Sqrt(float64(len(x.Data))))
	source := tape.Noise.Of(0)
	for _, id := range ids {
		source = source.Of(uint64(uint32(id)))
	}
	for i := range x.Rows {
		if tape.WordsOnly && words[i] < 0 {
			continue
		}
		row := x.Row(i)
		for j := range row {
			row[j] += size * (2*source.Uniform(i*x.Cols+j) - 1)
		}
	}
}

// losses fills tape.losses, and dx and the gradients of the decoder's end. It returns the number of tokens
// that carry loss.
func (m *Model) losses(tape *Tape, batch []*input.Input, weight float32, dx tensor.Mat) int {
	all := m.Text.Loss(m.team, &m.scratch.text, &tape.text, tape.x, tape.targets, weight, dx)
	tape.losses = tape.losses[:0]
	row, at := 0, 0
	for _, in := range batch {
		var l Loss
		for range in.IDs {
			if tape.targets[row] >= 0 {
				l.Sum += all[at]
				l.Tokens++
				at++
			}
			row++
		}
		tape.losses = append(tape.losses, l)
	}
	return at
}
