package measure

import (
	"fmt"
	"math/rand/v2"

	"idefics2/engine"
	"idefics2/kernel"
	"idefics2/kvcache"
	"idefics2/model/load"
	"idefics2/model/text"
	"idefics2/tensor"
)

// textWorks are those of the decoder with matrices of one type.
type textWorks struct {
	Options
	dtype tensor.DType
}

// name is that of the type in the names of works.
func (t textWorks) name() string {
	switch t.dtype {
	case tensor.Q8_0:
		return "q8_0"
	case tensor.Q4_0:
		return "q4_0"
	case tensor.Q4_K:
		return "q4_k"
	}
	return "bf16"
}

func (t textWorks) work(name, of string, yields int) work {
	return work{
		name: name, group: "text-" + t.name(), yields: float64(yields), of: of, layers: t.layers(),
		stand: func(b *Bench) (stand, error) { return newReader(b, t) },
	}
}

func (t textWorks) layers() layers {
	return layers{min(t.Layers, t.Config.Text.Layers), t.Config.Text.Layers}
}

// cost counts the weights once, whatever is read of keys and values.
func (t textWorks) cost(sequences, rows, context int) cost {
	layer, head := textWeights(t.Config.Text)
	typ := "bf16"
	if !t.dtype.Float() {
		typ = "int8"
	}
	values, bytes := blockOf(t.dtype)
	return cost{
		bytes:      (float64(t.Config.Text.Layers)*layer + head) * float64(bytes) / float64(values),
		operations: textOperations(t.Config.Text, sequences, rows, context),
		typ:        typ,
	}
}

// decode is one token of each of some sequences behind a context.
func (t textWorks) decode(suffix string, context, batch int) work {
	w := t.work("decode-"+t.name()+suffix, "tokens", batch)
	w.cost = t.cost(batch, 1, context+1)
	w.passes = func(s stand) ([]pass, error) { return s.(*reader).decode(context, batch) }
	return w
}

// prefill is reading a prompt of n tokens.
func (t textWorks) prefill(n int) work {
	w := t.work(fmt.Sprintf("prefill%d-%s", n, t.name()), "tokens", n)
	w.cost = t.cost(1, n, n)
	w.passes = func(s stand) ([]pass, error) { return s.(*reader).prefill(n), nil }
	return w
}

// reader is a decoder in memory, and a second one over the same weights without layers.
type reader struct {
	team       *kernel.Team
	weights    *random
	some, none text.Decoder
	layers     layers
	scratch    text.Scratch
	x          tensor.Mat
	ids        []int32
	cache      *kvcache.Cache
	sequences  []*kvcache.Sequence
	past       int // positions of each
}

func newReader(b *Bench, t textWorks) (*reader, error) {
	config := t.Config
	config.Text.Layers = t.layers().held
	r := &reader{team: b.team, weights: &random{dtype: t.dtype}, layers: t.layers()}
	l := &load.Loader{Source: r.weights}
	r.some = *text.Load(l, config)
	if l.Err != nil {
		r.close()
		return nil, l.Err
	}
	r.none = r.some
	r.none.Layers = nil
	r.cache = kvcache.New(r.some.CacheShape(), 0)
	source := rand.New(rand.NewPCG(3, 4))
	r.ids = make([]int32, 4096)
	for i := range r.ids {
		r.ids[i] = int32(source.IntN(r.some.Embed.W.Out))
	}
	return r, nil
}

func (r *reader) close() { r.weights.free() }

// fill gives so many sequences a past of that many random keys and values.
func (r *reader) fill(past, batch int) error {
	for _, s := range r.sequences {
		s.Free()
	}
	r.sequences = r.sequences[:0]
	row := make([]float32, r.some.KVHeads*r.some.HeadDim)
	source := rand.New(rand.NewPCG(5, 6))
	for range batch {
		s := r.cache.NewSequence()
		r.sequences = append(r.sequences, s)
		if err := s.Grow(past); err != nil {
			return err
		}
		for layer := range r.some.Layers {
			for i := range row {
				row[i] = float32(source.NormFloat64())
			}
			for at := range past {
				s.Store(layer, at, row, row)
			}
		}
	}
	r.past = past
	return nil
}

// read passes ids through a decoder, so many for each sequence, and forgets them again.
func (r *reader) read(d *text.Decoder, n int) error {
	rows := engine.DefaultPassRows // as the engine reads prompts
	for at := 0; at < n; at += rows {
		count := min(rows, n-at)
		wanted := 0
		if at+count == n {
			wanted = 1
		}
		var batch []text.Segment
		for _, s := range r.sequences {
			batch = append(batch, text.Segment{Past: s, Rows: count, Wanted: wanted})
		}
		x := r.x.Reshape(count*len(batch), d.Width())
		for i := range x.Rows {
			r.some.Embed.Forward(x.Slice(i, i+1), r.ids[(at+i)%len(r.ids):][:1])
		}
		if _, err := d.Forward(r.team, &r.scratch, x, batch, nil); err != nil {
			return err
		}
	}
	for _, s := range r.sequences {
		s.Truncate(r.past)
	}
	return nil
}

func (r *reader) passes(n int) []pass {
	return r.layers.passes(func() error { return r.read(&r.some, n) }, func() error { return r.read(&r.none, n) })
}

func (r *reader) decode(context, batch int) ([]pass, error) {
	if err := r.fill(context, batch); err != nil {
		return nil, err
	}
	return r.passes(1), nil
}

func (r *reader) prefill(n int) []pass {
	_ = r.fill(0, 1) // nothing to take memory for
	return r.passes(n)
}
