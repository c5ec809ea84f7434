package nn

import (
	"idefics2/kernel"
	"idefics2/tensor"
)

// mlpRows is how many rows go through a feed-forward layer at once: its inner width
// is several times the model's, and rows do not see one another.
const mlpRows = 512

// MLP is y = W2·act(W1·x + b1) + b2, the feed-forward layer of the vision tower.
type MLP struct {
	Up, Down Linear // [F, C], [C, F]
	Act      kernel.Activation
}

// GatedMLP is y = Wd·(act(Wg·x) ⊙ Wu·x), the feed-forward layer of the decoder and the
// resampler, and the modality projection.
type GatedMLP struct {
	Gate, Up, Down Linear // [F, C], [F, C], [C', F]
	Act            kernel.Activation
}

// MLPScratch is the memory that a feed-forward layer works in. It grows to what the
// largest call needed and may be shared by all layers that run one after another.
type MLPScratch struct {
	a, b tensor.Mat
	// Keep, if not nil, makes Forward leave for Backward what it gave to the activation, of
	// all rows at once, and work in *Keep instead.
	Keep *tensor.Mat
}

// rows returns how many of n rows go through together.
func (s *MLPScratch) rows(n int) int {
	if s.Keep != nil {
		return max(1, n)
	}
	return mlpRows
}

// inner returns where the activation of a goes.
func (s *MLPScratch) inner(a tensor.Mat) tensor.Mat {
	if s.Keep != nil {
		return s.Keep.Reshape(a.Rows, a.Cols)
	}
	return a
}

// Forward writes y [N, C] for x [N, C].
func (m *MLP) Forward(t *kernel.Team, s *MLPScratch, y, x tensor.Mat) {
	block := s.rows(x.Rows)
	for at := 0; at < x.Rows; at += block {
		n := min(block, x.Rows-at)
		a := s.a.Reshape(n, m.Up.W.Out)
		m.Up.Forward(t, a, x.Slice(at, at+n))
		inner := s.inner(a)
		t.Activate(inner.Data, a.Data, m.Act)
		m.Down.Forward(t, y.Slice(at, at+n), inner)
	}
}

// Forward writes y [N, C'] for x [N, C].
func (m *GatedMLP) Forward(t *kernel.Team, s *MLPScratch, y, x tensor.Mat) {
	block := s.rows(x.Rows)
	for at := 0; at < x.Rows; at += block {
		n := min(block, x.Rows-at)
		gate, up := s.a.Reshape(n, m.Gate.W.Out), s.b.Reshape(n, m.Up.W.Out)
		m.Gate.Forward(t, gate, x.Slice(at, at+n))
		m.Up.Forward(t, up, x.Slice(at, at+n))
		inner := s.inner(gate)
		t.ActivateMul(inner.Data, gate.Data, up.Data, m.Act)
		m.Down.Forward(t, y.Slice(at, at+n), inner)
	}
}
