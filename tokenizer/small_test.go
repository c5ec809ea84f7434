package tokenizer

import (
	"encoding/json"
	"fmt"
	"testing"
)

// smallFile is a tokenizer.json to be changed by a test: bytes, a few characters, no normalizer.
type smallFile struct {
	AddedTokens   []map[string]any `json:"added_tokens"`
	Normalizer    any              `json:"normalizer"`
	PreTokenizer  any              `json:"pre_tokenizer"`
	PostProcessor any              `json:"post_processor"`
	Decoder       any              `json:"decoder"`
	Model         struct {
		Type         string         `json:"type"`
		UnkToken     any            `json:"unk_token"`
		FuseUnk      bool           `json:"fuse_unk"`
		ByteFallback bool           `json:"byte_fallback"`
		Vocab        map[string]int `json:"vocab"`
		Merges       []any          `json:"merges"`
	} `json:"model"`
}

// small writes such a file after a change. Each merge's result is in the vocabulary if it is one of "ab", "abc", "bc".
func small(t testing.TB, change func(*smallFile)) []byte {
	t.Helper()
	var s smallFile
	s.Model.Type, s.Model.UnkToken, s.Model.FuseUnk, s.Model.ByteFallback = "BPE", "<unk>", true, true
	s.Model.Vocab = map[string]int{"<unk>": 0}
	for i := range 256 {
		s.Model.Vocab[fmt.Sprintf("<0x%02X>", i)] = len(s.Model.Vocab)
	}
	for _, piece := range []string{"a", "b", "c", "d", "▁", "ab", "bc", "abc"} {
		s.Model.Vocab[piece] = len(s.Model.Vocab)
	}
	s.Model.Merges = []any{}
	s.Decoder = map[string]any{"type": "Sequence", "decoders": []any{map[string]any{"type": "ByteFallback"}, map[string]any{"type": "Fuse"}}}
	s.AddedTokens = []map[string]any{special(&s, "<unk>")}
	change(&s)
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// special is an added token with the vocabulary's id, or else the first after it.
func special(s *smallFile, content string) map[string]any {
	id, ok := s.Model.Vocab[content]
	if !ok {
		id = len(s.Model.Vocab)
	}
	return map[string]any{"id": id, "content": content, "special": true}
}
