package nn

import (
	"idefics2/kernel"
	"idefics2/tensor"
)

// LayerNorm is y = w·(x − mean)/√(var + ε) + b over each row, with the biased variance.
type LayerNorm struct {
	Name         string    // of the module
	Gain, Bias   []float32 // [C]
	DGain, DBias []float32 // their gradients; nil while they are frozen
	Eps          float32
}

// Forward writes y [N, C].
func (l *LayerNorm) Forward(t *kernel.Team, y, x tensor.Mat) {
	t.LayerNorm(y.Data, x.Data, x.Rows, l.Gain, l.Bias, l.Eps)
}

// Backward adds to dx, and to the gradients that are not frozen.
func (l *LayerNorm) Backward(t *kernel.Team, dx, dy, x tensor.Mat) {
	t.LayerNormBackward(dx.Data, l.DGain, l.DBias, dy.Data, x.Data, x.Rows, l.Gain, l.Eps)
}

// Trained reports whether l has a gradient.
func (l *LayerNorm) Trained() bool { return l.DGain != nil || l.DBias != nil }

// RMSNorm is y = w·x/√(mean(x²) + ε) over each row.
type RMSNorm struct {
	Name  string    // of the module
	Gain  []float32 // [C]
	DGain []float32 // its gradient; nil while it is frozen
	Eps   float32
}

// Forward writes y [N, C].
func (l *RMSNorm) Forward(t *kernel.Team, y, x tensor.Mat) {
	t.RMSNorm(y.Data, x.Data, x.Rows, l.Gain, l.Eps)
}

// Backward adds to dx, and to the gain's gradient unless it is frozen.
func (l *RMSNorm) Backward(t *kernel.Team, dx, dy, x tensor.Mat) {
	t.RMSNormBackward(dx.Data, l.DGain, dy.Data, x.Data, x.Rows, l.Gain, l.Eps)
}

// Trained reports whether l has a gradient.
func (l *RMSNorm) Trained() bool { return l.DGain != nil }
