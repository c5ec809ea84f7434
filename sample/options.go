package sample

import (
	"fmt"
	"math"
	"strings"
)

// Options are a caller's choices for one request. The zero value is greedy search
// without any processor, end id or limit. Names and arithmetic are those of
// transformers' GenerationConfig; where its neutral value is not zero, zero means
// neutral here.
type Options struct {
	MaxNewTokens int     // most tokens drawn; 0: the caller stops. Beam search needs one
	MinNewTokens int     // StopIDs are removed while fewer tokens were drawn
	MinLength    int     // the same, counting the prompt; MinNewTokens wins where both are given
	StopIDs      []int32 // end ids. Empty to ignore the end of a sequence

	// StopStrings end the text and are cut from it. Ids know no text, so the caller who
	// decodes matches them, with Stops.
	StopStrings []string

	Temperature   float64 // divides the scores; 0 is greedy, whatever the next six say
	TopK          int     // keep the k best and their equals; 0: all
	TopP          float64 // keep the smallest set with this mass; 0 or 1: all
	MinP          float64 // remove what has less than this share of the best probability; 0: none
	TypicalP      float64 // keep the mass nearest to the entropy (Meister et al., 2022); 0 or 1: all
	EpsilonCutoff float64 // remove smaller probabilities (Hewitt et al., 2022); 0: none
	EtaCutoff     float64 // the same, with a threshold that falls with the entropy; 0: none

	RepetitionPenalty        float64 // of ids in the prompt or drawn (Keskar et al., 2019); 0 or 1: none
	EncoderRepetitionPenalty float64 // above 1 favours ids of the prompt; 0 or 1: none
	FrequencyPenalty         float64 // subtracted once for each time an id was drawn; the prompt does not count
	PresencePenalty          float64 // subtracted once from every id that was drawn
	NoRepeatNgram            int     // no n-gram of prompt and answer occurs again; 0: any may
	EncoderNoRepeatNgram     int     // no n-gram of the prompt occurs again; 0: any may

	BadWords        [][]int32 // sequences that are never completed
	Bias            []Bias    // added to the score of the id that completes the sequence
	Suppress        []int32   // ids never drawn
	SuppressAtBegin []int32   // ids never drawn first
	ForcedBOS       []int32   // the only ids allowed after a prompt of one id
	ForcedEOS       []int32   // the only ids allowed as the last of MaxNewTokens

	// ExponentialDecay raises the scores of StopIDs after Start new tokens: by |s|·(Factor^k − 1)
	// at the k-th token past it. Factor 0: off.
	ExponentialDecay Decay

	// Allowed returns the ids that may follow ids, prompt included; nil allows all. It
	// keeps neither slice. For a wide choice a Constraint costs less.
	Allowed func(ids []int32) []int32

	// Constraint removes what its masks leave out, after all else that removes or adds; nil: nothing.
	Constraint Constraint

	ReplaceInvalid    bool // replace NaN by 0 and infinities by ±the largest float32, instead of refusing them
	RenormalizeLogits bool // the processed scores are log-probabilities; changes no choice but in beam search

	Seed uint64 // of the counter-based generator (random.go)

	Beams         int           // 0 or 1: no beam search
	LengthPenalty *float64      // a beam's score is sum/length^LengthPenalty; nil: 1
	EarlyStopping EarlyStopping // when beam search ends
	Returned      int           // answers, at most Beams in beam search; 0: 1

	Logprobs int // alternatives reported with each token; 0: log-probabilities are not computed

	LookupTokens int // ids proposed from the prompt in one round of prompt lookup; 0: off
	LookupNgram  int // longest n-gram looked for; 0: 2
}

// Constraint says which ids may come next, such as those that keep to a grammar.
type Constraint interface {
	// Mask returns a bit for each id: those that may follow generated, the ids drawn so far. Id i
	// is bit i%64 of word i/64. It depends on those ids alone, because drafts, beams and the answers of one
	// request ask in any order, about ids too that no mask held before. The slice is read before
	// the next call, and not changed.
	Mask(generated []int32) ([]uint64, error)
}

// Bias adds Value to the score of the last of IDs where the others end the context.
type Bias struct {
	IDs   []int32
	Value float64
}

// Decay is the argument of Options.ExponentialDecay.
type Decay struct {
	Start  int
	Factor float64
}

// EarlyStopping says when beam search ends, once there are as many finished beams as
// beams.
type EarlyStopping uint8

const (
	// StopWhenUnlikely ends when the best running beam, at its present length, is no
	// better than the worst finished one: false in the reference.
	StopWhenUnlikely EarlyStopping = iota
	// StopWhenFull ends at once: true in the reference.
	StopWhenFull
	// StopWhenImpossible ends when no running beam can become better than the worst
	// finished one: "never" in the reference.
	StopWhenImpossible
)

var earlyStopping = [...]string{"false", "true", "never"}

// String returns the reference's word: false, true or never.
func (e EarlyStopping) String() string {
	if int(e) < len(earlyStopping) {
		return earlyStopping[e]
	}
	return fmt.Sprintf("EarlyStopping(%d)", uint8(e))
}

// MarshalText returns the reference's word.
func (e EarlyStopping) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText reads false, true or never.
func (e *EarlyStopping) UnmarshalText(text []byte) error {
	for i, name := range earlyStopping {
		if string(text) == name {
			*e = EarlyStopping(i)
			return nil
		}
	}
	return fmt.Errorf("sample: EarlyStopping: %q, want true, false or never", text)
}

// Limits that keep the memory of one request in proportion: beam search holds
// Beams rows of scores, a draft LookupTokens rows of logits.
const (
	maxVocab  = 1 << 24 // counts are exact in float32
	maxBeams  = 256
	maxLookup = 1024
	maxEnds   = 1024    // each widens beam search
	maxStop   = 1 << 16 // bytes of one stop string
)

// Validate returns nil if a model of vocab ids can follow o, and else an error that
// names the field, what it holds and what it may hold. Infinite values and NaN are
// refused everywhere.
func (o *Options) Validate(vocab int) error {
	if vocab < 1 || vocab > maxVocab {
		return fmt.Errorf("sample: vocabulary of %d ids, want 1 to %d", vocab, maxVocab)
	}
	if err := o.validateNumbers(vocab); err != nil {
		return err
	}
	if err := o.validateIDs(vocab); err != nil {
		return err
	}
	return o.validateAnswers(vocab)
}

func (o *Options) validateNumbers(vocab int) error {
	for _, f := range []struct {
		name   string
		v      int
		hi     int
		remedy string
	}{
		{"MaxNewTokens", o.MaxNewTokens, math.MaxInt32, "0 leaves the end to the caller"},
		{"MinNewTokens", o.MinNewTokens, math.MaxInt32, "0 is no minimum"},
		{"MinLength", o.MinLength, math.MaxInt32, "0 is no minimum"},
		{"TopK", o.TopK, math.MaxInt32, "0 keeps all"},
		{"NoRepeatNgram", o.NoRepeatNgram, math.MaxInt32, "0 allows repetition"},
		{"EncoderNoRepeatNgram", o.EncoderNoRepeatNgram, math.MaxInt32, "0 allows repetition"},
		{"ExponentialDecay.Start", o.ExponentialDecay.Start, math.MaxInt32, "it counts new tokens"},
		{"Beams", o.Beams, maxBeams, "0 or 1 is no beam search"},
		{"Returned", o.Returned, math.MaxInt32, "0 is one answer"},
		{"Logprobs", o.Logprobs, vocab, "0 computes none"},
		{"LookupTokens", o.LookupTokens, maxLookup, "0 is off"},
		{"LookupNgram", o.LookupNgram, maxLookup, "0 is 2"},
	} {
		if f.v < 0 || f.v > f.hi {
			return fmt.Errorf("sample: %s: %d, want 0 to %d; %s", f.name, f.v, f.hi, f.remedy)
		}
	}
	if o.MaxNewTokens > 0 && o.MinNewTokens > o.MaxNewTokens {
		return fmt.Errorf("sample: MinNewTokens: %d, want at most MaxNewTokens, %d", o.MinNewTokens, o.MaxNewTokens)
	}
	for _, f := range []struct {
		name   string
		v      float64
		lo, hi float64
		remedy string
	}{
		{"Temperature", o.Temperature, 0, math.MaxFloat32, "0 is greedy, 1 leaves the scores alone"},
		{"TopP", o.TopP, 0, 1, "0 and 1 keep all"},
		{"MinP", o.MinP, 0, 1, "0 removes none"},
		{"TypicalP", o.TypicalP, 0, 1, "0 and 1 keep all"},
		{"EpsilonCutoff", o.EpsilonCutoff, 0, 1, "0 and 1 are off"},
		{"EtaCutoff", o.EtaCutoff, 0, 1, "0 and 1 are off"},
		{"RepetitionPenalty", o.RepetitionPenalty, 0, math.MaxFloat32, "0 and 1 are no penalty"},
		{"EncoderRepetitionPenalty", o.EncoderRepetitionPenalty, 0, math.MaxFloat32, "0 and 1 are no penalty"},
		{"FrequencyPenalty", o.FrequencyPenalty, -math.MaxFloat32, math.MaxFloat32, "0 is no penalty"},
		{"PresencePenalty", o.PresencePenalty, -math.MaxFloat32, math.MaxFloat32, "0 is no penalty"},
		{"ExponentialDecay.Factor", o.ExponentialDecay.Factor, 0, math.MaxFloat32, "0 is off"},
		{"LengthPenalty", o.lengthPenalty(), -100, 100, "1 is usual, 0 compares plain sums"},
	} {
		// Written so that NaN fails. A value that is zero only as float32 would divide by zero.
		if !(f.v >= f.lo && f.v <= f.hi) || f.lo == 0 && f.v != 0 && (float32(f.v) == 0 || 1/float32(f.v) > math.MaxFloat32) {
			return fmt.Errorf("sample: %s: %v, want a number from %v to %v, not vanishing in float32; %s", f.name, f.v, f.lo, f.hi, f.remedy)
		}
	}
	return nil
}

func (o *Options) validateIDs(vocab int) error {
	check := func(name string, ids []int32) error {
		for i, id := range ids {
			if id < 0 || int(id) >= vocab {
				return fmt.Errorf("sample: %s: entry %d is id %d, want 0 to %d, the ids of this model", name, i, id, vocab-1)
			}
		}
		return nil
	}
	for _, f := range []struct {
		name string
		ids  []int32
	}{
		{"StopIDs", o.StopIDs}, {"Suppress", o.Suppress}, {"SuppressAtBegin", o.SuppressAtBegin},
		{"ForcedBOS", o.ForcedBOS}, {"ForcedEOS", o.ForcedEOS},
	} {
		if err := check(f.name, f.ids); err != nil {
			return err
		}
	}
	if len(o.StopIDs) > maxEnds {
		return fmt.Errorf("sample: StopIDs: %d ids, want at most %d", len(o.StopIDs), maxEnds)
	}
	for i, word := range o.BadWords {
		name := fmt.Sprintf("BadWords[%d]", i)
		if len(word) == 0 {
			return fmt.Errorf("sample: %s: no ids, want at least one", name)
		}
		if err := check(name, word); err != nil {
			return err
		}
	}
	for i, b := range o.Bias {
		name := fmt.Sprintf("Bias[%d]", i)
		if len(b.IDs) == 0 {
			return fmt.Errorf("sample: %s: no ids, want at least one", name)
		}
		if err := check(name, b.IDs); err != nil {
			return err
		}
		if !(math.Abs(b.Value) <= math.MaxFloat32) {
			return fmt.Errorf("sample: %s: value %v, want a finite number; to forbid ids use BadWords", name, b.Value)
		}
	}
	for i, s := range o.StopStrings {
		if s == "" || len(s) > maxStop {
			return fmt.Errorf("sample: StopStrings[%d]: %d bytes, want 1 to %d", i, len(s), maxStop)
		}
	}
	return nil
}

func (o *Options) validateAnswers(vocab int) error {
	if o.EarlyStopping > StopWhenImpossible {
		return fmt.Errorf("sample: EarlyStopping: %d, want %s", o.EarlyStopping, strings.Join(earlyStopping[:], ", "))
	}
	if len(o.ForcedEOS) > 0 && o.MaxNewTokens == 0 {
		return fmt.Errorf("sample: ForcedEOS: %d ids without MaxNewTokens, want a limit at which they are forced", len(o.ForcedEOS))
	}
	if o.Beams > 1 {
		switch {
		case o.MaxNewTokens == 0:
			return fmt.Errorf("sample: MaxNewTokens: 0 with %d beams, want at least 1: beam search ends at a length", o.Beams)
		case o.Returned > o.Beams:
			return fmt.Errorf("sample: Returned: %d answers of %d beams, want at most as many answers as beams", o.Returned, o.Beams)
		case max(2, 1+len(o.StopIDs)) > vocab:
			return fmt.Errorf("sample: StopIDs: %d of %d ids end the text, want at least one that does not", len(o.StopIDs), vocab)
		case o.LookupTokens > 0:
			return fmt.Errorf("sample: LookupTokens: %d with %d beams, want one of the two: beams do not use prompt lookup", o.LookupTokens, o.Beams)
		}
		return nil
	}
	if o.Returned > 1 && o.Temperature == 0 {
		return fmt.Errorf("sample: Returned: %d answers of greedy search, which has one; set Temperature or Beams", o.Returned)
	}
	return nil
}

func (o *Options) lengthPenalty() float64 {
	if o.LengthPenalty == nil {
		return 1
	}
	return *o.LengthPenalty
}

// ends reports whether id is an end id. There are a few at most.
func (o *Options) ends(id int32) bool {
	for _, end := range o.StopIDs {
		if id == end {
			return true
		}
	}
	return false
}
