package checkpoint

import "strings"

// renames lead from names that models were saved under elsewhere to today's
// (spec/model.md §12): the authors' training format, where tables with trained extra
// rows come in two parts, and a base model saved without its head. A rename is of a
// whole name, or of a prefix that ends in a dot.
var renames = []struct{ from, to string }{
	{"model.layers.", "model.text_model.layers."},
	{"model.norm.", "model.text_model.norm."},
	{"model.perceiver_resampler.", "model.connector.perceiver_resampler."},
	{"model.modality_projection.", "model.connector.modality_projection."},
	{"model.embed_tokens.weight", embedTokens},
	{"model.embed_tokens.additional_embedding.weight", embedTokens + extra},
	{"lm_head.linear.weight", lmHead},
	{"additional_fc.weight", lmHead + extra},
	{"lm_head.additional_fc.weight", lmHead + extra},
	{"text_model.", "model.text_model."},
	{"vision_model.", "model.vision_model."},
	{"connector.", "model.connector."},
}

// extra marks the second part of a table that is stored in two, to be put under the first.
const extra = "+additional"

// today returns the name that a stored tensor has in transformers 4.57.3, or "" for
// one that holds no weights: tables that are computed.
func today(stored string) string {
	if strings.HasSuffix(stored, ".inv_freq") || strings.HasSuffix(stored, ".position_ids") {
		return ""
	}
	for _, r := range renames {
		if rest, ok := strings.CutPrefix(stored, r.from); ok && (rest == "" || strings.HasSuffix(r.from, ".")) {
			return r.to + rest
		}
	}
	return stored
}

// headless reports a name as a base model saves it: without the leading "model.".
func headless(stored string) bool {
	for _, part := range []string{"text_model.", "vision_model.", "connector."} {
		if strings.HasPrefix(stored, part) {
			return true
		}
	}
	return false
}
