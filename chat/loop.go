package chat

func (n *forStmt) exec(s *state, sc *scope) flow {
	if !n.recursive {
		n.run(s, sc, s.eval(n.iter, sc), nil, 0)
		return flowNext
	}
	// A recursive loop prints into a buffer of its own, each level anew.
	var recurse func(v Value, depth int) Value
	recurse = func(v Value, depth int) Value {
		defer s.enter()()
		return s.capture(func() { n.run(s, sc, v, recurse, depth) })
	}
	s.print(s.str(recurse(s.eval(n.iter, sc), 0)))
	return flowNext
}

// run goes through v's items, each in a scope of its own.
func (n *forStmt) run(s *state, sc *scope, v Value, recurse func(Value, int) Value, depth int) {
	next, ok := iterate(v)
	if !ok {
		s.at = n.at
		s.fail(KindType, "'%s' object is not iterable", typeName(v))
	}
	loop := &loopValue{s: s, next: next, index0: -1, size: -1, depth0: depth, recurse: recurse}
	if n.test != nil {
		loop.next = n.filtered(s, sc, next)
	} else if size, ok := s.length(v); ok {
		loop.size = size
	}
	// The reference runs else where no iteration came to its end, so also after a break
	// in the first one.
	orElse := true
	for {
		s.step()
		item, ok := loop.advance()
		if !ok {
			break
		}
		inner := sc.inner()
		s.assign(n.target, item, inner)
		if n.loop {
			inner.set("loop", loop)
		}
		f := s.run(n.body, inner)
		if f == flowBreak {
			break
		}
		if f == flowNext {
			orElse = false
		}
	}
	if orElse {
		s.run(n.orElse, sc.inner())
	}
}

// filtered hands out the items that pass the loop's test, which is put only when the
// next item is wanted.
func (n *forStmt) filtered(s *state, sc *scope, next func() (Value, bool)) func() (Value, bool) {
	return func() (Value, bool) {
		for {
			s.step()
			item, ok := next()
			if !ok {
				return nil, false
			}
			inner := sc.inner()
			s.assign(n.target, item, inner)
			if truth(s.eval(n.test, inner)) {
				return item, true
			}
		}
	}
}

// loopValue is what a template knows as loop.
type loopValue struct {
	s       *state
	next    func() (Value, bool)
	index0  int
	size    int // -1 until it is known
	depth0  int
	recurse func(Value, int) Value // nil unless the loop is recursive

	before, current, after Value
	peeked, ended          bool  // after is set; or there is none
	changed                Tuple // last arguments of loop.changed; nil before the first
}

func (l *loopValue) advance() (Value, bool) {
	item, ok := l.peek()
	if !ok {
		return nil, false
	}
	l.peeked = false
	l.index0++
	l.before, l.current = l.current, item
	return item, true
}

// peek returns the next item without advancing.
func (l *loopValue) peek() (Value, bool) {
	if !l.peeked && !l.ended {
		item, ok := l.next()
		l.after, l.peeked, l.ended = item, ok, !ok
	}
	return l.after, l.peeked
}

// length counts the items; of a generator, by taking all that are left.
func (l *loopValue) length() int {
	if l.size < 0 {
		rest := l.s.items(&generator{next: l.next})
		l.next = iterateSlice(rest)
		l.size = l.index0 + 1 + len(rest)
		if l.peeked {
			l.size++
		}
	}
	return l.size
}

// attr returns loop.name.
func (l *loopValue) attr(name string) (Value, bool) {
	count := func(n int) (Value, bool) { return int64(n), true }
	switch name {
	case "index0":
		return count(l.index0)
	case "index":
		return count(l.index0 + 1)
	case "revindex0":
		return count(l.length() - l.index0 - 1)
	case "revindex":
		return count(l.length() - l.index0)
	case "length":
		return count(l.length())
	case "depth0":
		return count(l.depth0)
	case "depth":
		return count(l.depth0 + 1)
	case "first":
		return l.index0 == 0, true
	case "last":
		_, more := l.peek()
		return !more, true
	case "previtem":
		if l.index0 == 0 {
			return missing(func() string { return "there is no previous item" }), true
		}
		return l.before, true
	case "nextitem":
		if item, ok := l.peek(); ok {
			return item, true
		}
		return missing(func() string { return "there is no next item" }), true
	case "cycle":
		return &builtin{"cycle", func(s *state, a args) Value {
			if len(a.pos) == 0 {
				s.fail(KindType, "no items for cycling given")
			}
			return a.pos[l.index0%len(a.pos)]
		}}, true
	case "changed":
		return &builtin{"changed", func(s *state, a args) Value {
			if l.changed != nil && s.equalItems(l.changed, a.pos) {
				return false
			}
			l.changed = append(Tuple{}, a.pos...)
			return true
		}}, true
	}
	return nil, false
}

// call renders the loop's body for inner items: {{ loop(item.children) }}.
func (l *loopValue) call(s *state, a args) Value {
	v := s.bind("loop", a, "iterable")
	if l.recurse == nil {
		s.fail(KindType, "the loop must have the 'recursive' marker to be called recursively")
	}
	return l.recurse(v[0], l.depth0+1)
}
