package connector

import (
	"math"

	"idefics2/kernel"
	"idefics2/nn"
	"idefics2/tensor"
)

// Tape is what Record keeps for Backward, and the memory that Backward works in. It grows to the
// largest pass.
type Tape struct {
	// Recompute keeps the input of each layer alone, and nothing of the projection's inner values:
	// Backward computes the rest again, for a third more time.
	Recompute bool

	layers []activations
	again  activations // of the layer that is computed again
	first  int         // the lowest recorded layer
	inner  tensor.Mat

	dlatents, dcontext, dnormed, dnormedContext tensor.Mat
	dq, dk, dv, dattended                       tensor.Mat
	grads                                       []kernel.HeadGrad
	mlp                                         nn.MLPGradients
}

// Trained reports whether any of the layer has a gradient.
func (l *Layer) Trained() bool {
	return l.LatentNorm.Trained() || l.ContextNorm.Trained() || l.MLPNorm.Trained() || l.MLP.Trained() ||
		l.Q.Trained() || l.K.Trained() || l.V.Trained() || l.O.Trained()
}

// FirstTrained returns the lowest layer that Backward must reach, which is where Record begins to keep
// things: len(Layers) if there is none. below says whether the gradient of what the
// connector reads is wanted.
func (c *Connector) FirstTrained(below bool) int {
	for i := range c.Layers {
		if below || c.Projection.Trained() || c.DLatents != nil || c.Layers[i].Trained() {
			return i
		}
	}
	return len(c.Layers)
}

// Trained reports whether any of the connector has a gradient.
func (c *Connector) Trained() bool {
	return c.Projection.Trained() || c.DLatents != nil || c.Norm.Trained() || c.FirstTrained(false) < len(c.Layers)
}

// Record is Forward, bit for bit, which keeps what Backward needs from the layer first on. s
// must not be used for anything else before Backward.
func (c *Connector) Record(team *kernel.Team, s *Scratch, tape *Tape, x tensor.Mat, sizes []int, first int) tensor.Mat {
	tape.first = first
	if tape.layers == nil {
		tape.layers = make([]activations, len(c.Layers))
	}
	defer func(own *activations) { s.activations = own }(s.activations)
	context := s.context.Reshape(x.Rows, c.Latents.Cols)
	s.projection.Keep = nil
	if first == 0 && !tape.Recompute {
		s.projection.Keep = &tape.inner
	}
	c.Projection.Forward(team, &s.projection, context, x)
	latents := c.start(s, len(sizes))
	for i := range c.Layers {
		a := &tape.layers[i]
		s.activations = a
		if i < first || tape.Recompute {
			s.activations = &tape.again
		}
		s.recorded = i >= first
		s.mlp.Keep = nil
		if i >= first {
			copy(a.in.Reshape(latents.Rows, latents.Cols).Data, latents.Data)
			if !tape.Recompute {
				s.mlp.Keep = &tape.inner
			}
		}
		c.attendAdd(team, s, i, context, latents, sizes, nil)
		if s.mlp.Keep != nil {
			copy(a.mid.Reshape(latents.Rows, latents.Cols).Data, latents.Data)
		}
		c.feedAdd(team, s, i, latents, nil)
	}
	c.Norm.Forward(team, s.out, latents)
	return s.out
}

// Backward adds to the gradients of the connector those that dy [I·L, C], the gradient of what Record
// returned, makes, and to dx [ΣN, Cv], unless it is empty, the gradient of x.
func (c *Connector) Backward(team *kernel.Team, s *Scratch, tape *Tape, dx, dy, x tensor.Mat, sizes []int) {
	dlatents := tape.dlatents.Reshape(dy.Rows, dy.Cols)
	clear(dlatents.Data)
	c.Norm.Backward(team, dlatents, dy, s.latents)
	dcontext := tape.dcontext.Reshape(s.context.Rows, s.context.Cols)
	clear(dcontext.Data)
	reads := dx.Data != nil || c.Projection.Trained() // the context's gradient is wanted
	defer func(own *activations) { s.activations = own }(s.activations)
	for i := len(c.Layers) - 1; i >= tape.first; i-- {
		s.activations = &tape.layers[i]
		if tape.Recompute {
			in := s.in
			s.activations = &tape.again
			s.recorded = true
			s.mlp.Keep = nil
			copy(s.mid.Reshape(in.Rows, in.Cols).Data, in.Data)
			c.attendAdd(team, s, i, s.context, s.mid, sizes, nil)
			s.in = in // the layer's own, for as long as it runs
		}
		c.layerBackward(team, s, tape, i, dlatents, dcontext, sizes, reads)
		if tape.Recompute {
			s.in = tensor.Mat{}
		}
	}
	if c.DLatents != nil {
		for at := 0; at < len(dlatents.Data); at += len(c.DLatents) {
			team.Add(c.DLatents, dlatents.Data[at:][:len(c.DLatents)])
		}
	}
	if reads {
		c.Projection.Backward(team, &s.projection, &tape.mlp, dx, dcontext, x)
	}
}

// layerBackward turns dx from the gradient of a layer's latents into that of the latents it got, and
// adds to that of the context.
func (c *Connector) layerBackward(team *kernel.Team, s *Scratch, tape *Tape, i int, dx, dcontext tensor.Mat, sizes []int, reads bool) {
	l := &c.Layers[i]
	normed, dnormed := s.normed.Reshape(dx.Rows, dx.Cols), tape.dnormed.Reshape(dx.Rows, dx.Cols)
	clear(dnormed.Data)
	l.MLPNorm.Forward(team, normed, s.mid)
	l.MLP.Backward(team, &s.mlp, &tape.mlp, dnormed, dx, normed)
	l.MLPNorm.Backward(team, dx, dnormed, s.mid)

	dattended := tape.dattended.Reshape(dx.Rows, s.attended.Cols)
	dq, dk, dv := tape.dq.Reshape(dx.Rows, s.q.Cols), tape.dk.Reshape(s.k.Rows, s.k.Cols), tape.dv.Reshape(s.v.Rows, s.v.Cols)
	for _, m := range []tensor.Mat{dattended, dq, dk, dv, dnormed} {
		clear(m.Data)
	}
	l.O.Backward(team, dattended, dx, s.attended)
	c.attendBackward(team, s, tape, sizes)

	l.LatentNorm.Forward(team, normed, s.in)
	l.Q.Backward(team, dnormed, dq, normed)
	n := c.Latents.Rows
	at, row := 0, 0
	for j, size := range sizes {
		own, down := normed.Slice(j*n, (j+1)*n), dnormed.Slice(j*n, (j+1)*n)
		l.K.Backward(team, down, dk.Slice(row+size, row+size+n), own)
		l.V.Backward(team, down, dv.Slice(row+size, row+size+n), own)
		seen := s.normedContext.Reshape(size, dcontext.Cols)
		context := s.context.Slice(at, at+size)
		l.ContextNorm.Forward(team, seen, context)
		var dseen tensor.Mat
		if reads || l.ContextNorm.Trained() {
			dseen = tape.dnormedContext.Reshape(size, dcontext.Cols)
			clear(dseen.Data)
		}
		l.K.Backward(team, dseen, dk.Slice(row, row+size), seen)
		l.V.Backward(team, dseen, dv.Slice(row, row+size), seen)
		if dseen.Data != nil {
			l.ContextNorm.Backward(team, dcontext.Slice(at, at+size), dseen, context)
		}
		at, row = at+size, row+size+n
	}
	l.LatentNorm.Backward(team, dx, dnormed, s.in)
}

// attendBackward adds to the gradients of q, k and v.
func (c *Connector) attendBackward(team *kernel.Team, s *Scratch, tape *Tape, sizes []int) {
	tape.grads = tape.grads[:0]
	pages := make([][]float32, 0, 2*c.KVHeads*len(sizes))
	n, group, qs, stride, d := c.Latents.Rows, c.Heads/c.KVHeads, s.q.Cols, s.k.Cols, c.HeadDim
	row := 0
	for i, size := range sizes {
		keys := size + n
		for h := range c.Heads {
			g := h / group
			kvFrom, kvTo := row*stride+g*d, (row+keys-1)*stride+(g+1)*d
			if h%group == 0 {
				pages = append(pages, s.k.Data[kvFrom:kvTo], s.v.Data[kvFrom:kvTo])
			}
			p := len(pages)
			from, to := i*n*qs+h*d, ((i+1)*n-1)*qs+(h+1)*d
			tape.grads = append(tape.grads, kernel.HeadGrad{
				Head: kernel.Head{
					Q: s.q.Data[from:to], Out: s.attended.Data[from:to], QStride: qs, N: n, LogSum: s.logSum.Row(h)[i*n:][:n],
					K: pages[p-2 : p-1], V: pages[p-1 : p], KVStride: stride, PageLen: keys, Keys: keys,
				},
				DOut: tape.dattended.Data[from:to], DQ: tape.dq.Data[from:to],
				DK: tape.dk.Data[kvFrom:kvTo], DV: tape.dv.Data[kvFrom:kvTo],
			})
		}
		row += keys
	}
	team.AttendBackward(tape.grads, group, d, float32(1/math.Sqrt(float64(d))))
}

// Params calls add with all parameters, in the order of the checkpoint.
func (c *Connector) Params(add func(nn.Param)) {
	c.Projection.Params(add)
	add(nn.VectorParam("model.connector.perceiver_resampler.latents", &c.Latents.Data, &c.DLatents, c.Latents.Rows, c.Latents.Cols))
	for i := range c.Layers {
		l := &c.Layers[i]
		l.LatentNorm.Params(add)
		l.ContextNorm.Params(add)
		for _, linear := range []*nn.Linear{&l.Q, &l.K, &l.V, &l.O} {
			linear.Params(add)
		}
		l.MLPNorm.Params(add)
		l.MLP.Params(add)
	}
	c.Norm.Params(add)
}
