package convert

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"idefics2/checkpoint"
	"idefics2/quant"
	"idefics2/tensor"
)

// Rule says how tensors that match a pattern are stored.
type Rule struct {
	// Pattern is the name of a part (see Parts), or a pattern of path.Match for a tensor's
	// name, in which * stands for any letters, dots included. A part means its matrices.
	Pattern string
	Type    quant.Type // 0: as it is stored
}

// Parts lists the parts of a model that rules know by name.
func Parts() []string {
	return []string{"embeddings", "output", "vision", "projection", "resampler", "text"}
}

// PartOf returns the part that a tensor belongs to.
func PartOf(name string) string {
	for _, p := range []struct{ in, part string }{
		{"vision_model.", "vision"}, {"modality_projection.", "projection"}, {"perceiver_resampler.", "resampler"},
		{"embed_tokens.", "embeddings"}, {"lm_head.", "output"}, {"text_model.", "text"},
	} {
		if strings.Contains(name, p.in) {
			return p.part
		}
	}
	return ""
}

// ParseRule reads "PATTERN" or "PATTERN=TYPE".
func ParseRule(text string) (Rule, error) {
	pattern, name, typed := strings.Cut(text, "=")
	r := Rule{Pattern: pattern}
	if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
		return r, fmt.Errorf("convert: rule %.100q: want PATTERN or PATTERN=TYPE, as vision=bf16 or *.down_proj.weight=q6_k", text)
	}
	if !strings.ContainsAny(pattern, "*?[.") && !r.part() {
		return r, fmt.Errorf("convert: rule %.100q: no part %q, want one of %s, or a pattern of tensors' names", text, pattern, strings.Join(Parts(), ", "))
	}
	if !typed {
		return r, nil
	}
	var err error
	r.Type, err = quant.ParseType(name)
	return r, err
}

// part reports a rule for a part of the model, which means its matrices.
func (r Rule) part() bool { return slices.Contains(Parts(), r.Pattern) }

func (r Rule) matches(t checkpoint.Tensor) bool {
	ok, _ := path.Match(r.Pattern, t.Name) // names have no slash, so * crosses dots
	return ok || r.Pattern == PartOf(t.Name)
}

// DefaultRules are what Quantized does where the caller's rules say nothing: the output, which
// every token is chosen by, in Q6_K or better; the table of words, of which few rows are read,
// and all that looks at pictures, a twentieth of the model, in Q8_0 (docs/performance.md).
func DefaultRules(typ quant.Type) []Rule {
	output := typ
	if typ == quant.Q4_K || typ == quant.Q4_0 {
		output = quant.Q6_K
	}
	return []Rule{
		{"output", output}, {"embeddings", quant.Q8_0},
		{"vision", quant.Q8_0}, {"projection", quant.Q8_0}, {"resampler", quant.Q8_0},
	}
}

// Quantized stores matrices as typ, but for what the rules say, the first that matches; then
// DefaultRules count. What is no matrix is never stored in blocks.
func Quantized(typ quant.Type, rules []Rule) Choice {
	rules = append(rules[:len(rules):len(rules)], DefaultRules(typ)...)
	return func(t checkpoint.Tensor, stored tensor.DType) quant.Type {
		keep := Keep(t, stored)
		for _, r := range rules {
			if !r.matches(t) {
				continue
			}
			if r.Type == 0 || !t.Matrix() && (r.Type.Block() > 1 || r.part()) {
				return keep
			}
			return r.Type
		}
		if !t.Matrix() {
			return keep
		}
		return typ
	}
}
