package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// WriteFile returns a tokenizer.json with the pipeline of the Llama and Mistral tokenizers
// (spec/processor.md §6). Pieces are by id, and begin with "<unk>", "<s>" and "</s>"; special are the ids of
// special tokens, those three among them.
func WriteFile(pieces []string, merges [][2]string, special []int) ([]byte, error) {
	type token struct {
		ID         int    `json:"id"`
		Content    string `json:"content"`
		SingleWord bool   `json:"single_word"`
		LStrip     bool   `json:"lstrip"`
		RStrip     bool   `json:"rstrip"`
		Normalized bool   `json:"normalized"`
		Special    bool   `json:"special"`
	}
	var tokens []token
	for _, id := range special {
		tokens = append(tokens, token{ID: id, Content: pieces[id], Special: true})
	}
	var out bytes.Buffer
	var err error
	value := func(v any) string {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err == nil {
			err = e.Encode(v)
		}
		return strings.TrimSpace(b.String())
	}
	out.WriteString(`{
  "version": "1.0",
  "truncation": null,
  "padding": null,
  "added_tokens": [`)
	for i, t := range tokens {
		fmt.Fprintf(&out, "%s\n    %s", comma(i), value(t))
	}
	out.WriteString(`
  ],
  "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
  "pre_tokenizer": null,
  "post_processor": {
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "<s>", "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 1}}],
    "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}
  },
  "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
  "model": {
    "type": "BPE",
    "dropout": null,
    "unk_token": "<unk>",
    "continuing_subword_prefix": null,
    "end_of_word_suffix": null,
    "fuse_unk": true,
    "byte_fallback": true,
    "ignore_merges": false,
    "vocab": {`)
	for id, s := range pieces {
		fmt.Fprintf(&out, "%s\n      %s: %d", comma(id), value(s), id)
	}
	out.WriteString("\n    },\n    \"merges\": [")
	for i, m := range merges {
		fmt.Fprintf(&out, "%s\n      %s", comma(i), value(m))
	}
	out.WriteString("\n    ]\n  }\n}\n")
	return out.Bytes(), err
}

func comma(i int) string {
	if i == 0 {
		return ""
	}
	return ","
}
