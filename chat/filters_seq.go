package chat

import (
	"slices"
	"strconv"
	"strings"
)

func lengthFilter(s *state, v Value, a args) Value {
	s.bind("length", a)
	n, ok := s.length(v)
	if !ok {
		s.fail(KindType, "object of type '%s' has no len()", typeName(v))
	}
	return int64(n)
}

func listFilter(s *state, v Value, a args) Value {
	s.bind("list", a)
	return List(s.items(v))
}

func firstFilter(s *state, v Value, a args) Value {
	s.bind("first", a)
	next, ok := iterate(v)
	if !ok {
		s.fail(KindType, "'%s' object is not iterable", typeName(v))
	}
	if item, ok := next(); ok {
		return item
	}
	return missing(func() string { return "No first item, sequence was empty." })
}

func lastFilter(s *state, v Value, a args) Value {
	s.bind("last", a)
	items := s.reversible(v)
	if len(items) == 0 {
		return missing(func() string { return "No last item, sequence was empty." })
	}
	return items[len(items)-1]
}

// reversible returns the items of what Python can reverse.
func (s *state) reversible(v Value) []Value {
	if _, ok := s.length(v); !ok {
		s.fail(KindType, "'%s' object is not reversible", typeName(v))
	}
	return s.items(v)
}

func reverseFilter(s *state, v Value, a args) Value {
	s.bind("reverse", a)
	if str, ok := text(v); ok {
		s.alloc(5 * len(str))
		return reverseRunes(str)
	}
	items := s.items(v)
	i := len(items)
	next := func() (Value, bool) {
		i--
		if i < 0 {
			return nil, false
		}
		return items[i], true
	}
	if _, ok := v.(*generator); ok { // the reference makes a list of what it cannot reverse
		return List(s.items(&generator{next: next}))
	}
	return &generator{next: next}
}

func joinFilter(s *state, v Value, a args) Value {
	b := s.bind("join", a, "d?", "attribute?")
	get := s.getter(or(b[1], nil), nil, nil)
	var parts []string
	for _, item := range s.items(v) {
		parts = append(parts, s.str(get(item)))
	}
	return s.join(parts, s.str(or(b[0], "")))
}

// getter returns a function that looks up an attribute by a path such as a.b.0; the
// path None is the item itself. def replaces what is undefined, after transforms.
func (s *state) getter(path, def Value, after func(Value) Value) func(Value) Value {
	var parts []Value
	if str, ok := text(path); ok {
		for _, p := range strings.Split(str, ".") {
			if n, err := strconv.ParseInt(p, 10, 64); err == nil && all(p, isDigitRune) {
				parts = append(parts, n)
			} else {
				parts = append(parts, p)
			}
		}
	} else if path != nil {
		parts = List{path}
	}
	return func(item Value) Value {
		s.step()
		for _, p := range parts {
			item = s.item(item, p)
			if _, ok := item.(*undefined); ok && def != nil {
				item = def
			}
		}
		if after != nil {
			item = after(item)
		}
		return item
	}
}

// ignoreCase lowers strings, for sorting and comparing, unless case counts.
func (s *state) ignoreCase(caseSensitive Value) func(Value) Value {
	if truth(or(caseSensitive, false)) {
		return nil
	}
	return func(v Value) Value {
		if str, ok := text(v); ok {
			s.alloc(len(str))
			return lower(str)
		}
		return v
	}
}

// sorted returns items in the order of their keys, equal ones in the order they came.
func (s *state) sorted(items []Value, descending bool, key func(Value) Value) List {
	s.alloc(4 * len(items) * valueSize)
	type pair struct{ key, item Value }
	pairs := make([]pair, len(items))
	for i, item := range items {
		pairs[i] = pair{key(item), item}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int {
		if descending {
			return s.order(b.key, a.key)
		}
		return s.order(a.key, b.key)
	})
	out := make(List, len(items))
	for i, p := range pairs {
		out[i] = p.item
	}
	return out
}

func sortFilter(s *state, v Value, a args) Value {
	b := s.bind("sort", a, "reverse?", "case_sensitive?", "attribute?")
	var gets []func(Value) Value
	paths := []Value{or(b[2], nil)}
	if str, ok := text(paths[0]); ok { // several, separated by commas
		paths = nil
		for _, p := range strings.Split(str, ",") {
			paths = append(paths, p)
		}
	}
	for _, p := range paths {
		gets = append(gets, s.getter(p, nil, s.ignoreCase(b[1])))
	}
	return s.sorted(s.items(v), truth(or(b[0], false)), func(item Value) Value {
		keys := make(List, len(gets))
		for i, get := range gets {
			keys[i] = get(item)
		}
		return keys
	})
}

func dictSortFilter(s *state, v Value, a args) Value {
	b := s.bind("dictsort", a, "case_sensitive?", "by?", "reverse?")
	d, ok := v.(*Dict)
	if !ok {
		s.refuseUndefined(v)
		s.fail(KindType, "dictsort: found '%s', want a dict", typeName(v))
	}
	by := int64(0)
	switch how := s.wantText(or(b[1], "key"), "dictsort"); how {
	case "value":
		by = 1
	case "key":
	default:
		s.fail(KindRuntime, "You can only sort by either \"key\" or \"value\"")
	}
	return s.sorted(s.items(dictView{d, "items"}), truth(or(b[2], false)), s.getter(by, nil, s.ignoreCase(b[0])))
}

func itemsFilter(s *state, v Value, a args) Value {
	s.bind("items", a)
	if _, ok := v.(*undefined); ok {
		return &generator{next: iterateSlice(nil)}
	}
	d, ok := v.(*Dict)
	if !ok {
		return s.generator(v, func() (Value, bool) {
			s.fail(KindType, "Can only get item pairs from a mapping.")
			return nil, false
		})
	}
	next, _ := iterate(dictView{d, "items"})
	return &generator{next: next}
}

func uniqueFilter(s *state, v Value, a args) Value {
	b := s.bind("unique", a, "case_sensitive?", "attribute?")
	get := s.getter(or(b[1], nil), nil, s.ignoreCase(b[0]))
	seen := map[any]bool{}
	return s.lazily(v, func(item Value) bool {
		key := get(item)
		h, ok := s.hash(key)
		if !ok {
			s.fail(KindType, "unhashable type: '%s'", typeName(key))
		}
		s.alloc(2 * valueSize)
		fresh := !seen[h]
		seen[h] = true
		return fresh
	})
}

// lazily returns a generator over the items of v that are wanted.
func (s *state) lazily(v Value, want func(Value) bool) *generator {
	next, ok := iterate(v)
	if !ok {
		s.fail(KindType, "'%s' object is not iterable", typeName(v))
	}
	return s.generator(v, func() (Value, bool) {
		for {
			s.step()
			item, ok := next()
			if !ok || want(item) {
				return item, ok
			}
		}
	})
}

// extremeFilter is min (sign -1) and max (sign 1): the first of equal ones.
func extremeFilter(sign int) filter {
	return func(s *state, v Value, a args) Value {
		b := s.bind("min and max", a, "case_sensitive?", "attribute?")
		get := s.getter(or(b[1], nil), nil, s.ignoreCase(b[0]))
		items := s.items(v)
		if len(items) == 0 {
			return missing(func() string { return "No aggregated item, sequence was empty." })
		}
		best, bestKey := items[0], get(items[0])
		for _, item := range items[1:] {
			key := get(item)
			if sign < 0 && s.less(key, bestKey) || sign > 0 && s.less(bestKey, key) {
				best, bestKey = item, key
			}
		}
		return best
	}
}

func sumFilter(s *state, v Value, a args) Value {
	b := s.bind("sum", a, "attribute?", "start?")
	get := s.getter(or(b[0], nil), nil, nil)
	sum := or(b[1], int64(0))
	if _, ok := text(sum); ok {
		s.fail(KindType, "sum() can't sum strings [use ''.join(seq) instead]")
	}
	for _, item := range s.items(v) {
		sum = s.arithmetic("+", sum, get(item))
	}
	return sum
}

// batchFilter hands out lists of n items, the last one filled up.
func batchFilter(s *state, v Value, a args) Value {
	b := s.bind("batch", a, "linecount", "fill_with?")
	n := s.wantInt(b[0], "batch")
	fill := or(b[1], nil)
	next, ok := iterate(v)
	if !ok {
		s.fail(KindType, "'%s' object is not iterable", typeName(v))
	}
	done := false
	var pending []Value
	return s.generator(v, func() (Value, bool) {
		row := pending
		pending = nil
		for !done {
			item, ok := next()
			if !ok {
				done = true
				break
			}
			s.step()
			s.alloc(valueSize)
			if int64(len(row)) == n {
				pending = []Value{item}
				return List(row), true
			}
			row = append(row, item)
		}
		if len(row) == 0 {
			return nil, false
		}
		if missing := n - int64(len(row)); fill != nil && missing > 0 {
			s.allocMany(valueSize, missing)
			for range missing {
				row = append(row, fill)
			}
		}
		return List(row), true
	})
}

// sliceFilter hands out n lists of nearly equal length.
func sliceFilter(s *state, v Value, a args) Value {
	b := s.bind("slice", a, "slices", "fill_with?")
	items := s.items(v)
	n := s.wantInt(b[0], "slice")
	if n == 0 {
		s.fail(KindRuntime, "integer division or modulo by zero")
	}
	size := int64(len(items)) / n
	extra := int64(len(items)) - size*n
	fill := or(b[1], nil)
	i, at := int64(-1), int64(0)
	return s.generator(v, func() (Value, bool) {
		i++
		if i >= n {
			return nil, false
		}
		s.step()
		end := at + size
		if i < extra {
			end++
		}
		s.alloc(int(end-at) * valueSize)
		row := slices.Clone(List(items[at:end]))
		if fill != nil && i >= extra {
			row = append(row, fill)
		}
		at = end
		return row, true
	})
}

// groupByFilter returns pairs of an attribute's value and the items that have it. Unlike
// the reference's, the pairs have no names (grouper, list).
func groupByFilter(s *state, v Value, a args) Value {
	b := s.bind("groupby", a, "attribute", "default?", "case_sensitive?")
	get := s.getter(b[0], or(b[1], nil), s.ignoreCase(b[2]))
	plain := s.getter(b[0], or(b[1], nil), nil)
	var out List
	var group List
	items := s.sorted(s.items(v), false, get)
	for i, item := range items {
		group = append(group, item)
		if i+1 == len(items) || !s.equal(get(item), get(items[i+1])) {
			out = append(out, Tuple{plain(group[0]), group})
			group = nil
		}
	}
	return out
}

// mapFilter applies a filter by name, or looks up an attribute. As in the reference it
// checks its arguments only when it has an item.
func mapFilter(s *state, v Value, a args) Value {
	if !truth(v) {
		return &generator{next: iterateSlice(nil)}
	}
	var apply func(Value) Value
	next, ok := iterate(v)
	return s.generator(v, func() (Value, bool) {
		s.step()
		if !ok {
			s.fail(KindType, "'%s' object is not iterable", typeName(v))
		}
		if apply == nil {
			apply = s.mapper(a)
		}
		item, more := next()
		if !more {
			return nil, false
		}
		return apply(item), true
	})
}

func (s *state) mapper(a args) func(Value) Value {
	if i := slices.Index(a.names, "attribute"); len(a.pos) == 0 && i >= 0 {
		b := s.bind("map", a, "attribute?", "default?")
		return s.getter(b[0], or(b[1], nil), nil)
	}
	if len(a.pos) == 0 {
		s.fail(KindType, "map requires a filter argument")
	}
	name := s.wantText(a.pos[0], "map")
	rest := args{a.pos[1:], a.names, a.values}
	return func(item Value) Value { return s.applyFilter(name, item, rest) }
}

// selectFilter keeps the items (or those whose attribute) that pass a test, or are true
// where none is named; reject keeps the others.
func selectFilter(keep, byAttribute bool) filter {
	return func(s *state, v Value, a args) Value {
		if !truth(v) {
			return &generator{next: iterateSlice(nil)}
		}
		var wanted func(Value) bool
		return s.lazily(v, func(item Value) bool {
			if wanted == nil {
				wanted = s.selector(a, byAttribute)
			}
			return wanted(item) == keep
		})
	}
}

func (s *state) selector(a args, byAttribute bool) func(Value) bool {
	get := func(v Value) Value { return v }
	if byAttribute {
		if len(a.pos) == 0 {
			s.fail(KindType, "Missing parameter for attribute name")
		}
		get = s.getter(a.pos[0], nil, nil)
		a.pos = a.pos[1:]
	}
	if len(a.pos) == 0 {
		return func(item Value) bool { return truth(get(item)) }
	}
	name := s.wantText(a.pos[0], "select")
	rest := args{a.pos[1:], a.names, a.values}
	return func(item Value) bool { return s.applyTest(name, get(item), rest) }
}
