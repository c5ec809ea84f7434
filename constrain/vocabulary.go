package constrain

import (
	"cmp"
	"slices"

	"idefics2/tokenizer"
)

// Vocabulary is the bytes of every token, in the order in which masks are made. It does not
// change, and may be shared.
type Vocabulary struct {
	size   int // ids of the model, those that no token has included
	texts  []string
	firsts []string // of a token that begins the text, where some differ then; else texts
	later  trie
	first  trie
	strip  string // may be dropped at the very start of the text,
	times  int    // so often
	span   int    // bytes of the longest
}

// NewVocabulary reads the tokens of t for a model of size ids.
func NewVocabulary(t *tokenizer.Tokenizer, size int) *Vocabulary {
	v := &Vocabulary{size: size, texts: make([]string, t.Size())}
	v.strip, v.times = t.Stripped()
	v.firsts = make([]string, t.Size())
	for id := range v.texts {
		v.texts[id], v.firsts[id] = t.Bytes(int32(id), false), t.Bytes(int32(id), true)
		v.span = max(v.span, len(v.texts[id]))
	}
	v.later = newTrie(v.texts, size)
	v.first = v.later
	if slices.Equal(v.texts, v.firsts) {
		v.firsts = v.texts
	} else {
		v.first = newTrie(v.firsts, size)
	}
	return v
}

// text returns the bytes that id adds.
func (v *Vocabulary) text(id int32, first bool) string {
	switch {
	case uint(id) >= uint(len(v.texts)):
		return ""
	case first:
		return v.firsts[id]
	}
	return v.texts[id]
}

// trie holds the tokens in the order of their bytes: a node before its children, each with the
// number of the first node behind all of them.
type trie []trieNode

type trieNode struct {
	b     byte
	depth uint16 // 1 for a first byte
	after int32
	ids   []int32
}

// longestToken bounds what is looked at of one token; longer ones are never drawn.
const longestToken = 1 << 10

func newTrie(texts []string, size int) trie {
	var ids []int32
	for id, text := range texts[:min(len(texts), size)] {
		if text != "" && len(text) <= longestToken {
			ids = append(ids, int32(id))
		}
	}
	slices.SortFunc(ids, func(a, b int32) int {
		if c := cmp.Compare(texts[a], texts[b]); c != 0 {
			return c
		}
		return int(a - b)
	})
	var t trie
	var open []int // nodes of the text at hand
	last := ""
	for _, id := range ids {
		text := texts[id]
		shared := 0
		for shared < min(len(text), len(last)) && text[shared] == last[shared] {
			shared++
		}
		t.close(open[shared:])
		open = open[:shared]
		for i := shared; i < len(text); i++ {
			open = append(open, len(t))
			t = append(t, trieNode{b: text[i], depth: uint16(i + 1)})
		}
		end := &t[len(t)-1] // also of an equal text
		end.ids = append(end.ids, id)
		last = text
	}
	t.close(open)
	return t
}

func (t trie) close(open []int) {
	for _, i := range open {
		t[i].after = int32(len(t))
	}
}

// mark sets the bits of the tokens that may begin what from holds.
func (t trie) mark(mask []uint64, a *arena, from expr) {
	states := make([]expr, 1, 64)
	states[0] = from
	for i := 0; i < len(t); {
		n := &t[i]
		to := a.step(states[n.depth-1], a.class[n.b])
		if to == nothing || !a.live(to) {
			i = int(n.after)
			continue
		}
		for _, id := range n.ids {
			mask[id>>6] |= 1 << (id & 63)
		}
		states = append(states[:n.depth], to)
		i++
	}
}
