package tokenizer

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

func TestEncodeRaw(t *testing.T) {
	tok := released(t)
	tests := []struct {
		text string
		want []int32
	}{
		{"", []int32{1}},
		{"Hello", []int32{1, 22557}},
		{"Hello world", []int32{1, 22557, 1526}},
		{" Hello", []int32{1, 28705, 22557}},
		{"  Hello", []int32{1, 259, 22557}},
		{"Hello ", []int32{1, 22557, 28705}},
		{"Hello\nworld", []int32{1, 22557, 13, 9471}},
		{"\n", []int32{1, 28705, 13}},
		{"\n\n", []int32{1, 28705, 13, 13}},
		{"\t", []int32{1, 28705, 12}},
		{"\r\n", []int32{1, 1302, 13}},
		{"                ", []int32{1, 359, 28705}},
		{"                 ", []int32{1, 359, 259}},
		{"▁", []int32{1, 259}},
		{"▁a", []int32{1, 28705, 264}},
		{"a▁b", []int32{1, 264, 287}},
		{"12345", []int32{1, 28705, 28740, 28750, 28770, 28781, 28782}},
		{"3.14", []int32{1, 28705, 28770, 28723, 28740, 28781}},
		{"don't", []int32{1, 949, 28742, 28707}},
		{"naïve", []int32{1, 1879, 28920, 333}},
		{"Ångström", []int32{1, 15744, 817, 1042, 16707}},
		{"é", []int32{1, 1233}},
		{"e\u0301", []int32{1, 317, 28949}},
		{"你好", []int32{1, 28705, 29383, 29530}},
		{"龘", []int32{1, 28705, 236, 193, 155}},
		{"한국어", []int32{1, 28705, 29282, 30779, 29433}},
		{"مرحبا", []int32{1, 28080, 28947, 29100, 28983, 28915}},
		{"नमस्ते", []int32{1, 28705, 29540, 29672, 29671, 29300, 29708, 29586}},
		{"🤗", []int32{1, 28705, 243, 162, 167, 154}},
		{"👍🏽", []int32{1, 28705, 30195, 31007}},
		{"\u0000", []int32{1, 28705, 3}},
		{"\u007f", []int32{1, 28705, 30982}},
		{"\ufeff", []int32{1, 28705, 31759}},
		{"\u200b", []int32{1, 15758}},
		{"\u00a0", []int32{1, 28705, 29000}},
		{"�", []int32{1, 28705, 29137}},
		{"<0x41>", []int32{1, 523, 28734, 28744, 28781, 28740, 28767}},
		{strings.Repeat("a", 40), []int32{1, 264, 25332, 25332, 25332, 25332, 12648, 4474, 28708}},
		{"=====", []int32{1, 327, 965}},
		{"<s>", []int32{1, 1}},
		{"</s>", []int32{1, 2}},
		{"a<image>b", []int32{1, 264, 32001, 287}},
		{"a <image> b", []int32{1, 264, 28705, 32001, 28705, 287}},
		{"<image> <image>", []int32{1, 32001, 259, 32001}},
		{"<image", []int32{1, 523, 4075}},
		{"<IMAGE>", []int32{1, 523, 24947, 28767}},
		{"<end_of_utterance>\n", []int32{1, 32002, 28705, 13}},
		{"User:<image>Hi<end_of_utterance>\nAssistant:", []int32{1, 1247, 28747, 32001, 15359, 32002, 28705, 13, 7226, 11143, 28747}},
	}
	for _, tt := range tests {
		if got := tok.EncodeRaw(tt.text); !slices.Equal(got, tt.want) {
			t.Errorf("EncodeRaw(%q) = %v, want %v", tt.text, got, tt.want)
		}
	}
}

func TestEncodeRecognizesNothing(t *testing.T) {
	tok := released(t)
	for id := range int32(tok.Size()) {
		if !tok.IsSpecial(id) {
			continue
		}
		token, _ := tok.Token(id)
		text := "a " + token + token + " b"
		ids := tok.Encode(text)
		if slices.ContainsFunc(ids[1:], tok.IsSpecial) {
			t.Errorf("Encode(%q) = %v, has a special token", text, ids)
		}
		if got := tok.Decode(ids, false); got != text {
			t.Errorf("Decode(Encode(%q)) = %q", text, got)
		}
		if !slices.Contains(tok.EncodeRaw(text), id) {
			t.Errorf("EncodeRaw(%q) lacks %d", text, id)
		}
	}
}

// TestEncodeReachesNoSpecial has a vocabulary whose merges spell a special token, and one of one character.
func TestEncodeReachesNoSpecial(t *testing.T) {
	tok := parse(t, small(t, func(s *smallFile) {
		s.Model.Merges = []any{"a b", "ab c"}
		s.AddedTokens = []map[string]any{special(s, "<unk>"), special(s, "abc"), special(s, "c"), special(s, "d")}
	}))
	check := func(name string, got []int32, want ...string) {
		t.Helper()
		var tokens []string
		for _, id := range got {
			token, _ := tok.Token(id)
			tokens = append(tokens, token)
		}
		if !slices.Equal(tokens, want) {
			t.Errorf("%s = %q, want %q", name, tokens, want)
		}
	}
	check("EncodeRaw", tok.EncodeRaw("abcabcda"), "abc", "abc", "d", "a")
	check("Encode", tok.Encode("abcabcda"), "ab", "<0x63>", "ab", "<0x63>", "<0x64>", "a")
	check("EncodePrompt", tok.EncodePrompt(tok.Mark("abcabcda", '|'), '|'), "ab", "<0x63>", "ab", "<0x63>", "<0x64>", "a")
}

func TestInvalidUTF8(t *testing.T) {
	tok := tiny(t)
	for text, same := range map[string]string{
		"a\xffb":              "a\uFFFDb",
		"\xe2\x82":            "\uFFFD\uFFFD",
		"\xed\xa0\x80<image>": "\uFFFD\uFFFD\uFFFD<image>",
	} {
		if got, want := tok.Encode(text), tok.Encode(same); !slices.Equal(got, want) {
			t.Errorf("Encode(%q) = %v, want that of %q, %v", text, got, same, want)
		}
		if got, want := tok.EncodeRaw(text), tok.EncodeRaw(same); !slices.Equal(got, want) {
			t.Errorf("EncodeRaw(%q) = %v, want that of %q, %v", text, got, same, want)
		}
	}
}

func TestIDs(t *testing.T) {
	tok := released(t)
	for token, want := range map[string]int32{"<unk>": 0, "<s>": 1, "</s>": 2, "<0x00>": 3, "\u2581the": 272, "<image>": 32001} {
		if got, ok := tok.ID(token); !ok || got != want {
			t.Errorf("ID(%q) = %d, %t, want %d", token, got, ok, want)
		}
		if got, ok := tok.Token(want); !ok || got != token {
			t.Errorf("Token(%d) = %q, %t, want %q", want, got, ok, token)
		}
		if got := tok.IsSpecial(want); got != (want < 3 || want >= 32000) {
			t.Errorf("IsSpecial(%d) = %t", want, got)
		}
	}
	if id, ok := tok.ID("no such token"); ok {
		t.Errorf("ID of an unknown token = %d", id)
	}
	for _, id := range []int32{-1, 32003, 1 << 30} {
		if token, ok := tok.Token(id); ok || tok.IsSpecial(id) {
			t.Errorf("Token(%d) = %q, special %t, want nothing", id, token, tok.IsSpecial(id))
		}
	}
	if before, after := tok.Affixes(); !slices.Equal(before, []int32{1}) || after != nil {
		t.Errorf("Affixes() = %v, %v, want [1] and nothing", before, after)
	}
}

func TestManyGoroutines(t *testing.T) {
	tok := tiny(t)
	texts := []string{"the <image> of a boat", strings.Repeat("ab ", 400), strings.Repeat("=", 999), "龘 é <s>"}
	var group sync.WaitGroup
	for _, text := range texts {
		want := tok.EncodeRaw(text)
		for range 8 {
			group.Go(func() {
				for range 20 {
					if got := tok.EncodeRaw(text); !slices.Equal(got, want) {
						t.Errorf("EncodeRaw(%q) = %v, want %v", text, got, want)
						return
					}
				}
			})
		}
	}
	group.Wait()
}

// TestEncodeAllocations: words cost nothing. The text's own buffers may, where the
// pool has lost those of the last one, as it does at random under the race detector.
func TestEncodeAllocations(t *testing.T) {
	tok := released(t)
	text := strings.Repeat("An honest tale speeds best, being plainly told. ", 500)
	ids := tok.Encode(text)
	if n := testing.AllocsPerRun(20, func() { ids = tok.AppendEncode(ids[:0], text) }); n > 50 {
		t.Errorf("%.0f allocations for %d ids", n, len(ids))
	}
}

func TestRoundTrip(t *testing.T) {
	tok := released(t)
	for r := rune(0); r <= utf8.MaxRune; r += 1 + r/700 {
		if !utf8.ValidRune(r) || r == '\u2581' {
			continue
		}
		text := string(r) + " x" + string(r) + string(r) + "  "
		if got := tok.Decode(tok.Encode(text), false); got != text {
			t.Errorf("Decode(Encode(%q)) = %q", text, got)
		}
	}
}
