package tokenizer

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
)

// FuzzParse requires that a file is refused or works, and never panics.
func FuzzParse(f *testing.F) {
	// Short ones, since the fuzzer takes long over what it tries to make shorter.
	for _, seed := range []string{
		`{"decoder":{"type":"Sequence","decoders":[{"type":"ByteFallback"},{"type":"Fuse"}]},
			"model":{"unk_token":"a","byte_fallback":true,"vocab":{"a":0,"b":1,"ab":2,"<0x41>":3,"abb":4},"merges":["a b",["ab","b"]]}}`,
		`{"added_tokens":[{"id":2,"content":"b ","lstrip":true,"single_word":true}],
			"pre_tokenizer":{"type":"Metaspace","replacement":"_","prepend_scheme":"first"},
			"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"a"}},{"Sequence":{"id":"A"}}],"special_tokens":{"a":{"ids":[0,1]}}},
			"decoder":{"type":"Metaspace","replacement":"_"},
			"model":{"type":"BPE","unk_token":"a","ignore_merges":true,"vocab":{"a":0,"_":1},"merges":[]}}`,
		`{"added_tokens":[{"id":1,"content":"b ","rstrip":true,"normalized":true,"special":true}],
			"normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"_"},{"type":"Replace","pattern":{"String":" "},"content":"_"}]},
			"decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"_"},"content":" "},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]},
			"model":{"unk_token":"a","vocab":{"a":0},"merges":[]}}`,
	} {
		if _, err := Parse([]byte(seed)); err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(seed), "abA b  c_\xff")
	}
	f.Fuzz(func(t *testing.T, data []byte, text string) {
		checkReader(t, data)
		tok, err := Parse(data)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "tokenizer: ") {
				t.Errorf("error %q", err)
			}
			return
		}
		if len(text) > 1000 {
			text = text[:1000]
		}
		for _, ids := range [][]int32{tok.Encode(text), tok.EncodeRaw(text), tok.EncodePrompt(text, 'a')} {
			for _, id := range ids {
				if _, ok := tok.Token(id); !ok {
					t.Errorf("id %d is not one of %d", id, tok.Size())
				}
			}
			if got, want := join(tok.Stream(true), ids), tok.Decode(ids, true); got != want {
				t.Errorf("stream %q, Decode %q", got, want)
			}
		}
	})
}

// FuzzEncodeDecode holds what the three ways of encoding have in common, and that text comes back.
func FuzzEncodeDecode(f *testing.F) {
	for _, seed := range []string{"", " a  b", "<image>", "</s", "龘\x00é", "a\xff▁", "User:<image>x<end_of_utterance>\n", strings.Repeat("ab", 60)} {
		f.Add(seed, "\n<s>")
	}
	files := []*Tokenizer{tiny(f), normalizing(f)}
	f.Fuzz(func(t *testing.T, text, user string) {
		mark, err := PickMark(text, user)
		if err != nil {
			return
		}
		for i, tok := range files {
			ids := tok.Encode(text)
			if before, _ := tok.Affixes(); slices.ContainsFunc(ids[len(before):], tok.IsSpecial) {
				t.Errorf("%d: Encode(%q) = %v has a special token", i, text, ids)
			}
			if i == 0 {
				want := strings.ReplaceAll(toValid(text), "▁", " ")
				if got := tok.Decode(ids, false); got != want {
					t.Errorf("Decode(Encode(%q)) = %q, want %q", text, got, want)
				}
			}
			if got := tok.EncodePrompt(tok.Mark(text, mark), mark); !slices.Equal(got, ids) {
				t.Errorf("%d: EncodePrompt of %q marked = %v, want %v", i, text, got, ids)
			}
			if got, want := tok.EncodePrompt(text, mark), tok.EncodeRaw(text); !slices.Equal(got, want) {
				t.Errorf("%d: EncodePrompt(%q) = %v, want %v", i, text, got, want)
			}
			// What a user writes adds no special token to a template.
			if got, most := count(tok, tok.EncodePrompt(text+tok.Mark(user, mark), mark)), count(tok, tok.EncodeRaw(text+"\uFFFC")); got > most {
				t.Errorf("%d: %q and %q of a user have %d special tokens, want at most %d", i, text, user, got, most)
			}
		}
	})
}

func count(tok *Tokenizer, ids []int32) (special int) {
	for _, id := range ids {
		if tok.IsSpecial(id) {
			special++
		}
	}
	return special
}

// FuzzStream reads ids of two bytes and holds a stream of them against the plain decoder.
func FuzzStream(f *testing.F) {
	f.Add([]byte{0, 1, 1, 44}, true)
	f.Add([]byte{0, 0xE2 + 3, 0, 0x82 + 3, 0, 1, 0, 0xAC + 3, 2, 100}, false)
	f.Add([]byte{0, 0xC3 + 3, 0, 0xA9 + 3, 1, 2, 2, 100, 0, 13, 2, 0x64}, false)
	tok := tiny(f)
	f.Fuzz(func(t *testing.T, data []byte, keep bool) {
		var ids []int32
		for i := 0; i+1 < len(data) && i < 100; i += 2 {
			ids = append(ids, int32(binary.BigEndian.Uint16(data[i:])))
		}
		checkStream(t, tok, ids, keep)
	})
}
