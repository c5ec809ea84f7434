package chat

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"math/big"
	"strings"
	"unicode/utf8"
)

// Value is what a template computes with, after Python's types:
//
//	nil                None
//	bool               True, False
//	int64, *big.Int    int; *big.Int only beyond int64
//	float64            float
//	string             str, indexed and measured in code points
//	List, Tuple        list, tuple; never changed once made
//	*Dict              dict, in the order of insertion
//
// Inside a template there are more (macros, ranges, generators, namespaces); they
// never leave it.
type Value = any

// List is Python's list. Templates run in a sandbox without mutation, so it is never
// changed once made.
type List []Value

// Tuple is Python's tuple.
type Tuple []Value

// Dict is Python's dict: unique keys in the order in which they were first set.
type Dict struct {
	keys, vals []Value
	at         map[any]int // hash key to index
}

// NewDict returns an empty dict.
func NewDict() *Dict { return &Dict{at: map[any]int{}} }

// Set puts v under key. A key that is there already keeps its place.
func (d *Dict) Set(key string, v Value) { d.set(key, key, v) }

// Get returns the value under key and whether there is one.
func (d *Dict) Get(key string) (Value, bool) {
	if d == nil {
		return nil, false
	}
	i, ok := d.at[key]
	if !ok {
		return nil, false
	}
	return d.vals[i], true
}

// Len is the number of keys.
func (d *Dict) Len() int {
	if d == nil {
		return 0
	}
	return len(d.keys)
}

// All goes over keys and values in order.
func (d *Dict) All() iter.Seq2[Value, Value] {
	return func(yield func(k, v Value) bool) {
		if d == nil {
			return
		}
		for i, k := range d.keys {
			if !yield(k, d.vals[i]) {
				return
			}
		}
	}
}

func (d *Dict) set(hash any, key, v Value) {
	if i, ok := d.at[hash]; ok {
		d.vals[i] = v
		return
	}
	d.at[hash] = len(d.keys)
	d.keys = append(d.keys, key)
	d.vals = append(d.vals, v)
}

// The types below exist only while a template runs.
type (
	// markup is a string that was escaped or declared safe; + escapes what is added to it.
	markup string
	// undefined stands for a name, attribute or item that is not there. Printing it
	// gives nothing; computing with it is an error that says why.
	undefined struct {
		kind Kind
		why  func() string
	}
	// rangeValue is range(start, stop, step) of n items.
	rangeValue struct{ start, stop, step, n int64 }
	// dictView is what dict.keys(), .values() and .items() return.
	dictView struct {
		d    *Dict
		kind string
	}
	// generator hands out its items once, as lazily as the reference's filters do.
	generator struct {
		next  func() (Value, bool)
		depth int // of generators within generators
	}
	// namespace is the one thing that templates may change.
	namespace struct{ attrs *Dict }
	// sliceValue is start:stop:step between brackets; nil where nothing was written.
	sliceValue struct{ start, stop, step Value }
)

// missing makes an undefined value. The words are found only when they are needed.
func missing(why func() string) *undefined { return &undefined{KindUndefined, why} }

// typeName is the name that Python gives the type of v.
func typeName(v Value) string {
	switch v := v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case int64, *big.Int:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case markup:
		return "Markup"
	case List:
		return "list"
	case Tuple:
		return "tuple"
	case *Dict:
		return "dict"
	case *undefined:
		return "Undefined"
	case rangeValue:
		return "range"
	case dictView:
		return "dict_" + v.kind
	case *generator:
		return "generator"
	case *namespace:
		return "Namespace"
	case *macro:
		return "Macro"
	case *loopValue:
		return "LoopContext"
	case sliceValue:
		return "slice"
	}
	return "builtin_function_or_method"
}

// text returns v's characters where it is a string of either kind.
func text(v Value) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case markup:
		return string(v), true
	}
	return "", false
}

// sequence returns the items of a list or a tuple.
func sequence(v Value) ([]Value, bool) {
	switch v := v.(type) {
	case List:
		return v, true
	case Tuple:
		return v, true
	}
	return nil, false
}

// truth is Python's bool(v).
func truth(v Value) bool {
	switch v := v.(type) {
	case nil, *undefined:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case markup:
		return v != ""
	}
	if n, ok := size(v); ok {
		return n != 0
	}
	return true
}

// length is Python's len(v), false where v has none.
func (s *state) length(v Value) (int, bool) {
	if str, ok := text(v); ok {
		s.charge(len(str))
		return utf8.RuneCountInString(str), true
	}
	return size(v)
}

// size is the length of what is not a string.
func size(v Value) (int, bool) {
	switch v := v.(type) {
	case List:
		return len(v), true
	case Tuple:
		return len(v), true
	case *Dict:
		return v.Len(), true
	case dictView:
		return v.d.Len(), true
	case rangeValue:
		return int(v.n), true
	case *loopValue:
		return v.length(), true
	case *undefined:
		return 0, true
	}
	return 0, false
}

// iterate returns a function that hands out v's items one by one.
func iterate(v Value) (next func() (Value, bool), ok bool) {
	switch v := v.(type) {
	case List:
		return iterateSlice(v), true
	case Tuple:
		return iterateSlice(v), true
	case *Dict:
		return iterateSlice(v.keys), true
	case dictView:
		i := -1
		return func() (Value, bool) {
			i++
			if i >= v.d.Len() {
				return nil, false
			}
			return v.item(i), true
		}, true
	case rangeValue:
		i := int64(-1)
		return func() (Value, bool) {
			i++
			if i >= v.n {
				return nil, false
			}
			return v.start + i*v.step, true
		}, true
	case *generator:
		return v.next, true
	case *undefined:
		return iterateSlice(nil), true
	}
	rest, ok := text(v)
	if !ok {
		return nil, false
	}
	return func() (Value, bool) {
		if rest == "" {
			return nil, false
		}
		_, n := utf8.DecodeRuneInString(rest)
		c := rest[:n]
		rest = rest[n:]
		return c, true
	}, true
}

// generator makes a generator that takes its items from v. Each of a chain of them is a
// level of recursion when items are taken.
func (s *state) generator(v Value, next func() (Value, bool)) *generator {
	g := &generator{next: next}
	if from, ok := v.(*generator); ok {
		if g.depth = from.depth + 1; g.depth > s.limits.Depth {
			s.fail(KindBudget, "more than %d generators within one another", s.limits.Depth)
		}
	}
	return g
}

func iterateSlice(items []Value) func() (Value, bool) {
	i := -1
	return func() (Value, bool) {
		i++
		if i >= len(items) {
			return nil, false
		}
		return items[i], true
	}
}

func (v dictView) item(i int) Value {
	switch v.kind {
	case "keys":
		return v.d.keys[i]
	case "values":
		return v.d.vals[i]
	}
	return Tuple{v.d.keys[i], v.d.vals[i]}
}

// items returns all of v's items, or fails where v cannot be iterated.
func (s *state) items(v Value) []Value {
	if seq, ok := sequence(v); ok {
		return seq
	}
	next, ok := iterate(v)
	if !ok {
		s.fail(KindType, "'%s' object is not iterable", typeName(v))
	}
	var out []Value
	for {
		item, ok := next()
		if !ok {
			return out
		}
		s.step()
		s.alloc(valueSize)
		out = append(out, item)
	}
}

// Hash keys of values that Go cannot use as they are, or must not confuse.
type (
	noneKey      struct{}
	undefinedKey struct{}
	bigKey       string
	tupleKey     string
)

// hash returns a comparable key under which v is stored in a dict: equal values have
// equal keys, so 1, 1.0 and True share one. Lists and dicts have none.
func (s *state) hash(v Value) (any, bool) {
	switch v := v.(type) {
	case nil:
		return noneKey{}, true
	case bool:
		if v {
			return int64(1), true
		}
		return int64(0), true
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<62 {
			return int64(v), true
		}
		if v == math.Trunc(v) && !math.IsInf(v, 0) {
			n, _ := big.NewFloat(v).Int(nil)
			return bigKey(n.String()), true
		}
		return v, true
	case *big.Int:
		return bigKey(v.String()), true
	case string:
		s.charge(len(v))
		return v, true
	case markup:
		s.charge(len(v))
		return string(v), true
	case *undefined:
		return undefinedKey{}, true
	case List, *Dict, dictView, sliceValue:
		return nil, false
	case Tuple:
		defer s.enter()()
		var b []byte
		for _, item := range v {
			s.step()
			k, ok := s.hash(item)
			if !ok {
				return nil, false
			}
			part := fmt.Sprintf("%T %v", k, k)
			s.alloc(len(part) + 8)
			b = binary.AppendUvarint(b, uint64(len(part)))
			b = append(b, part...)
		}
		return tupleKey(b), true
	}
	return v, true // int64, rangeValue; pointers: equal when the same
}

// equal is Python's a == b.
func (s *state) equal(a, b Value) bool {
	s.step()
	if isNumber(a) && isNumber(b) {
		c, ok := compareNumbers(a, b)
		return ok && c == 0
	}
	if x, ok := text(a); ok {
		y, ok := text(b)
		if !ok || len(x) != len(y) {
			return false
		}
		s.charge(len(x))
		return x == y
	}
	switch a := a.(type) {
	case nil:
		return b == nil
	case *undefined:
		_, ok := b.(*undefined)
		return ok
	case List:
		b, ok := b.(List)
		return ok && s.equalItems(a, b)
	case Tuple:
		b, ok := b.(Tuple)
		return ok && s.equalItems(a, b)
	case *Dict:
		b, ok := b.(*Dict)
		if !ok || a.Len() != b.Len() {
			return false
		}
		defer s.enter()()
		for i, k := range a.keys {
			h, _ := s.hash(k)
			j, ok := b.at[h]
			if !ok || !s.equal(a.vals[i], b.vals[j]) {
				return false
			}
		}
		return true
	case rangeValue:
		b, ok := b.(rangeValue)
		return ok && a.n == b.n && (a.n == 0 || a.start == b.start && (a.n == 1 || a.step == b.step))
	}
	return same(a, b)
}

func (s *state) equalItems(a, b []Value) bool {
	if len(a) != len(b) {
		return false
	}
	defer s.enter()()
	for i := range a {
		if !s.equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

// same is Python's a is b, where small numbers and strings of equal value count as one.
func same(a, b Value) bool {
	if x, ok := sequence(a); ok {
		y, ok := sequence(b)
		return ok && typeName(a) == typeName(b) && len(x) == len(y) && (len(x) == 0 || &x[0] == &y[0])
	}
	if _, ok := sequence(b); ok {
		return false
	}
	switch a.(type) {
	case dictView, sliceValue:
		return false
	}
	switch b.(type) {
	case dictView, sliceValue:
		return false
	}
	return a == b
}

// less is Python's a < b.
func (s *state) less(a, b Value) bool {
	s.step()
	if isNumber(a) && isNumber(b) {
		c, ok := compareNumbers(a, b)
		return ok && c < 0
	}
	if x, ok := text(a); ok {
		if y, ok := text(b); ok {
			s.charge(min(len(x), len(y)))
			return x < y // UTF-8 keeps the order of code points
		}
	}
	s.refuseUndefined(a, b)
	x, okA := sequence(a)
	y, okB := sequence(b)
	if !okA || !okB || typeName(a) != typeName(b) {
		s.fail(KindType, "'<' not supported between instances of '%s' and '%s'", typeName(a), typeName(b))
	}
	defer s.enter()()
	for i := range min(len(x), len(y)) {
		if !s.equal(x[i], y[i]) {
			return s.less(x[i], y[i])
		}
	}
	return len(x) < len(y)
}

// contains is Python's item in v.
func (s *state) contains(v, item Value) bool {
	if hay, ok := text(v); ok {
		needle, ok := text(item)
		if !ok {
			s.refuseUndefined(item)
			s.fail(KindType, "'in <string>' requires string as left operand, not %s", typeName(item))
		}
		s.charge(len(hay))
		return strings.Contains(hay, needle)
	}
	d, ok := v.(*Dict)
	if view, isView := v.(dictView); isView && view.kind == "keys" {
		d, ok = view.d, true
	}
	if ok {
		h, ok := s.hash(item)
		if !ok {
			s.fail(KindType, "unhashable type: '%s'", typeName(item))
		}
		_, found := d.at[h]
		return found
	}
	next, ok := iterate(v)
	if !ok {
		s.fail(KindType, "argument of type '%s' is not iterable", typeName(v))
	}
	for {
		x, ok := next()
		if !ok {
			return false
		}
		if s.equal(x, item) {
			return true
		}
	}
}

// refuseUndefined fails when one of the operands is undefined.
func (s *state) refuseUndefined(operands ...Value) {
	for _, v := range operands {
		if u, ok := v.(*undefined); ok {
			s.fail(u.kind, "%s", u.why())
		}
	}
}
