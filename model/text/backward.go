package text

import (
	"fmt"
	"math"

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
	ids    []int32

	dnormed, dq, dk, dv, dattended tensor.Mat
	grads                          []kernel.HeadGrad
	back                           []int32 // positions, negated
	mlp                            nn.MLPGradients

	rows    []int // those that carry loss
	targets []int32
	losses  []float64
	dwanted tensor.Mat
}

// Trained reports whether any of the layer has a gradient.
func (l *Layer) Trained() bool {
	return l.Norm1.Trained() || l.Norm2.Trained() || l.MLP.Trained() ||
		l.Q.Trained() || l.K.Trained() || l.V.Trained() || l.O.Trained()
}

// FirstTrained returns the lowest layer that Backward must reach, which is where Record begins to keep
// things: the first that has a gradient, layer 0 when that of its input is wanted, and
// len(Layers) when there is none.
func (d *Decoder) FirstTrained(below bool) int {
	for i := range d.Layers {
		if below || d.Layers[i].Trained() {
			return i
		}
	}
	return len(d.Layers)
}

// Trained reports whether anything but the embeddings has a gradient.
func (d *Decoder) Trained() bool {
	return d.FirstTrained(false) < len(d.Layers) || d.Norm.Trained() || d.Head.Trained()
}

// Record is Forward of whole sequences, up to the final norm, which keeps what Backward needs: x [ΣRows, C]
// becomes the last layer's output. first is the lowest layer that Backward will reach. Each row
// has the bits that Forward gives it.
func (d *Decoder) Record(team *kernel.Team, s *Scratch, tape *Tape, x tensor.Mat, batch []Segment, first int) {
	d.whole(s, batch)
	tape.first = first
	if tape.layers == nil {
		tape.layers = make([]activations, len(d.Layers))
	}
	defer func(own *activations) { s.activations = own }(s.activations)
	for i := range d.Layers {
		a := &tape.layers[i]
		s.activations = a
		if i < tape.first || tape.Recompute {
			s.activations = &tape.again
		}
		s.recorded = true
		s.mlp.Keep = nil
		if i >= tape.first {
			copy(a.x.Reshape(x.Rows, x.Cols).Data, x.Data)
			if !tape.Recompute {
				s.mlp.Keep = &tape.inner
			}
		}
		d.attendAdd(team, s, i, x, batch, nil)
		if s.mlp.Keep != nil {
			copy(a.mid.Reshape(x.Rows, x.Cols).Data, x.Data)
		}
		d.feedAdd(team, s, i, x, nil)
	}
}

// whole notes the positions of whole sequences.
func (d *Decoder) whole(s *Scratch, batch []Segment) {
	s.positions = s.positions[:0]
	for _, b := range batch {
		for r := range b.Rows {
			s.positions = append(s.positions, int32(r))
		}
	}
}

// attendWhole is the second half of attend for whole sequences, whose keys and values are their own
// rows, and leaves the log-sums.
func (d *Decoder) attendWhole(team *kernel.Team, s *Scratch, l *Layer, batch []Segment) {
	rows := s.q.Rows
	logSum := s.logSum.Reshape(d.Heads, rows)
	group := d.Heads / d.KVHeads
	s.heads = s.heads[:0]
	s.keys, s.values = s.keys[:0], s.values[:0]
	if want := d.KVHeads * len(batch); cap(s.keys) < want {
		s.keys, s.values = make([][]float32, 0, want), make([][]float32, 0, want)
	}
	row := 0
	for _, b := range batch {
		if b.Rows == 0 {
			continue
		}
		for h := range d.Heads {
			if h%group == 0 {
				from, to := span(row, b.Rows, s.k.Cols, h/group, d.HeadDim)
				s.keys, s.values = append(s.keys, s.k.Data[from:to]), append(s.values, s.v.Data[from:to])
			}
			p := len(s.keys) - 1
			from, to := span(row, b.Rows, s.q.Cols, h, d.HeadDim)
			s.heads = append(s.heads, kernel.Head{
				Q: s.q.Data[from:to], Out: s.attended.Data[from:to], QStride: s.q.Cols, N: b.Rows,
				LogSum: logSum.Row(h)[row:][:b.Rows],
				K:      s.keys[p : p+1], V: s.values[p : p+1], KVStride: s.k.Cols, PageLen: b.Rows,
				Keys: b.Rows, Causal: true, Window: d.Window,
			})
		}
		row += b.Rows
	}
	team.Attend(s.heads, d.HeadDim, d.scale())
	l.O.Forward(team, s.out.Reshape(rows, s.normed.Cols), s.attended)
}

func (d *Decoder) scale() float32 { return float32(1 / math.Sqrt(float64(d.HeadDim))) }

// span returns where rows of one head lie in a matrix of cols columns.
func span(row, rows, cols, head, dim int) (from, to int) {
	return row*cols + head*dim, (row+rows-1)*cols + (head+1)*dim
}

// Backward turns dx [ΣRows, C], the gradient of what Record made of x, into that of x, and adds to the
// gradients of the layers. dx is left undefined unless below says that it is wanted.
func (d *Decoder) Backward(team *kernel.Team, s *Scratch, tape *Tape, dx tensor.Mat, batch []Segment, below bool) {
	d.whole(s, batch)
	tape.back = tape.back[:0]
	for _, p := range s.positions {
		tape.back = append(tape.back, -p)
	}
	defer func(own *activations) { s.activations = own }(s.activations)
	for i := len(d.Layers) - 1; i >= tape.first; i-- {
		s.activations = &tape.layers[i]
		if tape.Recompute {
			x := s.x
			s.activations = &tape.again
			s.recorded = true
			s.mlp.Keep = nil
			copy(s.mid.Reshape(x.Rows, x.Cols).Data, x.Data)
			d.attendAdd(team, s, i, s.mid, batch, nil)
			s.x = x // the layer's own, for as long as it runs
		}
		d.layerBackward(team, s, tape, i, dx, batch, below || i > tape.first)
		if tape.Recompute {
			s.x = tensor.Mat{}
		}
	}
}

// layerBackward turns dx from the gradient of a layer's output into that of its input. Both halves add
// to what they got, so their gradients add to dx.
func (d *Decoder) layerBackward(team *kernel.Team, s *Scratch, tape *Tape, i int, dx tensor.Mat, batch []Segment, below bool) {
	l := &d.Layers[i]
	normed, dnormed := s.normed.Reshape(dx.Rows, dx.Cols), tape.dnormed.Reshape(dx.Rows, dx.Cols)
	clear(dnormed.Data)
	l.Norm2.Forward(team, normed, s.mid)
	l.MLP.Backward(team, &s.mlp, &tape.mlp, dnormed, dx, normed)
	l.Norm2.Backward(team, dx, dnormed, s.mid)

	dattended := tape.dattended.Reshape(dx.Rows, s.attended.Cols)
	clear(dattended.Data)
	l.O.Backward(team, dattended, dx, s.attended)
	dq, dk, dv := tape.dq.Reshape(dx.Rows, s.q.Cols), tape.dk.Reshape(dx.Rows, s.k.Cols), tape.dv.Reshape(dx.Rows, s.v.Cols)
	clear(dq.Data)
	clear(dk.Data)
	clear(dv.Data)
	d.attendBackward(team, s, tape, batch)
	team.Rope(dq.Data, dq.Rows, d.Heads, d.HeadDim, tape.back, d.Inverse)
	team.Rope(dk.Data, dk.Rows, d.KVHeads, d.HeadDim, tape.back, d.Inverse)
	l.Norm1.Forward(team, normed, s.x)
	if !below && !l.Norm1.Trained() {
		dnormed = tensor.Mat{}
	}
	clear(dnormed.Data)
	l.Q.Backward(team, dnormed, dq, normed)
	l.K.Backward(team, dnormed, dk, normed)
	l.V.Backward(team, dnormed, dv, normed)
	if dnormed.Data != nil {
		l.Norm1.Backward(team, dx, dnormed, s.x)
	}
}

// attendBackward adds to the gradients of q, k and v.
func (d *Decoder) attendBackward(team *kernel.Team, s *Scratch, tape *Tape, batch []Segment) {
	tape.grads = tape.grads[:0]
	group := d.Heads / d.KVHeads
	pages := make([][]float32, 0, 2*d.KVHeads*len(batch))
	row := 0
	for _, b := range batch {
		if b.Rows == 0 {
			continue
		}
		for h := range d.Heads {
			kvFrom, kvTo := span(row, b.Rows, s.k.Cols, h/group, d.HeadDim)
			if h%group == 0 {
				pages = append(pages, s.k.Data[kvFrom:kvTo], s.v.Data[kvFrom:kvTo])
			}
			p := len(pages)
			from, to := span(row, b.Rows, s.q.Cols, h, d.HeadDim)
			tape.grads = append(tape.grads, kernel.HeadGrad{
				Head: kernel.Head{
					Q: s.q.Data[from:to], Out: s.attended.Data[from:to], QStride: s.q.Cols, N: b.Rows,
					LogSum: s.logSum.Row(h)[row:][:b.Rows],
					K:      pages[p-2 : p-1], V: pages[p-1 : p], KVStride: s.k.Cols, PageLen: b.Rows,
					Keys: b.Rows, Causal: true, Window: d.Window,
				},
				DOut: tape.dattended.Data[from:to], DQ: tape.dq.Data[from:to],
				DK: tape.dk.Data[kvFrom:kvTo], DV: tape.dv.Data[kvFrom:kvTo],
			})
		}
		row += b.Rows
	}
	team.AttendBackward(tape.grads, group, d.HeadDim, d.scale())
}

// lossFloats bounds the logits that are held at a time.
const lossFloats = 4 << 20

// Loss returns the cross-entropy of the rows of x [N, C], the output of Record, that have a target:
// a class, or a negative number for none. losses[i] belongs to the i-th such row, and is valid until
// the next call. With dx, which Loss clears, it adds weight times the gradient of the sum of
// all losses to dx [N, C] and to the gradients of final norm and output matrix.
func (d *Decoder) Loss(team *kernel.Team, s *Scratch, tape *Tape, x tensor.Mat, targets []int32, weight float32, dx tensor.Mat) (losses []float64) {
	if len(targets) != x.Rows {
		panic(fmt.Sprintf("text: %d targets for %d rows", len(targets), x.Rows))
	}
	clear(dx.Data)
	tape.rows, tape.targets = tape.rows[:0], tape.targets[:0]
	for i, c := range targets {
		if c >= 0 {
			tape.rows, tape.targets = append(tape.rows, i), append(tape.targets, c)
		}
	}
	if n := len(tape.rows); cap(tape.losses) < n {
		tape.losses = make([]float64, n)
	}
	losses = tape.losses[:len(tape.rows)]
	part := max(16, lossFloats/d.Vocabulary())
	for at := 0; at < len(losses); at += part {
		end := min(len(losses), at+part)
		d.lossPart(team, s, tape, x, dx, tape.rows[at:end], tape.targets[at:end], losses[at:end], weight)
	}
	return losses
}

// lossPart is Loss of some rows, whose logits are held at once.
func (d *Decoder) lossPart(team *kernel.Team, s *Scratch, tape *Tape, x, dx tensor.Mat, rows []int, targets []int32, losses []float64, weight float32) {
	n := len(rows)
	wanted, normed := s.wanted.Reshape(n, x.Cols), s.normed.Reshape(n, x.Cols)
	for i, r := range rows {
		copy(wanted.Row(i), x.Row(r))
	}
	logits := s.logits.Reshape(n, d.Vocabulary())
	d.Norm.Forward(team, normed, wanted)
	d.Head.Forward(team, logits, normed)
	team.CrossEntropy(losses, logits.Data, targets, weight)
	if dx.Data == nil {
		return
	}
	dnormed, dwanted := tape.dnormed.Reshape(n, x.Cols), tape.dwanted.Reshape(n, x.Cols)
	clear(dnormed.Data)
	clear(dwanted.Data)
	d.Head.Backward(team, dnormed, logits, normed)
	d.Norm.Backward(team, dwanted, dnormed, wanted)
	for i, r := range rows {
		copy(dx.Row(r), dwanted.Row(i))
	}
}

// Embedded adds dx [N, C] to the gradient of the embeddings of ids; a negative id has none.
func (d *Decoder) Embedded(tape *Tape, dx tensor.Mat, ids []int32) {
	tape.ids = append(tape.ids[:0], ids...)
	for i, id := range ids {
		if id == d.Padding {
			tape.ids[i] = -1
		}
	}
	d.Embed.Backward(dx, tape.ids)
}

// Params calls add with all parameters, in the order of the checkpoint.
func (d *Decoder) Params(add func(nn.Param)) {
	head := &d.Head
	if !d.Tied {
		head = nil
	}
	d.Embed.Params(head, add)
	for i := range d.Layers {
		l := &d.Layers[i]
		for _, linear := range []*nn.Linear{&l.Q, &l.K, &l.V, &l.O} {
			linear.Params(add)
		}
		l.MLP.Params(add)
		l.Norm1.Params(add)
		l.Norm2.Params(add)
	}
	d.Norm.Params(add)
	if !d.Tied {
		d.Head.Params(add)
	}
}
