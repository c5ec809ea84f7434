package train_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"idefics2/adapter"
	"idefics2/input"
	"idefics2/model"
	"idefics2/nn"
	"idefics2/train"
)

// four returns four examples of unequal length, with and without pictures.
func four(c *recorded) []*input.Input {
	r := rand.New(rand.NewPCG(3, 4))
	words := func(n int) *input.Input {
		in := &input.Input{}
		for range n {
			in.IDs = append(in.IDs, 1+r.Int32N(400))
		}
		in.Labels = slices.Clone(in.IDs)
		for i := range n / 2 {
			in.Labels[i] = input.Ignore
		}
		return in
	}
	return []*input.Input{c.batch[0], words(9), c.batch[1], words(70)}
}

// gradients returns all gradients of a pass over some batches, with all losses.
func gradients(t *testing.T, m *model.Model, tape *model.Tape, batches ...[]*input.Input) (map[string][]float32, []model.Loss) {
	t.Helper()
	params := trainable(m, func(name string) bool { return true })
	for _, p := range params {
		clear(grad(p))
	}
	var losses []model.Loss
	for _, b := range batches {
		l, err := m.Backward(tape, b, 0.01)
		if err != nil {
			t.Fatal(err)
		}
		losses = append(losses, l...)
	}
	all := map[string][]float32{}
	for name, p := range params {
		all[name] = slices.Clone(grad(p))
	}
	return all, losses
}

// A batch is its examples: the same losses bit for bit, the same gradients but for the order of a sum.
func TestPackedIsAlone(t *testing.T) {
	for _, name := range []string{"train", "train_variant"} {
		c := readCase(t, name)
		examples := four(c)
		var tape model.Tape
		together, losses := gradients(t, c.open(t, 2), &tape, examples)
		alone, own := gradients(t, c.open(t, 2), &tape, examples[:1], examples[1:2], examples[2:3], examples[3:])
		turned, _ := gradients(t, c.open(t, 2), &tape, []*input.Input{examples[3], examples[1], examples[2], examples[0]})
		for i := range losses {
			if losses[i] != own[i] {
				t.Errorf("%s: example %d has loss %v in a batch and %v alone", name, i, losses[i], own[i])
			}
		}
		for p, g := range together {
			if noise(p) {
				continue
			}
			if d := off(g, alone[p]); d > 5e-6 {
				t.Errorf("%s: gradient of %s is off by %.2g of its largest from that of its examples", name, p, d)
			}
			if d := off(turned[p], g); d > 5e-6 {
				t.Errorf("%s: gradient of %s is off by %.2g of its largest in another order", name, p, d)
			}
		}
	}
}

// Threads and computing again don't change a bit.
func TestSameBits(t *testing.T) {
	c := readCase(t, "train_variant")
	examples := four(c)
	want, losses := gradients(t, c.open(t, 1), &model.Tape{}, examples)
	for what, run := range map[string]struct {
		threads int
		tape    model.Tape
	}{"three threads": {3, model.Tape{}}, "computed again": {2, model.Tape{Recompute: true}}} {
		got, again := gradients(t, c.open(t, run.threads), &run.tape, examples)
		if !slices.Equal(losses, again) {
			t.Errorf("%s: losses %v, want %v", what, again, losses)
		}
		for name := range want {
			if !sameBits(got[name], want[name]) {
				t.Errorf("%s: gradient of %s has other bits", what, name)
			}
		}
	}
}

func sameBits(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}

// Against differences, parameter after parameter: the whole model moves along a gradient, both ways.
func TestGradientsAgainstDifferences(t *testing.T) {
	c := readCase(t, "train_variant")
	m := c.open(t, 2)
	examples := four(c)
	var tape model.Tape
	params := trainable(m, nil)
	if _, err := m.Backward(&tape, examples, 1); err != nil {
		t.Fatal(err)
	}
	loss := func() (sum float64) {
		losses, err := m.Loss(&tape, examples)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range losses {
			sum += l.Sum
		}
		return sum
	}
	for name, p := range params {
		if noise(name) {
			continue
		}
		values, g := p.Values()
		var square float64
		for _, v := range g {
			square += float64(v) * float64(v)
		}
		start := slices.Clone(values)
		at := func(h float64) float64 {
			for i := range values {
				values[i] = start[i] + float32(h*float64(g[i]))
			}
			return loss()
		}
		h := 0.05 / square // the loss, about 1000, changes by some tenth
		got := (at(h) - at(-h)) / (2 * h)
		copy(values, start)
		if math.Abs(got-square) > 2e-2*square {
			t.Errorf("%s: the loss changes by %v, the gradient says %v", name, got, square)
		}
	}
}

// An update from four batches is that from one of all.
func TestAccumulation(t *testing.T) {
	c := readCase(t, "train_variant")
	examples := four(c)
	step := func(perBatch bool, batches ...[]*input.Input) (train.Stats, *model.Model) {
		m := c.open(t, 2)
		o := recordedOptions()
		o.PerBatch = perBatch
		tr, err := train.New(m, o)
		if err != nil {
			t.Fatal(err)
		}
		s, err := tr.Step(batches...)
		if err != nil {
			t.Fatal(err)
		}
		return s, m
	}
	one, m := step(false, examples)
	parts, n := step(false, examples[:1], examples[1:2], examples[2:3], examples[3:])
	if math.Abs(one.Loss-parts.Loss) > 1e-12 || math.Abs(one.GradientNorm-parts.GradientNorm) > 1e-6*one.GradientNorm ||
		one.Tokens != parts.Tokens || one.Examples != parts.Examples {
		t.Errorf("at once %+v, in parts %+v", one, parts)
	}
	other := map[string][]float32{}
	n.Params(func(p nn.Param) { other[p.Name], _ = p.Values() })
	m.Params(func(p nn.Param) {
		values, _ := p.Values()
		if d := off(other[p.Name], values); !noise(p.Name) && d > 1e-3 { // where a gradient is nothing but rounding, its sign is a step
			t.Errorf("%s is off by %.2g of its largest", p.Name, d)
		}
	})
	if even, _ := step(true, examples[:1], examples[1:]); math.Abs(even.GradientNorm-one.GradientNorm) < 1e-3 {
		t.Error("divided batch by batch, short answers don't weigh more")
	}
}

// A trainer that was given the state of another goes on with its bits, noise and dropout included.
func TestResumedIsUnbroken(t *testing.T) {
	c := readCase(t, "lora")
	start := func() (*train.Trainer, *model.Model) {
		m := c.open(t, 2)
		a, err := adapter.New(m, adapter.Config{Rank: 2, Alpha: 4, Dropout: 0.2, DoRA: true, Pattern: `.*(q_proj|up_proj)`, Save: []string{"norm"}}, 9)
		if err != nil {
			t.Fatal(err)
		}
		o := recordedOptions()
		o.Train, o.NEFTune, o.Seed = a.Trains, 5, 77
		o.Schedule = train.Schedule{Shape: train.Cosine, Peak: 1e-2, Warmup: 2, Total: 9}
		tr, err := train.New(m, o)
		if err != nil {
			t.Fatal(err)
		}
		return tr, m
	}
	unbroken, m := start()
	var stats []train.Stats
	var saved train.State
	for i := range 5 {
		s, err := unbroken.Step(c.batch[:1], c.batch[1:])
		if err != nil {
			t.Fatal(err)
		}
		stats = append(stats, s)
		if i == 2 {
			if saved, err = unbroken.State(); err != nil {
				t.Fatal(err)
			}
			for j := range saved.Tensors {
				saved.Tensors[j].Data = slices.Clone(saved.Tensors[j].Data)
			}
		}
	}
	resumed, again := start()
	if err := resumed.Restore(saved); err != nil {
		t.Fatal(err)
	}
	for i := 3; i < 5; i++ {
		s, err := resumed.Step(c.batch[:1], c.batch[1:])
		if err != nil {
			t.Fatal(err)
		}
		if s != stats[i] {
			t.Errorf("step %d: %+v, want %+v", i, s, stats[i])
		}
	}
	want := map[string][]float32{}
	m.Params(func(p nn.Param) { want[p.Name] = p.Floats() })
	again.Params(func(p nn.Param) {
		if !sameBits(p.Floats(), want[p.Name]) {
			t.Errorf("%s has other bits", p.Name)
		}
	})

	for what, spoil := range map[string]func(s *train.State){
		"seed":       func(s *train.State) { s.Seed++ },
		"is missing": func(s *train.State) { s.Tensors = s.Tensors[1:] },
		"not traine": func(s *train.State) { s.Tensors[0].Name = "x" },
		"twice":      func(s *train.State) { s.Tensors[1] = s.Tensors[0] },
		"of shape":   func(s *train.State) { s.Tensors[0].Data = nil },
		"step":       func(s *train.State) { s.Step = -1 },
	} {
		bad := saved
		bad.Tensors = slices.Clone(saved.Tensors)
		spoil(&bad)
		if err := resumed.Restore(bad); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("a state with another %q: %v", what, err)
		}
	}
}

// Noise is drawn anew each step, for each example by itself, and not for evaluations.
func TestNoise(t *testing.T) {
	c := readCase(t, "train")
	m := c.open(t, 2)
	trainable(m, func(name string) bool { return name == "lm_head.weight" })
	loss := func(tape model.Tape, batch ...*input.Input) model.Loss {
		l, err := m.Backward(&tape, batch, 1)
		if err != nil {
			t.Fatal(err)
		}
		return l[len(l)-1]
	}
	quiet := loss(model.Tape{}, c.batch[1])
	loud := loss(model.Tape{NEFTune: 5, Noise: 1}, c.batch[1])
	if quiet == loud || math.Abs(quiet.Sum-loud.Sum) > 0.5*quiet.Sum {
		t.Errorf("loss %v, with noise %v", quiet, loud)
	}
	if together := loss(model.Tape{NEFTune: 5, Noise: 1}, c.batch...); together != loud {
		t.Errorf("loss %v, beside another example %v", loud, together)
	}
	if other := loss(model.Tape{NEFTune: 5, Noise: 2}, c.batch[1]); other == loud {
		t.Error("another step has the same noise")
	}
	if words := loss(model.Tape{NEFTune: 5, Noise: 1, WordsOnly: true}, c.batch[1]); words == loud || words == quiet {
		t.Error("noise on words alone is noise on all")
	}
	tape := model.Tape{NEFTune: 5, Noise: 1}
	if l, err := m.Loss(&tape, c.batch[1:]); err != nil || l[0] != quiet {
		t.Errorf("an evaluation has loss %v, want %v (%v)", l, quiet, err)
	}
}

// What is frozen has no copy and no gradient, and what lies below the lowest trained layer is not kept.
func TestFrozenCostsNothing(t *testing.T) {
	c := readCase(t, "train")
	m := c.open(t, 2)
	o := recordedOptions()
	o.Train = func(name string) bool { return name == "model.text_model.layers.1.mlp.down_proj.weight" }
	tr, err := train.New(m, o)
	if err != nil {
		t.Fatal(err)
	}
	before := map[string][]float32{}
	m.Params(func(p nn.Param) { before[p.Name] = p.Floats() })
	if _, err := tr.Step(c.batch); err != nil {
		t.Fatal(err)
	}
	m.Params(func(p nn.Param) {
		if same := sameBits(p.Floats(), before[p.Name]); same == o.Train(p.Name) || p.Trained() != o.Train(p.Name) {
			t.Errorf("%s: trained %v, unchanged %v", p.Name, p.Trained(), same)
		}
	})
	if n := tr.Parameters(); n != 48*80 {
		t.Errorf("%d parameters", n)
	}
}

func TestErrors(t *testing.T) {
	c := readCase(t, "train_variant")
	m := c.open(t, 1)
	if _, err := train.New(m, train.Options{Schedule: train.Schedule{Peak: 1}, Train: func(string) bool { return false }}); err == nil {
		t.Error("nothing to train is no error")
	}
	for _, o := range []train.Options{
		{}, {Schedule: train.Schedule{Peak: -1}}, {Schedule: train.Schedule{Peak: 1, Warmup: -1}},
		{Schedule: train.Schedule{Peak: 1, Shape: train.Linear}}, {Schedule: train.Schedule{Peak: 1, Shape: 9}},
		{Schedule: train.Schedule{Peak: 1}, AdamW: train.AdamW{Beta1: 1}}, {Schedule: train.Schedule{Peak: 1}, AdamW: train.AdamW{Decay: -1}},
		{Schedule: train.Schedule{Peak: 1}, Groups: []train.Group{{}}}, {Schedule: train.Schedule{Peak: 1}, Clip: math.NaN()},
	} {
		if _, err := train.New(m, o); err == nil {
			t.Errorf("%+v is no error", o)
		}
	}
	tr, err := train.New(m, train.Options{Schedule: train.Schedule{Peak: 1e-3}})
	if err != nil {
		t.Fatal(err)
	}
	silent := &input.Input{IDs: []int32{1, 2, 3}, Labels: []int32{1, input.Ignore, input.Ignore}}
	if _, err := tr.Step([]*input.Input{silent}); !errors.Is(err, train.ErrNoTokens) {
		t.Errorf("a step without loss: %v", err)
	}
	for _, bad := range []*input.Input{
		{IDs: []int32{1, 2}}, {IDs: []int32{1, 2}, Labels: []int32{1, -7}}, {IDs: []int32{1, 2}, Labels: []int32{1, 9999}},
		{IDs: []int32{1, -2}, Labels: []int32{1, 1}},
	} {
		if _, err := tr.Step([]*input.Input{bad}); err == nil {
			t.Errorf("%+v is no error", bad)
		}
	}
	if _, err := tr.Accumulate(c.batch); err != nil {
		t.Fatal(err)
	}
	if _, err := tr.State(); err == nil {
		t.Error("a state amid a step is no error")
	}
	if _, err := tr.Update(); err != nil {
		t.Error(err)
	}
	m.Params(func(p nn.Param) {
		if p.Name == "model.text_model.norm.weight" {
			values, _ := p.Values()
			values[0] = float32(math.NaN())
		}
	})
	if _, err := tr.Step(c.batch); !errors.Is(err, train.ErrNotFinite) {
		t.Errorf("a loss that is no number: %v", err)
	}
}

// spec/training.md §4.1 and §4.2.
func TestSchedules(t *testing.T) {
	linear := train.Schedule{Shape: train.Linear, Peak: 1e-4, Warmup: 50, Total: 150}
	cosine := train.Schedule{Shape: train.Cosine, Peak: 2, Total: 8}
	for _, tt := range []struct {
		s    train.Schedule
		step int
		want float64
	}{
		{linear, 0, 0}, {linear, 1, 2e-6}, {linear, 25, 5e-5}, {linear, 50, 1e-4}, {linear, 100, 5e-5}, {linear, 150, 0}, {linear, 151, 0},
		{cosine, 0, 2}, {cosine, 4, 1}, {cosine, 8, 0}, {cosine, 9, 0},
		{train.Schedule{Peak: 3, Warmup: 2}, 1, 1.5}, {train.Schedule{Peak: 3, Warmup: 2}, 1000, 3},
	} {
		if got := tt.s.At(tt.step); math.Abs(got-tt.want) > 1e-12 {
			t.Errorf("%+v at %d: %v, want %v", tt.s, tt.step, got, tt.want)
		}
	}
	for _, s := range []train.Shape{train.Constant, train.Linear, train.Cosine} {
		var back train.Shape
		if err := back.UnmarshalText([]byte(s.String())); err != nil || back != s {
			t.Errorf("%v is read as %v, %v", s, back, err)
		}
	}
	if err := new(train.Shape).UnmarshalText([]byte("step")); err == nil {
		t.Error("an unknown shape is no error")
	}
}

// Groups take the first that matches the whole name; by default neither biases nor norms decay.
func TestGroups(t *testing.T) {
	c := readCase(t, "train_variant")
	m := c.open(t, 1)
	zero := 0.0
	tr, err := train.New(m, train.Options{
		Schedule: train.Schedule{Peak: 0.5}, AdamW: train.AdamW{Decay: 1}, Clip: 1e-30, // nothing moves but by decay
		Groups: []train.Group{
			{Match: regexp.MustCompile(`model\.vision_model\..*`), Rate: 0},
			{Match: regexp.MustCompile(`.*latents`), Rate: 1, Decay: &zero},
			{Match: regexp.MustCompile(`.*connector.*`), Rate: 0.5},
			{Match: regexp.MustCompile(`connector`), Rate: 0},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	before := map[string][]float32{}
	m.Params(func(p nn.Param) { before[p.Name] = p.Floats() })
	if _, err := tr.Step(c.batch); err != nil {
		t.Fatal(err)
	}
	m.Params(func(p nn.Param) {
		want := 0.5
		switch {
		case strings.Contains(p.Name, "vision"), strings.Contains(p.Name, "latents"), strings.Contains(p.Name, "norm"), strings.HasSuffix(p.Name, "bias"):
			want = 1
		case strings.Contains(p.Name, "connector"):
			want = 0.75
		}
		after := p.Floats()
		for i, v := range before[p.Name] {
			if math.Abs(float64(after[i])-want*float64(v)) > 1e-6*(1+math.Abs(float64(v))) {
				t.Fatalf("%s became %v from %v, want a share of %v", p.Name, after[i], v, want)
			}
		}
	})
}

func ExampleSchedule() {
	s := train.Schedule{Shape: train.Linear, Peak: 1e-4, Warmup: 50, Total: 150}
	fmt.Println(s.At(0), s.At(25), s.At(50), s.At(100))
	// Output: 0 5e-05 0.0001 5e-05
}
