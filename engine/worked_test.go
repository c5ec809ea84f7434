package engine

import (
	"math"
	"slices"
	"testing"

	"idefics2/checkpoint"
	"idefics2/internal/worked"
	"idefics2/model"
	"idefics2/sample"
)

// The calls that spec/generation.md §11 works on the model of spec/model.md §15: ids, and
// the log-probabilities of processed scores where they are given.
func TestWorkedGeneration(t *testing.T) {
	source, err := checkpoint.Open(worked.Folder(t))
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	m, err := model.Load(source, model.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	e := New(m, Options{})
	defer e.Close()
	two := 2.0
	tests := []struct {
		name   string
		o      sample.Options
		ids    [][]int32
		scores []float64
	}{
		{"greedy", sample.Options{MaxNewTokens: 8}, [][]int32{{8, 5, 11, 15, 12, 8, 13, 1}}, nil},
		{"bad words", sample.Options{MaxNewTokens: 8, BadWords: [][]int32{{8}, {5, 11}}}, [][]int32{{9, 15, 11, 6, 12, 9, 4, 2}}, nil},
		{"repetition penalty", sample.Options{MaxNewTokens: 8, RepetitionPenalty: 1.3}, [][]int32{{8, 15, 11, 4, 12, 3, 13, 0}}, nil},
		{"no repeated bigram", sample.Options{MaxNewTokens: 8, NoRepeatNgram: 2}, [][]int32{{8, 15, 11, 4, 12, 12, 3, 2}}, nil},
		{"end ids, at least three tokens", sample.Options{MaxNewTokens: 8, StopIDs: []int32{8, 15}, MinNewTokens: 3}, [][]int32{{9, 6, 11, 7, 3, 8}}, nil},
		{"beams", sample.Options{MaxNewTokens: 5, Beams: 3, Returned: 3, StopIDs: []int32{4, 12}},
			[][]int32{{9, 15, 2, 7, 3}, {9, 15, 2, 8, 13}, {9, 15, 2, 7, 12}}, []float64{-2.165760, -2.171557, -2.171648}},
		{"beams that end", sample.Options{MaxNewTokens: 5, Beams: 3, Returned: 3, StopIDs: []int32{8, 15}},
			[][]int32{{9, 15}, {8}, {0, 15}}, []float64{-2.114088, -2.130385, -2.135880}},
		{"beams, length penalty, early stopping", sample.Options{MaxNewTokens: 5, Beams: 3, Returned: 3, StopIDs: []int32{8, 15}, LengthPenalty: &two, EarlyStopping: sample.StopWhenFull},
			[][]int32{{9, 15}, {0, 15}, {8}}, []float64{-1.057044, -1.067940, -2.130385}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			result, err := e.Do(t.Context(), Request{Input: worked.Input(false), Options: tt.o, Logprobs: true})
			if err != nil {
				t.Fatal(err)
			}
			if len(result.Answers) != len(tt.ids) {
				t.Fatalf("%d answers, want %d", len(result.Answers), len(tt.ids))
			}
			for i, a := range result.Answers {
				var got []int32
				for _, token := range a.Tokens {
					got = append(got, token.ID)
				}
				if !slices.Equal(got, tt.ids[i]) {
					t.Errorf("answer %d: %v, want %v", i, got, tt.ids[i])
				}
				if tt.scores != nil && math.Abs(float64(a.Score)-tt.scores[i]) > 2e-6 {
					t.Errorf("answer %d: score %v, want %v", i, a.Score, tt.scores[i])
				}
			}
			if tt.name == "greedy" {
				for k, want := range []float64{-2.130385, -2.414824, -2.142272} {
					if got := float64(result.Answers[0].Tokens[k].Logprob); math.Abs(got-want) > 2e-6 {
						t.Errorf("log-probability of token %d: %v, want %v", k, got, want)
					}
				}
			}
		})
	}
}
