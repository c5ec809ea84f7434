package train

import (
	"fmt"
	"math"
)

// Shape is how a learning rate falls after warm-up.
type Shape uint8

// The shapes.
const (
	Constant Shape = iota
	Linear         // to 0 at Total
	Cosine         // half a period, to 0 at Total
)

var shapes = [...]string{"constant", "linear", "cosine"}

// String returns the name that UnmarshalText reads.
func (s Shape) String() string {
	if int(s) < len(shapes) {
		return shapes[s]
	}
	return fmt.Sprintf("Shape(%d)", uint8(s))
}

// MarshalText writes the shape's name.
func (s Shape) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the name of a shape, as of a flag.
func (s *Shape) UnmarshalText(text []byte) error {
	for i, name := range shapes {
		if name == string(text) {
			*s = Shape(i)
			return nil
		}
	}
	return fmt.Errorf("train: schedule %q is not known, want constant, linear or cosine", text)
}

// Schedule gives each step its learning rate. Steps are updates, counted from 0 (transformers,
// optimization.py: get_linear_schedule_with_warmup and its like).
type Schedule struct {
	Shape  Shape
	Peak   float64
	Warmup int // steps, from 0 up to Peak in equal parts: the first has rate 0
	Total  int // steps at the end of which the rate is 0; not used by Constant
	Start  int // the step that is the first here, where a schedule follows another
}

// At returns the rate of a step.
func (s Schedule) At(step int) float64 {
	step = max(0, step-s.Start)
	if step < s.Warmup {
		return s.Peak * float64(step) / float64(s.Warmup)
	}
	done := float64(step-s.Warmup) / float64(max(1, s.Total-s.Warmup))
	switch s.Shape {
	case Linear:
		return s.Peak * max(0, 1-done)
	case Cosine:
		return s.Peak * max(0, 0.5*(1+math.Cos(math.Pi*min(1, done))))
	default:
		return s.Peak
	}
}

func (s Schedule) check() error {
	switch {
	case int(s.Shape) >= len(shapes):
		return fmt.Errorf("train: schedule: %v is no shape", s.Shape)
	case !(s.Peak > 0) || math.IsInf(s.Peak, 0):
		return fmt.Errorf("train: schedule: the peak learning rate is %v, want a positive number", s.Peak)
	case s.Warmup < 0:
		return fmt.Errorf("train: schedule: warm-up of %d steps, want 0 or more", s.Warmup)
	case s.Shape != Constant && s.Total <= s.Warmup:
		return fmt.Errorf("train: schedule: %d steps in all and %d of warm-up, want more in all", s.Total, s.Warmup)
	}
	return nil
}
