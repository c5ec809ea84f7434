package training

import (
	"fmt"
	"io"
	"regexp"
	"strings"

	"idefics2"
	"idefics2/checkpoint"
)

// Plan is the memory that a training needs, in bytes, computed before anything is loaded. Activations are
// estimates, from the sizes that the packages' tapes hold a token and a patch.
type Plan struct {
	Parameters int64 // of the model
	Learning   int64 // of those, or of adapters: the most in any stage

	Weights   int64 // as they are stored, mapped: the system may drop and read them again
	Values    int64 // of what learns, float32
	Gradients int64
	Moments   int64
	// Activations are those of one sequence, whose pictures are one of the largest size; Most those
	// of a sequence that is full of the largest pictures that the stage allows.
	Activations, Most int64

	Stages     []StagePlan
	Checkpoint int64 // on the disk, each
	Kept       int   // checkpoints on the disk at once
}

// StagePlan is what a stage adds.
type StagePlan struct {
	Name              string
	Learning          int64
	Activations, Most int64
}

// Total is what must be there at once: a sequence full of pictures takes more.
func (p *Plan) Total() int64 { return p.Weights + p.Values + p.Gradients + p.Moments + p.Activations }

// Fits refuses a plan that does not fit the memory at hand.
func (p *Plan) Fits(available int64) error {
	// Mapped weights may exceed what is free; what is computed with each step may not.
	if p.Total() <= available {
		return nil
	}
	return fmt.Errorf("this training needs %s of memory and %s can be had: %s of weights, %s of values, gradients and moments of %d parameters that learn, %s of activations; let fewer learn (adapter, train, freeze), set optimizer.recompute, or lower length, crops or longest",
		gigabytes(p.Total()), gigabytes(available), gigabytes(p.Weights), gigabytes(p.Values+p.Gradients+p.Moments), p.Learning, gigabytes(p.Activations))
}

func gigabytes(n int64) string {
	if n < 1e9 {
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}

// Print writes the plan to be read.
func (p *Plan) Print(w io.Writer) (err error) {
	line := func(name, value string) {
		if err == nil {
			_, err = fmt.Fprintf(w, "  %-34s %10s\n", name, value)
		}
	}
	if _, err := fmt.Fprintf(w, "%d parameters, of which %d learn\n", p.Parameters, p.Learning); err != nil {
		return err
	}
	line("weights (mapped)", gigabytes(p.Weights))
	line("values of what learns", gigabytes(p.Values))
	line("gradients", gigabytes(p.Gradients))
	line("moments of the optimizer", gigabytes(p.Moments))
	for _, s := range p.Stages {
		line("activations, "+s.Name, gigabytes(s.Activations))
		if s.Most > s.Activations {
			line("  full of the largest pictures", gigabytes(s.Most))
		}
	}
	line("total", gigabytes(p.Total()))
	line(fmt.Sprintf("on the disk, %d checkpoints", p.Kept), gigabytes(p.Checkpoint*int64(p.Kept)))
	return err
}

// MakePlan computes the plan of a training. Nothing is loaded or written.
func MakePlan(o Options) (p Plan, err error) {
	if err := o.check(); err != nil {
		return p, err
	}
	err = o.withFolder(func(dir string, weights int64) error {
		if _, err := idefics2.OpenProcessor(dir, idefics2.Options{}); err != nil {
			return err
		}
		folder, err := checkpoint.ReadFolder(dir)
		if err != nil {
			return err
		}
		p, err = o.plan(folder.Config, folder.Preprocessor, weights)
		return err
	})
	if err != nil {
		return p, fmt.Errorf("training: %w", err)
	}
	return p, nil
}

func (o *Options) plan(c checkpoint.Config, pre checkpoint.Preprocessor, weights int64) (Plan, error) {
	r := o.Recipe
	p := Plan{Parameters: c.Parameters(), Weights: weights, Kept: r.Save.Keep + 2} // the best, and the one being written
	for i := range r.Stages {
		s := &r.Stages[i]
		stage := StagePlan{Name: s.Name}
		choose, err := chosen(s.Train, s.Freeze)
		if err != nil {
			return p, err
		}
		var targets *regexp.Regexp
		if r.Adapter != nil {
			if targets, err = regexp.Compile("^(?:" + r.Adapter.Targets + ")$"); err != nil {
				return p, err
			}
		}
		sees := false // the tower learns, too
		for _, t := range c.Tensors() {
			n := int64(1)
			for _, d := range t.Shape {
				n *= int64(d)
			}
			switch {
			case r.Adapter == nil && choose(t.Name):
				stage.Learning += n
			case r.Adapter != nil && t.Matrix() && targets.MatchString(strings.TrimSuffix(t.Name, ".weight")):
				stage.Learning += int64(r.Adapter.Rank) * int64(t.Shape[0]+t.Shape[1])
				if r.Adapter.Kind == "dora" {
					stage.Learning += int64(t.Shape[0])
				}
			default:
				continue
			}
			sees = sees || strings.HasPrefix(t.Name, "model.vision_model.")
		}
		longest := pre.LongestEdge
		if s.Longest > 0 {
			longest = s.Longest
		}
		side := int64(max(1, min(longest/c.Vision.PatchSize, c.Vision.Side())))
		crops := int64(max(1, s.Length/(c.Perceiver.Latents+2)))
		if s.Crops > 0 {
			crops = min(crops, int64(s.Crops))
		}
		tokens, patches := int64(s.Length), side*side
		text := tokens * textToken(c, r.Optimizer.Recompute)
		stage.Activations = 4 * (text + patches*patch(c, sees, r.Optimizer.Recompute))
		stage.Most = 4 * (text + crops*patches*patch(c, sees, r.Optimizer.Recompute))
		p.Stages = append(p.Stages, stage)
		p.Learning = max(p.Learning, stage.Learning)
		p.Activations, p.Most = max(p.Activations, stage.Activations), max(p.Most, stage.Most)
	}
	p.Values, p.Gradients, p.Moments = 4*p.Learning, 4*p.Learning, 8*p.Learning
	p.Checkpoint = 12 * p.Learning
	return p, nil
}

// textToken is how many numbers the decoder holds a token: what layers record, and what going back works in.
func textToken(c checkpoint.Config, recompute bool) int64 {
	t := c.Text
	layer := 2*t.HiddenSize + 2*t.Heads*t.HeadDim + 2*t.KVHeads*t.HeadDim + t.Heads + 2*t.IntermediateSize
	back := 3*t.HiddenSize + 2*t.Heads*t.HeadDim + 2*t.KVHeads*t.HeadDim + 3*t.IntermediateSize
	if recompute {
		return int64(t.Layers*t.HiddenSize + layer + back)
	}
	return int64(t.Layers*layer + back)
}

// patch is how many numbers tower and connector hold a patch.
func patch(c checkpoint.Config, sees, recompute bool) int64 {
	v, t := c.Vision, c.Text
	layer := 6*v.HiddenSize + v.Heads + 2*v.IntermediateSize
	n := layer + 3*t.HiddenSize + 3*t.IntermediateSize + 2*c.Perceiver.KVHeads*c.Perceiver.HeadDim*c.Perceiver.Depth
	switch {
	case sees && recompute:
		n += v.Layers*v.HiddenSize + 6*v.HiddenSize + 3*v.IntermediateSize
	case sees:
		n += v.Layers*layer + 6*v.HiddenSize + 3*v.IntermediateSize
	}
	return int64(n)
}
