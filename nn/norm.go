package nn

import (
	"idefics2/kernel"
	"idefics2/tensor"
)

// LayerNorm is y = w·(x − mean)/√(var + ε) + b over each row, with the biased variance.
type LayerNorm struct {
	Gain, Bias []float32 // [C]
	Eps        float32
}

// Forward writes y [N, C].
func (l *LayerNorm) Forward(t *kernel.Team, y, x tensor.Mat) {
	t.LayerNorm(y.Data, x.Data, x.Rows, l.Gain, l.Bias, l.Eps)
}

// RMSNorm is y = w·x/√(mean(x²) + ε) over each row.
type RMSNorm struct {
	Gain []float32 // [C]
	Eps  float32
}

// Forward writes y [N, C].
func (l *RMSNorm) Forward(t *kernel.Team, y, x tensor.Mat) {
	t.RMSNorm(y.Data, x.Data, x.Rows, l.Gain, l.Eps)
}
