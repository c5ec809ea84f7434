package recipe

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
)

// check holds every value against its bounds. A NaN is within none.
func (r *Recipe) check() *fault {
	for _, f := range []func() *fault{r.checkModel, r.checkData, r.checkStages, r.checkOptimizer, r.checkRest} {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

func (r *Recipe) checkModel() *fault {
	switch m := r.Model; {
	case m.From == "" && m.Config == "":
		return faultf("$.model", "neither from, weights to go on with, nor config, for new ones")
	case m.From != "" && m.Config != "":
		return faultf("$.model", "both from and config; want one")
	case m.Config != "" && m.Tokenizer == "":
		return faultf("$.model", "a new model needs a tokenizer: the folder of one that has it")
	}
	if a := r.Adapter; a != nil {
		switch {
		case a.Kind != "lora" && a.Kind != "dora":
			return faultf("$.adapter.kind", "%q, want lora or dora", clip(a.Kind))
		case a.Rank < 1 || a.Rank > 4096:
			return faultf("$.adapter.rank", "%d, want 1 to 4096", a.Rank)
		case !(a.Alpha > 0) || math.IsInf(a.Alpha, 0):
			return faultf("$.adapter.alpha", "%v, want a number above 0", a.Alpha)
		case !(a.Dropout >= 0 && a.Dropout < 1):
			return faultf("$.adapter.dropout", "%v, want 0 or more, below 1", a.Dropout)
		case a.Base != "" && a.Base != "nf4":
			return faultf("$.adapter.base", "%q, want nf4, or nothing for the matrices as they are", clip(a.Base))
		}
		if err := pattern("$.adapter.targets", a.Targets); err != nil {
			return err
		}
	}
	return patterns("$", r.Train, r.Freeze)
}

func pattern(path, p string) *fault {
	if _, err := regexp.Compile(p); err != nil {
		return faultf(path, "%v", err)
	}
	return nil
}

func patterns(path string, train, freeze []string) *fault {
	for i, p := range train {
		if err := pattern(fmt.Sprintf("%s.train[%d]", path, i), p); err != nil {
			return err
		}
	}
	for i, p := range freeze {
		if err := pattern(fmt.Sprintf("%s.freeze[%d]", path, i), p); err != nil {
			return err
		}
	}
	return nil
}

func (r *Recipe) checkData() *fault {
	if len(r.Data) == 0 {
		return faultf("$.data", "nothing to read; name at least one source")
	}
	for _, name := range slices.Sorted(maps.Keys(r.Data)) {
		s, path := r.Data[name], "$.data."+name
		switch {
		case s.Path == "" && s.Generate == "":
			return faultf(path, "neither path nor generate")
		case s.Path != "" && s.Generate != "":
			return faultf(path, "both path and generate; want one")
		case s.Generate != "" && (s.Count < 1 || s.Kind != "" || s.Question != ""):
			return faultf(path, "a generator wants a count of examples, and neither kind nor question")
		case s.Path != "" && (s.HeldOut || s.MaxSide != 0 || s.MaxText != 0 || s.Questions != 0):
			return faultf(path, "heldout, max_side, max_text and questions are for generators")
		case s.Path != "" && s.Count != 0:
			return faultf(path+".count", "is for generators; files have as many examples as they have")
		case s.Kind != "" && !slices.Contains(kinds, s.Kind):
			return faultf(path+".kind", "%q, want one of %s", clip(s.Kind), strings.Join(kinds, ", "))
		}
	}
	return nil
}

// kinds are those of dataset.Open, which a test compares.
var kinds = []string{"jsonl", "cauldron", "obelics", "folder", "webdataset"}

func (r *Recipe) checkStages() *fault {
	if len(r.Stages) == 0 {
		return faultf("$.stages", "none; want at least one")
	}
	names := map[string]bool{}
	for i := range r.Stages {
		s, path := &r.Stages[i], fmt.Sprintf("$.stages[%d]", i)
		if s.Name == "" || names[s.Name] {
			return faultf(path+".name", "%q; every stage wants a name of its own", clip(s.Name))
		}
		names[s.Name] = true
		if err := r.checkStage(s, path); err != nil {
			return err
		}
	}
	return nil
}

func (r *Recipe) checkStage(s *Stage, path string) *fault {
	if (s.Steps > 0) == (s.Epochs > 0) || s.Steps < 0 || s.Epochs < 0 {
		return faultf(path, "%d steps and %d epochs; want one of the two above 0", s.Steps, s.Epochs)
	}
	if len(s.Data) == 0 {
		return faultf(path+".data", "nothing to draw from; name sources of data and their weights")
	}
	weights := 0
	for _, name := range slices.Sorted(maps.Keys(s.Data)) {
		w := s.Data[name]
		if _, ok := r.Data[name]; !ok {
			return faultf(path+".data", "there is no source %q in data, only %s", clip(name), strings.Join(slices.Sorted(maps.Keys(r.Data)), ", "))
		}
		if !(w >= 0) || math.IsInf(w, 0) {
			return faultf(path+".data."+name, "the weight %v, want 0 or more", w)
		}
		if w > 0 {
			weights++
		}
	}
	if weights > 0 && weights < len(s.Data) {
		return faultf(path+".data", "%d of %d sources have a weight; give one to all, or 0 to all", weights, len(s.Data))
	}
	whole := []struct {
		key       string
		v, lo, hi int
	}{
		{"length", s.Length, 8, 1 << 20}, {"batch", s.Batch, 1, 1 << 20}, {"crops", s.Crops, 0, 1 << 16},
		{"shortest", s.Shortest, 0, 16384}, {"longest", s.Longest, 0, 16384}, {"max_turns", s.MaxTurns, 0, 1 << 16}, {"warmup", *s.Warmup, 0, 1 << 40},
		{"steps", s.Steps, 0, 1 << 40}, {"epochs", s.Epochs, 0, 1 << 20},
	}
	for _, b := range whole {
		if b.v < b.lo || b.v > b.hi {
			return faultf(path+"."+b.key, "%d, want %d to %d", b.v, b.lo, b.hi)
		}
	}
	if (s.Shortest > 0) != (s.Longest > 0) || s.Shortest > s.Longest {
		return faultf(path, "shortest %d and longest %d; want both or neither, the shortest no larger", s.Shortest, s.Longest)
	}
	for _, b := range []struct {
		key string
		v   float64
	}{{"split", s.Split}, {"upscale", s.Upscale}, {"newline", s.Newline}} {
		if !(b.v >= 0 && b.v <= 1) {
			return faultf(path+"."+b.key, "%v, want a share from 0 to 1", b.v)
		}
	}
	switch {
	case s.Upscale > 0 && !(s.UpscaleMax >= 1.5 && s.UpscaleMax <= 16):
		return faultf(path+".upscale_max", "%v, want 1.5 to 16", s.UpscaleMax)
	case s.Loss != "answers" && s.Loss != "text":
		return faultf(path+".loss", "%q, want answers or text", clip(s.Loss))
	case !(*s.NEFTune >= 0) || math.IsInf(*s.NEFTune, 0):
		return faultf(path+".neftune", "%v, want 0 or more", *s.NEFTune)
	}
	if err := rate(path, s.LearningRate, s.Schedule); err != nil {
		return err
	}
	return patterns(path, s.Train, s.Freeze)
}

func rate(path string, lr float64, schedule string) *fault {
	if !(lr > 0 && lr <= 10) {
		return faultf(path+".learning_rate", "%v, want a number above 0", lr)
	}
	if schedule != "linear" && schedule != "cosine" && schedule != "constant" {
		return faultf(path+".schedule", "%q, want linear, cosine or constant", clip(schedule))
	}
	return nil
}

func (r *Recipe) checkOptimizer() *fault {
	o, path := &r.Optimizer, "$.optimizer"
	if err := rate(path, o.LearningRate, o.Schedule); err != nil {
		return err
	}
	for i, b := range o.Betas {
		if !(b > 0 && b < 1) {
			return faultf(path+".betas", "beta %d is %v, want it between 0 and 1", i+1, b)
		}
	}
	switch {
	case !(o.Eps > 0 && o.Eps < 1):
		return faultf(path+".eps", "%v, want it between 0 and 1", o.Eps)
	case !(o.WeightDecay >= 0 && o.WeightDecay < 1):
		return faultf(path+".weight_decay", "%v, want 0 or more, below 1", o.WeightDecay)
	case !(o.Clip >= 0) || math.IsInf(o.Clip, 0):
		return faultf(path+".clip", "%v, want a norm, or 0 for none", o.Clip)
	}
	for i, g := range o.Groups {
		at := fmt.Sprintf("%s.groups[%d]", path, i)
		if err := pattern(at+".match", g.Match); err != nil {
			return err
		}
		if g.Match == "" || !(g.Rate >= 0) || math.IsInf(g.Rate, 0) || g.Decay != nil && !(*g.Decay >= 0 && *g.Decay < 1) {
			return faultf(at, "want match, a pattern; rate, 0 or more; and decay, 0 or more and below 1, or none")
		}
	}
	return nil
}

func (r *Recipe) checkRest() *fault {
	switch {
	case r.Save.Every < 1:
		return faultf("$.save.every", "%d, want a number of steps", r.Save.Every)
	case r.Save.Keep < 1:
		return faultf("$.save.keep", "%d, want at least 1", r.Save.Keep)
	case !(r.Skip.Share >= 0 && r.Skip.Share <= 1):
		return faultf("$.skip.share", "%v, want a share from 0 to 1", r.Skip.Share)
	case r.Skip.Free < 0:
		return faultf("$.skip.free", "%d, want 0 or more", r.Skip.Free)
	case r.Save.Model != "" && r.Save.Model != "last" && r.Save.Model != "best":
		return faultf("$.save.model", "%q, want best or last", clip(r.Save.Model))
	case r.Save.Model == "best" && r.Eval == nil:
		return faultf("$.save.model", "best, and there is no eval to tell which that is")
	case r.Eval == nil:
		return nil
	case r.Eval.Every < 1:
		return faultf("$.eval.every", "%d, want a number of steps", r.Eval.Every)
	case r.Eval.Examples < 0 || r.Eval.MaxTokens < 0 || r.Eval.Patience < 0:
		return faultf("$.eval", "%d examples, %d tokens, a patience of %d; want 0 or more", r.Eval.Examples, r.Eval.MaxTokens, r.Eval.Patience)
	case r.Eval.Samples < 0 || r.Eval.Samples > 64:
		return faultf("$.eval.samples", "%d, want 0 to 64", r.Eval.Samples)
	case r.Eval.Samples > 0 && len(r.Eval.Data) == 0:
		return faultf("$.eval.samples", "want sources in eval.data to take them from")
	case len(r.Eval.Data)+len(r.Eval.Tasks) == 0:
		return faultf("$.eval", "neither data, whose loss is measured, nor tasks")
	}
	for i, name := range r.Eval.Data {
		if _, ok := r.Data[name]; !ok {
			return faultf(fmt.Sprintf("$.eval.data[%d]", i), "there is no source %q in data", clip(name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Eval.Tasks)) {
		t, path := r.Eval.Tasks[name], "$.eval.tasks."+name
		switch {
		case t.Task != "" && t.Task != "reading":
			return faultf(path+".task", "%q, want reading", clip(t.Task))
		case t.Path == "":
			return faultf(path, "no path of a folder of cases, such as \"idefics2 data synth -form reading\" makes")
		case t.Limit < 0:
			return faultf(path+".limit", "%d, want 0 or more", t.Limit)
		case slices.Contains(r.Eval.Data, name):
			return faultf(path, "eval.data has that name, too; want another")
		}
	}
	if _, task := r.Eval.Tasks[r.Eval.Best]; r.Eval.Best != "" && !task && !slices.Contains(r.Eval.Data, r.Eval.Best) {
		return faultf("$.eval.best", "%q is neither of eval.data nor of eval.tasks", clip(r.Eval.Best))
	}
	return nil
}
