package chat

import (
	"strings"
)

type expr interface {
	// eval is called by state.eval only.
	eval(*state, *scope) Value
}

// maxFrames bounds expressions within one another at run time, over all macros: what
// would else be Go's stack, whose end no program survives.
const maxFrames = 10_000

// eval computes x with the names of sc.
func (s *state) eval(x expr, sc *scope) Value {
	s.step()
	if s.frames++; s.frames > maxFrames {
		s.fail(KindBudget, "more than %d expressions within one another", maxFrames)
	}
	v := x.eval(s, sc)
	s.frames--
	return v
}

func (n *constExpr) eval(s *state, _ *scope) Value {
	return n.v
}

func (n *nameExpr) eval(s *state, sc *scope) Value {
	if v, ok := sc.get(n.name); ok {
		return v
	}
	return missing(func() string { return quote(n.name) + " is undefined" })
}

func (n *listExpr) eval(s *state, sc *scope) Value {
	s.alloc(len(n.items) * valueSize)
	items := make([]Value, len(n.items))
	for i, x := range n.items {
		items[i] = s.eval(x, sc)
	}
	if n.isTuple {
		return Tuple(items)
	}
	return List(items)
}

func (n *dictExpr) eval(s *state, sc *scope) Value {
	s.alloc(len(n.keys) * 4 * valueSize)
	d := NewDict()
	for i, k := range n.keys {
		key := s.eval(k, sc)
		v := s.eval(n.values[i], sc)
		h, ok := s.hash(key)
		if !ok {
			s.at = n.at
			s.fail(KindType, "unhashable type: '%s'", typeName(key))
		}
		d.set(h, key, v)
	}
	return d
}

func (n *unaryExpr) eval(s *state, sc *scope) Value {
	v := s.eval(n.x, sc)
	s.at = n.at
	if n.op == "-" {
		return s.negate(v)
	}
	return s.positive(v)
}

func (n *notExpr) eval(s *state, sc *scope) Value {
	return !truth(s.eval(n.x, sc))
}

func (n *logicExpr) eval(s *state, sc *scope) Value {
	a := s.eval(n.a, sc)
	if truth(a) == n.or {
		return a
	}
	return s.eval(n.b, sc)
}

func (n *binaryExpr) eval(s *state, sc *scope) Value {
	a := s.eval(n.a, sc)
	b := s.eval(n.b, sc)
	s.at = n.at
	return s.arithmetic(n.op, a, b)
}

func (n *compareExpr) eval(s *state, sc *scope) Value {
	a := s.eval(n.first, sc)
	for i, op := range n.ops {
		b := s.eval(n.rest[i], sc)
		s.at = n.at
		if !s.compare(op, a, b) {
			return false
		}
		a = b
	}
	return true
}

func (s *state) compare(op string, a, b Value) bool {
	switch op {
	case "==":
		return s.equal(a, b)
	case "!=":
		return !s.equal(a, b)
	case "<":
		return s.less(a, b)
	case ">":
		return s.less(b, a)
	case "<=":
		return s.less(a, b) || s.equal(a, b)
	case ">=":
		return s.less(b, a) || s.equal(a, b)
	case "in":
		return s.contains(b, a)
	}
	return !s.contains(b, a) // not in
}

func (n *concatExpr) eval(s *state, sc *scope) Value {
	parts := make([]string, len(n.parts))
	size := 0
	for i, x := range n.parts {
		parts[i] = s.str(s.eval(x, sc))
		size += len(parts[i])
	}
	s.at = n.at
	s.alloc(size)
	return strings.Join(parts, "")
}

func (n *condExpr) eval(s *state, sc *scope) Value {
	if truth(s.eval(n.test, sc)) {
		return s.eval(n.then, sc)
	}
	if n.els == nil {
		return missing(func() string { return "the inline if-expression evaluated to false and no else section was defined" })
	}
	return s.eval(n.els, sc)
}

func (n *attrExpr) eval(s *state, sc *scope) Value {
	v := s.eval(n.x, sc)
	s.at = n.at
	return s.attribute(v, n.name)
}

func (n *itemExpr) eval(s *state, sc *scope) Value {
	v := s.eval(n.x, sc)
	i := s.eval(n.i, sc)
	s.at = n.at
	return s.item(v, i)
}

func (n *sliceExpr) eval(s *state, sc *scope) Value {
	part := func(x expr) Value {
		if x == nil {
			return nil
		}
		return s.eval(x, sc)
	}
	return sliceValue{part(n.start), part(n.stop), part(n.step)}
}

func (n *callExpr) eval(s *state, sc *scope) Value {
	fn, a := n.prepare(s, sc)
	s.at = n.at
	return s.call(fn, a)
}

// prepare evaluates what is called and its arguments.
func (n *callExpr) prepare(s *state, sc *scope) (fn Value, a args) {
	fn = s.eval(n.fn, sc)
	return fn, n.args.eval(s, sc, n.at)
}

func (n *filterExpr) eval(s *state, sc *scope) Value {
	return s.filter(s.eval(n.x, sc), n.filterCall, sc)
}

func (s *state) filter(v Value, call filterCall, sc *scope) Value {
	a := call.args.eval(s, sc, call.at)
	s.at = call.at
	return s.applyFilter(call.name, v, a)
}

func (s *state) filterAll(v Value, calls []filterCall, sc *scope) Value {
	for _, c := range calls {
		v = s.filter(v, c, sc)
	}
	return v
}

func (s *state) applyFilter(name string, v Value, a args) Value {
	f, ok := filters[name]
	if !ok {
		s.fail(KindUnsupported, "no filter named %s", name)
	}
	s.step()
	return f(s, v, a)
}

func (n *testExpr) eval(s *state, sc *scope) Value {
	v := s.eval(n.x, sc)
	a := n.args.eval(s, sc, n.at)
	s.at = n.at
	return s.applyTest(n.name, v, a)
}

func (s *state) applyTest(name string, v Value, a args) bool {
	f, ok := tests[name]
	if !ok {
		s.fail(KindUnsupported, "no test named %s", name)
	}
	s.step()
	return f(s, v, a)
}

// args are the arguments of a call, evaluated.
type args struct {
	pos    []Value
	names  []string
	values []Value // of names
}

func (n *argExprs) eval(s *state, sc *scope, at int) (a args) {
	for _, x := range n.pos {
		a.pos = append(a.pos, s.eval(x, sc))
	}
	for i, x := range n.values {
		a.names = append(a.names, n.names[i])
		a.values = append(a.values, s.eval(x, sc))
	}
	if n.star != nil {
		v := s.eval(n.star, sc)
		s.at = at
		items := s.items(v)
		s.alloc(len(items) * valueSize)
		a.pos = append(a.pos, items...)
	}
	if n.dstar != nil {
		v := s.eval(n.dstar, sc)
		s.at = at
		d, ok := v.(*Dict)
		if !ok {
			s.fail(KindType, "argument after ** must be a mapping, not %s", typeName(v))
		}
		if d.Len()+len(a.names) > maxArguments {
			s.fail(KindBudget, "%d named arguments, at most %d", d.Len()+len(a.names), maxArguments)
		}
		for k, v := range d.All() {
			s.step()
			name, ok := text(k)
			if !ok {
				s.fail(KindType, "keywords must be strings")
			}
			for _, have := range a.names {
				if have == name {
					s.fail(KindType, "got multiple values for keyword argument %s", quote(name))
				}
			}
			a.names = append(a.names, name)
			a.values = append(a.values, v)
		}
	}
	return a
}

// callable is what may stand before parentheses.
type callable interface {
	call(s *state, a args) Value
}

// builtin is a function of ours, or a method with its object.
type builtin struct {
	name string
	fn   func(s *state, a args) Value
}

func (b *builtin) call(s *state, a args) Value { return b.fn(s, a) }

func (s *state) call(fn Value, a args) Value {
	s.step()
	c, ok := fn.(callable)
	if !ok {
		s.refuseUndefined(fn)
		s.fail(KindType, "'%s' object is not callable", typeName(fn))
	}
	return c.call(s, a)
}

// absent marks an optional argument that was not given.
type absent struct{}

// bind puts arguments in the order of params; those whose names end in ? may be left
// out and are then absent.
func (s *state) bind(fn string, a args, params ...string) []Value {
	if len(a.pos) > len(params) {
		s.fail(KindType, "%s takes at most %d arguments, found %d", fn, len(params), len(a.pos))
	}
	out := make([]Value, len(params))
	for i, p := range params {
		name, optional := strings.CutSuffix(p, "?")
		v := Value(absent{})
		for j, n := range a.names {
			if n == name {
				v = a.values[j]
				if i < len(a.pos) {
					s.fail(KindType, "%s got multiple values for argument %s", fn, quote(name))
				}
			}
		}
		if i < len(a.pos) {
			v = a.pos[i]
		}
		if _, missing := v.(absent); missing && !optional {
			s.fail(KindType, "%s misses its argument %s", fn, quote(name))
		}
		out[i] = v
	}
	for _, n := range a.names {
		known := false
		for _, p := range params {
			known = known || strings.TrimSuffix(p, "?") == n
		}
		if !known {
			s.fail(KindType, "%s takes no argument %s", fn, quote(n))
		}
	}
	return out
}

// bindPositions is bind for Python's methods that take no keywords.
func (s *state) bindPositions(fn string, a args, params ...string) []Value {
	if len(a.names) > 0 {
		s.fail(KindType, "%s takes no keyword arguments", fn)
	}
	return s.bind(fn, a, params...)
}

// or returns v, or def where the argument was not given.
func or(v, def Value) Value {
	if _, ok := v.(absent); ok {
		return def
	}
	return v
}

// wantInt returns an integer argument, cut to the 64-bit range.
func (s *state) wantInt(v Value, what string) int64 {
	n, ok := clamp(v)
	if !ok {
		s.refuseUndefined(v)
		s.fail(KindType, "%s: found '%s', want an integer", what, typeName(v))
	}
	return n
}

// wantText returns a string argument.
func (s *state) wantText(v Value, what string) string {
	t, ok := text(v)
	if !ok {
		s.refuseUndefined(v)
		s.fail(KindType, "%s: found '%s', want a string", what, typeName(v))
	}
	return t
}
