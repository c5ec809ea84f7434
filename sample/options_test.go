package sample

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

func TestValidate(t *testing.T) {
	nan, infinity := math.NaN(), math.Inf(1)
	tests := []struct {
		name string
		opts Options
		want string // beginning of the error; empty: none
	}{
		{"zero value", Options{}, ""},
		{"all on", everything(), ""},
		{"neutral values", Options{TopP: 1, TypicalP: 1, EpsilonCutoff: 1, EtaCutoff: 1, RepetitionPenalty: 1}, ""},
		{"beams", Options{Beams: 4, Returned: 4, MaxNewTokens: 9, LengthPenalty: new(-1.0)}, ""},
		{"lookup when sampling", Options{Temperature: 1, Returned: 3, LookupTokens: 10}, ""},

		{"negative limit", Options{MaxNewTokens: -1}, "sample: MaxNewTokens: -1, want 0 to 2147483647; 0 leaves the end to the caller"},
		{"minimum above limit", Options{MaxNewTokens: 3, MinNewTokens: 4}, "sample: MinNewTokens: 4, want at most MaxNewTokens, 3"},
		{"negative top-k", Options{TopK: -5}, "sample: TopK: -5"},
		{"negative temperature", Options{Temperature: -0.1}, "sample: Temperature: -0.1, want a number from 0"},
		{"NaN temperature", Options{Temperature: nan}, "sample: Temperature: NaN"},
		{"infinite temperature", Options{Temperature: infinity}, "sample: Temperature: +Inf"},
		{"temperature that is 0 in float32", Options{Temperature: 1e-60}, "sample: Temperature: 1e-60"},
		{"top-p above 1", Options{TopP: 1.01}, "sample: TopP: 1.01"},
		{"NaN top-p", Options{TopP: nan}, "sample: TopP: NaN"},
		{"min-p", Options{MinP: -1}, "sample: MinP: -1"},
		{"typical", Options{TypicalP: 2}, "sample: TypicalP: 2"},
		{"cutoffs", Options{EpsilonCutoff: nan}, "sample: EpsilonCutoff: NaN"},
		{"eta", Options{EtaCutoff: -1}, "sample: EtaCutoff: -1"},
		{"negative penalty", Options{RepetitionPenalty: -1}, "sample: RepetitionPenalty: -1"},
		{"infinite penalty", Options{EncoderRepetitionPenalty: infinity}, "sample: EncoderRepetitionPenalty: +Inf"},
		{"NaN frequency", Options{FrequencyPenalty: nan}, "sample: FrequencyPenalty: NaN"},
		{"infinite presence", Options{PresencePenalty: -infinity}, "sample: PresencePenalty: -Inf"},
		{"decay", Options{ExponentialDecay: Decay{1, nan}}, "sample: ExponentialDecay.Factor: NaN"},
		{"decay start", Options{ExponentialDecay: Decay{-1, 1.1}}, "sample: ExponentialDecay.Start: -1"},
		{"length penalty", Options{LengthPenalty: &nan}, "sample: LengthPenalty: NaN"},
		{"stop id", Options{StopIDs: []int32{2, 32003}}, "sample: StopIDs: entry 1 is id 32003, want 0 to 32002"},
		{"too many stop ids", Options{StopIDs: make([]int32, 2000)}, "sample: StopIDs: 2000 ids, want at most 1024"},
		{"suppressed id", Options{Suppress: []int32{-1}}, "sample: Suppress: entry 0 is id -1"},
		{"bad word", Options{BadWords: [][]int32{{1}, {2, 40000}}}, "sample: BadWords[1]: entry 1 is id 40000"},
		{"empty bad word", Options{BadWords: [][]int32{{}}}, "sample: BadWords[0]: no ids"},
		{"bias id", Options{Bias: []Bias{{[]int32{-3}, 1}}}, "sample: Bias[0]: entry 0 is id -3"},
		{"empty bias", Options{Bias: []Bias{{nil, 1}}}, "sample: Bias[0]: no ids"},
		{"infinite bias", Options{Bias: []Bias{{[]int32{3}, -infinity}}}, "sample: Bias[0]: value -Inf, want a finite number; to forbid ids use BadWords"},
		{"empty stop string", Options{StopStrings: []string{"a", ""}}, "sample: StopStrings[1]: 0 bytes"},
		{"too many beams", Options{Beams: 1000, MaxNewTokens: 1}, "sample: Beams: 1000, want 0 to 256"},
		{"beams without a limit", Options{Beams: 2}, "sample: MaxNewTokens: 0 with 2 beams"},
		{"more answers than beams", Options{Beams: 2, Returned: 3, MaxNewTokens: 1}, "sample: Returned: 3 answers of 2 beams"},
		{"beams with lookup", Options{Beams: 2, LookupTokens: 3, MaxNewTokens: 1}, "sample: LookupTokens: 3 with 2 beams"},
		{"several greedy answers", Options{Returned: 2}, "sample: Returned: 2 answers of greedy search"},
		{"early stopping", Options{EarlyStopping: 7}, "sample: EarlyStopping: 7, want false, true, never"},
		{"alternatives", Options{Logprobs: 32004}, "sample: Logprobs: 32004, want 0 to 32003"},
		{"lookup", Options{LookupTokens: 5000}, "sample: LookupTokens: 5000"},
		{"forced end without a limit", Options{ForcedEOS: []int32{2}}, "sample: ForcedEOS: 1 ids without MaxNewTokens"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.opts.Validate(32003)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)) {
				t.Errorf("Validate: %v, want %q", err, tt.want)
			}
			if _, newErr := New(tt.opts, 32003, 0); (newErr == nil) != (err == nil) {
				t.Errorf("New: %v, Validate: %v", newErr, err)
			}
		})
	}
	all := Options{Beams: 2, MaxNewTokens: 1, StopIDs: []int32{0, 1, 2}}
	if err := all.Validate(3); err == nil {
		t.Error("every id ends the text: want an error")
	}
	if err := new(Options).Validate(0); err == nil {
		t.Error("a vocabulary of no ids: want an error")
	}
}

func TestEarlyStoppingText(t *testing.T) {
	for text, want := range map[string]EarlyStopping{"false": StopWhenUnlikely, "true": StopWhenFull, "never": StopWhenImpossible} {
		var got EarlyStopping
		if err := json.Unmarshal([]byte(`"`+text+`"`), &got); err != nil || got != want {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
		if back, err := json.Marshal(got); err != nil || string(back) != `"`+text+`"` {
			t.Errorf("%v is written as %s, %v", got, back, err)
		}
	}
	var e EarlyStopping
	if err := e.UnmarshalText([]byte("maybe")); err == nil {
		t.Error("maybe: want an error")
	}
}
