package convert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"idefics2/checkpoint"
	"idefics2/gguf"
	"idefics2/tokenizer"
)

// metadata is what llama.cpp reads of a Mistral (spec/checkpoint.md §8.4), under the keys of
// the architecture.
func metadata(from *checkpoint.Checkpoint, architecture string, list []item) ([]gguf.Pair, error) {
	c := from.Config.Text
	pairs := []gguf.Pair{
		{Key: "general.architecture", Value: gguf.Of(architecture)},
		{Key: "general.name", Value: gguf.Of(modelName(from.Path))},
		{Key: "general.file_type", Value: gguf.Of(fileType(list))},
		{Key: "general.quantization_version", Value: gguf.Of(uint32(2))},
	}
	for _, n := range []struct {
		key   string
		value int
	}{
		{"vocab_size", c.VocabSize},
		{"context_length", c.MaxPositions},
		{"embedding_length", c.HiddenSize},
		{"block_count", c.Layers},
		{"feed_forward_length", c.IntermediateSize},
		{"attention.head_count", c.Heads},
		{"attention.head_count_kv", c.KVHeads},
		{"attention.key_length", c.HeadDim},
		{"attention.value_length", c.HeadDim},
		{"rope.dimension_count", c.HeadDim},
	} {
		pairs = append(pairs, gguf.Pair{Key: architecture + "." + n.key, Value: gguf.Of(uint32(n.value))})
	}
	pairs = append(pairs,
		gguf.Pair{Key: architecture + ".attention.layer_norm_rms_epsilon", Value: gguf.Of(float32(c.RMSNormEps))},
		gguf.Pair{Key: architecture + ".rope.freq_base", Value: gguf.Of(float32(c.RopeTheta))})
	text, err := from.File("tokenizer.json")
	if errors.Is(err, fs.ErrNotExist) {
		if architecture != checkpoint.Architecture {
			return nil, errors.New("no tokenizer.json, whose words llama.cpp needs")
		}
		return pairs, nil
	}
	if err != nil {
		return nil, err
	}
	words, err := vocabulary(text, from)
	if err != nil {
		return nil, fmt.Errorf("tokenizer.json: %w", err)
	}
	pairs = append(pairs, words...)
	if from.ChatTemplate != "" {
		pairs = append(pairs, gguf.Pair{Key: "tokenizer.chat_template", Value: gguf.Of(from.ChatTemplate)})
	}
	return pairs, nil
}

// The kinds of a token, llama.cpp's numbers.
const (
	normalToken  = int32(1)
	unknownToken = int32(2)
	controlToken = int32(3)
	userToken    = int32(4)
	unusedToken  = int32(5)
	byteToken    = int32(6)
)

// vocabulary makes llama.cpp's tokenizer of a tokenizer.json. That one joins the pair whose
// token has the highest score, so a token's score is the negative rank of the first merge
// that makes it: the order in which SentencePiece learnt them.
func vocabulary(text []byte, from *checkpoint.Checkpoint) ([]gguf.Pair, error) {
	t, err := tokenizer.Parse(text) // strict; what follows may trust the text
	if err != nil {
		return nil, err
	}
	var file struct {
		Normalizer struct {
			Normalizers []struct{ Prepend string }
		}
		PreTokenizer struct {
			PrependScheme string `json:"prepend_scheme"`
		} `json:"pre_tokenizer"`
		AddedTokens []struct {
			ID      int32
			Special bool
		} `json:"added_tokens"`
		Model struct {
			Merges       []json.RawMessage
			UnkToken     string `json:"unk_token"`
			ByteFallback bool   `json:"byte_fallback"`
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, err
	}
	size := max(from.Config.Text.VocabSize, t.Size())
	tokens, scores, kinds := make([]string, size), make([]float32, size), make([]int32, size)
	for id := range int32(size) {
		word, ok := t.Token(id)
		if !ok || word == "" {
			tokens[id], kinds[id] = fmt.Sprintf("[PAD%d]", id), unusedToken
			continue
		}
		tokens[id], kinds[id] = word, normalToken
		if file.Model.ByteFallback && isByte(word) {
			kinds[id] = byteToken
		}
		scores[id] = -float32(len(file.Model.Merges))
	}
	ranked := make([]bool, size)
	for rank, raw := range file.Model.Merges {
		made, err := merged(raw)
		if err != nil {
			return nil, err
		}
		if id, ok := t.ID(made); ok && !ranked[id] {
			ranked[id], scores[id] = true, -float32(rank)
		}
	}
	for _, a := range file.AddedTokens {
		if a.ID < 0 || int(a.ID) >= size {
			continue
		}
		kinds[a.ID] = userToken
		if a.Special {
			kinds[a.ID] = controlToken
		}
	}
	unknown, hasUnknown := t.ID(file.Model.UnkToken)
	if hasUnknown {
		kinds[unknown] = unknownToken
	}
	before, after := t.Affixes()
	prefix := file.PreTokenizer.PrependScheme == "first" || file.PreTokenizer.PrependScheme == "always" ||
		slices.ContainsFunc(file.Normalizer.Normalizers, func(n struct{ Prepend string }) bool { return n.Prepend != "" })
	pairs := []gguf.Pair{
		{Key: "tokenizer.ggml.model", Value: gguf.Of("llama")},
		{Key: "tokenizer.ggml.pre", Value: gguf.Of("default")},
		{Key: "tokenizer.ggml.tokens", Value: gguf.ArrayOf(tokens...)},
		{Key: "tokenizer.ggml.scores", Value: gguf.ArrayOf(scores...)},
		{Key: "tokenizer.ggml.token_type", Value: gguf.ArrayOf(kinds...)},
		{Key: "tokenizer.ggml.add_bos_token", Value: gguf.Of(len(before) > 0)},
		{Key: "tokenizer.ggml.add_eos_token", Value: gguf.Of(len(after) > 0)},
		{Key: "tokenizer.ggml.add_space_prefix", Value: gguf.Of(prefix)},
	}
	id := func(key string, id int) {
		if id >= 0 && id < size {
			pairs = append(pairs, gguf.Pair{Key: "tokenizer.ggml." + key, Value: gguf.Of(uint32(id))})
		}
	}
	id("bos_token_id", from.Generation.BOS)
	if eos := from.Generation.EOS; len(eos) > 0 {
		id("eos_token_id", eos[0])
	}
	if hasUnknown {
		id("unknown_token_id", int(unknown))
	}
	id("padding_token_id", from.Generation.PAD)
	if end, ok := t.ID("<end_of_utterance>"); ok {
		id("eot_token_id", int(end)) // ends an answer too
	}
	return pairs, nil
}

// isByte reports a token of byte fallback, <0x00> to <0xFF>.
func isByte(word string) bool {
	const digits = "0123456789ABCDEF"
	return len(word) == 6 && strings.HasPrefix(word, "<0x") && word[5] == '>' &&
		strings.IndexByte(digits, word[3]) >= 0 && strings.IndexByte(digits, word[4]) >= 0
}

// merged returns what a merge makes: it is written as a pair, or as a text with a space.
func merged(raw json.RawMessage) (string, error) {
	var pair [2]string
	if len(raw) > 0 && raw[0] == '[' {
		err := json.Unmarshal(raw, &pair)
		return pair[0] + pair[1], err
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return "", err
	}
	left, right, _ := strings.Cut(text, " ")
	return left + right, nil
}

// withoutQuantization takes quantization_config out of a config.json, whose matrices are
// stored as plain numbers or blocks from here on.
func withoutQuantization(config []byte) ([]byte, error) {
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(config, &fields); err != nil {
		return nil, err
	}
	delete(fields, "quantization_config")
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(fields)
	return out.Bytes(), err
}
