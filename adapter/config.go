package adapter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"idefics2/internal/strictjson"
)

// Config says which layers are adapted, and how. Its JSON is PEFT's adapter_config.json.
type Config struct {
	Rank    int
	Alpha   float64
	Dropout float64 // of the adapter's input, while it learns

	// Targets are the linear layers: one regular expression that must match the whole name of a module,
	// such as `.*text_model.*(q|v)_proj`, or else names, each of which stands for the modules that
	// have it or end in it behind a dot. "all-linear" stands for all but the output matrix.
	Pattern string
	Names   []string
	Exclude []string // names that are not adapted, though they match

	DoRA     bool
	RSLoRA   bool // scales by Alpha/√Rank in place of Alpha/Rank
	Gaussian bool // A begins as a normal distribution, of deviation 1/Rank, in place of a uniform one

	// Ranks and Alphas differ for modules whose name ends as a regular expression says.
	Ranks  map[string]int
	Alphas map[string]float64

	// Save names modules that learn whole and are stored beside the adapters, as Names do.
	Save []string

	Base string // the model that it is for
}

const allLinear = "all-linear"

// maxRank and maxPattern bound what a file may ask for.
const (
	maxRank    = 1 << 14
	maxPattern = 1 << 14
)

func (c *Config) check() error {
	switch {
	case c.Rank < 1 || c.Rank > maxRank:
		return fmt.Errorf("r: found %d, want 1 to %d", c.Rank, maxRank)
	case !(math.Abs(c.Alpha) < math.MaxFloat32):
		return fmt.Errorf("lora_alpha: found %v, want a number", c.Alpha)
	case !(c.Dropout >= 0 && c.Dropout < 1):
		return fmt.Errorf("lora_dropout: found %v, want 0 or more and less than 1", c.Dropout)
	case c.Pattern == "" && len(c.Names) == 0 && len(c.Save) == 0:
		return errors.New("target_modules: no pattern and no names")
	}
	for name, r := range c.Ranks {
		if r < 1 || r > maxRank {
			return fmt.Errorf("rank_pattern: %q: found %d, want 1 to %d", name, r, maxRank)
		}
	}
	_, err := c.matcher()
	return err
}

// matcher holds the compiled patterns of a Config.
type matcher struct {
	config *Config
	whole  *regexp.Regexp // of Pattern
	ranks  []ending
	alphas []ending
}

type ending struct {
	pattern *regexp.Regexp
	value   float64
}

func compile(key, pattern, format string) (*regexp.Regexp, error) {
	if len(pattern) > maxPattern {
		return nil, fmt.Errorf("%s: a pattern of %d bytes, want at most %d", key, len(pattern), maxPattern)
	}
	re, err := regexp.Compile(fmt.Sprintf(format, pattern))
	if err != nil {
		return nil, fmt.Errorf("%s: %q: %w; only what RE2 knows is understood, so no look-ahead", key, pattern, err)
	}
	return re, nil
}

func (c *Config) matcher() (*matcher, error) {
	m := &matcher{config: c}
	var err error
	if c.Pattern != "" && c.Pattern != allLinear {
		if m.whole, err = compile("target_modules", c.Pattern, `\A(?:%s)\z`); err != nil {
			return nil, err
		}
	}
	for _, p := range sorted(c.Ranks) {
		re, err := compile("rank_pattern", p, `(?:\A|\.)(?:%s)\z`)
		if err != nil {
			return nil, err
		}
		m.ranks = append(m.ranks, ending{re, float64(c.Ranks[p])})
	}
	for _, p := range sorted(c.Alphas) {
		re, err := compile("alpha_pattern", p, `(?:\A|\.)(?:%s)\z`)
		if err != nil {
			return nil, err
		}
		m.alphas = append(m.alphas, ending{re, c.Alphas[p]})
	}
	return m, nil
}

func sorted[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// named reports whether module is one of the names or ends in one behind a dot.
func named(module string, names []string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return module == n || strings.HasSuffix(module, "."+n) })
}

// targets reports whether a linear layer is to be adapted.
func (m *matcher) targets(module string) bool {
	c := m.config
	switch {
	case named(module, c.Exclude):
		return false
	case c.Pattern == allLinear:
		return module != head && module != patches
	case m.whole != nil:
		return m.whole.MatchString(module)
	default:
		return named(module, c.Names)
	}
}

// scale returns rank and scale of a module.
func (m *matcher) scale(module string) (rank int, scale float32) {
	r, alpha := float64(m.config.Rank), m.config.Alpha
	for _, e := range m.ranks {
		if e.pattern.MatchString(module) {
			r = e.value
			break
		}
	}
	for _, e := range m.alphas {
		if e.pattern.MatchString(module) {
			alpha = e.value
			break
		}
	}
	if m.config.RSLoRA {
		return int(r), float32(alpha / math.Sqrt(r))
	}
	return int(r), float32(alpha / r)
}

// saves reports whether a parameter belongs to a module that is stored whole.
func (m *matcher) saves(param string) bool {
	for module := param; ; {
		dot := strings.LastIndexByte(module, '.')
		if dot < 0 {
			return false
		}
		module = module[:dot]
		if named(module, m.config.Save) {
			return true
		}
	}
}

// refused are fields that change what an adapter computes in a way that is not known here, and the
// values at which they don't.
var refused = map[string][]string{
	"use_qalora": {"null", "false"}, "use_bdlora": {"null", "false"}, "alora_invocation_tokens": {"null"},
	"layer_replication": {"null"}, "target_parameters": {"null", "[]"}, "megatron_config": {"null"},
	"lora_bias": {"null", "false"}, "fan_in_fan_out": {"null", "false"}, "bias": {"null", `"none"`},
	"trainable_token_indices": {"null"}, "layers_to_transform": {"null"}, "layers_pattern": {"null", "[]"},
	"kasa_config": {"null"}, "monteclora_config": {"null"}, "velora_config": {"null"},
}

// ParseConfig reads adapter_config.json. Fields that would change the function and are not known are
// an error; others are ignored.
func ParseConfig(data []byte) (Config, error) {
	fields := map[string][]byte{}
	s := strictjson.New(data)
	err := s.Object(func(key string) (err error) {
		fields[key], err = s.Raw()
		return err
	})
	if err == nil {
		err = s.End()
	}
	if err != nil {
		return Config{}, fmt.Errorf("adapter: %w", err)
	}
	for _, key := range sorted(refused) {
		if raw, ok := fields[key]; ok && !slices.Contains(refused[key], string(raw)) {
			return Config{}, fmt.Errorf("adapter: %s: found %.60s, which is not known here", key, raw)
		}
	}
	c := Config{Rank: 8, Alpha: 8}
	var kind, revision string
	var start any
	for _, f := range []struct {
		key string
		to  any
	}{
		{"peft_type", &kind}, {"r", &c.Rank}, {"lora_alpha", &c.Alpha}, {"lora_dropout", &c.Dropout},
		{"use_dora", &c.DoRA}, {"use_rslora", &c.RSLoRA}, {"rank_pattern", &c.Ranks}, {"alpha_pattern", &c.Alphas},
		{"modules_to_save", &c.Save}, {"base_model_name_or_path", &c.Base}, {"revision", &revision}, {"init_lora_weights", &start},
		{"exclude_modules", &c.Exclude}, {"target_modules", &c.Names},
	} {
		raw, ok := fields[f.key]
		if !ok || string(raw) == "null" {
			continue
		}
		to := f.to
		if f.key == "target_modules" && raw[0] == '"' {
			to = &c.Pattern
		}
		if err := json.Unmarshal(raw, to); err != nil {
			return Config{}, fmt.Errorf("adapter: %s: found %.60s: %w", f.key, raw, err)
		}
	}
	if kind != "LORA" {
		return Config{}, fmt.Errorf("adapter: peft_type: found %q, want LORA", kind)
	}
	c.Gaussian = start == "gaussian"
	if err := c.check(); err != nil {
		return Config{}, fmt.Errorf("adapter: %w", err)
	}
	return c, nil
}

// MarshalJSON writes what PEFT reads.
func (c Config) MarshalJSON() ([]byte, error) {
	var targets, start any = c.Names, true
	if c.Pattern != "" {
		targets = c.Pattern
	}
	if c.Gaussian {
		start = "gaussian"
	}
	none := func(names []string) any {
		if len(names) == 0 {
			return nil
		}
		return names
	}
	if c.Ranks == nil {
		c.Ranks = map[string]int{}
	}
	if c.Alphas == nil {
		c.Alphas = map[string]float64{}
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	err := e.Encode(map[string]any{
		"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": c.Base, "inference_mode": true,
		"r": c.Rank, "lora_alpha": c.Alpha, "lora_dropout": c.Dropout, "bias": "none", "fan_in_fan_out": false,
		"target_modules": targets, "exclude_modules": none(c.Exclude), "modules_to_save": none(c.Save),
		"use_dora": c.DoRA, "use_rslora": c.RSLoRA, "rank_pattern": c.Ranks, "alpha_pattern": c.Alphas,
		"init_lora_weights": start,
	})
	return out.Bytes(), err
}
