package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"idefics2"
)

// generation holds the flags that say how an answer is drawn. A flag that was not
// given changes nothing: the request's own setting, the model's generation_config and
// the defaults follow in that order.
type generation struct {
	flags   *flags
	setters map[string]func(r *idefics2.Request, value string) error
	given   []setting
}

// setting is one generation flag as it was given.
type setting struct{ name, value string }

// settingsHelp lists the settings; chat's /set takes the same.
func generationFlags(f *flags) *generation {
	g := &generation{flags: f, setters: map[string]func(*idefics2.Request, string) error{}}
	f.group("How the answer is drawn (greedy unless -temperature is given)", func() {
		g.whole("max-tokens", "`N`: stop after N tokens", 1, func(r *idefics2.Request, n int) { r.Generate.MaxNewTokens = n })
		g.number("temperature", "`T`: sample, from softmax(logits / T); 0 is greedy", func(r *idefics2.Request, v float64) { r.Generate.Temperature = v })
		g.whole("top-k", "`K`: sample among the K best tokens only", 0, func(r *idefics2.Request, n int) { r.Generate.TopK = n })
		g.number("top-p", "`P`: sample among the best tokens that have P of the probability", func(r *idefics2.Request, v float64) { r.Generate.TopP = v })
		g.number("min-p", "`P`: drop tokens with less than P of the best one's probability", func(r *idefics2.Request, v float64) { r.Generate.MinP = v })
		g.number("typical-p", "`P`: sample among the tokens nearest to the entropy that have P of the probability", func(r *idefics2.Request, v float64) { r.Generate.TypicalP = v })
		g.number("repetition-penalty", "`R`: above 1, make tokens that occurred, prompt included, less likely", func(r *idefics2.Request, v float64) { r.Generate.RepetitionPenalty = v })
		g.number("frequency-penalty", "`F`: subtracted from a token's logit for each time the answer holds it", func(r *idefics2.Request, v float64) { r.Generate.FrequencyPenalty = v })
		g.number("presence-penalty", "`F`: subtracted once if the answer holds it", func(r *idefics2.Request, v float64) { r.Generate.PresencePenalty = v })
		g.whole("no-repeat-ngram", "`N`: never repeat N tokens in a row, prompt included", 0, func(r *idefics2.Request, n int) { r.Generate.NoRepeatNgram = n })
		g.add("seed", "`N`: of the sampling; the same seed gives the same answer", func(r *idefics2.Request, s string) error {
			n, err := strconv.ParseUint(s, 10, 64)
			if err != nil {
				return errors.New("want a whole number from 0 to 2⁶⁴−1")
			}
			r.Generate.Seed = n
			return nil
		})
		g.add("stop", "`TEXT`: end before this text; may be given several times", func(r *idefics2.Request, s string) error {
			if s == "" {
				return errors.New("want some text")
			}
			r.Generate.StopStrings = append(r.Generate.StopStrings, s)
			return nil
		})
		g.add("stop-ids", "`IDS`: end at these token ids, such as 2,615, instead of the model's own", func(r *idefics2.Request, s string) error {
			ids, err := parseIDs(s)
			r.Generate.StopIDs = ids
			return err
		})
		g.bool("ignore-eos", "go on where the model would end", func(r *idefics2.Request) { r.IgnoreEOS = true })
		g.whole("beams", "`N`: search with N beams", 1, func(r *idefics2.Request, n int) { r.Generate.Beams = n })
		g.number("length-penalty", "`L`: beams compare sum / length^L (default 1)", func(r *idefics2.Request, v float64) { r.Generate.LengthPenalty = &v })
		g.add("early-stopping", "`true|false|never`: when beams end (default false)", func(r *idefics2.Request, s string) error {
			if r.Generate.EarlyStopping.UnmarshalText([]byte(s)) != nil {
				return errors.New("want true, false or never")
			}
			return nil
		})
		g.whole("n", "`N`: give N answers", 1, func(r *idefics2.Request, n int) { r.Generate.Returned = n })
		g.whole("logprobs", "`N`: report each token's log-probability and the N best alternatives", 0, func(r *idefics2.Request, n int) { r.Logprobs = &n })
		g.whole("prompt-lookup", "`N`: guess up to N tokens at once from the text so far, 0 none (default: as many as pay); never another answer", 0, func(r *idefics2.Request, n int) {
			r.Generate.LookupTokens, r.NoLookup = n, n == 0
		})
		g.add("format", "`FILE`: answer as this JSON schema asks, or json: with any object, text: with anything", func(r *idefics2.Request, s string) (err error) {
			r.Format, err = readFormat(s)
			return err
		})
	})
	return g
}

// add defines a flag whose value set checks, and later writes into a request.
func (g *generation) add(name, usage string, set func(*idefics2.Request, string) error) {
	g.setters[name] = set
	g.flags.Func(name, usage, func(s string) error {
		if err := set(new(idefics2.Request), s); err != nil {
			return err
		}
		g.given = append(g.given, setting{name, s})
		return nil
	})
}

func (g *generation) number(name, usage string, set func(*idefics2.Request, float64)) {
	g.add(name, usage, func(r *idefics2.Request, s string) error {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return errors.New("want a number")
		}
		set(r, v)
		return nil
	})
}

func (g *generation) whole(name, usage string, least int, set func(*idefics2.Request, int)) {
	g.add(name, usage, func(r *idefics2.Request, s string) error {
		n, err := strconv.Atoi(s)
		if err != nil || n < least {
			return fmt.Errorf("want a whole number from %d", least)
		}
		set(r, n)
		return nil
	})
}

func (g *generation) bool(name, usage string, set func(*idefics2.Request)) {
	g.setters[name] = func(r *idefics2.Request, s string) error {
		var m maybe
		if err := m.Set(s); err != nil {
			return err
		}
		if *m.value {
			set(r)
		}
		return nil
	}
	g.flags.BoolFunc(name, usage, func(s string) error {
		if err := g.setters[name](new(idefics2.Request), s); err != nil {
			return err
		}
		g.given = append(g.given, setting{name, s})
		return nil
	})
}

// apply writes the flags that were given into r, but for those that keep names.
func (g *generation) apply(r *idefics2.Request, keep func(name string) bool) error {
	replaced := false
	for _, s := range g.given {
		if keep != nil && keep(s.name) {
			continue
		}
		if s.name == "stop" && !replaced {
			r.Generate.StopStrings, replaced = nil, true // of the request; the flags' own add up
		}
		if err := g.setters[s.name](r, s.value); err != nil {
			return fmt.Errorf("-%s %s: %w", s.name, s.value, err)
		}
	}
	return nil
}

// names returns the settings in alphabetical order.
func (g *generation) names() []string {
	var names []string
	for name := range g.setters {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// parseIDs reads token ids that are separated by commas.
func parseIDs(s string) (ids []int32, err error) {
	for field := range strings.SplitSeq(s, ",") {
		n, err := strconv.ParseInt(strings.TrimSpace(field), 10, 32)
		if err != nil || n < 0 {
			return nil, errors.New("want token ids separated by commas, such as 2,615")
		}
		ids = append(ids, int32(n))
	}
	return ids, nil
}
