// Package connector brings an image from the vision tower into the decoder's
// sequence: the modality projection lifts every patch to the decoder's width, and the
// perceiver resampler reads the patches into a fixed number of latents.
package connector

import (
	"fmt"
	"math"

	"idefics2/kernel"
	"idefics2/nn"
	"idefics2/tensor"
)

// Connector is projection and resampler (reference: modeling_idefics2.py, Idefics2Connector).
type Connector struct {
	Projection nn.GatedMLP // Cv → F → C
	Latents    tensor.Mat  // [L, C], the same start for every image
	DLatents   []float32   // its gradient; nil while it is frozen
	Layers     []Layer
	Norm       nn.RMSNorm
	Heads      int // of queries
	KVHeads    int
	HeadDim    int
}

// Layer lets the latents attend to the patches and to themselves.
type Layer struct {
	LatentNorm, ContextNorm, MLPNorm nn.RMSNorm
	Q, K, V, O                       nn.Linear // no biases
	MLP                              nn.GatedMLP
}

// Scratch is the memory of a forward pass; it grows to the largest one.
type Scratch struct {
	context, normedContext, latents, normed, out tensor.Mat
	heads                                        []kernel.Head
	pages                                        [][]float32
	projection                                   nn.MLPScratch // to train

	*activations // of the running layer: the same for all, or, to train, one for each
}

// activations are what a layer computes and Backward needs again.
type activations struct {
	in, mid           tensor.Mat // the latents that the layer got, and those with its attention; only when recorded
	q, k, v, attended tensor.Mat
	logSum            tensor.Mat // [heads, rows]; only when recorded
	mlp               nn.MLPScratch
	recorded          bool
}

// Forward returns the latents [I·L, C] of I crops, whose patches' vectors are the rows
// of x [ΣN, Cv]; sizes holds each crop's N. The result is valid until s is used again.
func (c *Connector) Forward(team *kernel.Team, s *Scratch, x tensor.Mat, sizes []int, see, seeResampler nn.Observer) tensor.Mat {
	if s.activations == nil {
		s.activations = &activations{}
	}
	context := s.context.Reshape(x.Rows, c.Latents.Cols)
	c.Projection.Forward(team, &s.mlp, context, x)
	see.Mat("projection", context)
	latents := c.start(s, len(sizes))
	for i := range c.Layers {
		c.attendAdd(team, s, i, context, latents, sizes, seeResampler)
		c.feedAdd(team, s, i, latents, seeResampler)
	}
	c.Norm.Forward(team, s.out.Reshape(latents.Rows, latents.Cols), latents)
	seeResampler.Mat("norm", s.out)
	return s.out
}

// start writes the first latents of some crops to s.latents.
func (c *Connector) start(s *Scratch, crops int) tensor.Mat {
	latents := s.latents.Reshape(crops*c.Latents.Rows, c.Latents.Cols)
	for i := range crops {
		copy(latents.Slice(i*c.Latents.Rows, (i+1)*c.Latents.Rows).Data, c.Latents.Data)
	}
	return latents
}

// attendAdd is the first half of a layer: what the latents read is added to them.
func (c *Connector) attendAdd(team *kernel.Team, s *Scratch, i int, context, latents tensor.Mat, sizes []int, see nn.Observer) {
	c.attend(team, s, &c.Layers[i], context, latents, sizes)
	if i == 0 {
		see.Mat("layer.0.attention", s.out)
	}
	team.Add(latents.Data, s.out.Data)
}

// feedAdd is the second half: latents += mlp(norm(latents)).
func (c *Connector) feedAdd(team *kernel.Team, s *Scratch, i int, latents tensor.Mat, see nn.Observer) {
	l := &c.Layers[i]
	l.MLPNorm.Forward(team, s.normed, latents)
	l.MLP.Forward(team, &s.mlp, s.out, s.normed)
	team.Add(latents.Data, s.out.Data)
	if see != nil {
		see.Mat(fmt.Sprintf("layer.%d", i), latents)
	}
}

// attend writes the cross-attention of the latents to s.out. Keys and values of a crop
// are its patches' first and then its normed latents'; all see all.
func (c *Connector) attend(team *kernel.Team, s *Scratch, l *Layer, context, latents tensor.Mat, sizes []int) {
	n := c.Latents.Rows
	normed := s.normed.Reshape(latents.Rows, latents.Cols)
	l.LatentNorm.Forward(team, normed, latents)
	q := s.q.Reshape(latents.Rows, c.Heads*c.HeadDim)
	l.Q.Forward(team, q, normed)

	stride := c.KVHeads * c.HeadDim
	k, v := s.k.Reshape(context.Rows+latents.Rows, stride), s.v.Reshape(context.Rows+latents.Rows, stride)
	at, row := 0, 0
	for i, size := range sizes {
		seen := s.normedContext.Reshape(size, context.Cols)
		l.ContextNorm.Forward(team, seen, context.Slice(at, at+size))
		own := normed.Slice(i*n, (i+1)*n)
		l.K.Forward(team, k.Slice(row, row+size), seen)
		l.V.Forward(team, v.Slice(row, row+size), seen)
		l.K.Forward(team, k.Slice(row+size, row+size+n), own)
		l.V.Forward(team, v.Slice(row+size, row+size+n), own)
		at, row = at+size, row+size+n
	}

	attended := s.attended.Reshape(q.Rows, q.Cols)
	var logSum tensor.Mat
	if s.recorded {
		logSum = s.logSum.Reshape(c.Heads, q.Rows)
	}
	s.heads, s.pages = s.heads[:0], s.pages[:0]
	if want := 2 * c.Heads * len(sizes); cap(s.pages) < want {
		s.pages = make([][]float32, 0, want)
	}
	row = 0
	for i, size := range sizes {
		keys := size + n
		for h := range c.Heads {
			g := h / (c.Heads / c.KVHeads)
			from, to := i*n*q.Cols+h*c.HeadDim, ((i+1)*n-1)*q.Cols+(h+1)*c.HeadDim
			kvFrom, kvTo := row*stride+g*c.HeadDim, (row+keys-1)*stride+(g+1)*c.HeadDim
			p := len(s.pages)
			s.pages = append(s.pages, k.Data[kvFrom:kvTo], v.Data[kvFrom:kvTo])
			s.heads = append(s.heads, kernel.Head{
				Q: q.Data[from:to], Out: attended.Data[from:to], QStride: q.Cols, N: n,
				K: s.pages[p : p+1], V: s.pages[p+1 : p+2], KVStride: stride, PageLen: keys, Keys: keys,
			})
			if s.recorded {
				s.heads[len(s.heads)-1].LogSum = logSum.Row(h)[i*n:][:n]
			}
		}
		row += keys
	}
	team.Attend(s.heads, c.HeadDim, float32(1/math.Sqrt(float64(c.HeadDim))))
	l.O.Forward(team, s.out.Reshape(latents.Rows, latents.Cols), attended)
}
