package tokenizer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestDecode(t *testing.T) {
	tok := released(t)
	tests := []struct {
		name          string
		ids           []int32
		kept, skipped string
	}{
		{"nothing", nil, "", ""},
		{"one space is dropped", []int32{259}, " ", " "},
		{"only at the very start", []int32{1, 264}, "<s> a", "a"},
		{"special tokens are left out", []int32{1, 32001, 264, 32002, 264}, "<s><image> a<end_of_utterance> a", "a a"},
		{"bytes make a character", []int32{231, 189, 163}, "亠", "亠"},
		{"half a character", []int32{231, 287}, "\uFFFD b", "\uFFFD b"},
		{"one bad byte spoils its run", []int32{231, 189, 163, 258, 264}, "\uFFFD\uFFFD\uFFFD\uFFFD a", "\uFFFD\uFFFD\uFFFD\uFFFD a"},
		{"a newline too", []int32{13, 258}, "\uFFFD\uFFFD", "\uFFFD\uFFFD"},
		{"special tokens do not end a run that they are left out of", []int32{231, 189, 2, 163}, "\uFFFD\uFFFD</s>\uFFFD", "亠"},
		{"newline and word", []int32{13, 22557}, "\n Hello", "\n Hello"},
		{"ids that do not exist", []int32{-1, 22557, 32003, 1 << 30}, "Hello", "Hello"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tok.Decode(tt.ids, true); got != tt.kept {
				t.Errorf("Decode(%v, true) = %q, want %q", tt.ids, got, tt.kept)
			}
			if got := tok.Decode(tt.ids, false); got != tt.skipped {
				t.Errorf("Decode(%v, false) = %q, want %q", tt.ids, got, tt.skipped)
			}
		})
	}
}

func TestStream(t *testing.T) {
	tok := released(t)
	tests := []struct {
		name   string
		tokens []string
		keep   bool
		want   []string // of each Push, and of Flush
	}{
		{"words come at once, the leading space never", []string{"▁Hello", "▁world"}, false, []string{"Hello", " world", ""}},
		{"a space that is dropped, once", []string{"▁", "Hello", "▁world"}, false, []string{"", "Hello", " world", ""}},
		{"spaces", []string{"▁Hello", "▁", "▁", "▁world"}, false, []string{"Hello", " ", " ", " world", ""}},
		{"a character of bytes", []string{"<0xE2>", "<0x82>", "<0xAC>", "▁ok"}, false, []string{"", "", "", "€ ok", ""}},
		{"at the end", []string{"▁a", "<0xE2>", "<0x82>", "<0xAC>"}, false, []string{"a", "", "", "", "€"}},
		{"half a character", []string{"<0xE2>", "<0x82>", "a"}, false, []string{"", "", "\uFFFD\uFFFDa", ""}},
		{"half a character at the end", []string{"<0xE2>", "<0x82>"}, false, []string{"", "", "\uFFFD\uFFFD"}},
		{"a run that turns invalid", []string{"<0xC3>", "<0xA9>", "<0xFF>"}, false, []string{"", "", "", "\uFFFD\uFFFD\uFFFD"}},
		{"newline, then a space that stays", []string{"<0x0A>", "▁Hello"}, false, []string{"", "\n Hello", ""}},
		{"special left out", []string{"▁Hello", "<end_of_utterance>", "▁world"}, false, []string{"Hello", "", " world", ""}},
		{"special left out at the start", []string{"<s>", "▁Hello"}, false, []string{"", "Hello", ""}},
		{"special kept at the start", []string{"<s>", "▁Hello"}, true, []string{"<s>", " Hello", ""}},
		{"special left out within a run", []string{"<0xE2>", "<0x82>", "<s>", "<0xAC>", "▁a"}, false, []string{"", "", "", "", "€ a", ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := tok.Stream(tt.keep)
			var got []string
			for _, token := range tt.tokens {
				id, ok := tok.ID(token)
				if !ok {
					t.Fatalf("no token %q", token)
				}
				got = append(got, s.Push(id))
			}
			held := s.Held()
			got = append(got, s.Flush())
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if last := tt.want[len(tt.want)-1]; held != last {
				t.Errorf("Held() = %q before Flush() = %q", held, last)
			}
		})
	}
}

// decodePlainly does to token strings, one step after the other, what the decoder of the
// released file says: what Decode and Stream are held against.
func decodePlainly(t *Tokenizer, ids []int32, keep bool) string {
	var tokens []string
	for _, id := range ids {
		if token, ok := t.Token(id); ok && (keep || !t.IsSpecial(id)) {
			tokens = append(tokens, strings.ReplaceAll(token, "▁", " "))
		}
	}
	var text, run []byte
	end := func() {
		if utf8.Valid(run) {
			text = append(text, run...)
		} else {
			for range run {
				text = append(text, "\uFFFD"...)
			}
		}
		run = nil
	}
	for _, token := range tokens {
		if b := byteToken(token); b != none {
			run = append(run, byte(b))
			continue
		}
		end()
		text = append(text, token...)
	}
	end()
	return strings.TrimPrefix(string(text), " ")
}

// checkStream holds Decode and Stream against decodePlainly, and what a stream gives
// against half characters.
func checkStream(t *testing.T, tok *Tokenizer, ids []int32, keep bool) {
	t.Helper()
	want := decodePlainly(tok, ids, keep)
	if got := tok.Decode(ids, keep); got != want {
		t.Errorf("Decode(%v, %t) = %q, want %q", ids, keep, got, want)
	}
	s := tok.Stream(keep)
	got := ""
	for i, id := range ids {
		part := s.Push(id)
		if !utf8.ValidString(part) {
			t.Errorf("Push gave %q after %v", part, ids[:i+1])
		}
		got += part
		if all := got + s.Held(); all != decodePlainly(tok, ids[:i+1], keep) {
			t.Errorf("all and Held are %q after %v, want %q", all, ids[:i+1], decodePlainly(tok, ids[:i+1], keep))
		}
	}
	if got += s.Flush(); got != want {
		t.Errorf("stream of %v, %t = %q, want %q", ids, keep, got, want)
	}
}

func TestStreamAddsUp(t *testing.T) {
	tok := tiny(t)
	random := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		ids := make([]int32, random.IntN(12))
		for i := range ids {
			switch random.IntN(4) {
			case 0:
				ids[i] = random.Int32N(int32(tok.Size()) + 2)
			case 1:
				ids[i], _ = tok.ID("▁")
			default: // bytes that often make characters
				ids[i] = 3 + []int32{0xC3, 0xA9, 0xE2, 0x82, 0xAC, 0x41, 0xFF, 0x20}[random.IntN(8)]
			}
		}
		checkStream(t, tok, ids, random.IntN(2) == 0)
	}
}

// TestPushAllocations: a word costs no allocation, so that decoding one token does not.
func TestPushAllocations(t *testing.T) {
	tok := tiny(t)
	ids := tok.Encode("the boat on the left")
	s := tok.Stream(false)
	if n := testing.AllocsPerRun(100, func() {
		for _, id := range ids {
			s.Push(id)
		}
	}); n != 0 {
		t.Errorf("%.1f allocations for %d ids", n, len(ids))
	}
}
