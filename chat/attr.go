package chat

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// attribute is v.name: Python's attributes (methods) come before the items of a dict.
func (s *state) attribute(v Value, name string) Value {
	s.refuseUndefined(v)
	if a, ok := s.member(v, name); ok {
		return a
	}
	if d, ok := v.(*Dict); ok {
		if item, ok := d.Get(name); ok {
			return item
		}
	}
	return noAttribute(v, name)
}

// item is v[i]: items come before attributes.
func (s *state) item(v, i Value) Value {
	s.refuseUndefined(v)
	if sl, ok := i.(sliceValue); ok {
		return s.slice(v, sl)
	}
	if item, ok := s.subscript(v, i); ok {
		return item
	}
	if name, ok := text(i); ok {
		if a, ok := s.member(v, name); ok {
			return a
		}
		return noAttribute(v, name)
	}
	return missing(func() string { return typeName(v) + " object has no element " + s.repr(i) })
}

func noAttribute(v Value, name string) Value {
	return missing(func() string { return quote(typeName(v)+" object") + " has no attribute " + quote(name) })
}

// mutators change lists and dicts, which the sandbox forbids: they look undefined, and
// using them is an error.
var mutators = map[string][]string{
	"list": {"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"},
	"dict": {"clear", "pop", "popitem", "setdefault", "update"},
}

// member returns a Python attribute of v.
func (s *state) member(v Value, name string) (Value, bool) {
	kind := typeName(v)
	if slices.Contains(mutators[kind], name) || strings.HasPrefix(name, "__") && strings.HasSuffix(name, "__") && !isNamespace(v) {
		return &undefined{KindSecurity, func() string {
			return "access to attribute " + quote(name) + " of " + quote(kind) + " object is unsafe: values cannot be changed in a template"
		}}, true
	}
	method := func(table map[string]method) (Value, bool) {
		m, ok := table[name]
		if !ok {
			return nil, false
		}
		return &builtin{name, func(s *state, a args) Value { return m(s, v, a) }}, true
	}
	switch v := v.(type) {
	case string, markup:
		return method(stringMethods)
	case List, Tuple:
		return method(sequenceMethods)
	case *Dict:
		return method(dictMethods)
	case float64:
		return method(floatMethods)
	case *namespace:
		return v.attrs.Get(name)
	case *loopValue:
		return v.attr(name)
	case *macro:
		if name == "name" {
			return v.def.name, true
		}
	case rangeValue:
		if n, ok := map[string]int64{"start": v.start, "stop": v.stop, "step": v.step}[name]; ok {
			return n, true
		}
	case *cycler:
		return v.attr(name)
	}
	return nil, false
}

func isNamespace(v Value) bool {
	_, ok := v.(*namespace)
	return ok
}

// method is a function with its object as first argument.
type method func(s *state, v Value, a args) Value

var dictMethods = map[string]method{
	"items":  dictViewOf("items"),
	"keys":   dictViewOf("keys"),
	"values": dictViewOf("values"),
	"get": func(s *state, v Value, a args) Value {
		b := s.bindPositions("get", a, "key", "default?")
		if item, ok := s.subscript(v, b[0]); ok {
			return item
		}
		if _, ok := s.hash(b[0]); !ok {
			s.fail(KindType, "unhashable type: '%s'", typeName(b[0]))
		}
		return or(b[1], nil)
	},
	"copy": func(s *state, v Value, a args) Value {
		s.bind("copy", a)
		return v
	},
}

func dictViewOf(kind string) method {
	return func(s *state, v Value, a args) Value {
		s.bind(kind, a)
		return dictView{v.(*Dict), kind}
	}
}

var sequenceMethods = map[string]method{
	"count": func(s *state, v Value, a args) Value {
		b := s.bindPositions("count", a, "value")
		items, _ := sequence(v)
		n := int64(0)
		for _, item := range items {
			if s.equal(item, b[0]) {
				n++
			}
		}
		return n
	},
	"index": func(s *state, v Value, a args) Value {
		b := s.bindPositions("index", a, "value", "start?", "stop?")
		items, _ := sequence(v)
		start, stop := s.bounds(b[1], b[2], len(items))
		for i := start; i < stop; i++ {
			if s.equal(items[i], b[0]) {
				return int64(i)
			}
		}
		s.fail(KindRuntime, "%s is not in list", s.repr(b[0]))
		return nil
	},
	"copy": func(s *state, v Value, a args) Value {
		s.bind("copy", a)
		return v
	},
}

var floatMethods = map[string]method{
	"is_integer": func(s *state, v Value, a args) Value {
		s.bind("is_integer", a)
		f := v.(float64)
		return f-f == 0 && floorDivides(f)
	},
}

func floorDivides(f float64) bool {
	_, rest := floorDivide(f, 1)
	return rest == 0
}

// subscript is Python's v[i], false where that raises TypeError or LookupError.
func (s *state) subscript(v, i Value) (Value, bool) {
	if d, ok := v.(*Dict); ok {
		h, ok := s.hash(i)
		if !ok {
			return nil, false
		}
		at, ok := d.at[h]
		if !ok {
			return nil, false
		}
		return d.vals[at], true
	}
	n, ok := clamp(i)
	if !ok {
		return nil, false
	}
	if str, ok := text(v); ok {
		return s.character(str, n)
	}
	size, ok := s.length(v)
	if !ok {
		return nil, false
	}
	if n < 0 {
		n += int64(size)
	}
	if n < 0 || n >= int64(size) {
		return nil, false
	}
	if items, ok := sequence(v); ok {
		return items[n], true
	}
	if r, ok := v.(rangeValue); ok {
		return r.start + n*r.step, true
	}
	return nil, false
}

// character returns the code point at n, counted from the end where n is negative.
func (s *state) character(str string, n int64) (Value, bool) {
	s.charge(len(str))
	if n < 0 {
		n += int64(utf8.RuneCountInString(str))
		if n < 0 {
			return nil, false
		}
	}
	for at := range str {
		if n == 0 {
			_, size := utf8.DecodeRuneInString(str[at:])
			return str[at : at+size], true
		}
		n--
	}
	return nil, false
}

// slice is v[start:stop:step]. Unlike an index, what cannot be is an error.
func (s *state) slice(v Value, sl sliceValue) Value {
	str, isText := text(v)
	items, isSequence := sequence(v)
	r, isRange := v.(rangeValue)
	size := 0
	switch {
	case isText:
		s.charge(len(str))
		size = utf8.RuneCountInString(str)
	case isSequence:
		size = len(items)
	case isRange:
		size = int(r.n)
	default:
		s.fail(KindType, "'%s' object cannot be sliced", typeName(v))
	}
	start, stop, step, n := s.sliceIndices(sl, size)
	switch {
	case isRange:
		return rangeValue{r.start + start*r.step, r.start + stop*r.step, r.step * step, n}
	case isText:
		if step == 1 {
			return runeSlice(str, int(start), int(start+n))
		}
		runes := []rune(str)
		s.alloc(len(str) * 4)
		out := make([]rune, n)
		for i := range out {
			out[i] = runes[start+int64(i)*step]
		}
		return string(out)
	}
	s.alloc(int(n) * valueSize)
	out := make([]Value, n)
	for i := range out {
		out[i] = items[start+int64(i)*step]
	}
	return like(v, out)
}

// sliceIndices resolves a slice of size items: n items from start in steps.
func (s *state) sliceIndices(sl sliceValue, size int) (start, stop, step, n int64) {
	index := func(v Value) int64 {
		i, ok := clamp(v)
		if !ok {
			s.fail(KindType, "slice indices must be integers or None, found '%s'", typeName(v))
		}
		return i
	}
	length := int64(size)
	step = 1
	if sl.step != nil {
		if step = index(sl.step); step == 0 {
			s.fail(KindRuntime, "slice step cannot be zero")
		}
		step = min(max(step, -length-1), length+1) // so that no product overflows
	}
	low, high, first, last := int64(0), length, int64(0), length
	if step < 0 {
		low, high, first, last = -1, length-1, length-1, -1
	}
	fit := func(v Value, def int64) int64 {
		if v == nil {
			return def
		}
		i := index(v)
		if i < 0 {
			i = max(i, -length-1) + length
		}
		return min(max(i, low), high)
	}
	start, stop = fit(sl.start, first), fit(sl.stop, last)
	if step > 0 && stop > start {
		n = (stop-start-1)/step + 1
	} else if step < 0 && stop < start {
		n = (start-stop-1)/-step + 1
	}
	return start, stop, step, n
}

// bounds resolves optional start and stop arguments, as s.find(x, start, stop) has them.
func (s *state) bounds(start, stop Value, size int) (int, int) {
	from, _, _, n := s.sliceIndices(sliceValue{or(start, nil), or(stop, nil), nil}, size)
	return int(from), int(from + n)
}

// runeSlice cuts str at code points.
func runeSlice(str string, start, stop int) string {
	from, i := len(str), 0
	for at := range str {
		if i == start {
			from = at
		}
		if i == stop {
			if start >= stop {
				return ""
			}
			return str[from:at]
		}
		i++
	}
	return str[from:]
}
