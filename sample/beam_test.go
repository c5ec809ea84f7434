package sample

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"
)

// slowBeams is generation.md §6 once more, written from the text alone: full sorts, copies, no heaps, no
// buffers. model gives the logits after a history.
func slowBeams(t *testing.T, o Options, vocab int, sequence uint64, prompt []int32, model func([]int32) []float32, stop func([]int32) bool) (answers []Answer, dead bool) {
	type entry struct {
		ids    []int32
		sum    float32 // of a slot: its score
		rank   float64
		flag   bool
		reason FinishReason
	}
	s, err := New(o, vocab, sequence)
	if err != nil {
		t.Fatal(err)
	}
	penalty := 1.0
	if o.LengthPenalty != nil {
		penalty = *o.LengthPenalty
	}
	power := func(n int) float32 { return float32(math.Pow(float64(n), penalty)) }
	keep := max(2, 1+len(o.StopIDs)) * o.Beams
	running, slots := make([]entry, o.Beams), make([]entry, o.Beams)
	for i := range running {
		running[i] = entry{ids: prompt, sum: -1e9}
		slots[i] = entry{sum: -1e9}
	}
	running[0].sum = 0
	all := func(list []entry) bool { return !slices.ContainsFunc(list, func(e entry) bool { return !e.flag }) }
	better := true
	for n := 1; ; n++ {
		// 1, 2: every continuation of every beam, sorted.
		var candidates []entry
		for k, beam := range running {
			row := slices.Clone(model(beam.ids))
			LogSoftmax(row)
			if err := s.Process(row, beam.ids, len(prompt)); err != nil {
				t.Fatal(err)
			}
			for id, v := range row {
				e := entry{ids: append(slices.Clone(beam.ids), int32(id)), sum: v + beam.sum}
				e.rank = float64(e.sum)
				if o.Temperature > 0 {
					e.rank -= math.Log(-math.Log(Uniform(o.Seed, sequence, len(prompt)+n-1, k*vocab+id)))
				}
				candidates = append(candidates, e)
			}
		}
		sort.SliceStable(candidates, func(i, j int) bool { return candidates[i].rank > candidates[j].rank })
		candidates = candidates[:keep]
		if candidates[0].sum == removed { // the processors leave nothing
			break
		}
		// 3: which of them stop.
		for i := range candidates {
			e := &candidates[i]
			switch drawn := e.ids[len(prompt):]; {
			case slices.Contains(o.StopIDs, drawn[n-1]) || stop != nil && stop(drawn):
				e.flag, e.reason = true, FinishStop
			case n == o.MaxNewTokens:
				e.flag, e.reason = true, FinishLength
			}
		}
		// 4: those that go on.
		running = slices.Clone(candidates)
		for i := range running {
			if running[i].flag {
				running[i].sum -= 1e9
			}
		}
		sort.SliceStable(running, func(i, j int) bool { return running[i].sum > running[j].sum })
		running = running[:o.Beams]
		// 5: those that are finished.
		full := all(slots) && o.EarlyStopping == StopWhenFull
		merged := slices.Clone(slots)
		for j, e := range candidates {
			e.sum /= power(n)
			if full {
				e.sum -= 1e9
			}
			if !better {
				e.sum -= 1e9
			}
			if e.flag = e.flag && j < o.Beams; !e.flag {
				e.sum -= 1e9
			}
			merged = append(merged, e)
		}
		sort.SliceStable(merged, func(i, j int) bool { return merged[i].sum > merged[j].sum })
		slots = merged[:o.Beams]
		// 6: whether better ones may come.
		length := n
		if o.EarlyStopping == StopWhenImpossible && penalty > 0 {
			length = o.MaxNewTokens
		}
		best, lowest := running[0].sum/power(length), slots[o.Beams-1].sum
		if !all(slots) {
			lowest = min(lowest, -1e9)
		}
		better = better && best > lowest
		// 7: the end.
		if !better || all(slots) && o.EarlyStopping == StopWhenFull || all(candidates) {
			break
		}
	}
	for _, e := range slots[:max(1, o.Returned)] {
		// What has a sum near −1e9 is no answer: there are fewer sequences than beams.
		if e.flag && float64(e.sum)*math.Pow(float64(len(e.ids)-len(prompt)), penalty) > -5e8 {
			answers = append(answers, Answer{e.ids[len(prompt):], e.sum, e.reason})
		}
	}
	return answers, len(answers) == 0
}

// run drives Beams as an engine does, with rows in the order of the beams.
func run(b *Beams, vocab int, model func([]int32) []float32) ([]Answer, error) {
	var histories [][]int32
	for i := range b.k {
		histories = append(histories, slices.Clone(b.Running(i)))
	}
	logits := model(histories[0]) // one row stands for all at first
	for !b.Done() {
		parents, tokens, err := b.Step(logits)
		if err != nil {
			return nil, err
		}
		var next [][]int32
		logits = nil
		for i, parent := range parents {
			next = append(next, append(slices.Clone(histories[parent]), tokens[i]))
			logits = append(logits, model(next[i])...)
			if !slices.Equal(next[i], b.Running(i)) {
				return nil, fmt.Errorf("beam %d is %v by parents and tokens, %v by Running", i, next[i], b.Running(i))
			}
		}
		histories = next
	}
	return b.Result(), nil
}

// TestBeams compares thousands of small searches with slowBeams: lengths, penalties, end ids, all ways to
// stop, ties, processors, stop strings, and beam sampling.
func TestBeams(t *testing.T) {
	answers, finished := 0, 0
	for n := range 6000 {
		rng := rand.New(rand.NewPCG(uint64(n), 5))
		vocab := 5 + rng.IntN(8)
		penalty := []float64{-1, 0, 0.5, 1, 2}[rng.IntN(5)]
		o := Options{
			Beams: 2 + rng.IntN(3), MaxNewTokens: 1 + rng.IntN(7), LengthPenalty: &penalty, Seed: uint64(n),
			EarlyStopping: EarlyStopping(rng.IntN(3)), StopIDs: []int32{2, 4, 0}[:rng.IntN(4)],
		}
		o.Returned = 1 + rng.IntN(o.Beams)
		if penalty == 1 {
			o.LengthPenalty = nil
		}
		if n%4 == 1 {
			o.RepetitionPenalty, o.NoRepeatNgram = 1.3, 2
		}
		if n%4 == 2 {
			o.BadWords, o.MinNewTokens, o.RenormalizeLogits = [][]int32{{1}, {3, 3}}, min(2, o.MaxNewTokens), true
		}
		if n%3 == 1 {
			o.Temperature, o.TopP = 0.8, 0.9
		}
		var stop func([]int32) bool
		if n%5 == 0 {
			stop = func(ids []int32) bool { return len(ids) >= 2 && ids[len(ids)-1] == 1 }
		}
		ties := n%2 == 0
		model := func(ids []int32) []float32 {
			logits := hashLogits(ids, uint64(n), vocab, 6)
			if ties {
				for i, v := range logits {
					logits[i] = float32(math.Round(float64(v)))
				}
			}
			return logits
		}
		prompt := []int32{1, 3, 1}[:1+rng.IntN(3)]
		b, err := NewBeams(o, vocab, 3, prompt, stop)
		if err != nil {
			t.Fatal(err)
		}
		got, err := run(b, vocab, model)
		want, dead := slowBeams(t, o, vocab, 3, prompt, model, stop)
		if (err != nil) != dead {
			t.Fatalf("%d: %v, want an error: %v", n, err, dead)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%d: %+v, vocabulary %d\n got %v\nwant %v", n, o, vocab, got, want)
		}
		answers += len(got)
		for _, a := range got {
			if a.Finish == FinishStop {
				finished++
			}
		}
	}
	if answers < 10000 || finished < answers/5 || finished > answers*4/5 {
		t.Errorf("%d answers, %d of them stopped: the test says little", answers, finished)
	}
}

// TestBeamsFindBest: with as many beams as there are sequences, and no length penalty, the answer is the
// most probable sequence of all.
func TestBeamsFindBest(t *testing.T) {
	const vocab, length = 4, 3
	model := func(ids []int32) []float32 { return hashLogits(ids, 77, vocab, 8) }
	best, sum := []int32(nil), float32(-1e9)
	for code := range vocab * vocab * vocab {
		ids, total := []int32{1}, float32(0)
		for c, i := code, 0; i < length; c, i = c/vocab, i+1 {
			id := int32(c % vocab)
			total += Logprobs(model(ids), id, nil)
			ids = append(ids, id)
		}
		if total > sum {
			best, sum = ids[1:], total
		}
	}
	b, err := NewBeams(Options{Beams: vocab * vocab, MaxNewTokens: length, LengthPenalty: new(0.0)}, vocab, 0, []int32{1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := run(b, vocab, model)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got[0].IDs, best) || math.Abs(float64(got[0].Score-sum)) > 1e-5 {
		t.Errorf("found %v, want %v with %v", got, best, sum)
	}
}

// TestBeamSampling counts pairs drawn without replacement: i first with pᵢ, then j with pⱼ/(1 − pᵢ).
func TestBeamSampling(t *testing.T) {
	p := []float64{.5, .3, .15, .05}
	logits := make([]float32, 4)
	for i, v := range p {
		logits[i] = float32(math.Log(v))
	}
	count, expected := make([]int, 16), make([]float64, 16)
	for i := range p {
		for j := range p {
			if i != j {
				expected[i*4+j] = p[i] * p[j] / (1 - p[i])
			}
		}
	}
	for seed := range 20000 {
		// Two beams of one token: both finish, and the race's order is that of the list before the slots sort it.
		b, err := NewBeams(Options{Beams: 2, MaxNewTokens: 1, Returned: 2, Temperature: 1, Seed: uint64(seed)}, 4, 0, []int32{1}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := b.Step(logits); err != nil {
			t.Fatal(err)
		}
		count[b.best[0].at%4*4+b.best[1].at%4]++
	}
	checkCounts(t, "pairs", count, expected)
}

func TestBeamsErrors(t *testing.T) {
	o := Options{Beams: 2, MaxNewTokens: 2}
	for name, tt := range map[string]struct {
		logits []float32
		opts   func(*Options)
		want   string
	}{
		"NaN":         {[]float32{0, 0, float32(math.NaN())}, func(*Options) {}, "sample: position 1: logits are not finite: id 2 has NaN"},
		"all removed": {[]float32{0, 0, 0}, func(o *Options) { o.Suppress = []int32{0, 1, 2} }, noneLeft(1).Error()},
	} {
		t.Run(name, func(t *testing.T) {
			o := o
			tt.opts(&o)
			b, err := NewBeams(o, 3, 0, []int32{1}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := b.Step(tt.logits); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("Step: %v, want %q", err, tt.want)
			}
			if got := b.Result(); len(got) != 0 {
				t.Errorf("Result() = %v, want none", got)
			}
		})
	}
	if _, err := NewBeams(Options{Beams: 1, MaxNewTokens: 2}, 3, 0, nil, nil); err == nil {
		t.Error("one beam is no beam search: want an error")
	}
}

// TestBeamsWithFewSequences: where processors leave two sequences for three beams, two are returned, not
// copies of them.
func TestBeamsWithFewSequences(t *testing.T) {
	o := Options{Beams: 3, Returned: 3, MaxNewTokens: 1, Allowed: func([]int32) []int32 { return []int32{1, 3} }}
	b, err := NewBeams(o, 5, 0, []int32{1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := run(b, 5, func([]int32) []float32 { return []float32{9, 1, 9, 2, 9} })
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].IDs[0] != 3 || got[1].IDs[0] != 1 {
		t.Errorf("answers %v, want 3 and then 1", got)
	}
}

func TestFill(t *testing.T) {
	got := Fill([]Answer{{IDs: []int32{9, 15}}, {IDs: []int32{8}}, {IDs: []int32{0, 15}}}, 8)
	if want := "[[9 15] [8 8] [0 15]]"; fmt.Sprint(got) != want {
		t.Errorf("Fill = %v, want %s", got, want)
	}
}

func TestBeamsDoNotAllocatePerToken(t *testing.T) {
	logits := row(rand.New(rand.NewPCG(1, 1)), 4*3000)
	b, err := NewBeams(Options{Beams: 4, MaxNewTokens: 1 << 20, LengthPenalty: new(0.0)}, 3000, 0, make([]int32, 1000), nil)
	if err != nil {
		t.Fatal(err)
	}
	step := func() {
		if _, _, err := b.Step(logits); err != nil {
			t.Fatal(err)
		}
	}
	step()
	if n := testing.AllocsPerRun(100, step); n != 0 { // histories grow, but seldom
		t.Errorf("%v allocations per step, want 0", n)
	}
}

func BenchmarkBeams(b *testing.B) {
	logits := row(rand.New(rand.NewPCG(1, 1)), 4*32003)
	for name, o := range map[string]Options{
		"search": {Beams: 4, MaxNewTokens: 1 << 30, StopIDs: []int32{2, 32002}},
		"sample": {Beams: 4, MaxNewTokens: 1 << 30, StopIDs: []int32{2, 32002}, Temperature: 1},
	} {
		b.Run(name, func(b *testing.B) {
			beams, err := NewBeams(o, 32003, 0, make([]int32, 100), nil)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if beams.Done() || len(beams.Running(0)) > 1000 {
					if beams, err = NewBeams(o, 32003, 0, make([]int32, 100), nil); err != nil {
						b.Fatal(err)
					}
				}
				if _, _, err := beams.Step(logits); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
