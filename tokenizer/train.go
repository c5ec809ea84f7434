package tokenizer

import (
	"container/heap"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// TrainOptions are the choices of [Train]; the zero value makes Idefics2's own kind of
// vocabulary, as far as the texts have pieces for it.
type TrainOptions struct {
	// Size is the number of ids, the added tokens not counted; 0 means 32,000. The
	// vocabulary is smaller where the texts have no more pairs to merge.
	Size int
	// Characters is the most single characters that get a piece of their own, the most
	// frequent first; the others are spelled in bytes. 0 means any number.
	Characters int
	// MinCount is how often a pair must occur to be merged; 0 means 2.
	MinCount int
	// Added are the tokens behind the vocabulary; nil means those of Idefics2.
	Added []string
}

// idefics2Added are the tokens that Idefics2 adds to Mistral's vocabulary, in the order of
// their ids.
var idefics2Added = []string{"<fake_token_around_image>", "<image>", "<end_of_utterance>"}

// maxUnit bounds the letters of a unit, within which pairs are merged.
const maxUnit = 64

// Train learns a vocabulary by byte pair encoding (Sennrich et al. 2016), as SentencePiece
// does it for Llama and Mistral: beginning with single characters, the most frequent pair
// of neighbours becomes a piece, until the vocabulary is full. It returns a tokenizer.json
// in the form of Mistral's, which Parse reads: <unk>, <s>, </s>, the 256 bytes, the pieces
// in the order in which they were learned, and the characters; then the added tokens.
//
// No piece reaches across a blank, which belongs to the word behind it as ▁. Digits stay
// alone, and letters are not merged with punctuation, except in the tags of HTML. Of pairs
// that are equally frequent, the one that comes first in the order of code points is
// taken, so that the same texts, in any order, give the same file.
func Train(texts iter.Seq[string], o TrainOptions) ([]byte, error) {
	if o.Size == 0 {
		o.Size = 32000
	}
	if o.MinCount == 0 {
		o.MinCount = 2
	}
	if o.Added == nil {
		o.Added = idefics2Added
	}
	const fixed = 3 + 256
	if o.Size <= fixed || o.Size > 1<<20 || o.Characters < 0 || o.MinCount < 1 {
		return nil, fmt.Errorf("tokenizer: train: %d ids, %d characters, pairs from %d on; want more than %d and at most %d ids, 0 or more characters, pairs from 1 on", o.Size, o.Characters, o.MinCount, fixed, 1<<20)
	}
	counts := map[string]int{} // of units
	for text := range texts {
		for unit := range units("▁" + strings.ReplaceAll(toValid(text), " ", "▁")) {
			counts[unit]++
		}
	}
	if len(counts) == 0 {
		return nil, errors.New("tokenizer: train: no text")
	}
	characters := alphabet(counts)
	if o.Characters > 0 && len(characters) > o.Characters {
		characters = characters[:o.Characters]
	}
	if room := o.Size - fixed; len(characters) > room {
		characters = characters[:room]
	}
	t := newTrainer(counts, characters)
	pieces, merges := t.learn(o.Size-fixed-len(characters), o.MinCount)

	ids := []string{"<unk>", "<s>", "</s>"}
	for b := range 256 {
		ids = append(ids, fmt.Sprintf("<0x%02X>", b))
	}
	ids = append(ids, pieces...)
	ids = append(ids, characters...)
	special := []int{0, 1, 2}
	for i := range o.Added {
		special = append(special, len(ids)+i)
	}
	return WriteFile(append(ids, o.Added...), merges, special)
}

// units cuts normalized text into the parts within which pairs are merged: runs of
// letters, runs of punctuation, tags of HTML and what follows them at once, each with the
// ▁ before it; digits alone.
func units(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for len(text) > 0 {
			n := 0
			if strings.HasPrefix(text, "▁") {
				n = len("▁")
			}
			if rest := unit(text[n:]); n == 0 || !startsWithDigit(text[n:]) {
				n += rest
			}
			if !yield(text[:n]) {
				return
			}
			text = text[n:]
		}
	}
}

func startsWithDigit(text string) bool {
	r, _ := utf8.DecodeRuneInString(text)
	return unicode.IsDigit(r)
}

// unit returns the length in bytes of the unit at the beginning of text.
func unit(text string) (n int) {
	kind := func(r rune) int {
		switch {
		case r == '▁':
			return 0
		case unicode.IsDigit(r):
			return 1
		case unicode.IsLetter(r) || unicode.IsMark(r):
			return 2
		case unicode.IsSpace(r):
			return 3
		default:
			return 4
		}
	}
	first, size := utf8.DecodeRuneInString(text)
	if kind(first) < 2 { // nothing is left of text, a further blank, or a digit
		if kind(first) == 1 {
			return size
		}
		return 0
	}
	if tags := tagRun(text); tags > 0 {
		return tags
	}
	for count := 0; n < len(text) && count < maxUnit; count++ {
		r, size := utf8.DecodeRuneInString(text[n:])
		if kind(r) != kind(first) || n > 0 && r == '<' && tagRun(text[n:]) > 0 {
			break
		}
		n += size
	}
	return n
}

// tagRun returns the length of a tag at the beginning of text, and of those that follow it.
func tagRun(text string) (n int) {
	for n < maxUnit/2 && n < len(text) && text[n] == '<' {
		i := n + 1
		if i < len(text) && text[i] == '/' {
			i++
		}
		name := i
		for i < len(text) && 'a' <= text[i] && text[i] <= 'z' && i-name < 12 {
			i++
		}
		if i == name || i == len(text) || text[i] != '>' {
			break
		}
		n = i + 1
	}
	return n
}

// alphabet returns the characters of units, the most frequent first.
func alphabet(counts map[string]int) []string {
	times := map[rune]int{'▁': 1}
	for unit, n := range counts {
		for _, r := range unit {
			times[r] += n
		}
	}
	delete(times, utf8.RuneError)
	runes := slices.SortedFunc(maps.Keys(times), func(a, b rune) int {
		if times[a] != times[b] {
			return times[b] - times[a]
		}
		return int(a - b)
	})
	out := make([]string, len(runes))
	for i, r := range runes {
		out[i] = string(r)
	}
	return out
}

// trainer holds the units as symbols, and where each pair of them stands.
type trainer struct {
	symbols []string // by number
	words   [][]int32
	times   []int // of words
	pairs   map[[2]int32]*pair
	queue   pairQueue
	known   map[string]int32 // symbols by their text
}

// pair is two neighbouring symbols.
type pair struct {
	of    [2]int32
	count int
	words map[int]struct{} // that may have it
}

func newTrainer(counts map[string]int, characters []string) *trainer {
	t := &trainer{pairs: map[[2]int32]*pair{}, known: map[string]int32{}}
	for _, c := range characters {
		t.symbol(c)
	}
	for _, unit := range slices.Sorted(maps.Keys(counts)) {
		word := []int32{}
		for _, r := range unit {
			s, ok := t.known[string(r)]
			if !ok {
				s = none // spelled in bytes, and never merged
			}
			word = append(word, s)
		}
		at := len(t.words)
		t.words, t.times = append(t.words, word), append(t.times, counts[unit])
		for i := 1; i < len(word); i++ {
			t.add([2]int32{word[i-1], word[i]}, counts[unit], at)
		}
	}
	for _, p := range t.pairs {
		t.queue.entries = append(t.queue.entries, queued{p, p.count})
	}
	t.queue.symbols = func(s int32) string { return t.symbols[s] }
	heap.Init(&t.queue)
	return t
}

func (t *trainer) symbol(text string) int32 {
	if s, ok := t.known[text]; ok {
		return s
	}
	s := int32(len(t.symbols))
	t.symbols, t.known[text] = append(t.symbols, text), s
	return s
}

// add counts a pair in a word.
func (t *trainer) add(of [2]int32, times, word int) *pair {
	if of[0] == none || of[1] == none {
		return nil
	}
	p := t.pairs[of]
	if p == nil {
		p = &pair{of: of, words: map[int]struct{}{}}
		t.pairs[of] = p
	}
	p.count += times
	p.words[word] = struct{}{}
	return p
}

// learn merges until there are most new pieces, and returns them with their merges.
func (t *trainer) learn(most, least int) (pieces []string, merges [][2]string) {
	made := map[string]bool{}
	for len(pieces) < most && len(t.queue.entries) > 0 {
		top := heap.Pop(&t.queue).(queued)
		if top.count != top.pair.count {
			if top.pair.count >= least { // counted anew since it was put there
				heap.Push(&t.queue, queued{top.pair, top.pair.count})
			}
			continue
		}
		if top.count < least {
			break
		}
		a, b := t.symbols[top.pair.of[0]], t.symbols[top.pair.of[1]]
		merges = append(merges, [2]string{a, b})
		if !made[a+b] { // the same piece may come of two pairs
			made[a+b] = true
			pieces = append(pieces, a+b)
		}
		t.merge(top.pair, t.symbol(a+b))
	}
	return pieces, merges
}

// merge replaces a pair by one symbol in all words.
func (t *trainer) merge(p *pair, with int32) {
	changed := map[*pair]bool{}
	for _, at := range slices.Sorted(maps.Keys(p.words)) {
		word, times := t.words[at], t.times[at]
		for i := 1; i < len(word); i++ {
			t.add([2]int32{word[i-1], word[i]}, -times, at)
		}
		out := word[:0]
		for i := 0; i < len(word); i++ {
			if i+1 < len(word) && word[i] == p.of[0] && word[i+1] == p.of[1] {
				out = append(out, with)
				i++
				continue
			}
			out = append(out, word[i])
		}
		t.words[at] = out
		for i := 1; i < len(out); i++ {
			if q := t.add([2]int32{out[i-1], out[i]}, times, at); q != nil && (q.of[0] == with || q.of[1] == with) {
				changed[q] = true
			}
		}
	}
	p.count = 0
	for q := range changed {
		heap.Push(&t.queue, queued{q, q.count})
	}
}

// pairQueue gives the most frequent pair first. Entries may be out of date.
type pairQueue struct {
	entries []queued
	symbols func(int32) string
}

type queued struct {
	pair  *pair
	count int // when it was put there
}

func (q *pairQueue) Len() int { return len(q.entries) }

func (q *pairQueue) Less(i, j int) bool {
	a, b := q.entries[i], q.entries[j]
	if a.count != b.count {
		return a.count > b.count
	}
	if a.pair == b.pair {
		return false
	}
	for k := range 2 {
		if c := strings.Compare(q.symbols(a.pair.of[k]), q.symbols(b.pair.of[k])); c != 0 {
			return c < 0
		}
	}
	return false
}

func (q *pairQueue) Swap(i, j int) { q.entries[i], q.entries[j] = q.entries[j], q.entries[i] }
func (q *pairQueue) Push(x any)    { q.entries = append(q.entries, x.(queued)) }
func (q *pairQueue) Pop() any {
	last := q.entries[len(q.entries)-1]
	q.entries = q.entries[:len(q.entries)-1]
	return last
}
