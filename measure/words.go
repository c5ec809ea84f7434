package measure

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"idefics2/tokenizer"
)

// textBytes is the length of the text that is made tokens where none is given.
const textBytes = 10_000_000

// tokenizeWork makes tokens of a text on one thread. Its limit, a far one, is that of reading it.
func tokenizeWork(o Options) work {
	size := len(o.Text)
	if o.Text == nil {
		size = textBytes
	}
	return work{
		name: "tokenize", group: "words", yields: float64(size) / 1e6, of: "MB", unit: "MB/s",
		cost:  cost{bytes: float64(size)},
		stand: func(*Bench) (stand, error) { return newWords(o) },
		passes: func(s stand) ([]pass, error) {
			w := s.(*words)
			return []pass{{times: 1, once: func() error {
				w.tokenizer.Encode(w.text)
				return nil
			}}}, nil
		},
	}
}

// words are a tokenizer and a text.
type words struct {
	tokenizer *tokenizer.Tokenizer
	text      string
}

func newWords(o Options) (*words, error) {
	w := &words{tokenizer: o.Tokenizer, text: string(o.Text)}
	if w.tokenizer == nil {
		var err error
		if w.tokenizer, err = tokenizer.Parse(wordTokenizer()); err != nil {
			return nil, fmt.Errorf("measure: %w", err)
		}
	}
	if o.Text == nil {
		w.text = madeUpText(textBytes)
	}
	return w, nil
}

func (w *words) close() {}

// lexicon makes up n words of two to eight letters and more, the frequent ones short.
func lexicon(n int) []string {
	r := rand.New(rand.NewPCG(11, 12))
	syllables := strings.Fields("a be ca da el fi go hi in ka le mo na or pa qua re si ta un ver wi xo you za the st an er ing ion es")
	seen, out := map[string]bool{}, make([]string, 0, n)
	for len(out) < n {
		word := ""
		for range 1 + r.IntN(2+int(math.Log2(float64(len(out)+2))/4)) {
			word += syllables[r.IntN(len(syllables))]
		}
		if !seen[word] {
			seen[word] = true
			out = append(out, word)
		}
	}
	return out
}

// The lexicon, and how many of its words are tokens: the rest are spelled in pieces.
const lexiconWords, tokenWords = 20_000, 6_000

// madeUpText writes words by Zipf's law into sentences and paragraphs.
func madeUpText(size int) string {
	all := lexicon(lexiconWords)
	r := rand.New(rand.NewPCG(13, 14))
	zipf := rand.NewZipf(r, 1.1, 4, uint64(len(all)-1))
	var b strings.Builder
	b.Grow(size + 64)
	for left := 0; b.Len() < size; left-- {
		if left <= 0 {
			if left = 4 + r.IntN(20); b.Len() > 0 {
				b.WriteString([]string{". ", ".\n", "? "}[r.IntN(3)])
			}
		} else {
			b.WriteByte(' ')
		}
		b.WriteString(all[zipf.Uint64()])
	}
	return b.String()[:size]
}

// wordTokenizer returns a tokenizer.json of the kind of Llama's and Mistral's, with merges that
// build words up letter by letter.
func wordTokenizer() []byte {
	vocab, merges := map[string]int{}, []string{}
	add := func(token string) bool {
		if _, ok := vocab[token]; ok {
			return false
		}
		vocab[token] = len(vocab)
		return true
	}
	for _, s := range []string{"<unk>", "<s>", "</s>"} {
		add(s)
	}
	for i := range 256 {
		add(fmt.Sprintf("<0x%02X>", i))
	}
	add("▁")
	for c := '!'; c <= '~'; c++ {
		add(string(c))
	}
	for _, word := range lexicon(tokenWords) {
		token := "▁"
		for _, c := range word {
			if add(token + string(c)) {
				merges = append(merges, token+" "+string(c))
			}
			token += string(c)
		}
	}
	data, err := json.Marshal(map[string]any{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": []any{},
		"normalizer": map[string]any{"type": "Sequence", "normalizers": []any{
			map[string]any{"type": "Prepend", "prepend": "▁"},
			map[string]any{"type": "Replace", "pattern": map[string]string{"String": " "}, "content": "▁"},
		}},
		"pre_tokenizer": nil, "post_processor": nil,
		"decoder": map[string]any{"type": "Sequence", "decoders": []any{
			map[string]any{"type": "Replace", "pattern": map[string]string{"String": "▁"}, "content": " "},
			map[string]any{"type": "ByteFallback"}, map[string]any{"type": "Fuse"},
			map[string]any{"type": "Strip", "content": " ", "start": 1, "stop": 0},
		}},
		"model": map[string]any{"type": "BPE", "dropout": nil, "unk_token": "<unk>", "continuing_subword_prefix": nil,
			"end_of_word_suffix": nil, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false, "vocab": vocab, "merges": merges},
	})
	if err != nil {
		panic(err) // there is nothing in it that has no JSON
	}
	return data
}
