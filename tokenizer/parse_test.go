package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseErrors(t *testing.T) {
	type object = map[string]any
	sequence := func(steps ...any) object { return object{"type": "Sequence", "decoders": steps} }
	fuse, bytesStep := object{"type": "Fuse"}, object{"type": "ByteFallback"}
	tests := []struct {
		name   string
		change func(*smallFile)
		want   string
	}{
		{"other model", func(s *smallFile) { s.Model.Type = "Unigram" }, `the model "Unigram" is not supported, want BPE`},
		{"empty vocabulary", func(s *smallFile) { s.Model.Vocab = nil; s.Model.Vocab = map[string]int{} }, "the vocabulary is empty"},
		{"hole", func(s *smallFile) { delete(s.Model.Vocab, "abc"); s.Model.Vocab["x"] = 999 }, `no token of the vocabulary has id 264, and "x" has id 999: want ids 0 to 264, each once`},
		{"one id twice", func(s *smallFile) { s.Model.Vocab["b"] = 257 }, `no token of the vocabulary has id 258, and "a" and "b" have id 257`},
		{"negative id", func(s *smallFile) { s.Model.Vocab["b"] = -1 }, "found -1, want a whole number"},
		{"huge id", func(s *smallFile) { s.Model.Vocab["b"] = 1 << 40 }, "found 1099511627776, want a whole number"},
		{"merge of an unknown piece", func(s *smallFile) { s.Model.Merges = []any{"a b", "a x"} }, `merge 1 of "a" and "x": "x" is not in the vocabulary`},
		{"merge into an unknown piece", func(s *smallFile) { s.Model.Merges = []any{[]string{"a", "c"}} }, `merge 0 of "a" and "c": "ac" is not in the vocabulary`},
		{"cyclic merge", func(s *smallFile) { s.Model.Merges = []any{[]string{"", "a"}} }, "would never end"},
		{"cyclic merge in a string", func(s *smallFile) { s.Model.Merges = []any{"a "} }, "would never end"},
		{"merge of one", func(s *smallFile) { s.Model.Merges = []any{"ab"} }, "merge 0 has 1 pieces, want 2"},
		{"merge of three", func(s *smallFile) { s.Model.Merges = []any{[]string{"a", "b", "c"}} }, "merge 0 has 3 pieces, want 2"},
		{"merge of a number", func(s *smallFile) { s.Model.Merges = []any{1} }, "found a number, want an array"},
		{"no unknown token", func(s *smallFile) { s.Model.UnkToken = "<no>" }, `the unknown token "<no>" is not in the vocabulary`},
		{"unknown token that the model lacks", func(s *smallFile) {
			s.AddedTokens = append(s.AddedTokens, special(s, "<no>"))
			s.Model.UnkToken = "<no>"
		}, `the unknown token "<no>" is not in the vocabulary`},
		{"nothing for unknown text", func(s *smallFile) { s.Model.UnkToken = nil; s.Model.ByteFallback = false }, "some texts would have no ids"},
		{"added token elsewhere", func(s *smallFile) { s.AddedTokens[0]["id"] = 3 }, `added token "<unk>" has id 3, and 0 in the vocabulary`},
		{"added token after a hole", func(s *smallFile) {
			s.AddedTokens = append(s.AddedTokens, object{"id": 300, "content": "x"})
		}, `added token "x" has id 300, want 265`},
		{"added token twice", func(s *smallFile) { s.AddedTokens = append(s.AddedTokens, s.AddedTokens[0]) }, `added token "<unk>" is there twice`},
		{"added token without content", func(s *smallFile) { delete(s.AddedTokens[0], "content") }, "added token 0 has a content of 0 bytes"},
		{"added token without id", func(s *smallFile) { delete(s.AddedTokens[0], "id") }, `added token "<unk>" has no id`},
		{"long added token", func(s *smallFile) { s.AddedTokens[0]["content"] = strings.Repeat("x", 2000) }, "content of 2000 bytes, want 1 to 1024"},
		{"added token with an unknown field", func(s *smallFile) { s.AddedTokens[0]["x"] = 1 }, `an added token has the field "x"`},
		{"other normalizer", func(s *smallFile) { s.Normalizer = object{"type": "NFKC"} }, `the normalizer "NFKC" is not supported, want none, or Prepend`},
		{"other normalizer in a sequence", func(s *smallFile) {
			s.Normalizer = object{"type": "Sequence", "normalizers": []any{object{"type": "Lowercase"}}}
		}, `the normalizer "Lowercase" is not supported`},
		{"replace of an expression", func(s *smallFile) {
			s.Normalizer = object{"type": "Replace", "pattern": object{"Regex": " +"}, "content": "▁"}
		}, "Replace of a Regex is not supported, want a String"},
		{"replace of nothing", func(s *smallFile) {
			s.Normalizer = object{"type": "Replace", "pattern": object{"String": ""}, "content": "▁"}
		}, "Replace of an empty pattern"},
		{"text grows without bound", func(s *smallFile) {
			s.Normalizer = object{"type": "Replace", "pattern": object{"String": "a"}, "content": strings.Repeat("a", 9)}
		}, "the normalizer makes a text more than 8 times as long"},
		{"long prepend", func(s *smallFile) {
			s.Normalizer = object{"type": "Prepend", "prepend": strings.Repeat("a", 99)}
		}, "the normalizer has a Prepend of 99 bytes"},
		{"other pre-tokenizer", func(s *smallFile) { s.PreTokenizer = object{"type": "ByteLevel", "use_regex": true} }, `the pre_tokenizer "ByteLevel" is not supported, want none, or Metaspace`},
		{"unknown scheme", func(s *smallFile) {
			s.PreTokenizer = object{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "last"}
		}, `prepend_scheme "last", want always, first or never`},
		{"contradictory scheme", func(s *smallFile) {
			s.PreTokenizer = object{"type": "Metaspace", "replacement": "▁", "add_prefix_space": false}
		}, "add_prefix_space false with the prepend_scheme"},
		{"replacement of two characters", func(s *smallFile) { s.PreTokenizer = object{"type": "Metaspace", "replacement": "ab"} }, "want one character"},
		{"other post-processor", func(s *smallFile) { s.PostProcessor = object{"type": "BertProcessing"} }, `the post_processor "BertProcessing" is not supported, want none, or TemplateProcessing`},
		{"template without text", func(s *smallFile) {
			s.PostProcessor = object{"type": "TemplateProcessing", "single": []any{}}
		}, "the single template has the text 0 times"},
		{"template of an unexplained token", func(s *smallFile) {
			s.PostProcessor = template("<x>", object{})
		}, `the template has the token "<x>", which its special_tokens do not explain`},
		{"template of an id that does not exist", func(s *smallFile) {
			s.PostProcessor = template("<x>", object{"<x>": object{"id": "<x>", "ids": []int{999}}})
		}, `the template's token "<x>" has id 999, want one of the vocabulary, 0 to 264`},
		{"no decoder", func(s *smallFile) { s.Decoder = nil }, "the decoder is null, want a Sequence"},
		{"other decoder", func(s *smallFile) { s.Decoder = object{"type": "ByteLevel"} }, `the decoder "ByteLevel" is not supported, want a Sequence of Replace`},
		{"other step", func(s *smallFile) { s.Decoder = sequence(object{"type": "WordPiece"}) }, `the decoder "WordPiece" is not supported`},
		{"steps in another order", func(s *smallFile) { s.Decoder = sequence(fuse, bytesStep) }, "the decoder has ByteFallback too late"},
		{"strip of every token", func(s *smallFile) {
			s.Decoder = sequence(bytesStep, object{"type": "Strip", "content": " ", "start": 1, "stop": 0})
		}, "is not supported, want one character, stop 0, after Fuse"},
		{"strip at the end", func(s *smallFile) {
			s.Decoder = sequence(bytesStep, fuse, object{"type": "Strip", "content": " ", "start": 0, "stop": 1})
		}, "stop 1, is not supported"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(small(t, tt.change))
			if err == nil || !strings.HasPrefix(err.Error(), "tokenizer: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// template is a post-processor that puts one token before the text.
func template(token string, tokens map[string]any) map[string]any {
	return map[string]any{
		"type": "TemplateProcessing",
		"single": []any{
			map[string]any{"SpecialToken": map[string]any{"id": token, "type_id": 0}},
			map[string]any{"Sequence": map[string]any{"id": "A", "type_id": 0}},
		},
		"special_tokens": tokens,
	}
}

// TestParseModelErrors changes fields that smallFile has not.
func TestParseModelErrors(t *testing.T) {
	good := string(small(t, func(*smallFile) {}))
	for field, want := range map[string]string{
		`"dropout": 0.1`:                      "dropout 0.1, which would make ids random",
		`"continuing_subword_prefix": "##"`:   "has a continuing_subword_prefix, which is not supported",
		`"end_of_word_suffix": "</w>"`:        "has a end_of_word_suffix, which is not supported",
		`"surprise": 1`:                       `the model BPE has the field "surprise", which is not known`,
		`"merges": []`:                        `the model BPE has the field "merges" twice`,
		`"ignore_merges": "yes"`:              "found a string, want true or false",
		`"vocab2": {"a": 1}`:                  `field "vocab2"`,
		`"dropout": null, "dropout": null`:    `field "dropout" twice`,
		`"dropout": 0, "ignore_merges": true`: "",
		`"continuing_subword_prefix": ""`:     "",
	} {
		_, err := Parse([]byte(strings.Replace(good, `"model":{`, `"model":{`+field+`,`, 1)))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: error %v, want %q", field, err, want)
		}
	}
	if _, err := Parse([]byte(strings.Replace(good, `"vocab":{`, `"vocab":{"a":0,`, 1))); err == nil || !strings.Contains(err.Error(), `the token "a" twice`) {
		t.Errorf("a token twice: error %v", err)
	}
}

func TestParseBroken(t *testing.T) {
	good := small(t, func(*smallFile) {})
	deep := strings.Repeat("[", 1<<20)
	for data, want := range map[string]string{
		"":                             "line 1, column 1: found the end of the file, want an object",
		"[]":                           "found an array, want an object",
		"{}":                           "there is no model",
		`{"version": "2.0"}`:           `version "2.0", want "1.0"`,
		"{\n\n \"extra\": 1}":          `line 3, column 10: the file has the field "extra", which is not known`,
		`{"padding": ` + deep:          "nested deeper than 64",
		`{"normalizer": ` + deep:       "found an array, want an object",
		`{"padding": 01}`:              "malformed number",
		`{"padding": "\ud800"}`:        "half a surrogate pair",
		"{\"padding\": \"\xff\"}":      "not valid UTF-8",
		"{\"padding\": \"\n\"}":        "control character 0x0a",
		`{"padding": "x`:               "string without an end",
		string(good) + "x":             "after the end",
		string(good[:len(good)-1]):     "found the end of the file, want , or }",
		strings.Repeat(" ", maxFile+1): "more than 67108864 bytes",
	} {
		_, err := Parse([]byte(data))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%.40q): error %v, want one with %q", data, err, want)
		}
	}
	for i := 0; i < len(good); i += 13 {
		if _, err := Parse(good[:i]); err == nil {
			t.Errorf("the first %d of %d bytes pass", i, len(good))
		}
	}
}

func TestLoadErrors(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "no.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: error %v", err)
	}
	path := filepath.Join(t.TempDir(), "tokenizer.json")
	if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), path) || !strings.HasPrefix(err.Error(), "tokenizer: ") {
		t.Errorf("bad file: error %v, want one that names %s", err, path)
	}
	if _, err := Load(t.TempDir()); err == nil {
		t.Error("a folder loads")
	}
}

// TestReader compares with encoding/json what is JSON and what is not.
func TestReader(t *testing.T) {
	for _, text := range []string{
		"null", "nul", "true", "false", "fals", "0", "-0", "-", "00", "1.5", "1.", ".5", "1e9", "1E+09", "1e", "-12.5e-3x", "+1",
		`""`, `"a\"b"`, `"\u00e9\n\t\r\b\f\/\\"`, `"\x"`, `"\u12"`, `"\u12g4"`, `"`, `"\`, `"\u`, `"😀"`, "\"\x1f\"", "\"\\n\x01\"",
		"[]", "[1,2]", "[1,]", "[,1]", "[1 2]", "[", "[1", "{}", `{"a":1}`, `{"a":1,}`, `{"a"}`, `{a:1}`, `{"a":1 "b":2}`, `{"a":[{"b":null}]}`,
		" \t\r\n[ 1 , 2 ] \n", "\v1", "1 1", "]", "é",
	} {
		checkReader(t, []byte(text))
	}
	for text, want := range map[string]string{`"\ud83d\ude00é"`: "😀é", `"a\u0000b\\"`: "a\x00b\\", `"plain"`: "plain"} {
		r := &reader{data: []byte(text)}
		if got := r.str(); got != want || r.err != nil {
			t.Errorf("str of %s = %q, %v, want %q", text, got, r.err, want)
		}
	}
}

// checkReader requires that skip takes what encoding/json takes, but for broken
// Unicode and great depth.
func checkReader(t *testing.T, data []byte) {
	t.Helper()
	r := &reader{data: data}
	r.skip()
	r.end()
	valid := json.Valid(data)
	stricter := r.err != nil && (strings.Contains(r.err.Error(), "UTF-8") || strings.Contains(r.err.Error(), "surrogate") || strings.Contains(r.err.Error(), "deeper"))
	if (r.err == nil) != valid && !(valid && stricter) {
		t.Errorf("%q: error %v, and json.Valid is %t", data, r.err, valid)
	}
}

func TestSmall(t *testing.T) { // the file that the error tests change is a good one
	tok := parse(t, small(t, func(s *smallFile) { s.Model.Merges = []any{"a b", []string{"ab", "c"}} }))
	if got := fmt.Sprint(tok.Encode("abcabé")); got != "[264 262 196 170]" {
		t.Errorf("Encode = %s", got)
	}
}

// TestOldest reads a model without a type.
func TestOldest(t *testing.T) {
	data := small(t, func(s *smallFile) { s.Model.Merges = []any{"a b"} })
	data = bytes.Replace(data, []byte(`"type":"BPE",`), nil, 1)
	if got := fmt.Sprint(parse(t, data).Encode("ab")); got != "[262]" {
		t.Errorf("Encode = %s", got)
	}
}
