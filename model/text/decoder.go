// Package text is the Mistral decoder: it reads the merged sequence of words and image
// latents and gives logits for the next token.
package text

import (
	"fmt"
	"math"

	"idefics2/kernel"
	"idefics2/kvcache"
	"idefics2/nn"
	"idefics2/tensor"
)

// Decoder is embeddings, layers, final norm and output matrix (reference:
// modeling_mistral.py).
type Decoder struct {
	Embed   nn.Embedding // [V, C]
	Layers  []Layer
	Norm    nn.RMSNorm
	Head    nn.Linear // [V, C]; the embedding's matrix where the two are tied
	Heads   int       // of queries
	KVHeads int
	HeadDim int
	Window  int       // positions that a query sees, itself included; 0: all
	Tied    bool      // Head has the embedding's matrix
	Padding int32     // the token whose embedding is never trained; -1 for none
	Inverse []float32 // [HeadDim/2] rotary frequencies
}

// Layer is one pre-norm decoder layer with grouped-query attention.
type Layer struct {
	Norm1, Norm2 nn.RMSNorm
	Q, K, V, O   nn.Linear // no biases
	MLP          nn.GatedMLP
}

// Segment is one sequence's share of a pass: Rows new positions after those that Past
// holds. Wanted is how many of the last rows want logits. Without a Past, as Record takes
// it, the rows are the whole sequence.
type Segment struct {
	Past   *kvcache.Sequence // of one cache, in all segments of a pass
	Rows   int
	Wanted int
}

// Scratch is the memory of a forward pass; it grows to the largest one.
type Scratch struct {
	normed, out              tensor.Mat
	wanted, logits           tensor.Mat
	positions                []int32
	heads                    []kernel.Head
	keys, values             [][]float32
	packedKeys, packedValues [][]byte
	ends                     []int

	*activations // of the running layer: the same for all, or, to train, one for each
}

// activations are what a layer computes and Backward needs again.
type activations struct {
	x, mid            tensor.Mat // what the layer got, and that with its attention; only when recorded
	q, k, v, attended tensor.Mat
	logSum            tensor.Mat // [heads, rows]; only when recorded
	mlp               nn.MLPScratch
	recorded          bool
}

// CacheShape returns what one position of a sequence needs in the cache.
func (d *Decoder) CacheShape() kvcache.Shape {
	return kvcache.Shape{Layers: len(d.Layers), Heads: d.KVHeads, Dim: d.HeadDim}
}

// Width returns C.
func (d *Decoder) Width() int { return d.Embed.W.In }

// Vocabulary returns V.
func (d *Decoder) Vocabulary() int { return d.Head.W.Out }

// Forward runs the segments' rows x [ΣRows, C] through the decoder, adds their keys and
// values to each segment's past and returns the logits [ΣWanted, V] of the rows that want
// them, in order. x is overwritten. Every row's result has the same bits whatever the other
// rows are and however a sequence is cut into passes. The logits are valid until s is used
// again. The error wraps kvcache.ErrFull when the cache cannot take the pass; nothing has
// changed then.
func (d *Decoder) Forward(team *kernel.Team, s *Scratch, x tensor.Mat, batch []Segment, see nn.Observer) (tensor.Mat, error) {
	if err := d.grow(s, batch); err != nil {
		return tensor.Mat{}, err
	}
	if s.activations == nil {
		s.activations = &activations{}
	}
	for i := range d.Layers {
		d.attendAdd(team, s, i, x, batch, see)
		d.feedAdd(team, s, i, x, see)
	}
	return d.logits(team, s, x, batch, see), nil
}

// attendAdd is the first half of a layer: x += attention(norm(x)).
func (d *Decoder) attendAdd(team *kernel.Team, s *Scratch, i int, x tensor.Mat, batch []Segment, see nn.Observer) {
	d.Layers[i].Norm1.Forward(team, s.normed.Reshape(x.Rows, x.Cols), x)
	d.attend(team, s, i, batch, see)
	if i == 0 {
		see.Mat("layer.0.attention", s.out)
	}
	team.Add(x.Data, s.out.Data)
}

// feedAdd is the second half: x += mlp(norm(x)).
func (d *Decoder) feedAdd(team *kernel.Team, s *Scratch, i int, x tensor.Mat, see nn.Observer) {
	l := &d.Layers[i]
	l.Norm2.Forward(team, s.normed, x)
	l.MLP.Forward(team, &s.mlp, s.out, s.normed)
	team.Add(x.Data, s.out.Data)
	if see != nil {
		see.Mat(fmt.Sprintf("layer.%d", i), x)
	}
}

// Forget gives back the pages that no query at position n or later can see.
func (d *Decoder) Forget(past *kvcache.Sequence, n int) {
	if d.Window > 0 {
		past.Forget(n - d.Window + 1)
	}
}

// grow makes room in every segment's past, or in none, and notes the new positions.
func (d *Decoder) grow(s *Scratch, batch []Segment) error {
	s.positions = s.positions[:0]
	for i, b := range batch {
		start := b.Past.Len()
		if err := b.Past.Grow(b.Rows); err != nil {
			for _, undo := range batch[:i] {
				undo.Past.Truncate(undo.Past.Len() - undo.Rows)
			}
			return err
		}
		for r := range b.Rows {
			s.positions = append(s.positions, int32(start+r))
		}
	}
	return nil
}

// attend writes the self-attention of s.normed to s.out.
func (d *Decoder) attend(team *kernel.Team, s *Scratch, layer int, batch []Segment, see nn.Observer) {
	l := &d.Layers[layer]
	rows := s.normed.Rows
	q := s.q.Reshape(rows, d.Heads*d.HeadDim)
	k, v := s.k.Reshape(rows, d.KVHeads*d.HeadDim), s.v.Reshape(rows, d.KVHeads*d.HeadDim)
	l.Q.Forward(team, q, s.normed)
	l.K.Forward(team, k, s.normed)
	l.V.Forward(team, v, s.normed)
	team.Rope(q.Data, rows, d.Heads, d.HeadDim, s.positions, d.Inverse)
	team.Rope(k.Data, rows, d.KVHeads, d.HeadDim, s.positions, d.Inverse)
	if layer == 0 {
		see.Heads("layer.0.q", q, d.Heads)
		see.Heads("layer.0.k", k, d.KVHeads)
	}
	attended := s.attended.Reshape(rows, q.Cols)
	if s.recorded {
		d.attendWhole(team, s, l, batch)
		return
	}

	// The pages' slices move when these grow, so collect them all before they are used.
	s.keys, s.values, s.ends = s.keys[:0], s.values[:0], s.ends[:0]
	s.packedKeys, s.packedValues = s.packedKeys[:0], s.packedValues[:0]
	row := 0
	for _, b := range batch {
		for r := row; r < row+b.Rows; r++ {
			b.Past.Store(layer, int(s.positions[r]), k.Row(r), v.Row(r))
		}
		row += b.Rows
		for g := range d.KVHeads {
			if b.Past.Shape().Packed() {
				s.packedKeys, s.packedValues = b.Past.AppendPacked(s.packedKeys, s.packedValues, layer, g)
			} else {
				s.keys, s.values = b.Past.AppendPages(s.keys, s.values, layer, g)
			}
			s.ends = append(s.ends, len(s.keys)+len(s.packedKeys))
		}
	}
	s.heads = s.heads[:0]
	row = 0
	first := 0
	for i, b := range batch {
		for g := range d.KVHeads {
			last := s.ends[i*d.KVHeads+g]
			group := d.Heads / d.KVHeads // heads that share keys, and so their reading
			from, to := row*q.Cols+g*group*d.HeadDim, (row+b.Rows-1)*q.Cols+(g+1)*group*d.HeadDim
			head := kernel.Head{
				Q: q.Data[from:to], Out: attended.Data[from:to], QStride: q.Cols, N: b.Rows, Group: group,
				KVStride: d.HeadDim, PageLen: kvcache.PageLen,
				Keys: b.Past.Len(), Start: b.Past.Len() - b.Rows, Causal: true, Window: d.Window,
			}
			if shape := b.Past.Shape(); shape.Packed() {
				head.Packed = kernel.Packed{K: s.packedKeys[first:last], V: s.packedValues[first:last], Q8_0: shape.Type == tensor.Q8_0}
				head.KVStride = shape.RowBytes()
			} else {
				head.K, head.V = s.keys[first:last], s.values[first:last]
			}
			s.heads = append(s.heads, head)
			first = last
		}
		row += b.Rows
	}
	team.Attend(s.heads, d.HeadDim, float32(1/math.Sqrt(float64(d.HeadDim))))
	l.O.Forward(team, s.out.Reshape(rows, s.normed.Cols), attended)
}

// logits returns the logits of the rows that want them.
func (d *Decoder) logits(team *kernel.Team, s *Scratch, x tensor.Mat, batch []Segment, see nn.Observer) tensor.Mat {
	if see != nil {
		d.Norm.Forward(team, s.normed, x)
		see.Mat("norm", s.normed)
	}
	count := 0
	for _, b := range batch {
		count += b.Wanted
	}
	wanted := s.wanted.Reshape(count, x.Cols)
	row, at := 0, 0
	for _, b := range batch {
		row += b.Rows
		copy(wanted.Slice(at, at+b.Wanted).Data, x.Slice(row-b.Wanted, row).Data)
		at += b.Wanted
	}
	logits := s.logits.Reshape(count, d.Vocabulary())
	if count > 0 {
		d.Norm.Forward(team, wanted, wanted)
		d.Head.Forward(team, logits, wanted)
	}
	return logits
}
