package measure

import (
	"fmt"
	"slices"

	"idefics2/tensor"
)

// poolType is the type of the values that memory is filled with where only reading counts.
const poolType = tensor.BF16

// work is one thing that is timed.
type work struct {
	name  string
	group string // works of one group share a stand; they follow one another
	stand func(*Bench) (stand, error)
	// passes returns what is timed: the first is a pass over the layers in memory, and a second
	// over none takes away what would be counted too often.
	passes func(stand) ([]pass, error)

	cost   cost
	yields float64
	of     string
	unit   string // "": GB/s or GFLOP/s, whichever is the nearer limit
	layers layers
	memory func() uint64 // asked after it; nil for none
}

// layers are how many of a stack are in memory, and how many there are.
type layers struct{ held, of int }

// scaled says where not all are.
func (l layers) scaled() string {
	if l.held == l.of {
		return ""
	}
	return fmt.Sprintf("from %d of %d layers", l.held, l.of)
}

// cost is what a work cannot do without.
type cost struct {
	bytes      float64 // read from memory
	operations float64
	typ        string // of the arithmetic, as in Limits.Operations
}

// seconds returns the least time, and which limit it comes from.
func (c cost) seconds(l Limits) (float64, string) {
	memory, arithmetic := c.bytes/l.Read, 0.0
	if c.operations > 0 {
		arithmetic = c.operations / l.Operations(c.typ)
	}
	if memory >= arithmetic {
		return memory, "memory"
	}
	return arithmetic, "arithmetic"
}

// row turns samples into a result.
func (w *work) row(passes []pass, l Limits) Row {
	r := Row{
		Work: w.name, Seconds: combine(passes, median), Best: combine(passes, slices.Min[[]float64]), Samples: len(passes[0].samples),
		Yields: w.yields, Of: w.of, Bytes: w.cost.bytes, Operations: w.cost.operations, Scaled: w.layers.scaled(), Unit: w.unit,
	}
	if w.layers.held > 0 {
		some, none := median(passes[0].samples), median(passes[1].samples)
		r.Layers, r.Layer, r.Rest = w.layers.of, max(0, some-none)/float64(w.layers.held), none
	}
	least, bound := w.cost.seconds(l)
	r.Bound = bound
	amount := w.yields // in the unit
	switch {
	case w.unit != "":
	case bound == "memory":
		r.Unit, amount = "GB/s", w.cost.bytes/1e9
	default:
		r.Unit, amount = "GFLOP/s", w.cost.operations/1e9
	}
	r.Rate, r.Limit, r.Share = amount/r.Seconds, amount/least, least/r.Seconds
	return r
}

// The sizes that rows are named after.
const (
	usualContext = 600 // tokens before the one that is decoded: a picture, a question and half an answer
	longContext  = 2048
)

// works lists all there is to measure, group by group.
func works(o Options) (all []work) {
	if o.Train {
		return trainWorks{o}.works()
	}
	for _, d := range []tensor.DType{tensor.BF16, tensor.Q8_0, tensor.Q4_0, tensor.Q4_K} {
		t := textWorks{o, d}
		all = append(all, t.decode("", usualContext, 1))
		if d == tensor.BF16 {
			all = append(all,
				t.decode(fmt.Sprintf("-context%d", longContext), longContext, 1),
				t.decode("-batch4", usualContext, 4), t.decode("-batch16", usualContext, 16),
				t.prefill(128), t.prefill(512), t.prefill(2048))
			continue
		}
		all = append(all, t.decode("-batch4", usualContext, 4), t.prefill(512))
	}
	v := visionWorks{o}
	all = append(all, v.tower("vision735x980", 980, 735, false), v.tower("split1280x960", 1280, 960, true), v.connector())
	all = append(all, productWork())
	p := pictureWorks{o}
	all = append(all, p.decode(), p.resize(), p.prepare())
	return append(all, tokenizeWork(o))
}

// passes are those that make up one of all layers, of which some are held: that many times
// the held ones, less what is not of layers as often as it was then counted too much.
func (l layers) passes(some, none func() error) []pass {
	times := float64(l.of) / float64(l.held)
	return []pass{{times: times, once: some}, {times: 1 - times, once: none}}
}
