package tokenizer

import (
	"math/bits"
	"unicode/utf8"
)

// none stands for a token that does not exist.
const none = -1

// bpe turns normalized text into ids: one symbol a character, or one a byte where
// the vocabulary lacks the character; then, as long as any applies, the merge of
// lowest rank, the leftmost among equals (Sennrich et al. 2016, as tokenizers'
// models/bpe does it).
type bpe struct {
	chars   runeTable
	bytes   [256]int32 // ids of <0x00> to <0xFF>, or none; all none without byte fallback
	unknown int32      // for characters and bytes that have no token, or none
	fuse    bool       // one unknown for a run of them
	merges  mergeTable
	joins   joinSet
	whole   map[string]int32 // words that are taken as they are (ignore_merges), or nil
}

// rule is a merge: left and right, side by side, become to.
type rule struct{ left, right, to int32 }

// scratch is what encoding one text needs. It is reused, so that a word costs no allocation.
type scratch struct {
	text, other []byte  // the normalized text, and the one before
	syms        []int32 // the symbols of the word at hand
	ranks       []uint32
	prev, next  []int32
	heap        []uint64
	spans       []span
	inner       []span
}

// append adds the ids of one word to dst.
//
// A word may be a whole text, where nothing was split beforehand. But two
// symbols between which no merge ever reaches (joins) can be merged apart, with
// the same result, as whatever happens on one side never meets the other. This
// makes words of a few letters out of megabytes.
func (b *bpe) append(dst []int32, word []byte, s *scratch) []int32 {
	if b.whole != nil {
		if id, ok := b.whole[string(word)]; ok {
			return append(dst, id)
		}
	}
	s.syms = s.syms[:0]
	unknown := false // one is due: the reference writes it before the next character that has a token of its own
	for i := 0; i < len(word); {
		id, n := int32(none), 1
		if c := word[i]; c < utf8.RuneSelf {
			id = b.chars.ascii[c] - 1
		} else {
			var r rune
			r, n = utf8.DecodeRune(word[i:])
			id = b.chars.get(r)
		}
		char := word[i : i+n]
		i += n
		switch {
		case id != none:
			if unknown {
				dst = b.add(dst, s, b.unknown)
				unknown = false
			}
			dst = b.add(dst, s, id)
		case b.spells(char):
			for _, c := range char {
				dst = b.add(dst, s, b.bytes[c])
			}
		default:
			if unknown && !b.fuse {
				dst = b.add(dst, s, b.unknown)
			}
			unknown = true
		}
	}
	if unknown {
		dst = b.add(dst, s, b.unknown)
	}
	return b.flush(dst, s)
}

// add puts a symbol behind those of the word at hand, or begins a new word with it.
func (b *bpe) add(dst []int32, s *scratch, id int32) []int32 {
	if n := len(s.syms); n > 0 && !b.joins.has(s.syms[n-1], id) {
		dst = b.flush(dst, s)
	}
	s.syms = append(s.syms, id)
	return dst
}

// spells reports whether every byte of a character has a token.
func (b *bpe) spells(char []byte) bool {
	for _, c := range char {
		if b.bytes[c] == none {
			return false
		}
	}
	return true
}

// short is the number of symbols up to which looking through all pairs for the
// best is faster than a heap.
const short = 48

// flush merges the symbols of the word at hand, adds them to dst and begins a new word.
func (b *bpe) flush(dst []int32, s *scratch) []int32 {
	switch n := len(s.syms); {
	case n <= 1:
		dst = append(dst, s.syms...)
	case n <= short:
		dst = append(dst, b.mergeShort(s)...)
	default:
		dst = b.mergeLong(dst, s)
	}
	s.syms = s.syms[:0]
	return dst
}

// mergeShort merges in time n², and returns the symbols that are left.
func (b *bpe) mergeShort(s *scratch) []int32 {
	syms := s.syms
	ranks := s.ranks[:0] // ranks[i]: of the merge of symbols i and i+1
	for i := range len(syms) - 1 {
		ranks = append(ranks, b.merges.rank(syms[i], syms[i+1]))
	}
	s.ranks = ranks
	for {
		at, best := -1, noRank
		for i, rank := range ranks {
			if rank < best {
				at, best = i, rank
			}
		}
		if at < 0 {
			return syms
		}
		syms[at] = b.merges.to[best]
		syms = append(syms[:at+1], syms[at+2:]...)
		ranks = append(ranks[:at], ranks[at+1:]...)
		if at > 0 {
			ranks[at-1] = b.merges.rank(syms[at-1], syms[at])
		}
		if at < len(ranks) {
			ranks[at] = b.merges.rank(syms[at], syms[at+1])
		}
	}
}

// mergeLong merges in time n log n: a heap of rank and place over a linked list of
// symbols. An entry whose pair has changed since is recognized by its rank, which no
// other pair has.
func (b *bpe) mergeLong(dst []int32, s *scratch) []int32 {
	syms, n := s.syms, len(s.syms)
	prev, next := s.prev[:0], s.next[:0]
	heap := minHeap(s.heap[:0])
	for i := range n {
		prev = append(prev, int32(i-1))
		next = append(next, int32(i+1))
		if i+1 < n {
			if rank := b.merges.rank(syms[i], syms[i+1]); rank != noRank {
				heap = append(heap, uint64(rank)<<32|uint64(i))
			}
		}
	}
	heap.init()
	push := func(i int32) {
		if rank := b.merges.rank(syms[i], syms[next[i]]); rank != noRank {
			heap.push(uint64(rank)<<32 | uint64(i))
		}
	}
	for len(heap) > 0 {
		top := heap.pop()
		rank, i := uint32(top>>32), int32(uint32(top))
		j := next[i]
		if syms[i] == none || int(j) == n || b.merges.rank(syms[i], syms[j]) != rank {
			continue
		}
		syms[i], syms[j] = b.merges.to[rank], none
		next[i] = next[j]
		if int(next[i]) < n {
			prev[next[i]] = i
			push(i)
		}
		if prev[i] >= 0 {
			push(prev[i])
		}
	}
	for _, id := range syms {
		if id != none {
			dst = append(dst, id)
		}
	}
	s.prev, s.next, s.heap = prev, next, heap
	return dst
}

// minHeap is a binary heap of numbers. container/heap would box each of them.
type minHeap []uint64

func (h minHeap) init() {
	for i := len(h)/2 - 1; i >= 0; i-- {
		h.down(i)
	}
}

func (h *minHeap) push(x uint64) {
	*h = append(*h, x)
	s := *h
	for i := len(s) - 1; i > 0; {
		up := (i - 1) / 2
		if s[up] <= s[i] {
			return
		}
		s[up], s[i] = s[i], s[up]
		i = up
	}
}

func (h *minHeap) pop() uint64 {
	s := *h
	top := s[0]
	s[0] = s[len(s)-1]
	*h = s[:len(s)-1]
	h.down(0)
	return top
}

func (h minHeap) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if child+1 < len(h) && h[child+1] < h[child] {
			child++
		}
		if h[i] <= h[child] {
			return
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}

// noRank is greater than every rank.
const noRank = ^uint32(0)

// mergeTable finds the rank of a pair of ids: open addressing over slots at most
// half full, which takes one probe where a map takes several.
type mergeTable struct {
	slots []mergeSlot
	shift int
	to    []int32 // by rank
}

type mergeSlot struct {
	left, right int32 // left is none in an empty slot
	rank        uint32
}

func newMergeTable(rules []rule) mergeTable {
	size := bits.Len(uint(2*len(rules) + 1)) // log₂ of a number of slots greater than twice the rules
	t := mergeTable{slots: make([]mergeSlot, 1<<size), shift: 64 - size, to: make([]int32, len(rules))}
	for i := range t.slots {
		t.slots[i].left = none
	}
	for rank, r := range rules {
		t.to[rank] = r.to
		slot := t.find(r.left, r.right)
		*slot = mergeSlot{r.left, r.right, uint32(rank)} // of two equal pairs the reference keeps the last
	}
	return t
}

func (t *mergeTable) find(left, right int32) *mergeSlot {
	mask := uint(len(t.slots) - 1)
	for i := uint(hashPair(left, right) >> t.shift); ; i++ {
		slot := &t.slots[i&mask]
		if slot.left == none || slot.left == left && slot.right == right {
			return slot
		}
	}
}

// rank returns the rank of a pair's merge, or noRank.
func (t *mergeTable) rank(left, right int32) uint32 {
	slot := t.find(left, right)
	if slot.left == none {
		return noRank
	}
	return slot.rank
}

// hashPair spreads pairs of ids over the high bits (Fibonacci hashing, Knuth vol. 3, 6.4).
func hashPair(a, b int32) uint64 {
	return (uint64(uint32(a))<<32 | uint64(uint32(b))) * 0x9E3779B97F4A7C15
}

// joinSet holds the pairs of characters that meet inside some piece: where a pair is
// not in it, no merge ever reaches across. It is a set of hashes, so that now and
// then has is true of other pairs too, which costs time and changes nothing.
type joinSet struct {
	bits  []uint64
	shift int
	all   bool // every pair may meet
}

func newJoinSet(rules []rule, tokens []string, chars *runeTable) joinSet {
	size := max(6, bits.Len(uint(16*len(rules))))
	j := joinSet{bits: make([]uint64, 1<<size/64), shift: 64 - size}
	for _, r := range rules {
		left, _ := utf8.DecodeLastRuneInString(tokens[r.left])
		right, _ := utf8.DecodeRuneInString(tokens[r.right])
		j.add(chars.get(left), chars.get(right))
	}
	return j
}

func (j *joinSet) add(a, b int32) {
	i := hashPair(a, b) >> j.shift
	j.bits[i/64] |= 1 << (i % 64)
}

func (j *joinSet) has(a, b int32) bool {
	i := hashPair(a, b) >> j.shift
	return j.all || j.bits[i/64]>>(i%64)&1 != 0
}

// runeTable maps characters to ids, in pages of 256. Ids are kept plus one, so that
// an empty page has none.
type runeTable struct {
	ascii [128]int32
	pages [(utf8.MaxRune + 1) / 256]*[256]int32
}

func (t *runeTable) set(r rune, id int32) {
	if r < utf8.RuneSelf {
		t.ascii[r] = id + 1
	}
	page := &t.pages[r>>8]
	if *page == nil {
		*page = new([256]int32)
	}
	(*page)[r&255] = id + 1
}

func (t *runeTable) get(r rune) int32 {
	if page := t.pages[r>>8]; page != nil {
		return page[r&255] - 1
	}
	return none
}
