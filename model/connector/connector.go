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
	context, normedContext, latents, normed tensor.Mat
	q, k, v, attended, out                  tensor.Mat
	heads                                   []kernel.Head
	pages                                   [][]float32
	mlp                                     nn.MLPScratch
}

// Forward returns the latents [I·L, C] of I crops, whose patches' vectors are the rows
// of x [ΣN, Cv]; sizes holds each crop's N. The result is valid until s is used again.
func (c *Connector) Forward(team *kernel.Team, s *Scratch, x tensor.Mat, sizes []int, see, seeResampler nn.Observer) tensor.Mat {
	context := s.context.Reshape(x.Rows, c.Latents.Cols)
	c.Projection.Forward(team, &s.mlp, context, x)
	see.Mat("projection", context)

	latents := s.latents.Reshape(len(sizes)*c.Latents.Rows, c.Latents.Cols)
	for i := range sizes {
		copy(latents.Slice(i*c.Latents.Rows, (i+1)*c.Latents.Rows).Data, c.Latents.Data)
	}
	for i := range c.Layers {
		l := &c.Layers[i]
		at := ""
		if seeResampler != nil {
			at = fmt.Sprintf("layer.%d", i)
		}
		c.attend(team, s, l, context, latents, sizes)
		if i == 0 {
			seeResampler.Mat(at+".attention", s.out)
		}
		team.Add(latents.Data, s.out.Data)
		l.MLPNorm.Forward(team, s.normed, latents)
		l.MLP.Forward(team, &s.mlp, s.out, s.normed)
		team.Add(latents.Data, s.out.Data)
		seeResampler.Mat(at, latents)
	}
	c.Norm.Forward(team, s.out.Reshape(latents.Rows, latents.Cols), latents)
	seeResampler.Mat("norm", s.out)
	return s.out
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
		}
		row += keys
	}
	team.Attend(s.heads, c.HeadDim, float32(1/math.Sqrt(float64(c.HeadDim))))
	l.O.Forward(team, s.out.Reshape(latents.Rows, latents.Cols), attended)
}
