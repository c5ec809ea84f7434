package sample

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestExp: the nearest float32 of the exact value or, where that lies between two, now and then
// the other one.
func TestExp(t *testing.T) {
	off := 0
	for i := range 200000 {
		x := -float32(i) * 0.00055
		want, got := math.Exp(float64(x)), exp(x)
		if got != float32(want) {
			off++
		}
		if math.Abs(float64(got)-want) > 0.51*float64(math.Nextafter32(got, 1)-got) {
			t.Fatalf("exp(%v) = %v, want %v", x, got, want)
		}
	}
	if off > 20 {
		t.Errorf("%d of 200000 are not the nearest float32, want at most 20", off)
	}
	for x, want := range map[float32]float32{0: 1, removed: 0, -103: float32(math.Exp(-103)), -1e30: 0} {
		if got := exp(x); got != want {
			t.Errorf("exp(%v) = %v, want %v", x, got, want)
		}
	}
}

func TestLogprobs(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 9))
	for _, vocab := range []int{1, 2, 5, 300, 32003} {
		for n := range min(6, vocab+1) {
			logits := randomScores(rng, vocab)
			logits[0] = 1
			var sum float64
			for _, v := range logits {
				sum += math.Exp(float64(v))
			}
			top := make([]Logprob, n)
			got := Logprobs(logits, 0, top)
			if want := 1 - math.Log(sum); math.Abs(float64(got)-want) > 1e-6*max(1, math.Abs(want)) {
				t.Errorf("V %d: log-probability %v, want %v", vocab, got, want)
			}
			// Best first, lower ids first: a stable sort of the negatives.
			negative := make([]float32, vocab)
			for i, v := range logits {
				negative[i] = -v
			}
			for i, id := range byValue(negative)[:n] {
				want := float64(logits[id]) - math.Log(sum)
				if top[i].ID != int32(id) || math.Abs(float64(top[i].Logprob)-want) > 1e-6*max(1, math.Abs(want)) && logits[id] != removed {
					t.Errorf("V %d: alternative %d is %v, want id %d at %v", vocab, i, top[i], id, want)
				}
			}
		}
	}
}

func TestLogprobsOfAll(t *testing.T) {
	top := make([]Logprob, 4)
	Logprobs([]float32{1, 3, 2, 3}, 0, top)
	if ids := []int32{top[0].ID, top[1].ID, top[2].ID, top[3].ID}; !slices.Equal(ids, []int32{1, 3, 2, 0}) {
		t.Errorf("order %v, want 1 3 2 0", ids)
	}
}

func TestLogSoftmax(t *testing.T) {
	x := []float32{1, 2, removed, 4}
	LogSoftmax(x)
	var sum float64
	for _, v := range x {
		sum += math.Exp(float64(v))
	}
	if math.Abs(sum-1) > 1e-6 || x[2] != removed || math.Abs(float64(x[3]-x[1]-2)) > 1e-6 {
		t.Errorf("LogSoftmax gives %v, which sums to %v", x, sum)
	}
	all := []float32{removed, removed}
	LogSoftmax(all)
	if !slices.Equal(all, []float32{removed, removed}) {
		t.Errorf("a row of −∞ becomes %v", all)
	}
}

func BenchmarkLogprobs(b *testing.B) {
	logits := row(rand.New(rand.NewPCG(1, 1)), 32003)
	top := make([]Logprob, 20)
	for b.Loop() {
		Logprobs(logits, 5, top)
	}
}
