package constrain

import (
	"errors"
	"slices"
)

// An expression describes a set of byte strings. Expressions live in an arena, equal ones once,
// and are named by their index. The state of a generation is one too: the set of what may still
// come. Reading a byte is Brzozowski's derivative ("Derivatives of regular expressions", 1964),
// computed when it is first needed. Counted repetition stays a count, so nothing is unrolled; what
// comes after a nested value is the tail of a concatenation, so there is no stack beside it.
type expr = int32

type kind uint8

const (
	empty  kind = iota // the empty set
	blank              // the set of the empty string
	set                // one byte of sets[a]
	cat                // a, then b. a is never itself a cat
	or                 // a or b. Members are chained through b in falling order, each once
	and                // a and b, chained likewise
	not                // everything but a
	repeat             // a from m to n times; n < 0: without end
)

const (
	nothing expr = 0
	epsilon expr = 1
)

// node is one expression. The fields up to n are its identity.
type node struct {
	kind     kind
	a, b     expr
	m, n     int32
	nullable bool   // holds the empty string
	plain    bool   // holds no and, no not: then it is nothing only where it says so
	alive    int8   // of one that is not plain: 1 alive, −1 dead, 0 unknown
	clamped  expr   // memo of clamp; 0: unknown
	next     []expr // derivatives by class; −1: unknown
}

type key struct {
	kind kind
	a, b expr
	m, n int32
}

type byteSet [4]uint64

func (s *byteSet) add(lo, hi byte) {
	for c := int(lo); c <= int(hi); c++ {
		s[c>>6] |= 1 << (c & 63)
	}
}

func (s *byteSet) has(c byte) bool { return s[c>>6]>>(c&63)&1 != 0 }

// Bounds of one format. They keep a hostile one from taking memory or time from the others.
const (
	maxBytes = 32 << 20 // of expressions, about
	maxWork  = 1 << 22  // steps of compiling, or of finding one mask
)

// errTooComplex is why an expression is given up.
var errTooComplex = errors.New("it takes more memory or time than one format may; make it smaller, or its counts lower")

// arena holds expressions.
type arena struct {
	nodes   []node
	index   map[key]expr
	sets    []byteSet
	setIDs  map[byteSet]expr
	class   [256]uint8 // of a byte: bytes of one class are in the same sets
	witness []byte     // of a class: one of its bytes
	bytes   int
	work    int
	spelt   map[string]expr // what utf8 and spelled have made
	scratch [][]expr        // lists for reuse
}

func newArena() *arena {
	a := &arena{index: map[key]expr{}, setIDs: map[byteSet]expr{}, spelt: map[string]expr{}}
	a.intern(key{kind: empty})
	a.intern(key{kind: blank})
	return a
}

// spend counts memory and time, and gives up above the bounds. Whoever calls into an arena from
// outside recovers with giveUp.
func (a *arena) spend(bytes, work int) {
	a.bytes += bytes
	a.work += work
	if a.bytes > maxBytes || a.work > maxWork {
		panic(errTooComplex)
	}
}

func giveUp(err *error) {
	switch r := recover(); r {
	case nil:
	case errTooComplex:
		*err = errTooComplex
	default:
		panic(r)
	}
}

func (a *arena) intern(k key) expr {
	if e, ok := a.index[k]; ok {
		a.spend(0, 1)
		return e
	}
	a.spend(128, 1)
	n := node{kind: k.kind, a: k.a, b: k.b, m: k.m, n: k.n, plain: true}
	var x, y *node
	switch k.kind {
	case cat, or, and:
		x, y = &a.nodes[k.a], &a.nodes[k.b]
	case not, repeat:
		x = &a.nodes[k.a]
	}
	switch k.kind {
	case blank:
		n.nullable = true
	case cat:
		n.nullable, n.plain = x.nullable && y.nullable, x.plain && y.plain
	case or:
		n.nullable, n.plain = x.nullable || y.nullable, x.plain && y.plain
	case and:
		n.nullable, n.plain = x.nullable && y.nullable, false
	case not:
		n.nullable, n.plain = !x.nullable, false
	case repeat:
		n.nullable, n.plain = k.m == 0, x.plain
	}
	e := expr(len(a.nodes))
	a.nodes = append(a.nodes, n)
	a.index[k] = e
	return e
}

// bytesOf is one byte of s.
func (a *arena) bytesOf(s byteSet) expr {
	if s == (byteSet{}) {
		return nothing
	}
	id, ok := a.setIDs[s]
	if !ok {
		id = expr(len(a.sets))
		a.sets = append(a.sets, s)
		a.setIDs[s] = id
	}
	return a.intern(key{kind: set, a: id})
}

func (a *arena) byteRange(lo, hi byte) expr {
	var s byteSet
	s.add(lo, hi)
	return a.bytesOf(s)
}

// literal is the string s alone.
func (a *arena) literal(s string) expr {
	e := epsilon
	for i := len(s) - 1; i >= 0; i-- {
		e = a.cat(a.byteRange(s[i], s[i]), e)
	}
	return e
}

// seq is one after another.
func (a *arena) seq(parts ...expr) expr {
	e := epsilon
	for _, p := range slices.Backward(parts) {
		e = a.cat(p, e)
	}
	return e
}

func (a *arena) cat(x, y expr) expr {
	switch {
	case x == nothing || y == nothing:
		return nothing
	case x == epsilon:
		return y
	case y == epsilon:
		return x
	}
	if a.nodes[x].kind != cat {
		return a.intern(key{kind: cat, a: x, b: y})
	}
	heads := a.list()
	for ; a.nodes[x].kind == cat; x = a.nodes[x].b {
		heads = append(heads, a.nodes[x].a)
	}
	y = a.intern(key{kind: cat, a: x, b: y})
	for _, h := range slices.Backward(heads) {
		y = a.intern(key{kind: cat, a: h, b: y})
	}
	a.free(heads)
	return y
}

func (a *arena) list() []expr {
	if n := len(a.scratch); n > 0 {
		l := a.scratch[n-1]
		a.scratch = a.scratch[:n-1]
		return l
	}
	return nil
}

func (a *arena) free(l []expr) { a.scratch = append(a.scratch, l[:0]) }

// or is any of the alternatives.
func (a *arena) or(alternatives ...expr) expr {
	if len(alternatives) == 2 { // in front of those that are there already, as most long lists grow
		x, y := alternatives[0], alternatives[1]
		if first := &a.nodes[y]; first.kind == or && a.nodes[x].kind != or && x > first.a {
			return a.intern(key{kind: or, a: x, b: y})
		}
	}
	all := a.members(or, alternatives)
	e := nothing
	for _, x := range all { // rising, so that chains share their ends
		if e == nothing {
			e = x
		} else {
			e = a.intern(key{kind: or, a: x, b: e})
		}
	}
	a.free(all)
	return e
}

// and is what all of the parts hold.
func (a *arena) and(parts ...expr) expr {
	all := a.members(and, parts)
	defer a.free(all)
	everything := a.not(nothing)
	e := everything
	for _, x := range all {
		switch {
		case x == nothing:
			return nothing
		case x == everything:
		case e == everything:
			e = x
		default:
			e = a.intern(key{kind: and, a: x, b: e})
		}
	}
	return e
}

// members flattens, sorts and thins what an or or an and is made of.
func (a *arena) members(k kind, parts []expr) []expr {
	all := a.list()
	for _, e := range parts {
		if e == nothing && k == or {
			continue
		}
		for a.nodes[e].kind == k {
			all = append(all, a.nodes[e].a)
			e = a.nodes[e].b
			a.spend(0, 1)
		}
		all = append(all, e)
	}
	a.spend(0, len(all))
	slices.Sort(all)
	return slices.Compact(all)
}

func (a *arena) not(x expr) expr {
	if a.nodes[x].kind == not {
		return a.nodes[x].a
	}
	return a.intern(key{kind: not, a: x})
}

// many means that a repetition has no end.
const many = -1

// repeat is x from m to n times.
func (a *arena) repeat(x expr, m, n int32) expr {
	if a.nodes[x].nullable {
		m = 0
	}
	switch {
	case n == 0 || x == epsilon || x == nothing && m == 0:
		return epsilon
	case x == nothing || n != many && n < m:
		return nothing
	case m == 1 && n == 1:
		return x
	}
	return a.intern(key{kind: repeat, a: x, m: m, n: n})
}

func (a *arena) optional(x expr) expr { return a.or(epsilon, x) }

// seal divides the bytes into classes; sets that are made later must be unions of these.
func (a *arena) seal() {
	seen := map[string]uint8{}
	a.witness = nil
	member := make([]byte, (len(a.sets)+7)/8)
	for c := range 256 {
		clear(member)
		for i := range a.sets {
			if a.sets[i].has(byte(c)) {
				member[i/8] |= 1 << (i % 8)
			}
		}
		id, ok := seen[string(member)]
		if !ok {
			id = uint8(len(a.witness))
			seen[string(member)] = id
			a.witness = append(a.witness, byte(c))
		}
		a.class[c] = id
	}
}

// step is what may come after e has read a byte of a class.
func (a *arena) step(e expr, class uint8) expr {
	n := &a.nodes[e]
	switch n.kind {
	case empty, blank:
		return nothing
	case set:
		if a.sets[n.a].has(a.witness[class]) {
			return epsilon
		}
		return nothing
	case cat:
		if head := &a.nodes[n.a]; head.kind == set { // as most are
			if a.sets[head.a].has(a.witness[class]) {
				return n.b
			}
			return nothing
		}
	}
	if n.next == nil {
		a.spend(4*len(a.witness), 1)
		n.next = make([]expr, len(a.witness))
		for i := range n.next {
			n.next[i] = -1
		}
	}
	if n.next[class] < 0 {
		to := a.derive(e, class)
		a.nodes[e].next[class] = to // nodes may have moved
	}
	return a.nodes[e].next[class]
}

func (a *arena) derive(e expr, class uint8) expr {
	n := a.nodes[e]
	a.spend(0, 1)
	switch n.kind {
	case cat:
		to := a.cat(a.step(n.a, class), n.b)
		if a.nodes[n.a].nullable {
			to = a.or(to, a.step(n.b, class))
		}
		return to
	case or, and:
		all := a.list()
		for ; a.nodes[e].kind == n.kind; e = a.nodes[e].b {
			all = append(all, a.step(a.nodes[e].a, class))
		}
		all = append(all, a.step(e, class))
		to := nothing
		if n.kind == or {
			to = a.or(all...)
		} else {
			to = a.and(all...)
		}
		a.free(all)
		return to
	case not:
		return a.not(a.step(n.a, class))
	}
	left := n.n // a repetition
	if left != many {
		left--
	}
	return a.cat(a.step(n.a, class), a.repeat(n.a, max(0, n.m-1), left))
}

// live reports whether e holds any string at all.
func (a *arena) live(e expr) bool {
	n := a.nodes[e]
	switch {
	case n.plain || n.nullable:
		return e != nothing
	case n.alive != 0:
		return n.alive > 0
	}
	alive := false
	switch n.kind {
	case cat:
		alive = a.live(n.a) && a.live(n.b)
	case or:
		alive = a.live(n.a) || a.live(n.b)
	case repeat:
		alive = a.live(n.a) // m is not 0, or e were nullable
	default:
		return a.search(e)
	}
	a.judge(e, alive)
	return alive
}

func (a *arena) judge(e expr, alive bool) {
	if a.nodes[e].alive = -1; alive {
		a.nodes[e].alive = 1
	}
}

// search looks for a string of e, shortest first, and notes what it learns about every
// expression on the way.
func (a *arena) search(e expr) bool {
	queue, from := []expr{e}, map[expr]expr{e: nothing}
	for i := 0; i < len(queue); i++ {
		at := queue[i]
		for class := range a.witness {
			to := a.step(at, uint8(class))
			if _, seen := from[to]; seen || to == nothing || a.nodes[to].alive < 0 {
				continue
			}
			if a.nodes[to].nullable || a.nodes[to].plain || a.nodes[to].alive > 0 {
				for ; at != nothing; at = from[at] {
					a.judge(at, true)
				}
				return true
			}
			a.spend(64, 1)
			from[to] = at
			queue = append(queue, to)
		}
	}
	for _, dead := range queue {
		a.judge(dead, false)
	}
	return false
}

// clamp returns an expression whose strings begin as those of e do for span bytes, with one
// count for all those that cannot run out before: states that differ only in how much room is
// left then have one mask.
func (a *arena) clamp(e expr, span int32) expr {
	n := a.nodes[e]
	switch {
	case n.clamped != 0:
		return n.clamped
	case n.kind < cat || n.kind == and || n.kind == not:
		return e
	}
	var to expr
	switch n.kind {
	case cat:
		to = a.cat(a.clamp(n.a, span), a.clamp(n.b, span))
	case or:
		to = a.or(a.clamp(n.a, span), a.clamp(n.b, span))
	case repeat:
		least, most := min(n.m, span+1), n.n
		if most > span+1 {
			most = many
		}
		to = a.repeat(a.clamp(n.a, span), least, most)
	}
	a.nodes[e].clamped = to
	return to
}
