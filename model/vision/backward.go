package vision

import (
	"math"

	"idefics2/input"
	"idefics2/kernel"
	"idefics2/nn"
	"idefics2/tensor"
)

// Tape is what Record keeps for Backward, and the memory that Backward works in. It grows to the
// largest pass.
type Tape struct {
	// Recompute keeps the input of each layer alone: Backward computes the rest of a layer again,
	// for a third more time.
	Recompute bool

	layers []activations
	again  activations // of the layer that is computed again
	first  int         // the lowest recorded layer
	inner  tensor.Mat

	dx, dnormed, dq, dk, dv, dattended tensor.Mat
	grads                              []kernel.HeadGrad
	mlp                                nn.MLPGradients
}

// Trained reports whether any of the layer has a gradient.
func (l *Layer) Trained() bool {
	return l.Norm1.Trained() || l.Norm2.Trained() || l.MLP.Trained() ||
		l.Q.Trained() || l.K.Trained() || l.V.Trained() || l.O.Trained()
}

// embeds reports whether the embeddings have a gradient.
func (t *Tower) embeds() bool { return t.Patch.Trained() || t.Positions.DW != nil }

// FirstTrained returns the lowest layer that Backward must reach, which is where Record begins to keep
// things: len(Layers) if there is none.
func (t *Tower) FirstTrained() int {
	for i := range t.Layers {
		if t.embeds() || t.Layers[i].Trained() {
			return i
		}
	}
	return len(t.Layers)
}

// Trained reports whether any of the tower has a gradient.
func (t *Tower) Trained() bool {
	return t.embeds() || t.Post.Trained() || t.FirstTrained() < len(t.Layers)
}

// Record is Forward, bit for bit, which keeps what Backward needs from the layer first on. s
// must not be used for anything else before Backward.
func (t *Tower) Record(team *kernel.Team, s *Scratch, tape *Tape, crops []input.Crop, first int) tensor.Mat {
	tape.first = first
	if tape.layers == nil {
		tape.layers = make([]activations, len(t.Layers))
	}
	defer func(own *activations) { s.activations = own }(s.activations)
	x := t.embed(team, s, crops)
	for i := range t.Layers {
		a := &tape.layers[i]
		s.activations = a
		if i < first || tape.Recompute {
			s.activations = &tape.again
		}
		s.recorded = i >= first
		s.mlp.Keep = nil
		if i >= first {
			copy(a.in.Reshape(x.Rows, x.Cols).Data, x.Data)
			if !tape.Recompute {
				s.mlp.Keep = &tape.inner
			}
		}
		t.attendAdd(team, s, i, x, crops, nil)
		if s.mlp.Keep != nil {
			copy(a.mid.Reshape(x.Rows, x.Cols).Data, x.Data)
		}
		t.feedAdd(team, s, i, x, nil)
	}
	t.Post.Forward(team, s.out, x)
	return s.out
}

// Backward adds to the gradients of the tower those that dy [ΣN, C], the gradient of what Record
// returned, makes.
func (t *Tower) Backward(team *kernel.Team, s *Scratch, tape *Tape, dy tensor.Mat, crops []input.Crop) {
	dx := tape.dx.Reshape(dy.Rows, dy.Cols)
	clear(dx.Data)
	t.Post.Backward(team, dx, dy, s.x)
	defer func(own *activations) { s.activations = own }(s.activations)
	for i := len(t.Layers) - 1; i >= tape.first; i-- {
		s.activations = &tape.layers[i]
		if tape.Recompute {
			in := s.in
			s.activations = &tape.again
			s.recorded = true
			s.mlp.Keep = nil
			copy(s.mid.Reshape(in.Rows, in.Cols).Data, in.Data)
			t.attendAdd(team, s, i, s.mid, crops, nil)
			s.in = in // the layer's own, for as long as it runs
		}
		t.layerBackward(team, s, tape, i, dx, crops, t.embeds() || i > tape.first)
		if tape.Recompute {
			s.in = tensor.Mat{}
		}
	}
	if t.embeds() {
		t.embedBackward(team, dx, crops)
	}
}

// layerBackward turns dx from the gradient of a layer's output into that of its input. Both halves add
// to what they got, so their gradients add to dx.
func (t *Tower) layerBackward(team *kernel.Team, s *Scratch, tape *Tape, i int, dx tensor.Mat, crops []input.Crop, below bool) {
	l := &t.Layers[i]
	normed, dnormed := s.normed.Reshape(dx.Rows, dx.Cols), tape.dnormed.Reshape(dx.Rows, dx.Cols)
	clear(dnormed.Data)
	l.Norm2.Forward(team, normed, s.mid)
	l.MLP.Backward(team, &s.mlp, &tape.mlp, dnormed, dx, normed)
	l.Norm2.Backward(team, dx, dnormed, s.mid)

	for _, m := range []*tensor.Mat{&tape.dattended, &tape.dq, &tape.dk, &tape.dv} {
		clear(m.Reshape(dx.Rows, dx.Cols).Data)
	}
	l.O.Backward(team, tape.dattended, dx, s.attended)
	t.attendBackward(team, s, tape, crops)
	l.Norm1.Forward(team, normed, s.in)
	if !below && !l.Norm1.Trained() {
		dnormed = tensor.Mat{}
	}
	clear(dnormed.Data)
	l.Q.Backward(team, dnormed, tape.dq, normed)
	l.K.Backward(team, dnormed, tape.dk, normed)
	l.V.Backward(team, dnormed, tape.dv, normed)
	if dnormed.Data != nil {
		l.Norm1.Backward(team, dx, dnormed, s.in)
	}
}

// attendBackward adds to the gradients of q, k and v.
func (t *Tower) attendBackward(team *kernel.Team, s *Scratch, tape *Tape, crops []input.Crop) {
	c := t.Width()
	d := c / t.Heads
	tape.grads = tape.grads[:0]
	pages := make([][]float32, 0, 2*t.Heads*len(crops))
	at := 0
	for i := range crops {
		n := crops[i].Rows * crops[i].Columns
		for h := range t.Heads {
			from, to := at*c+h*d, (at+n-1)*c+(h+1)*d
			pages = append(pages, s.k.Data[from:to], s.v.Data[from:to])
			p := len(pages)
			tape.grads = append(tape.grads, kernel.HeadGrad{
				Head: kernel.Head{
					Q: s.q.Data[from:to], Out: s.attended.Data[from:to], QStride: c, N: n, LogSum: s.logSum.Row(h)[at:][:n],
					K: pages[p-2 : p-1], V: pages[p-1 : p], KVStride: c, PageLen: n, Keys: n,
				},
				DOut: tape.dattended.Data[from:to], DQ: tape.dq.Data[from:to], DK: tape.dk.Data[from:to], DV: tape.dv.Data[from:to],
			})
		}
		at += n
	}
	team.AttendBackward(tape.grads, 1, d, float32(1/math.Sqrt(float64(d))))
}

// embedBackward adds to the gradients of the patches' product and of the position table.
func (t *Tower) embedBackward(team *kernel.Team, dx tensor.Mat, crops []input.Crop) {
	at := 0
	for i := range crops {
		n := crops[i].Rows * crops[i].Columns
		d := dx.Slice(at, at+n)
		t.Patch.Backward(team, tensor.Mat{}, d, tensor.MatOf(crops[i].Patches, t.Patch.W.In))
		t.Positions.Backward(d, crops[i].Positions)
		at += n
	}
}

// Params calls add with all parameters, in the order of the checkpoint.
func (t *Tower) Params(add func(nn.Param)) {
	t.Patch.Params(add)
	t.Positions.Params(nil, add)
	for i := range t.Layers {
		l := &t.Layers[i]
		for _, linear := range []*nn.Linear{&l.K, &l.V, &l.Q, &l.O} {
			linear.Params(add)
		}
		l.Norm1.Params(add)
		l.MLP.Params(add)
		l.Norm2.Params(add)
	}
	t.Post.Params(add)
}
