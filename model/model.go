// Package model is Idefics2 as one function: images become latents, latents take the
// places of the image tokens among the words, and the decoder reads the sequence.
//
//	crops → vision.Tower → connector.Connector → latents ┐
//	ids   → embeddings ──────────────────────────────────┴→ text.Decoder → logits
package model

import (
	"fmt"
	"runtime/debug"
	"slices"

	"idefics2/checkpoint"
	"idefics2/input"
	"idefics2/kernel"
	"idefics2/model/connector"
	"idefics2/model/load"
	"idefics2/model/text"
	"idefics2/model/vision"
	"idefics2/nn"
	"idefics2/tensor"
)

// Model is the three parts and the team of threads they run on. It keeps the scratch
// memory of a pass and so belongs to one goroutine.
type Model struct {
	Config    checkpoint.Config
	Vision    *vision.Tower
	Connector *connector.Connector
	Text      *text.Decoder

	team    *kernel.Team
	scratch *scratch
}

// scratch is the memory of a pass.
type scratch struct {
	vision    vision.Scratch
	connector connector.Scratch
	text      text.Scratch
	x         tensor.Mat
	sizes     []int
	seen      int // most patches of a pass since Rest
	batch     []text.Segment
}

// Options are the caller's choices.
type Options struct {
	Threads int  // 0: one per processor
	Exact   bool // all products in float32; see kernel.Precision
	Narrow  bool // hold float32 and float16 matrices as bfloat16
	// NF4, if not nil, says which matrices are quantized to 4 bits when they are loaded: see load.Loader.
	NF4 func(name string) bool
	// Took, if not nil, is called with the stored bytes of every tensor that was loaded, and
	// ends the loading when it returns an error.
	Took func(bytes int64) error
}

// Load fills the model from an open checkpoint, which must stay open while the model
// is used: weights are read where they are mapped.
func Load(source *checkpoint.Checkpoint, o Options) (*Model, error) {
	l := &load.Loader{Source: source, Narrow: o.Narrow, NF4: o.NF4, Took: o.Took}
	m := &Model{
		Config:    source.Config,
		Vision:    vision.Load(l, source.Config.Vision),
		Connector: connector.Load(l, source.Config),
		Text:      text.Load(l, source.Config),
		scratch:   &scratch{},
	}
	if l.Err != nil {
		return nil, fmt.Errorf("model: %w", l.Err)
	}
	if err := source.Finish(); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	m.team = kernel.NewTeam(o.Threads)
	if !o.Exact {
		m.team.Precision = kernel.Fast
	}
	return m, nil
}

// Share returns a model with the same weights in the same memory, threads and scratch memory, whose layers
// can take adapters of their own. Both belong to the one goroutine, and m is the one to close.
func (m *Model) Share() *Model {
	other := *m
	tower, connector, decoder := *m.Vision, *m.Connector, *m.Text
	tower.Layers, connector.Layers, decoder.Layers = slices.Clone(tower.Layers), slices.Clone(connector.Layers), slices.Clone(decoder.Layers)
	other.Vision, other.Connector, other.Text = &tower, &connector, &decoder
	return &other
}

// Of makes a model of parts that are in memory already. The team stays the caller's.
func Of(c checkpoint.Config, v *vision.Tower, j *connector.Connector, t *text.Decoder, team *kernel.Team) *Model {
	return &Model{Config: c, Vision: v, Connector: j, Text: t, team: team, scratch: new(scratch)}
}

// Close stops the threads.
func (m *Model) Close() { m.team.Close() }

// Team returns the threads, for operations between passes.
func (m *Model) Team() *kernel.Team { return m.team }

// Abandon makes the running pass, and all that follow, end within milliseconds and without
// a result, until it is called with false. Any goroutine may call it.
func (m *Model) Abandon(on bool) { m.team.Abandon(on) }

// Latents returns how many vectors an image becomes.
func (m *Model) Latents() int { return m.Connector.Latents.Rows }

// encodeRows bounds the patches that go through the tower in one pass, and with them its
// memory: one image of the largest size, or several small ones.
const encodeRows = 4900

// Fits returns how many of the first crops one call of Encode takes: at least one.
func (m *Model) Fits(crops []input.Crop) int {
	rows := 0
	for i := range crops {
		rows += crops[i].Rows * crops[i].Columns
		if i > 0 && rows > encodeRows {
			return i
		}
	}
	return len(crops)
}

// Encode writes the latents [I·L, C] of I crops. A crop's latents don't depend on the
// others. Stages are named as for one crop, which is what a caller who observes gives.
func (m *Model) Encode(latents tensor.Mat, crops []input.Crop, see nn.Observer) {
	m.scratch.sizes = m.scratch.sizes[:0]
	rows := 0
	for i := range crops {
		n := crops[i].Rows * crops[i].Columns
		m.scratch.sizes = append(m.scratch.sizes, n)
		rows += n
	}
	m.scratch.seen = max(m.scratch.seen, rows)
	patches := m.Vision.Forward(m.team, &m.scratch.vision, crops, see.Under("vision."))
	out := m.Connector.Forward(m.team, &m.scratch.connector, patches, m.scratch.sizes, see, see.Under("resampler."))
	copy(latents.Data, out.Data)
}

// Linears calls f with every matrix that inputs are multiplied with, and the name of its tensor:
// that of the embedding for an output which is tied to it.
func (m *Model) Linears(f func(tensor string, l *nn.Linear)) {
	m.Params(func(p nn.Param) {
		if p.Linear != nil && p.Linear != &m.Text.Head {
			f(p.Linear.Name+".weight", p.Linear)
		}
	})
	head := m.Text.Head.Name
	if m.Text.Tied {
		head = m.Text.Embed.Name
	}
	f(head+".weight", &m.Text.Head)
}

// restFrom is the memory of vision passes, in bytes, that is worth a garbage collection.
const restFrom = 64 << 20

// Rest gives the memory of Encode's passes back to the system where it is much: while answers
// are read and written nobody needs the hundreds of megabytes that a large picture took.
func (m *Model) Rest() {
	// At least eight vectors of each patch are held: see vision.Scratch.
	if 4*8*m.scratch.seen*m.Vision.Width() < restFrom {
		return
	}
	m.scratch.vision, m.scratch.connector, m.scratch.seen = vision.Scratch{}, connector.Scratch{}, 0
	debug.FreeOSMemory()
}

// Segment is one sequence's share of a decoder pass.
type Segment struct {
	text.Segment
	IDs []int32 // the new tokens; Rows of them
	// Latents are the vectors [·, C] that the segment's image tokens take, in order. A
	// sequence that is read in pieces gives each piece the rest.
	Latents tensor.Mat
}

// Decode runs one pass over the segments and returns the logits [ΣWanted, V], valid until
// the next pass. See text.Decoder.Forward for errors.
func (m *Model) Decode(batch []Segment, see nn.Observer) (tensor.Mat, error) {
	rows := 0
	forward := m.scratch.batch[:0]
	for i := range batch {
		batch[i].Rows = len(batch[i].IDs)
		rows += batch[i].Rows
		forward = append(forward, batch[i].Segment)
	}
	m.scratch.batch = forward
	x := m.scratch.x.Reshape(rows, m.Text.Width())
	at := 0
	for i := range batch {
		m.merge(x.Slice(at, at+batch[i].Rows), batch[i].IDs, batch[i].Latents)
		at += batch[i].Rows
	}
	see.Mat("embeddings", x)
	return m.Text.Forward(m.team, &m.scratch.text, x, forward, see)
}

// merge writes the embeddings of ids to x, and latents over those of image tokens, in
// order. An image token that was generated has no latent left and keeps its own row.
func (m *Model) merge(x tensor.Mat, ids []int32, latents tensor.Mat) {
	m.Text.Embed.Forward(x, ids)
	image := 0
	for i, id := range ids {
		if int(id) == m.Config.ImageTokenID && image < latents.Rows {
			copy(x.Row(i), latents.Row(image))
			image++
		}
	}
}

// CheckInput says what of an input does not fit the model: ids outside the vocabulary, or
// image tokens that are not as many as its crops' latents.
func (m *Model) CheckInput(in *input.Input) error {
	tokens := 0
	for i, id := range in.IDs {
		if id < 0 || int(id) >= m.Text.Embed.W.Out {
			return fmt.Errorf("model: token %d of the prompt is %d, want 0 to %d, the rows of the embedding", i, id, m.Text.Embed.W.Out-1)
		}
		if int(id) == m.Config.ImageTokenID {
			tokens++
		}
	}
	if want := len(in.Crops) * m.Latents(); tokens != want {
		return fmt.Errorf("model: the prompt has %d image tokens, want %d: %d for each of %d crops", tokens, want, m.Latents(), len(in.Crops))
	}
	for i := range in.Crops {
		c := &in.Crops[i]
		n := c.Rows * c.Columns
		if n < 1 || len(c.Positions) != n || len(c.Patches) != n*m.Vision.Patch.W.In {
			return fmt.Errorf("model: crop %d of %d×%d patches has %d values and %d positions", i, c.Rows, c.Columns, len(c.Patches), len(c.Positions))
		}
	}
	return nil
}

// ImageTokens counts the image tokens among ids.
func (m *Model) ImageTokens(ids []int32) int {
	n := 0
	for _, id := range ids {
		if int(id) == m.Config.ImageTokenID {
			n++
		}
	}
	return n
}
