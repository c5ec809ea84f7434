package sample

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

var inf = float32(math.Inf(1))

// near compares scores: −∞ exactly, numbers to a millionth.
func near(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool {
		return x == y || math.Abs(float64(x)-float64(y)) <= 1e-6*max(1, math.Abs(float64(y)))
	})
}

// TestProcess goes through generation.md §4.2, whose numbers were computed by the reference.
func TestProcess(t *testing.T) {
	plain := []float32{2, -1, 0.5, 0, 3}
	share := []float32{.1, .4, .2, .25, .05} // as probabilities
	logs := make([]float32, len(share))
	for i, p := range share {
		logs[i] = float32(math.Log(float64(p)))
	}
	only := func(in []float32, kept ...int) []float32 {
		out := slices.Clone(in)
		for i := range out {
			if !slices.Contains(kept, i) {
				out[i] = removed
			}
		}
		return out
	}
	equal := []float32{1, 1, 1, 1}
	tests := []struct {
		name   string
		opts   Options
		in     []float32
		ids    []int32
		prompt int
		want   []float32
	}{
		{"nothing", Options{}, plain, []int32{9 % 5}, 1, plain},
		{"repetition counts an id once, prompt included", Options{RepetitionPenalty: 1.5},
			plain, []int32{0, 1, 1, 4}, 2, []float32{2 / 1.5, -1.5, 0.5, 0, 2}},
		{"encoder repetition is the inverse, on the prompt", Options{EncoderRepetitionPenalty: 1.5},
			plain, []int32{0, 1, 4}, 2, []float32{3, -1 / 1.5, 0.5, 0, 3}},
		{"frequency and presence count what was drawn", Options{FrequencyPenalty: 0.5, PresencePenalty: 0.25},
			plain, []int32{4, 0, 0, 3}, 1, []float32{2 - 2*0.5 - 0.25, -1, 0.5, -0.75, 3}},
		{"no-repeat 2 bans what followed", Options{NoRepeatNgram: 2},
			plain, []int32{1, 2, 3, 1}, 4, []float32{2, -1, removed, 0, 3}},
		{"no-repeat 1 bans all ids seen", Options{NoRepeatNgram: 1},
			plain, []int32{1, 2}, 1, []float32{2, removed, removed, 0, 3}},
		{"no-repeat needs n−1 ids", Options{NoRepeatNgram: 3}, plain, []int32{1}, 1, plain},
		{"no-repeat 3", Options{NoRepeatNgram: 3},
			plain, []int32{1, 2, 3, 1, 2}, 5, []float32{2, -1, 0.5, removed, 3}},
		{"encoder no-repeat looks in the prompt alone", Options{EncoderNoRepeatNgram: 2},
			plain, []int32{1, 2, 1, 3, 1}, 2, []float32{2, -1, removed, 0, 3}},
		{"bias by sequence", Options{Bias: []Bias{{[]int32{1}, 2}, {[]int32{0, 4}, -3}, {[]int32{2, 0, 4}, -1}}},
			plain, []int32{2, 0}, 2, []float32{2, 1, 0.5, 0, 0}},
		{"bias of three ids needs a context of three", Options{Bias: []Bias{{[]int32{1}, 2}, {[]int32{0, 4}, -3}, {[]int32{2, 0, 4}, -1}}},
			plain, []int32{3, 2, 0}, 3, []float32{2, 1, 0.5, 0, -1}},
		{"bad words", Options{BadWords: [][]int32{{1}, {2, 3}}},
			plain, []int32{0, 2}, 2, []float32{2, removed, 0.5, removed, 3}},
		{"a bad word longer than the context", Options{BadWords: [][]int32{{2, 3}}}, plain, []int32{2}, 1, plain},
		{"a bad word that is an end id is dropped", Options{BadWords: [][]int32{{1}, {4}}, StopIDs: []int32{4}},
			plain, []int32{2}, 1, []float32{2, removed, 0.5, 0, 3}},
		{"min new tokens", Options{MinNewTokens: 2, StopIDs: []int32{4, 1}},
			plain, []int32{2, 2}, 1, []float32{2, removed, 0.5, 0, removed}},
		{"min new tokens reached", Options{MinNewTokens: 2, StopIDs: []int32{4, 1}}, plain, []int32{2, 2, 2}, 1, plain},
		{"min length counts the prompt", Options{MinLength: 2, StopIDs: []int32{4}},
			plain, []int32{2}, 1, []float32{2, -1, 0.5, 0, removed}},
		{"min new tokens wins over min length", Options{MinLength: 9, MinNewTokens: 1, StopIDs: []int32{4}}, plain, []int32{2, 2}, 1, plain},
		{"allowed", Options{Allowed: func([]int32) []int32 { return []int32{3, 0, 3} }}, plain, []int32{2}, 1, only(plain, 0, 3)},
		{"forced first", Options{ForcedBOS: []int32{1}}, plain, []int32{2}, 1, []float32{removed, 0, removed, removed, removed}},
		{"forced last", Options{ForcedEOS: []int32{1}, MaxNewTokens: 3},
			plain, []int32{2, 2, 2}, 1, []float32{removed, 0, removed, removed, removed}},
		{"not yet the last", Options{ForcedEOS: []int32{1}, MaxNewTokens: 3}, plain, []int32{2, 2}, 1, plain},
		{"NaN and infinities", Options{ReplaceInvalid: true},
			[]float32{float32(math.NaN()), inf, -inf, 1, 2}, []int32{2}, 1, []float32{0, math.MaxFloat32, -math.MaxFloat32, 1, 2}},
		{"decay", Options{ExponentialDecay: Decay{1, 1.5}, StopIDs: []int32{1, 4}},
			plain, []int32{2, 2, 2, 2}, 2, []float32{2, -0.5, 0.5, 0, 4.5}},
		{"suppress", Options{Suppress: []int32{4, 0}}, plain, []int32{2, 2}, 1, only(plain, 1, 2, 3)},
		{"suppress first", Options{SuppressAtBegin: []int32{4}}, plain, []int32{2}, 1, only(plain, 0, 1, 2, 3)},
		{"suppress first only", Options{SuppressAtBegin: []int32{4}}, plain, []int32{2, 2}, 1, plain},
		{"temperature", Options{Temperature: 0.5}, plain, []int32{2}, 1, []float32{4, -2, 1, 0, 6}},
		{"greedy ignores filters", Options{TopK: 1, TopP: .1, MinP: 1, TypicalP: .1, EpsilonCutoff: .9, EtaCutoff: .9}, plain, []int32{2}, 1, plain},
		{"top-k keeps equals", Options{Temperature: 1, TopK: 2}, []float32{1, 2, 2, 2, 0}, []int32{2}, 1, []float32{removed, 2, 2, 2, removed}},
		{"top-k above V", Options{Temperature: 1, TopK: 9}, plain, []int32{2}, 1, plain},
		{"top-p .9", Options{Temperature: 1, TopP: .9}, logs, []int32{2}, 1, only(logs, 0, 1, 2, 3)},
		{"top-p .65", Options{Temperature: 1, TopP: .65}, logs, []int32{2}, 1, only(logs, 1, 3)},
		{"top-p .5", Options{Temperature: 1, TopP: .5}, logs, []int32{2}, 1, only(logs, 1, 3)},
		{"top-p .4", Options{Temperature: 1, TopP: .4}, logs, []int32{2}, 1, only(logs, 1)},
		{"top-p .3 of equals removes lower indices first", Options{Temperature: 1, TopP: .3}, equal, []int32{2}, 1, only(equal, 2, 3)},
		{"top-p .5 of equals", Options{Temperature: 1, TopP: .5}, equal, []int32{2}, 1, only(equal, 2, 3)},
		{"min-p .3", Options{Temperature: 1, MinP: .3}, logs, []int32{2}, 1, only(logs, 1, 2, 3)},
		{"min-p .5", Options{Temperature: 1, MinP: .5}, logs, []int32{2}, 1, only(logs, 1, 3)},
		{"typical .2", Options{Temperature: 1, TypicalP: .2}, logs, []int32{2}, 1, only(logs, 3)},
		{"typical .5", Options{Temperature: 1, TypicalP: .5}, logs, []int32{2}, 1, only(logs, 1, 2, 3)},
		{"typical .9", Options{Temperature: 1, TypicalP: .9}, logs, []int32{2}, 1, only(logs, 0, 1, 2, 3)},
		{"epsilon", Options{Temperature: 1, EpsilonCutoff: .15}, logs, []int32{2}, 1, only(logs, 1, 2, 3)},
		{"epsilon keeps the best", Options{Temperature: 1, EpsilonCutoff: .9}, logs, []int32{2}, 1, only(logs, 1)},
		{"eta's threshold is .0768", Options{Temperature: 1, EtaCutoff: .1}, logs, []int32{2}, 1, only(logs, 0, 1, 2, 3)},
		{"renormalize", Options{RenormalizeLogits: true}, []float32{5, 5}, []int32{1}, 1, []float32{-math.Ln2, -math.Ln2}},
		{"beams keep one more than end ids", Options{Temperature: 1, TopP: .1, Beams: 2, MaxNewTokens: 1, StopIDs: []int32{4, 0}}, logs, []int32{2}, 1, only(logs, 1, 2, 3)},
		{"also by min-p", Options{Temperature: 1, MinP: 1, Beams: 2, MaxNewTokens: 1, StopIDs: []int32{4, 0}}, logs, []int32{2}, 1, only(logs, 1, 2, 3)},
		{"also by typical-p: the nearest", Options{Temperature: 1, TypicalP: .01, Beams: 2, MaxNewTokens: 1, StopIDs: []int32{4, 0}}, logs, []int32{2}, 1, only(logs, 1, 2, 3)},
		{"also by epsilon", Options{Temperature: 1, EpsilonCutoff: .9, Beams: 2, MaxNewTokens: 1, StopIDs: []int32{4, 0}}, logs, []int32{2}, 1, only(logs, 1, 2, 3)},
		{"also by top-k", Options{Temperature: 1, TopK: 1, Beams: 2, MaxNewTokens: 1, StopIDs: []int32{4, 0}}, logs, []int32{2}, 1, only(logs, 1, 2, 3)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := New(tt.opts, len(tt.in), 0)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // a sampler keeps nothing between tokens
				got := slices.Clone(tt.in)
				if err := s.Process(got, tt.ids, tt.prompt); err != nil {
					t.Fatal(err)
				}
				if !near(got, tt.want) {
					t.Errorf("Process(%v) = %v, want %v", tt.in, got, tt.want)
				}
			}
		})
	}
}

func TestTopPOfZeroKeepsTheBest(t *testing.T) {
	scores := []float32{1, 3, 2}
	new(filters).topP(scores, 0, 1)
	if !slices.Equal(scores, []float32{removed, 3, removed}) {
		t.Errorf("topP 0 leaves %v, want the best", scores)
	}
}

func TestGuide(t *testing.T) {
	c, u := []float32{1, 2, 4}, []float32{0, 1, 0}
	lc, lu := slices.Clone(c), slices.Clone(u)
	LogSoftmax(lc)
	LogSoftmax(lu)
	Guide(c, u, 1.5)
	for i := range c {
		if want := lu[i] + 1.5*(lc[i]-lu[i]); math.Abs(float64(c[i]-want)) > 1e-6 {
			t.Errorf("Guide: id %d is %v, want %v", i, c[i], want)
		}
	}
}

// TestFilters compares the filters, which never sort, with the obvious way on rows of the size of the
// released vocabulary and smaller, with ties and removed entries.
func TestFilters(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var f filters
	for n := range 600 {
		scores := randomScores(rng, 1+rng.IntN(60))
		if n%100 == 0 {
			scores = randomScores(rng, 32003)
		}
		k, p, keep := 1+rng.IntN(len(scores)), rng.Float64(), 1+rng.IntN(3)

		got := slices.Clone(scores)
		f.topK(got, k)
		sorted := slices.Clone(scores)
		slices.Sort(sorted)
		for i, v := range scores {
			if kept := v >= sorted[len(sorted)-k]; kept != (got[i] == v) && v != removed {
				t.Fatalf("topK(%d) of %d: score %v kept %v", k, len(scores), v, got[i] == v)
			}
		}

		got = slices.Clone(scores)
		f.topP(got, p, keep)
		if want := slowTopP(scores, p, keep); !slices.Equal(got, want) {
			t.Fatalf("topP(%v, keep %d) of %v\n got %v\nwant %v", p, keep, scores, got, want)
		}

		got = slices.Clone(scores)
		f.typicalP(got, float32(max(p, 0.01)), 1)
		if want := slowTypical(scores, float32(max(p, 0.01))); !slices.Equal(got, want) {
			t.Fatalf("typicalP(%v) of %v\n got %v\nwant %v", p, scores, got, want)
		}
	}
}

func randomScores(rng *rand.Rand, n int) []float32 {
	scores := make([]float32, n)
	scale, ties := math.Exp(rng.Float64()*4-2), rng.IntN(2) == 0
	for i := range scores {
		scores[i] = float32(rng.NormFloat64() * scale)
		if ties {
			scores[i] = float32(math.Round(float64(scores[i])*2)) / 2
		}
		if rng.IntN(10) == 0 && i > 0 {
			scores[i] = removed
		}
	}
	return scores
}

// byValue returns the indices of values, sorted upwards and stably.
func byValue(values []float32) []int {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case values[a] < values[b]:
			return -1
		case values[a] > values[b]:
			return 1
		}
		return 0
	})
	return order
}

func slowTopP(scores []float32, p float64, keep int) []float32 {
	probs, out := make([]float32, len(scores)), slices.Clone(scores)
	softmax(probs, scores)
	var sum float64
	order := byValue(scores)
	for n, i := range order {
		sum += float64(probs[i])
		if float32(sum) <= float32(1-p) && n < len(order)-keep {
			out[i] = removed
		}
	}
	return out
}

func slowTypical(scores []float32, mass float32) []float32 {
	probs, d, out := make([]float32, len(scores)), make([]float32, len(scores)), slices.Clone(scores)
	top, sum, _ := softmax(probs, scores)
	var h float64
	for i, p := range probs {
		if p > 0 {
			h -= float64(p) * float64(scores[i]-top-float32(math.Log(sum)))
		}
	}
	for i, v := range scores {
		d[i] = float32(math.Abs(float64(-(v - top - float32(math.Log(sum))) - float32(h))))
	}
	order, last := byValue(d), 0
	var c float64
	for _, i := range order {
		if c += float64(probs[i]); float32(c) < mass {
			last++
		}
	}
	limit := d[order[min(last, len(order)-1)]]
	for i := range out {
		if d[i] > limit {
			out[i] = removed
		}
	}
	return out
}

func TestNextErrors(t *testing.T) {
	nan := float32(math.NaN())
	tests := []struct {
		name   string
		opts   Options
		logits []float32
		want   string
	}{
		{"NaN", Options{}, []float32{1, nan, 2}, "sample: position 2: logits are not finite: id 1 has NaN, want a number; the weights or the arithmetic that made them are damaged"},
		{"NaN when sampling", Options{Temperature: 1, TopK: 1}, []float32{1, nan, 2}, "sample: position 2: logits are not finite: id 1 has NaN, want a number; the weights or the arithmetic that made them are damaged"},
		{"infinity", Options{}, []float32{1, 1, inf}, "sample: position 2: logits are not finite: id 2 has +Inf, want a number; the weights or the arithmetic that made them are damaged"},
		{"all removed", Options{Suppress: []int32{0, 1, 2}}, []float32{1, 1, 1}, noneLeft(2).Error()},
		{"all removed when sampling", Options{Temperature: 1, TopP: .5, MinP: .1, TypicalP: .5, EtaCutoff: .1, TopK: 2, Suppress: []int32{0, 1, 2}}, []float32{1, 1, 1}, noneLeft(2).Error()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := New(tt.opts, 3, 0)
			if err != nil {
				t.Fatal(err)
			}
			if id, err := s.Next(tt.logits, []int32{0, 1}, 1); err == nil || err.Error() != tt.want {
				t.Errorf("Next = %d, %v; want the error %q", id, err, tt.want)
			}
		})
	}
}

func TestVanishingTemperatureIsGreedy(t *testing.T) {
	s, err := New(Options{Temperature: 1e-37, MinP: 0.5}, 3, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, logits := range [][]float32{{-500, -300, -400}, {0, 9, 3}, {-1e4, 1e4, 0}} {
		if id, err := s.Next(logits, []int32{0}, 1); err != nil || id < 0 || id > 2 {
			t.Errorf("Next(%v) = %d, %v", logits, id, err)
		}
	}
	if id, _ := s.Next([]float32{1e-3, 2e-3, 0}, []int32{0}, 1); id != 1 {
		t.Errorf("Next = %d, want the largest", id)
	}
}

// everything switches on what does not remove all ids.
func everything() Options {
	return Options{
		MaxNewTokens: 100, MinNewTokens: 3, StopIDs: []int32{2, 32002}, Temperature: 0.8, TopK: 500, TopP: 0.95, MinP: 0.001,
		TypicalP: 0.99, EpsilonCutoff: 1e-5, EtaCutoff: 1e-5, RepetitionPenalty: 1.1, EncoderRepetitionPenalty: 1.01,
		FrequencyPenalty: 0.1, PresencePenalty: 0.1, NoRepeatNgram: 3, EncoderNoRepeatNgram: 4,
		BadWords: [][]int32{{32000}, {32001}, {5, 6}}, Bias: []Bias{{[]int32{7}, 1}, {[]int32{1, 8}, 2}},
		Suppress: []int32{3}, SuppressAtBegin: []int32{4}, ExponentialDecay: Decay{1, 1.01}, RenormalizeLogits: true, Seed: 7,
	}
}

// row is like a model's logits: most ids unlikely, some likely.
func row(rng *rand.Rand, vocab int) []float32 {
	logits := make([]float32, vocab)
	for i := range logits {
		logits[i] = float32(rng.NormFloat64() * 3)
	}
	return logits
}

func TestNoAllocationPerToken(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	logits := row(rng, 32003)
	ids := make([]int32, 500)
	for i := range ids {
		ids[i] = rng.Int32N(300)
	}
	top := make([]Logprob, 5)
	for name, opts := range map[string]Options{"greedy": {}, "all": everything(), "sampling": {Temperature: 1}, "top-p": {Temperature: 1, TopP: 0.9}} {
		s, err := New(opts, len(logits), 0)
		if err != nil {
			t.Fatal(err)
		}
		next := func() {
			id, err := s.Next(logits, ids, 400)
			if err != nil {
				t.Fatal(err)
			}
			Logprobs(logits, id, top)
		}
		next()
		if n := testing.AllocsPerRun(20, next); n != 0 {
			t.Errorf("%s: %v allocations per token, want 0", name, n)
		}
	}
}

// TestNextLeavesLogits: the same row serves log-probabilities after the draw.
func TestNextLeavesLogits(t *testing.T) {
	logits := row(rand.New(rand.NewPCG(5, 6)), 32003)
	before := slices.Clone(logits)
	s, err := New(everything(), len(logits), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Next(logits, []int32{1, 7, 7}, 2); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(logits, before) {
		t.Error("Next changed its logits")
	}
}

// FuzzProcessors: whatever the settings, nothing panics, no NaN or +∞ appears, and without a processor
// that may remove anything, a finite score stays.
func FuzzProcessors(f *testing.F) {
	f.Add([]byte("seed"), 0.7, 0.9, 0.1, uint16(0xffff))
	f.Add([]byte{0, 255, 128, 7, 7, 7}, 1e-30, 0.5, 3e38, uint16(0x0ff0))
	f.Add([]byte{}, 1.0, 1.0, 1.0, uint16(3))
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9}, 2.0, 1e-9, -1e30, uint16(0xaaaa))
	f.Fuzz(func(t *testing.T, data []byte, a, b, c float64, on uint16) {
		at := 0
		next := func() int {
			if at++; len(data) == 0 {
				return at
			}
			return int(data[at%len(data)]) + at/len(data)
		}
		if on&0x400 != 0 && len(data) > 0 {
			at += int(data[0])
		}
		vocab := 2 + next()%70
		id := func() int32 { return int32(next() % vocab) }
		o := Options{Seed: uint64(next()), StopIDs: []int32{id()}, MaxNewTokens: 20, Temperature: a}
		set := func(bit uint16, on16 uint16, apply func()) {
			if on16&bit != 0 {
				apply()
			}
		}
		set(1, on, func() { o.TopK = next() })
		set(2, on, func() { o.TopP = b })
		set(4, on, func() { o.MinP = b / 2 })
		set(8, on, func() { o.TypicalP = b })
		set(16, on, func() { o.EpsilonCutoff = b; o.EtaCutoff = b / 3 })
		set(32, on, func() { o.RepetitionPenalty = math.Abs(c); o.EncoderRepetitionPenalty = math.Abs(a) })
		set(64, on, func() { o.FrequencyPenalty = c; o.PresencePenalty = -c })
		set(128, on, func() { o.Bias = []Bias{{[]int32{id()}, c}, {[]int32{id(), id()}, -c}} })
		set(256, on, func() { o.ExponentialDecay = Decay{next() % 3, math.Abs(c)} })
		set(512, on, func() { o.Beams = 2 + next()%3 })
		mayEmpty := on&0x800 != 0
		if mayEmpty {
			o.NoRepeatNgram = 1 + next()%3
			o.BadWords = [][]int32{{id()}, {id(), id()}}
			o.Suppress = []int32{id()}
			o.MinNewTokens = next() % 20
		}
		set(0x1000, on, func() { o.RenormalizeLogits = true })
		set(0x2000, on, func() { o.ReplaceInvalid = true })
		s, err := New(o, vocab, 0)
		if err != nil {
			return
		}
		scores := make([]float32, vocab)
		for i := range scores {
			scores[i] = float32(next()-128) / 16
			switch v := next(); {
			case v%50 == 1:
				scores[i] = removed
			case v%50 == 2:
				scores[i] *= 1e37
			}
		}
		scores[next()%vocab] = 1
		ids := make([]int32, 1+next()%12)
		for i := range ids {
			ids[i] = id()
		}
		if err := s.Process(scores, ids, 1+next()%len(ids)); err != nil {
			t.Fatalf("Process refused finite scores: %v", err)
		}
		finite := 0
		for i, v := range scores {
			if v != v || v > math.MaxFloat32 {
				t.Fatalf("id %d has %v after %+v", i, v, o)
			}
			if v != removed {
				finite++
			}
		}
		if finite == 0 && !mayEmpty {
			t.Fatalf("no score is left after %+v", o)
		}
		if drawn, err := s.Draw(scores, len(ids)); (err == nil) != (finite > 0) || err == nil && scores[drawn] == removed {
			t.Fatalf("Draw = %d, %v of %d finite scores", drawn, err, finite)
		}
	})
}

func BenchmarkNext(b *testing.B) {
	logits := row(rand.New(rand.NewPCG(1, 1)), 32003)
	ids := make([]int32, 1000)
	for i := range ids {
		ids[i] = int32(i * 7 % 500)
	}
	for _, bench := range []struct {
		name string
		opts Options
	}{
		{"greedy", Options{}},
		{"sample", Options{Temperature: 1}},
		{"topk50", Options{Temperature: 1, TopK: 50}},
		{"topk20000", Options{Temperature: 1, TopK: 20000}},
		{"topp", Options{Temperature: 1, TopP: 0.9}},
		{"minp", Options{Temperature: 1, MinP: 0.05}},
		{"typical", Options{Temperature: 1, TypicalP: 0.9}},
		{"penalties", Options{RepetitionPenalty: 1.1, NoRepeatNgram: 3, FrequencyPenalty: 0.1}},
		{"all", everything()},
	} {
		b.Run(bench.name, func(b *testing.B) {
			s, err := New(bench.opts, len(logits), 0)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := s.Next(logits, ids, 900); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
