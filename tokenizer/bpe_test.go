package tokenizer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// mergePlainly is the rule itself: of all pairs that have a merge, again and again the
// one of lowest rank and of those the leftmost. What bpe does is held against it.
func mergePlainly(rules []rule, syms []int32) []int32 {
	for {
		at, best := -1, len(rules)
		for i := range len(syms) - 1 {
			for rank := range best {
				if rules[rank].left == syms[i] && rules[rank].right == syms[i+1] {
					at, best = i, rank
					break
				}
			}
		}
		if at < 0 {
			return syms
		}
		syms = slices.Replace(syms, at, at+2, rules[best].to)
	}
}

// randomRules makes pieces of a few letters, and merges in any order: a piece may have
// several, and one may come before those of its parts.
func randomRules(random *rand.Rand, letters string, n int) (tokens []string, rules []rule) {
	ids := make(map[string]int32)
	for _, r := range letters {
		ids[string(r)] = int32(len(tokens))
		tokens = append(tokens, string(r))
	}
	seen := make(map[[2]int32]bool)
	for len(rules) < n {
		left, right := random.Int32N(int32(len(tokens))), random.Int32N(int32(len(tokens)))
		piece := tokens[left] + tokens[right]
		if len(piece) > 12 || seen[[2]int32{left, right}] {
			continue
		}
		if _, ok := ids[piece]; !ok {
			ids[piece] = int32(len(tokens))
			tokens = append(tokens, piece)
		}
		seen[[2]int32{left, right}] = true
		rules = append(rules, rule{left, right, ids[piece]})
	}
	random.Shuffle(n, func(i, j int) { rules[i], rules[j] = rules[j], rules[i] })
	return tokens, rules
}

func TestMerges(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for round := range 60 {
		letters := "abcdefghé▁"
		tokens, rules := randomRules(random, letters, 5+random.IntN(60))
		b := &bpe{unknown: none, merges: newMergeTable(rules)}
		for id, token := range []rune(letters) {
			b.chars.set(token, int32(id))
		}
		b.joins = newJoinSet(rules, tokens, &b.chars)
		s := new(scratch)
		for range 20 {
			var word []rune
			var syms []int32
			for range 1 + random.IntN(3*short) { // words that are merged with a heap, and without
				id := random.IntN(len([]rune(letters)))
				word = append(word, []rune(letters)[id])
				syms = append(syms, int32(id))
			}
			want := mergePlainly(rules, slices.Clone(syms))
			if got := b.append(nil, []byte(string(word)), s); !slices.Equal(got, want) {
				t.Fatalf("round %d: %q gives %v, want %v", round, string(word), got, want)
			}
			// Both ways of merging, on the whole word whatever the joins say.
			s.syms = append(s.syms[:0], syms...)
			if got := b.mergeLong(nil, s); !slices.Equal(got, want) {
				t.Fatalf("round %d: mergeLong of %q gives %v, want %v", round, string(word), got, want)
			}
			s.syms = append(s.syms[:0], syms...)
			if got := b.mergeShort(s); !slices.Equal(got, want) {
				t.Fatalf("round %d: mergeShort of %q gives %v, want %v", round, string(word), got, want)
			}
		}
	}
}

// TestLongWord encodes what nothing splits. Were time quadratic, the test would not end.
func TestLongWord(t *testing.T) {
	tok := tiny(t)
	text := strings.Repeat("the", 1<<20)
	if got := tok.Decode(tok.Encode(text), false); got != text {
		t.Error("three megabytes without a space come back otherwise")
	}
}

func BenchmarkEncode(b *testing.B) {
	tok := released(b)
	texts := map[string]string{
		"English":  strings.Repeat("Call me Ishmael. Some years ago, never mind how long precisely, having little or no money in my purse.\n", 1000),
		"Chinese":  strings.Repeat("北冥有魚，其名為鯤。鯤之大，不知其幾千里也。", 1000),
		"one word": strings.Repeat("abcdefghijklmnopqrstuvwxyz", 4000),
	}
	for _, name := range []string{"English", "Chinese", "one word"} {
		b.Run(name, func(b *testing.B) {
			var ids []int32
			b.SetBytes(int64(len(texts[name])))
			b.ReportAllocs()
			for b.Loop() {
				ids = tok.AppendEncode(ids[:0], texts[name])
			}
		})
	}
}

func BenchmarkStream(b *testing.B) {
	tok := released(b)
	ids := tok.Encode(strings.Repeat("Some years ago, never mind how long precisely.\n", 100))
	b.ReportAllocs()
	for b.Loop() {
		s := tok.Stream(false)
		for _, id := range ids {
			s.Push(id)
		}
	}
	b.ReportMetric(float64(len(ids)), "tokens/op")
}

func BenchmarkParse(b *testing.B) {
	data := gunzip(b, "released.json.gz")
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := Parse(data); err != nil {
			b.Fatal(err)
		}
	}
}
