package constrain

import (
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Grammar is a format over a vocabulary. It remembers the masks of the states that it has seen,
// within bounds, for all requests: it may be used by many goroutines at once.
type Grammar struct {
	v    *Vocabulary
	root expr // with what the tokenizer drops at the start of a text

	mu     sync.Mutex
	a      *arena
	sealed int // expressions of the format itself
	sizes  int // their bytes
	epoch  int // counts resets: states of earlier ones are of no use
	masks  map[maskKey][]uint64
}

type maskKey struct {
	state expr
	first bool
}

// prefix is an answer so far, and its state.
type prefix struct {
	ids   []int32
	state expr
	ended bool // by an end id
}

// Bounds of what a Grammar remembers.
const (
	maxMasks  = 1 << 10
	maxRecent = 2 * 256 // twice the widest beam search
	maxMemory = 4 << 20 // bytes of masks
)

// New makes a grammar of a format. An error names the place in the format that is wrong.
func New(f Format, v *Vocabulary) (g *Grammar, err error) {
	a := newArena()
	root, err := compile(a, f)
	if err != nil {
		return nil, fmt.Errorf("constrain: %w", err)
	}
	g = &Grammar{v: v, a: a, masks: map[maskKey][]uint64{}}
	if err := g.seal(root); err != nil {
		return nil, fmt.Errorf("constrain: the format: %w", err)
	}
	return g, nil
}

// Validate returns the error that New would, for a vocabulary of which nothing is known.
func (f Format) Validate() error {
	_, err := New(f, &Vocabulary{})
	return err
}

func (g *Grammar) seal(root expr) (err error) {
	defer giveUp(&err)
	g.root = g.unstripped(root)
	g.a.seal()
	if !g.a.live(g.root) {
		return errors.New("nothing satisfies it: no text can be written for it")
	}
	if g.a.bytes > maxBytes/2 { // the rest is for generations
		return errTooComplex
	}
	g.sealed, g.sizes = len(g.a.nodes), g.a.bytes
	return nil
}

// unstripped is the texts that become one of root when the tokenizer has dropped what it drops at
// the very start: up to so many blanks, mostly one. A text that begins with a blank of its own
// needs all of those before it.
func (g *Grammar) unstripped(root expr) expr {
	a, strip := g.a, g.a.literal(g.v.strip)
	if g.v.times == 0 || g.v.strip == "" {
		return root
	}
	blank := a.cat(strip, a.not(nothing))
	// Most formats cannot begin with a blank: then there is no need to look deeper.
	a.seal()
	at := root
	for i := range len(g.v.strip) {
		at = a.step(at, a.class[g.v.strip[i]])
	}
	bare := root
	if at != nothing {
		bare = a.and(root, a.not(blank))
	}
	return a.or(
		a.cat(a.repeat(strip, 0, int32(g.v.times-1)), bare),
		a.cat(a.repeat(strip, int32(g.v.times), int32(g.v.times)), root))
}

// reset forgets what generations have added.
func (g *Grammar) reset() {
	a := g.a
	for _, n := range a.nodes[g.sealed:] {
		delete(a.index, key{n.kind, n.a, n.b, n.m, n.n})
	}
	a.nodes = a.nodes[:g.sealed]
	for i := range a.nodes {
		n := &a.nodes[i]
		n.next, n.clamped = nil, 0
	}
	a.bytes = g.sizes
	clear(g.masks)
	g.epoch++
}

// A Constraint keeps one request's answers within a grammar. It is a function of what was drawn
// and of nothing else, so that drafts, beams and several answers may ask in any order.
type Constraint struct {
	g      *Grammar
	ends   []int32
	mask   []uint64
	epoch  int
	recent []prefix // a ring of what was asked last
	at     int
}

// Constraint returns what says which ids may follow in answers that ends, the ids of an end, end:
// there must be one at least. It belongs to one goroutine; it shares its Grammar.
func (g *Grammar) Constraint(ends []int32) (*Constraint, error) {
	if len(ends) == 0 {
		return nil, fmt.Errorf("constrain: there is no end id, want one at least: a format ends with one")
	}
	for _, id := range ends {
		if id < 0 || int(id) >= g.v.size {
			return nil, fmt.Errorf("constrain: end id %d, want 0 to %d", id, g.v.size-1)
		}
	}
	return &Constraint{g: g, ends: ends, mask: make([]uint64, (g.v.size+63)/64)}, nil
}

// Mask returns a bit for each id that may follow generated: id i is bit i%64 of word i/64. An end
// id is among them where the text is complete. After an end, or after ids that the masks before
// did not hold, none is. The slice is overwritten by the next call. The error says that the format
// takes more than one may, or that the vocabulary lacks a byte that it needs.
func (c *Constraint) Mask(generated []int32) ([]uint64, error) {
	g := c.g
	g.mu.Lock()
	defer g.mu.Unlock()
	g.a.work = 0
	err := g.fill(c, generated)
	if err != nil && g.a.bytes > maxBytes { // others have filled the memory: once more, with all of it
		g.reset()
		g.a.work = 0
		err = g.fill(c, generated)
	}
	if err != nil {
		g.reset()
		return nil, fmt.Errorf("constrain: the format, after %d tokens: %w", len(generated), err)
	}
	return c.mask, nil
}

func (g *Grammar) fill(c *Constraint, generated []int32) (err error) {
	defer giveUp(&err)
	clear(c.mask)
	p := c.find(generated)
	if p.ended || p.state == nothing {
		return nil
	}
	first := len(generated) == 0
	copy(c.mask, g.maskOf(p.state, first))
	for _, id := range c.ends { // whose own text, where they have one, still counts
		c.mask[id>>6] &^= 1 << (id & 63)
		if g.a.nodes[g.read(p.state, g.v.text(id, first))].nullable {
			c.mask[id>>6] |= 1 << (id & 63)
		}
	}
	if !slices.ContainsFunc(c.mask, func(w uint64) bool { return w != 0 }) {
		return fmt.Errorf("no token of the vocabulary goes on with the text; a tokenizer with a token for each byte could")
	}
	return nil
}

// maskOf returns the tokens that may follow in a state.
func (g *Grammar) maskOf(state expr, first bool) []uint64 {
	k := maskKey{g.a.clamp(state, int32(g.v.span)), first}
	if m, ok := g.masks[k]; ok {
		return m
	}
	m := make([]uint64, (g.v.size+63)/64)
	t := g.v.later
	if first {
		t = g.v.first
	}
	t.mark(m, g.a, k.state)
	if len(g.masks) >= min(maxMasks, max(16, maxMemory/(8*len(m)))) {
		clear(g.masks)
	}
	g.masks[k] = m
	return m
}

// find returns the state behind generated. It goes on from the longest beginning that was
// asked about lately.
func (c *Constraint) find(generated []int32) prefix {
	if c.epoch != c.g.epoch {
		c.recent, c.at, c.epoch = nil, 0, c.g.epoch
	}
	best := prefix{state: c.g.root}
	for i := range c.recent {
		r := &c.recent[(c.at+len(c.recent)-1-i)%len(c.recent)] // newest first
		n := len(r.ids)
		if n <= len(best.ids) || n > len(generated) || r.ids[n-1] != generated[n-1] || !slices.Equal(r.ids, generated[:n]) {
			continue
		}
		if best = *r; n >= len(generated)-1 {
			break
		}
	}
	if len(best.ids) == len(generated) {
		return best
	}
	for i := len(best.ids); i < len(generated); i++ {
		id := generated[i]
		text, ended := c.g.v.text(id, i == 0), slices.Contains(c.ends, id)
		if best.ended || text == "" && !ended {
			best.state = nothing
		}
		best.state, best.ended = c.g.read(best.state, text), ended
	}
	best.ids = slices.Clone(generated)
	if len(c.recent) < maxRecent {
		c.recent = append(c.recent, best)
	} else {
		c.recent[c.at] = best
	}
	c.at = (c.at + 1) % maxRecent
	return best
}

func (g *Grammar) read(state expr, text string) expr {
	for i := 0; i < len(text) && state != nothing; i++ {
		state = g.a.step(state, g.a.class[text[i]])
	}
	return state
}
