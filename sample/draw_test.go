package sample

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestArgmax(t *testing.T) {
	nan := float32(math.NaN())
	tests := []struct {
		scores []float32
		want   int32
		ok     bool
	}{
		{[]float32{1, 3, 3, 2}, 1, true},
		{[]float32{removed, -5}, 1, true},
		{[]float32{0, 1, nan}, 1, false},
		{[]float32{0, inf}, 0, false},
		{[]float32{removed, removed}, 0, false},
		{nil, 0, false},
	}
	for _, tt := range tests {
		if got, ok := Argmax(tt.scores); ok != tt.ok || ok && got != tt.want {
			t.Errorf("Argmax(%v) = %d, %v; want %d, %v", tt.scores, got, ok, tt.want, tt.ok)
		}
	}
}

// TestDrawDistribution draws at 40,000 positions from one row.
func TestDrawDistribution(t *testing.T) {
	p := []float64{.1, 0, .4, .2, .25, .049, .001}
	logits := make([]float32, len(p))
	for i, v := range p {
		logits[i] = float32(math.Log(v)) + 3
	}
	for _, sequence := range []uint64{0, 1} {
		s, err := New(Options{Temperature: 1, Seed: 42}, len(p), sequence)
		if err != nil {
			t.Fatal(err)
		}
		count := make([]int, len(p))
		for position := range 40000 {
			id, err := s.Draw(logits, position)
			if err != nil {
				t.Fatal(err)
			}
			count[id]++
		}
		checkCounts(t, fmt.Sprint("sequence ", sequence), count, p)
	}
}

// TestDrawDependsOnItsPlaceAlone: a token is a function of (seed, sequence, position) and the scores, not
// of what the sampler did before.
func TestDrawDependsOnItsPlaceAlone(t *testing.T) {
	logits := row(rand.New(rand.NewPCG(1, 2)), 100)
	draw := func(seed, sequence uint64, positions ...int) (last int32) {
		s, err := New(Options{Temperature: 1, Seed: seed}, len(logits), sequence)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range positions {
			if last, err = s.Draw(logits, p); err != nil {
				t.Fatal(err)
			}
		}
		return last
	}
	for p := range 50 {
		if a, b := draw(3, 1, p), draw(3, 1, 90, p+7, 0, p); a != b {
			t.Errorf("position %d: %d alone, %d after others", p, a, b)
		}
	}
	different := 0
	for p := range 50 {
		if draw(3, 1, p) != draw(3, 2, p) {
			different++
		}
	}
	if different < 20 {
		t.Errorf("sequences 1 and 2 differ at %d of 50 positions only", different)
	}
}

// TestVerify: generation with drafts gives the tokens of generation without, greedy and sampled, with
// penalties that depend on the history, whether drafts are good or bad.
func TestVerify(t *testing.T) {
	const vocab = 12
	accepted, rounds := 0, 0
	for n := range 400 {
		rng := rand.New(rand.NewPCG(uint64(n), 1))
		o := Options{Seed: uint64(n), MaxNewTokens: 20, StopIDs: []int32{11}, BadWords: [][]int32{{3}},
			LookupTokens: 1 + rng.IntN(6), LookupNgram: rng.IntN(4)}
		if n%2 == 0 {
			o.Temperature, o.TopP = 0.7, 0.9
		}
		if n%3 == 0 {
			o.RepetitionPenalty = 1.2
		}
		prompt := []int32{1, 2, 5, 6, 7, 1, 2}
		// Few distinct contexts, so that the text repeats itself.
		model := func(ids []int32) []float32 { return hashLogits(ids[len(ids)-1:], uint64(n), vocab, 9) }

		plain := slices.Clone(prompt)
		s, err := New(o, vocab, 0)
		if err != nil {
			t.Fatal(err)
		}
		for len(plain) < len(prompt)+o.MaxNewTokens && (len(plain) == len(prompt) || plain[len(plain)-1] != 11) {
			id, err := s.Next(model(plain), plain, len(prompt))
			if err != nil {
				t.Fatal(err)
			}
			plain = append(plain, id)
		}

		fast := slices.Clone(prompt)
		if s, err = New(o, vocab, 0); err != nil {
			t.Fatal(err)
		}
		for len(fast) < len(prompt)+o.MaxNewTokens && (len(fast) == len(prompt) || fast[len(fast)-1] != 11) {
			draft := s.Draft(fast, len(prompt), nil)
			if slices.Contains(draft, 3) || slices.Contains(draft, 11) {
				t.Fatalf("draft %v holds a bad word or an end id", draft)
			}
			ids := append(slices.Clone(fast), draft...)
			var logits []float32
			for i := range len(draft) + 1 {
				logits = append(logits, model(ids[:len(fast)+i])...)
			}
			drawn, err := s.Verify(nil, logits, ids, len(prompt), len(draft))
			if err != nil {
				t.Fatal(err)
			}
			rounds++
			accepted += len(drawn) - 1
			fast = append(fast, drawn...)
		}
		if !slices.Equal(plain, fast) {
			t.Fatalf("%d: %v plain, %v with drafts", n, plain, fast)
		}
	}
	if accepted < rounds/10 {
		t.Errorf("%d drafted ids accepted in %d rounds: the test says little", accepted, rounds)
	}
}

// hashLogits is a model without weights: any function of the history will do.
func hashLogits(ids []int32, seed uint64, vocab int, scale float32) []float32 {
	mix := func(x uint64) uint64 {
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		return x ^ x>>31
	}
	h := mix(seed + 1)
	for _, id := range ids {
		h = mix(h ^ uint64(id+1))
	}
	logits := make([]float32, vocab)
	for i := range logits {
		logits[i] = (float32(mix(h+uint64(i+1)*0x9e3779b97f4a7c15)>>40)/(1<<24) - 0.5) * scale
	}
	return logits
}
