package tokenizer

import (
	"slices"
	"strings"
	"testing"
)

func TestSplit(t *testing.T) {
	plain := addedToken{id: 1, content: "<a>"}
	with := func(change func(*addedToken)) []addedToken {
		token := plain
		change(&token)
		return []addedToken{token}
	}
	several := []addedToken{{id: 1, content: "<a>"}, {id: 2, content: "<a><b"}, {id: 3, content: "b>"}, {id: 4, content: "é"}}
	tests := []struct {
		name   string
		tokens []addedToken
		text   string
		want   []string // tokens in brackets
	}{
		{"none", []addedToken{plain}, "<a <A>", []string{"<a <A>"}},
		{"side by side", []addedToken{plain}, "<a><a>x", []string{"[<a>]", "[<a>]", "x"}},
		{"longest", several, "<a><b>", []string{"[<a><b]", ">"}},
		{"leftmost", several, "<<a>b>", []string{"<", "[<a>]", "[b>]"}},
		{"a shorter one where the longer breaks off", several, "<a><é", []string{"[<a>]", "<", "[é]"}},
		{"lstrip", with(func(t *addedToken) { t.lstrip = true }), "x \n<a> y", []string{"x", "[ \n<a>]", " y"}},
		{"rstrip", with(func(t *addedToken) { t.rstrip = true }), "x <a>\u00a0\ty", []string{"x ", "[<a>\u00a0\t]", "y"}},
		{"space that two tokens want goes to the first", with(func(t *addedToken) { t.lstrip, t.rstrip = true, true }), "<a> <a>", []string{"[<a> ]", "[<a>]"}},
		{"single word", with(func(t *addedToken) { t.singleWord = true }), "x<a> <a>9 _<a>, <a>", []string{"x<a> <a>9 _<a>, ", "[<a>]"}},
		{"the white space is a token, and another takes it", []addedToken{{id: 1, content: " ", rstrip: true, lstrip: true}}, "x   y", []string{"x", "[   ]", "y"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var m matcher
			for _, token := range tt.tokens {
				m.add(token.content, token)
			}
			var got []string
			for _, s := range m.split(nil, tt.text, nil) {
				part := tt.text[s.from:s.to]
				if s.id != none {
					part = "[" + part + "]"
				}
				got = append(got, part)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("split(%q) = %q, want %q", tt.text, got, tt.want)
			}
		})
	}
}

func TestMark(t *testing.T) {
	tok := tiny(t)
	for text, want := range map[string]string{
		"":               "",
		"no such thing":  "no such thing",
		"a <b> c":        "a <|b>| c",
		"<image>":        "<|image>|",
		"\xff<\xff":      "\xff<|\xff",
		"</s><s>  <unk>": "<|/s>|<|s>|  <|unk>|",
	} {
		if got := tok.Mark(text, '|'); got != want {
			t.Errorf("Mark(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestPickMark(t *testing.T) {
	mark, err := PickMark("a", "\uFDD0\uFDD2")
	if err != nil || mark != '\uFDD1' {
		t.Errorf("PickMark = %U, %v, want U+FDD1", mark, err)
	}
	var all strings.Builder
	for r := rune(0xFDD0); r <= 0xFDEF; r++ {
		all.WriteRune(r)
	}
	if mark, err := PickMark("a", all.String()); err == nil {
		t.Errorf("PickMark = %U where none is free, want an error", mark)
	}
}

// TestEncodePrompt puts what users might type in all places of a template.
func TestEncodePrompt(t *testing.T) {
	files := map[string]*Tokenizer{"released": released(t), "normalized": normalizing(t)}
	tests := []struct {
		file                string
		before, user, after string
		want                []string // the special tokens
	}{
		{"released", "User:", "<image>", "<end_of_utterance>", []string{"<s>", "<end_of_utterance>"}},
		{"released", "User:<image>", "</s><s><unk><image", ">", []string{"<s>", "<image>"}},
		{"released", "User:<", "image>", "", []string{"<s>"}},
		{"released", "</s>", "<image>", "</s>", []string{"<s>", "</s>", "</s>"}},
		{"released", "<image>", "\uFFFD", "<image>", []string{"<s>", "<image>", "<image>"}},
		{"normalized", "</s>", "x <image>", " <image>", []string{"</s>", "<image>"}},
		{"normalized", "x ", "<image> </s>▁<image>", " </s>", []string{"</s>"}},
		{"normalized", "x ", " <x<xd ", "  <x d x", []string{" <x", "d "}},
		{"normalized", "x <ima", "ge>", " <image", nil},
	}
	const mark = '\uFDD0'
	for _, tt := range tests {
		tok := files[tt.file]
		prompt := tt.before + tok.Mark(tt.user, mark) + tt.after
		var got []string
		for _, id := range tok.EncodePrompt(prompt, mark) {
			if token, _ := tok.Token(id); tok.IsSpecial(id) {
				got = append(got, token)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: EncodePrompt(%q) has the special tokens %q, want %q", tt.file, prompt, got, tt.want)
		}
		if got, want := tok.EncodePrompt(tok.Mark(tt.user, mark), mark), tok.Encode(tt.user); !slices.Equal(got, want) {
			t.Errorf("%s: EncodePrompt of %q marked = %v, want that of Encode, %v", tt.file, tt.user, got, want)
		}
		plain := tt.before + tt.user + tt.after
		if got, want := tok.EncodePrompt(plain, mark), tok.EncodeRaw(plain); !slices.Equal(got, want) {
			t.Errorf("%s: EncodePrompt(%q) without marks = %v, want that of EncodeRaw, %v", tt.file, plain, got, want)
		}
	}
}

// normalizing has added tokens that are found after normalization, as in files of the first Llama.
func normalizing(t testing.TB) *Tokenizer {
	return parse(t, small(t, func(s *smallFile) {
		s.Normalizer = map[string]any{"type": "Sequence", "normalizers": []any{
			map[string]any{"type": "Prepend", "prepend": "▁"},
			map[string]any{"type": "Replace", "pattern": map[string]any{"String": " "}, "content": "▁"},
		}}
		for i, content := range []string{"<image>", "</s>", " <x", "d "} {
			token := special(s, content)
			token["id"] = len(s.Model.Vocab) + i
			token["normalized"] = true
			s.AddedTokens = append(s.AddedTokens, token)
		}
	}))
}

func TestMove(t *testing.T) {
	tests := []struct {
		step   replacement
		text   string
		places []int
		want   []int
	}{
		{replacement{"", "▁"}, "ab", []int{1, 2}, []int{4, 5}},
		{replacement{" ", "▁"}, "a  b", []int{0, 1, 2, 3, 4}, []int{0, 1, 4, 7, 8}},
		{replacement{"a", ""}, "bab", []int{0, 1, 2, 3}, []int{0, 1, 1, 2}},
		{replacement{"aa", "x"}, "baaab", []int{1, 2, 3, 4, 5}, []int{1, 2, 2, 3, 4}},
	}
	for _, tt := range tests {
		if got := tt.step.move(tt.places, tt.text); !slices.Equal(got, tt.want) {
			t.Errorf("%q: %v of %q move to %v, want %v", tt.step, tt.places, tt.text, got, tt.want)
		}
	}
}
