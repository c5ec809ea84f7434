package main

import (
	"slices"
	"testing"

	"idefics2/checkpoint"
	"idefics2/tokenizer"
)

// A model that init makes can be asked: text goes through its tokenizer and back.
func TestCharacterTokenizer(t *testing.T) {
	files := characterTokenizer(checkpoint.Released(), true)
	tok, err := tokenizer.Parse(files["tokenizer.json"])
	if err != nil {
		t.Fatal(err)
	}
	if tok.Size() != 32003 {
		t.Errorf("%d tokens, want the released vocabulary of 32003", tok.Size())
	}
	for token, want := range map[string]int32{
		"<unk>": 0, "<s>": 1, "</s>": 2, "<fake_token_around_image>": 32000, "<image>": 32001, "<end_of_utterance>": 32002,
	} {
		if id, ok := tok.ID(token); !ok || id != want || !tok.IsSpecial(id) {
			t.Errorf("%s is %d, %v, want the special token %d", token, id, ok, want)
		}
	}
	for _, text := range []string{"What is this?", "Größe: 5 µm, 価格 🚂", " two  spaces ", "tab\tand\nnewline", ""} {
		ids := tok.Encode(text)
		if ids[0] != 1 {
			t.Errorf("%q begins with %d, want <s>", text, ids[0])
		}
		if got := tok.Decode(ids, false); got != text {
			t.Errorf("%q comes back as %q", text, got)
		}
	}
	if ids := tok.EncodeRaw("a<image>b"); !slices.Contains(ids, 32001) {
		t.Errorf("no image token in %v", ids)
	}
	c := checkpoint.Released()
	c.ImageTokenID = 5
	if characterTokenizer(c, true) != nil {
		t.Error("a tokenizer whose image token lies among the bytes")
	}
	base := checkpoint.Released()
	base.Text.VocabSize = 32002
	if tok, err := tokenizer.Parse(characterTokenizer(base, false)["tokenizer.json"]); err != nil || tok.Size() != 32002 {
		t.Errorf("base model: %v", err)
	}
}
