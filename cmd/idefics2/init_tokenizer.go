package main

import (
	"encoding/json"
	"fmt"
	"unicode"

	"idefics2/checkpoint"
	"idefics2/tokenizer"
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
	var pieces []string
	var specialIDs []int
	next := '!'
	for id := range last + 1 {
		switch content, ok := special[id]; {
		case ok:
			specialIDs = append(specialIDs, id)
			pieces = append(pieces, content)
		case id < 3+bytes:
			pieces = append(pieces, fmt.Sprintf("<0x%02X>", id-3))
		case id == 3+bytes:
			pieces = append(pieces, "▁")
		default:
			for !unicode.IsPrint(next) || next == '▁' {
				next++
			}
			pieces = append(pieces, string(next))
			next++
		}
	}
	file, err := tokenizer.WriteFile(pieces, nil, specialIDs)
	if err != nil {
		panic(err) // strings can always be written
	}
	return map[string][]byte{"tokenizer.json": file, "tokenizer_config.json": tokenizerConfig(c.Text.MaxPositions)}
}

// tokenizerConfig is the tokenizer_config.json by which transformers reads a tokenizer.json of ours; positions
// is how long a text the model takes, 0 where no model is known.
func tokenizerConfig(positions int) []byte {
	config := map[string]any{
		"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<unk>",
		"add_bos_token": true, "add_eos_token": false, "clean_up_tokenization_spaces": false,
		"additional_special_tokens": []string{"<fake_token_around_image>", "<image>", "<end_of_utterance>"},
	}
	if positions > 0 {
		config["model_max_length"] = positions
		delete(config, "additional_special_tokens") // a base model has no end of utterance
	}
	return mustJSON(config)
}

// mustJSON writes what can always be written.
func mustJSON(v any) []byte {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(err)
	}
	return append(data, '\n')
}
