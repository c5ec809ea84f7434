package checkpoint

import (
	"encoding/json"
	"fmt"

	"idefics2/tensor"
)

// MarshalJSON returns a config.json that transformers 4.57.3 loads as the same model.
// It states every field in which versions of the reference differ.
func (c Config) MarshalJSON() ([]byte, error) {
	v, p, t := c.Vision, c.Perceiver, c.Text
	fields := map[string]any{
		"architectures":       []string{"Idefics2ForConditionalGeneration"},
		"model_type":          "idefics2",
		"image_token_id":      c.ImageTokenID,
		"tie_word_embeddings": c.Tied,
		"use_cache":           true,
		"vision_config": map[string]any{
			"model_type":          "idefics2_vision",
			"hidden_size":         v.HiddenSize,
			"intermediate_size":   v.IntermediateSize,
			"num_hidden_layers":   v.Layers,
			"num_attention_heads": v.Heads,
			"num_channels":        v.Channels,
			"image_size":          v.ImageSize,
			"patch_size":          v.PatchSize,
			"hidden_act":          v.Activation.String(),
			"layer_norm_eps":      v.LayerNormEps,
			"attention_dropout":   0.0,
			"initializer_range":   t.InitializerRange,
		},
		"perceiver_config": map[string]any{
			"model_type":          "idefics2_perceiver",
			"hidden_size":         p.HiddenSize,
			"resampler_n_latents": p.Latents,
			"resampler_depth":     p.Depth,
			"resampler_n_heads":   p.Heads,
			"resampler_head_dim":  p.HeadDim,
			"num_key_value_heads": p.KVHeads,
			"hidden_act":          p.Activation.String(),
			"rms_norm_eps":        p.RMSNormEps,
			"attention_dropout":   0.0,
			"initializer_range":   t.InitializerRange,
		},
		"text_config": map[string]any{
			"model_type":              "mistral",
			"vocab_size":              t.VocabSize,
			"hidden_size":             t.HiddenSize,
			"intermediate_size":       t.IntermediateSize,
			"num_hidden_layers":       t.Layers,
			"num_attention_heads":     t.Heads,
			"num_key_value_heads":     t.KVHeads,
			"head_dim":                t.HeadDim,
			"max_position_embeddings": t.MaxPositions,
			"hidden_act":              t.Activation.String(),
			"rms_norm_eps":            t.RMSNormEps,
			"rope_theta":              t.RopeTheta,
			"sliding_window":          orNull(t.SlidingWindow, 0),
			"bos_token_id":            orNull(t.BOS, -1),
			"pad_token_id":            orNull(t.PAD, -1),
			"eos_token_id":            oneOrMany(t.EOS),
			"tie_word_embeddings":     c.Tied,
			"attention_dropout":       0.0,
			"initializer_range":       t.InitializerRange,
			"use_cache":               true,
		},
	}
	if c.DType != tensor.Invalid {
		name, err := storageName(c.DType)
		if err != nil {
			return nil, err
		}
		fields["dtype"] = name
	}
	return json.Marshal(fields)
}

// MarshalJSON returns a generation_config.json.
func (g Generation) MarshalJSON() ([]byte, error) {
	fields := map[string]any{
		"bos_token_id": orNull(g.BOS, -1),
		"pad_token_id": orNull(g.PAD, -1),
		"eos_token_id": oneOrMany(g.EOS),
	}
	set(fields, "do_sample", g.Sample)
	set(fields, "temperature", g.Temperature)
	set(fields, "top_k", g.TopK)
	set(fields, "top_p", g.TopP)
	set(fields, "min_p", g.MinP)
	set(fields, "typical_p", g.TypicalP)
	set(fields, "epsilon_cutoff", g.EpsilonCutoff)
	set(fields, "eta_cutoff", g.EtaCutoff)
	set(fields, "repetition_penalty", g.RepetitionPenalty)
	set(fields, "no_repeat_ngram_size", g.NoRepeatNGram)
	set(fields, "num_beams", g.Beams)
	set(fields, "length_penalty", g.LengthPenalty)
	set(fields, "max_new_tokens", g.MaxNewTokens)
	set(fields, "min_new_tokens", g.MinNewTokens)
	set(fields, "max_length", g.MaxLength)
	set(fields, "min_length", g.MinLength)
	if g.BadWords != nil {
		fields["bad_words_ids"] = g.BadWords
	}
	if g.SuppressTokens != nil {
		fields["suppress_tokens"] = g.SuppressTokens
	}
	if g.BeginSuppressTokens != nil {
		fields["begin_suppress_tokens"] = g.BeginSuppressTokens
	}
	if g.EarlyStopping != nil {
		fields["early_stopping"] = *g.EarlyStopping
		if *g.EarlyStopping != "never" {
			fields["early_stopping"] = *g.EarlyStopping == "true"
		}
	}
	return json.Marshal(fields)
}

// MarshalJSON returns a preprocessor_config.json.
func (p Preprocessor) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{
		"image_processor_type": "Idefics2ImageProcessor",
		"processor_class":      "Idefics2Processor",
		"do_convert_rgb":       p.ConvertRGB,
		"do_resize":            p.Resize,
		"size":                 map[string]int{"shortest_edge": p.ShortestEdge, "longest_edge": p.LongestEdge},
		"resample":             p.Resample,
		"do_rescale":           p.Rescale,
		"rescale_factor":       p.RescaleFactor,
		"do_normalize":         p.Normalize,
		"image_mean":           p.Mean,
		"image_std":            p.Std,
		"do_pad":               p.Pad,
		"do_image_splitting":   p.Split,
	})
}

func set[T any](fields map[string]any, key string, v *T) {
	if v != nil {
		fields[key] = *v
	}
}

func orNull(v, none int) any {
	if v == none {
		return nil
	}
	return v
}

func oneOrMany(ids []int) any {
	switch len(ids) {
	case 0:
		return nil
	case 1:
		return ids[0]
	}
	return ids
}

func storageName(d tensor.DType) (string, error) {
	switch d {
	case tensor.F32:
		return "float32", nil
	case tensor.F16:
		return "float16", nil
	case tensor.BF16:
		return "bfloat16", nil
	}
	return "", fmt.Errorf("checkpoint: weights of type %v, want F32, F16 or BF16", d)
}
