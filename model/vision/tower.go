// Package vision is the SigLIP vision transformer of Idefics2, which reads every
// image at its own size: no padding, and so no mask.
package vision

import (
	"fmt"
	"math"

	"idefics2/input"
	"idefics2/kernel"
	"idefics2/nn"
	"idefics2/tensor"
)

// Tower turns patches into one vector each (reference: modeling_idefics2.py,
// Idefics2VisionTransformer).
type Tower struct {
	Patch     nn.Linear    // [C, 3·P·P]: the convolution, whose stride is its size, as a product
	Positions nn.Embedding // [side², C]
	Layers    []Layer
	Post      nn.LayerNorm
	Heads     int
}

// Layer is one pre-norm transformer layer.
type Layer struct {
	Norm1, Norm2 nn.LayerNorm
	Q, K, V, O   nn.Linear // [C, C] with biases
	MLP          nn.MLP
}

// Scratch is the memory of a forward pass; it grows to the largest one.
type Scratch struct {
	x, normed, out tensor.Mat
	positions      tensor.Mat
	heads          []kernel.Head
	pages          [][]float32

	*activations // of the running layer: the same for all, or, to train, one for each
}

// activations are what a layer computes and Backward needs again.
type activations struct {
	in, mid           tensor.Mat // what the layer got, and that with its attention; only when recorded
	q, k, v, attended tensor.Mat
	logSum            tensor.Mat // [heads, rows]; only when recorded
	mlp               nn.MLPScratch
	recorded          bool
}

// Width returns C, the size of a patch's vector.
func (t *Tower) Width() int { return t.Patch.W.Out }

// Forward returns the vectors [ΣN, C] of all patches of the crops, crop after crop.
// Crops are rows of the same products, and attention stays inside each, so a crop's
// vectors don't depend on its neighbours. The result is valid until s is used again.
func (t *Tower) Forward(team *kernel.Team, s *Scratch, crops []input.Crop, see nn.Observer) tensor.Mat {
	x := t.embed(team, s, crops)
	see.Mat("embeddings", x)
	if s.activations == nil {
		s.activations = &activations{}
	}
	for i := range t.Layers {
		t.attendAdd(team, s, i, x, crops, see)
		t.feedAdd(team, s, i, x, see)
	}
	t.Post.Forward(team, s.out.Reshape(x.Rows, x.Cols), x)
	see.Mat("norm", s.out)
	return s.out
}

// attendAdd is the first half of a layer: x += attention(norm(x)).
func (t *Tower) attendAdd(team *kernel.Team, s *Scratch, i int, x tensor.Mat, crops []input.Crop, see nn.Observer) {
	l := &t.Layers[i]
	l.Norm1.Forward(team, s.normed.Reshape(x.Rows, x.Cols), x)
	t.attend(team, s, l, crops)
	if i == 0 {
		see.Mat("layer.0.attention", s.out)
	}
	team.Add(x.Data, s.out.Data)
}

// feedAdd is the second half: x += mlp(norm(x)).
func (t *Tower) feedAdd(team *kernel.Team, s *Scratch, i int, x tensor.Mat, see nn.Observer) {
	l := &t.Layers[i]
	l.Norm2.Forward(team, s.normed, x)
	l.MLP.Forward(team, &s.mlp, s.out, s.normed)
	team.Add(x.Data, s.out.Data)
	if see != nil {
		see.Mat(fmt.Sprintf("layer.%d", i), x)
	}
}

// embed returns patch + position embedding [ΣN, C] in s.x.
func (t *Tower) embed(team *kernel.Team, s *Scratch, crops []input.Crop) tensor.Mat {
	rows := 0
	for i := range crops {
		rows += crops[i].Rows * crops[i].Columns
	}
	x := s.x.Reshape(rows, t.Width())
	position := s.positions.Reshape(rows, t.Width())
	at := 0
	for i := range crops {
		n := crops[i].Rows * crops[i].Columns
		t.Patch.Forward(team, x.Slice(at, at+n), tensor.MatOf(crops[i].Patches, t.Patch.W.In))
		t.Positions.Forward(position.Slice(at, at+n), crops[i].Positions)
		at += n
	}
	team.Add(x.Data, position.Data)
	return x
}

// attend writes O·softmax(q·kᵀ/√d)·v of s.normed to s.out, each crop by itself.
func (t *Tower) attend(team *kernel.Team, s *Scratch, l *Layer, crops []input.Crop) {
	rows, c := s.normed.Rows, t.Width()
	q, k, v := s.q.Reshape(rows, c), s.k.Reshape(rows, c), s.v.Reshape(rows, c)
	l.Q.Forward(team, q, s.normed)
	l.K.Forward(team, k, s.normed)
	l.V.Forward(team, v, s.normed)
	attended := s.attended.Reshape(rows, c)
	d := c / t.Heads
	var logSum tensor.Mat
	if s.recorded {
		logSum = s.logSum.Reshape(t.Heads, rows)
	}
	s.heads, s.pages = s.heads[:0], s.pages[:0]
	if want := 2 * t.Heads * len(crops); cap(s.pages) < want {
		s.pages = make([][]float32, 0, want)
	}
	at := 0
	for i := range crops {
		n := crops[i].Rows * crops[i].Columns
		for h := range t.Heads {
			from, to := at*c+h*d, (at+n-1)*c+(h+1)*d
			p := len(s.pages)
			s.pages = append(s.pages, k.Data[from:to], v.Data[from:to])
			s.heads = append(s.heads, kernel.Head{
				Q: q.Data[from:to], Out: attended.Data[from:to], QStride: c, N: n,
				K: s.pages[p : p+1], V: s.pages[p+1 : p+2], KVStride: c, PageLen: n, Keys: n,
			})
			if s.recorded {
				s.heads[len(s.heads)-1].LogSum = logSum.Row(h)[at:][:n]
			}
		}
		at += n
	}
	team.Attend(s.heads, d, float32(1/math.Sqrt(float64(d))))
	l.O.Forward(team, s.out.Reshape(rows, c), attended)
}
