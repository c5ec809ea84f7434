package kernel

import (
	"fmt"
	"math"
)

// Activation is the nonlinearity of a feed-forward layer.
type Activation uint8

const (
	GELUTanh Activation = iota // x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³)))
	GELU                       // x/2·(1 + erf(x/√2))
	SiLU                       // x/(1 + e^-x)
	ReLU                       // max(x, 0)
)

// activationNames are the values of hidden_act in configurations (transformers,
// activations.py, ACT2FN), our own name first.
var activationNames = [...][]string{
	GELUTanh: {"gelu_pytorch_tanh", "gelu_new", "gelu_fast"},
	GELU:     {"gelu"},
	SiLU:     {"silu", "swish"},
	ReLU:     {"relu"},
}

// ParseActivation returns the activation that a configuration's hidden_act names.
func ParseActivation(name string) (Activation, error) {
	for a, names := range activationNames {
		for _, n := range names {
			if n == name {
				return Activation(a), nil
			}
		}
	}
	return 0, fmt.Errorf("kernel: activation %q is not known, want one of gelu_pytorch_tanh, gelu_new, gelu_fast, gelu, silu, swish, relu", name)
}

// String returns the name that ParseActivation understands.
func (a Activation) String() string {
	if int(a) < len(activationNames) {
		return activationNames[a][0]
	}
	return fmt.Sprintf("Activation(%d)", uint8(a))
}

// Activate computes y = a(x) elementwise; y may be x.
func (t *Team) Activate(y, x []float32, a Activation) {
	want("Activate", "x", len(x), len(y))
	t.runActivate(activateTask{a: a, y: y, x: x})
}

// ActivateMul computes y = a(gate)·up elementwise; y may be either.
func (t *Team) ActivateMul(y, gate, up []float32, a Activation) {
	want("ActivateMul", "gate", len(gate), len(y))
	want("ActivateMul", "up", len(up), len(y))
	t.runActivate(activateTask{a: a, y: y, x: gate, up: up})
}

func (t *Team) runActivate(task activateTask) {
	if int(task.a) >= len(activationNames) {
		panic("kernel: " + task.a.String())
	}
	t.activate = task
	t.pool.Run(pieces(len(task.y), elementsPerPiece), &t.activate)
	t.activate = activateTask{}
}

type activateTask struct {
	a        Activation
	y, x, up []float32 // up is nil for Activate
}

// The pieces of an elementwise operation are cut where the vectors of every variant end, so
// that each element meets the same code whatever the number of pieces.
func (t *activateTask) Do(i, _ int) {
	lo, hi := i*elementsPerPiece, min(len(t.y), (i+1)*elementsPerPiece)
	y, x := t.y[lo:hi], t.x[lo:hi]
	if t.up == nil {
		activate(y, x, t.a)
		return
	}
	activateMul(y, x, t.up[lo:hi], t.a)
}

func activateGeneric(y, x []float32, a Activation) {
	y = y[:len(x)]
	switch a {
	case GELUTanh:
		for i, v := range x {
			y[i] = geluTanh(v)
		}
	case GELU:
		for i, v := range x {
			y[i] = gelu(v)
		}
	case SiLU:
		for i, v := range x {
			y[i] = silu(v)
		}
	case ReLU:
		for i, v := range x {
			y[i] = max(v, 0)
		}
	}
}

func activateMulGeneric(y, gate, up []float32, a Activation) {
	y, up = y[:len(gate)], up[:len(gate)]
	switch a {
	case GELUTanh:
		for i, v := range gate {
			y[i] = geluTanh(v) * up[i]
		}
	case GELU:
		for i, v := range gate {
			y[i] = gelu(v) * up[i]
		}
	case SiLU:
		for i, v := range gate {
			y[i] = silu(v) * up[i]
		}
	case ReLU:
		for i, v := range gate {
			y[i] = max(v, 0) * up[i]
		}
	}
}

func silu(x float32) float32 { return x / (1 + exp(-x)) }

// geluTanh uses (1 + tanh u)/2 = 1/(1 + e^-2u), which keeps its digits for negative x, where 1
// plus the tanh cancels. The argument is float64, for its error is multiplied by 2u.
func geluTanh(x float32) float32 {
	v := float64(x)
	u := 2 * 0.7978845608028654 * (v + float64(0.044715*float64(v*float64(v*v)))) // 2·√(2/π)·…
	return x / (1 + exp(float32(-u)))
}

// gelu uses erfc(-z) = 1 + erf(z) for the same reason.
func gelu(x float32) float32 {
	return float32(0.5 * float64(x) * math.Erfc(-float64(x)/math.Sqrt2))
}
