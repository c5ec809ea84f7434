package main

import (
	"encoding/json"
	"fmt"
	"unicode"

	"idefics2/checkpoint"
)

// characterTokenizer returns the files of a tokenizer for a new model that was given none, so
// that it can be asked at once: the bytes, and then the printable characters of Unicode in
// their order, a token each, with the special tokens where the configuration wants them. It
// has no merges. It is nil for a configuration whose ids are arranged otherwise.
func characterTokenizer(c checkpoint.Config, chat bool) map[string][]byte {
	const unk, bos, eos, bytes = "<unk>", "<s>", "</s>", 256
	vocab, image := c.Text.VocabSize, c.ImageTokenID
	last := image
	if chat {
		last++ // <end_of_utterance>
	}
	if c.Text.BOS != 1 || c.Text.PAD > 0 || image < 3+bytes+2 || last >= vocab {
		return nil
	}
	special := map[int]string{0: unk, 1: bos, 2: eos, image - 1: "<fake_token_around_image>", image: "<image>"}
	if chat {
		special[image+1] = "<end_of_utterance>"
	}
	tokens := make(map[string]int, vocab)
	type added struct {
		ID         int    `json:"id"`
		Content    string `json:"content"`
		SingleWord bool   `json:"single_word"`
		LStrip     bool   `json:"lstrip"`
		RStrip     bool   `json:"rstrip"`
		Normalized bool   `json:"normalized"`
		Special    bool   `json:"special"`
	}
	addedTokens := []added{}
	next := '!'
	for id := range last + 1 {
		switch content, ok := special[id]; {
		case ok:
			addedTokens = append(addedTokens, added{ID: id, Content: content, Special: true})
			tokens[content] = id
		case id < 3+bytes:
			tokens[fmt.Sprintf("<0x%02X>", id-3)] = id
		case id == 3+bytes:
			tokens["▁"] = id
		default:
			for !unicode.IsPrint(next) || next == '▁' {
				next++
			}
			tokens[string(next)] = id
			next++
		}
	}
	object := func(pairs ...any) map[string]any {
		m := map[string]any{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i].(string)] = pairs[i+1]
		}
		return m
	}
	text := func(s string) any { return object("String", s) }
	sequence := func(id string) any { return object("Sequence", object("id", id, "type_id", 0)) }
	begin := object("SpecialToken", object("id", bos, "type_id", 0))
	// The pipeline of the Llama and Mistral tokenizers (spec/processor.md §6).
	tokenizer := object(
		"version", "1.0", "truncation", nil, "padding", nil, "added_tokens", addedTokens,
		"normalizer", object("type", "Sequence", "normalizers", []any{
			object("type", "Prepend", "prepend", "▁"),
			object("type", "Replace", "pattern", text(" "), "content", "▁"),
		}),
		"pre_tokenizer", nil,
		"post_processor", object("type", "TemplateProcessing",
			"single", []any{begin, sequence("A")},
			"pair", []any{begin, sequence("A"), object("SpecialToken", object("id", bos, "type_id", 1)), object("Sequence", object("id", "B", "type_id", 1))},
			"special_tokens", object(bos, object("id", bos, "ids", []int{1}, "tokens", []string{bos}))),
		"decoder", object("type", "Sequence", "decoders", []any{
			object("type", "Replace", "pattern", text("▁"), "content", " "),
			object("type", "ByteFallback"), object("type", "Fuse"),
			object("type", "Strip", "content", " ", "start", 1, "stop", 0),
		}),
		"model", object("type", "BPE", "dropout", nil, "unk_token", unk, "continuing_subword_prefix", nil, "end_of_word_suffix", nil,
			"fuse_unk", true, "byte_fallback", true, "ignore_merges", false, "vocab", tokens, "merges", []string{}),
	)
	config := object("tokenizer_class", "PreTrainedTokenizerFast", "bos_token", bos, "eos_token", eos, "unk_token", unk, "pad_token", unk,
		"add_bos_token", true, "add_eos_token", false, "clean_up_tokenization_spaces", false, "model_max_length", c.Text.MaxPositions)
	return map[string][]byte{"tokenizer.json": mustJSON(tokenizer), "tokenizer_config.json": mustJSON(config)}
}

// mustJSON writes what can always be written.
func mustJSON(v any) []byte {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(err)
	}
	return append(data, '\n')
}
