package chat

import "slices"

// flow says how a run of statements ended.
type flow int

const (
	flowNext flow = iota
	flowBreak
	flowContinue
)

type stmt interface {
	exec(*state, *scope) flow
}

// scope holds the names of a loop's iteration, a macro, a block. Names not found are
// looked for outwards; assignments stay inside. It has no cycles with its parents.
type scope struct {
	vars   map[string]Value
	parent *scope
}

func (sc *scope) inner() *scope { return &scope{parent: sc} }

func (sc *scope) set(name string, v Value) {
	if sc.vars == nil {
		sc.vars = make(map[string]Value, 4)
	}
	sc.vars[name] = v
}

func (sc *scope) get(name string) (Value, bool) {
	for ; sc != nil; sc = sc.parent {
		if v, ok := sc.vars[name]; ok {
			return v, true
		}
	}
	return nil, false
}

// run executes statements until one jumps.
func (s *state) run(body []stmt, sc *scope) flow {
	for _, st := range body {
		s.step()
		if f := st.exec(s, sc); f != flowNext {
			return f
		}
	}
	return flowNext
}

// assign puts v where t says. In a tuple every name gets one item.
func (s *state) assign(t target, v Value, sc *scope) {
	switch {
	case t.isTuple:
		s.at = t.at
		if _, ok := iterate(v); !ok {
			s.fail(KindType, "cannot unpack non-iterable %s object", typeName(v))
		}
		items := s.items(v)
		if len(items) != len(t.tuple) {
			s.at = t.at
			s.fail(KindRuntime, "found %d values to unpack, want %d", len(items), len(t.tuple))
		}
		for i, part := range t.tuple {
			s.assign(part, items[i], sc)
		}
	case t.attr != "":
		s.namespace(t, sc).attrs.Set(t.attr, v)
	default:
		sc.set(t.name, v)
	}
}

// namespace returns the namespace that a target's attribute belongs to.
func (s *state) namespace(t target, sc *scope) *namespace {
	v, _ := sc.get(t.name)
	ns, ok := v.(*namespace)
	if !ok {
		s.at = t.at
		s.fail(KindRuntime, "cannot assign attribute on non-namespace object %s", t.name)
	}
	return ns
}

// checkTarget fails early, as the reference does, where a target's attribute belongs to
// no namespace: before the value is computed.
func (s *state) checkTarget(t target, sc *scope) {
	if t.attr != "" {
		s.namespace(t, sc)
	}
	for _, part := range t.tuple {
		s.checkTarget(part, sc)
	}
}

func (n *dataStmt) exec(s *state, _ *scope) flow {
	s.print(n.text)
	return flowNext
}

func (n *outputStmt) exec(s *state, sc *scope) flow {
	s.print(s.str(s.eval(n.x, sc)))
	return flowNext
}

func (n *ifStmt) exec(s *state, sc *scope) flow {
	if truth(s.eval(n.test, sc)) {
		return s.run(n.body, sc)
	}
	return s.run(n.orElse, sc)
}

func (n *setStmt) exec(s *state, sc *scope) flow {
	s.checkTarget(n.target, sc)
	s.assign(n.target, s.eval(n.x, sc), sc)
	return flowNext
}

func (n *setBlockStmt) exec(s *state, sc *scope) flow {
	var f flow
	inner := sc.inner()
	v := Value(s.capture(func() { f = s.run(n.body, inner) }))
	if f != flowNext { // a jump out of the block assigns nothing
		return f
	}
	s.assign(n.target, s.filterAll(v, n.filters, inner), sc)
	return flowNext
}

func (n *filterStmt) exec(s *state, sc *scope) flow {
	var f flow
	inner := sc.inner()
	v := Value(s.capture(func() { f = s.run(n.body, inner) }))
	if f == flowNext {
		s.print(s.str(s.filterAll(v, n.filters, inner)))
	}
	return f
}

func (n *withStmt) exec(s *state, sc *scope) flow {
	inner := sc.inner()
	for i, t := range n.targets {
		s.assign(t, s.eval(n.values[i], sc), inner)
	}
	return s.run(n.body, inner)
}

func (n *scopeStmt) exec(s *state, sc *scope) flow {
	if n.top {
		sc = s.root
	}
	return s.run(n.body, sc.inner())
}

func (n *jumpStmt) exec(*state, *scope) flow { return n.flow }

func (n *macroStmt) exec(s *state, sc *scope) flow {
	sc.set(n.def.name, &macro{n.def, sc})
	return flowNext
}

func (n *callStmt) exec(s *state, sc *scope) flow {
	caller := &macro{n.caller, sc}
	fn, a := n.call.prepare(s, sc)
	a.names = append(a.names, "caller")
	a.values = append(a.values, caller)
	s.at = n.call.at
	s.print(s.str(s.call(fn, a)))
	return flowNext
}

// macro is a macro with the scope it was defined in.
type macro struct {
	def   *macroDef
	scope *scope
}

// call binds arguments to parameters and returns what the body prints.
func (m *macro) call(s *state, a args) Value {
	defer s.enter()()
	def := m.def
	inner := m.scope.inner()
	given := min(len(a.pos), len(def.params))
	for i := range given {
		inner.set(def.params[i], a.pos[i])
	}
	rest := a.pos[given:]
	taken := make([]bool, len(a.names))
	take := func(name string) (Value, bool) {
		i := slices.Index(a.names, name)
		if i < 0 || taken[i] {
			return nil, false
		}
		taken[i] = true
		return a.values[i], true
	}
	unset := make([]bool, len(def.params))
	for i := given; i < len(def.params); i++ {
		s.step()
		v, ok := take(def.params[i])
		if unset[i] = !ok; unset[i] {
			v = missing(func() string { return quote(def.params[i]) + " is undefined" })
		}
		inner.set(def.params[i], v)
	}
	if def.caller {
		v, _ := take("caller")
		if v == nil {
			v = missing(func() string { return "No caller defined" })
		}
		inner.set("caller", v)
	}
	keywords := NewDict()
	for i, name := range a.names {
		if !taken[i] {
			keywords.Set(name, a.values[i])
		}
	}
	if def.kwargs {
		inner.set("kwargs", keywords)
	} else if keywords.Len() > 0 {
		s.fail(KindType, "macro %s takes no keyword argument %v", quote(def.name), keywords.keys[0])
	}
	if def.varargs {
		inner.set("varargs", Tuple(rest))
	} else if len(rest) > 0 {
		s.fail(KindType, "macro %s takes not more than %d argument(s)", quote(def.name), len(def.params))
	}
	// Defaults may speak of parameters before them.
	for i, name := range def.params {
		if !unset[i] {
			continue
		}
		if d := i - len(def.params) + len(def.defaults); d >= 0 {
			inner.set(name, s.eval(def.defaults[d], inner))
		} else {
			inner.set(name, missing(func() string { return "parameter " + quote(name) + " was not provided" }))
		}
	}
	return s.capture(func() { s.run(def.body, inner) })
}
