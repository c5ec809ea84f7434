package checkpoint

import (
	"errors"
	"fmt"

	"idefics2/internal/strictjson"
)

// Generation is generation_config.json: how a model wants its answers drawn. A field
// that the file does not say is nil, or what DefaultGeneration has.
type Generation struct {
	BOS, PAD int     // -1 for none
	EOS      []int   // any of them ends an answer
	BadWords [][]int // sequences of ids that must not be drawn

	Sample              *bool // do_sample
	Temperature         *float64
	TopK                *int
	TopP                *float64
	MinP                *float64
	TypicalP            *float64
	EpsilonCutoff       *float64
	EtaCutoff           *float64
	RepetitionPenalty   *float64
	NoRepeatNGram       *int // no_repeat_ngram_size
	Beams               *int // num_beams
	LengthPenalty       *float64
	EarlyStopping       *string // "true", "false" or "never"
	MaxNewTokens        *int
	MinNewTokens        *int
	MaxLength           *int // counts the prompt
	MinLength           *int
	SuppressTokens      []int
	BeginSuppressTokens []int // begin_suppress_tokens
}

// DefaultGeneration returns what holds where a folder has no generation_config.json:
// the ids of config.json and nothing else (spec/generation.md §1.2).
func DefaultGeneration(c Config) Generation {
	return Generation{BOS: c.Text.BOS, PAD: c.Text.PAD, EOS: c.Text.EOS}
}

// ParseGeneration reads the text of a generation_config.json; ids that it does not
// say are those of the model's configuration.
func ParseGeneration(data []byte, c Config) (g Generation, err error) {
	err = parseFile(data, func(o object) { g = parseGeneration(o, c) })
	if err != nil {
		return Generation{}, fmt.Errorf("checkpoint: generation_config.json: %w", err)
	}
	return g, nil
}

func parseGeneration(o object, c Config) Generation {
	const maxID, maxCount = maxVocab - 1, 1 << 30
	const most = 1e9 // of weights and penalties
	g := DefaultGeneration(c)
	g.BOS = o.intOrNull("bos_token_id", g.BOS, -1, 0, maxID)
	g.PAD = o.intOrNull("pad_token_id", g.PAD, -1, -1, maxID)
	if o.has("eos_token_id") {
		g.EOS = o.ints("eos_token_id", 0, maxID)
	} else if o.kind("eos_token_id") == strictjson.Null {
		g.EOS = nil
	}
	o.array("bad_words_ids", func(raw []byte) error {
		ids, err := parseInts(scan(raw), 0, maxID)
		if err == nil && len(ids) == 0 {
			err = errors.New("want no empty list")
		}
		g.BadWords = append(g.BadWords, ids)
		return err
	})
	if o.has("do_sample") {
		g.Sample = new(o.bool("do_sample", false))
	}
	g.Temperature = o.optFloat("temperature", 0, most)
	g.TopK = o.optInt("top_k", 0, maxCount)
	g.TopP = o.optFloat("top_p", 0, 1)
	g.MinP = o.optFloat("min_p", 0, 1)
	g.TypicalP = o.optFloat("typical_p", 0, 1)
	g.EpsilonCutoff = o.optFloat("epsilon_cutoff", 0, 1)
	g.EtaCutoff = o.optFloat("eta_cutoff", 0, 1)
	g.RepetitionPenalty = o.optFloat("repetition_penalty", 1e-9, most)
	g.NoRepeatNGram = o.optInt("no_repeat_ngram_size", 0, maxCount)
	g.Beams = o.optInt("num_beams", 1, 1<<10)
	g.LengthPenalty = o.optFloat("length_penalty", -most, most)
	g.EarlyStopping = o.earlyStopping()
	g.MaxNewTokens = o.optInt("max_new_tokens", 1, maxCount)
	g.MinNewTokens = o.optInt("min_new_tokens", 0, maxCount)
	g.MaxLength = o.optInt("max_length", 0, maxCount)
	g.MinLength = o.optInt("min_length", 0, maxCount)
	if o.has("suppress_tokens") {
		g.SuppressTokens = o.ints("suppress_tokens", 0, maxID)
	}
	if o.has("begin_suppress_tokens") {
		g.BeginSuppressTokens = o.ints("begin_suppress_tokens", 0, maxID)
	}
	return g
}

// earlyStopping reads a field that is true, false or "never".
func (o object) earlyStopping() *string {
	const key = "early_stopping"
	switch {
	case !o.has(key):
		return nil
	case o.kind(key) == strictjson.Bool:
		return new(fmt.Sprint(o.bool(key, false)))
	case o.string(key, "") == "never":
		return new("never")
	}
	o.fail(key, `found %s, want true, false or "never"`, o.found(key))
	return nil
}

func (o object) optInt(key string, lo, hi int) *int {
	if !o.has(key) {
		return nil
	}
	return new(o.int(key, lo, lo, hi))
}

func (o object) optFloat(key string, lo, hi float64) *float64 {
	if !o.has(key) {
		return nil
	}
	return new(o.float(key, lo, lo, hi))
}
