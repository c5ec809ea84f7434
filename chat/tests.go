package chat

import (
	"math/big"
)

// test is what stands after is: v is name(arguments).
type test func(s *state, v Value, a args) bool

var tests map[string]test

func init() { // here, because the test "test" looks into the table
	tests = map[string]test{
		"defined":   is(func(v Value) bool { return !isUndefined(v) }),
		"undefined": is(isUndefined),
		"none":      is(func(v Value) bool { return v == nil }),
		"boolean":   is(func(v Value) bool { _, ok := v.(bool); return ok }),
		"true":      is(func(v Value) bool { b, ok := v.(bool); return ok && b }),
		"false":     is(func(v Value) bool { b, ok := v.(bool); return ok && !b }),
		"integer":   is(isInteger),
		"float":     is(func(v Value) bool { _, ok := v.(float64); return ok }),
		"number":    is(isNumber), // booleans too
		"string":    is(func(v Value) bool { _, ok := text(v); return ok }),
		"mapping":   is(func(v Value) bool { _, ok := v.(*Dict); return ok }),
		"iterable":  is(func(v Value) bool { _, ok := iterate(v); return ok }),
		"sequence":  is(isSequence),
		"callable":  is(func(v Value) bool { _, ok := v.(callable); return ok || isUndefined(v) }),
		"escaped":   is(func(v Value) bool { _, ok := v.(markup); return ok }),
		"odd":       remainderIs(1),
		"even":      remainderIs(0),

		"divisibleby": func(s *state, v Value, a args) bool {
			return s.equal(s.arithmetic("%", v, s.bind("divisibleby", a, "num")[0]), int64(0))
		},
		"lower": func(s *state, v Value, a args) bool {
			s.bind("lower", a)
			return allCased(s.str(v), isLower, isUpper)
		},
		"upper": func(s *state, v Value, a args) bool {
			s.bind("upper", a)
			return allCased(s.str(v), isUpper, isLower)
		},
		"sameas": func(s *state, v Value, a args) bool { return same(v, s.bind("sameas", a, "other")[0]) },
		"in":     func(s *state, v Value, a args) bool { return s.contains(s.bind("in", a, "seq")[0], v) },
		"filter": func(s *state, v Value, a args) bool {
			s.bind("filter", a)
			name, _ := text(v)
			return filters[name] != nil
		},
		"test": func(s *state, v Value, a args) bool {
			s.bind("test", a)
			name, _ := text(v)
			return tests[name] != nil
		},
	}
	for op, names := range map[string][]string{
		"==": {"==", "eq", "equalto"}, "!=": {"!=", "ne"}, "<": {"<", "lt", "lessthan"}, "<=": {"<=", "le"},
		">": {">", "gt", "greaterthan"}, ">=": {">=", "ge"},
	} {
		for _, name := range names {
			tests[name] = func(s *state, v Value, a args) bool {
				return s.compare(op, v, s.bind(name, a, "other")[0])
			}
		}
	}
}

// is makes a test without arguments.
func is(f func(Value) bool) test {
	return func(s *state, v Value, a args) bool {
		s.bind("test", a)
		return f(v)
	}
}

func isUndefined(v Value) bool {
	_, ok := v.(*undefined)
	return ok
}

func isInteger(v Value) bool {
	switch v.(type) {
	case int64, *big.Int:
		return true
	}
	return false
}

// isSequence says what has a length and can be indexed: dicts and, in the reference,
// the undefined too.
func isSequence(v Value) bool {
	switch v.(type) {
	case string, markup, List, Tuple, *Dict, rangeValue, *undefined:
		return true
	}
	return false
}

func remainderIs(rest int64) test {
	return func(s *state, v Value, a args) bool {
		s.bind("odd and even", a)
		return s.equal(s.arithmetic("%", v, int64(2)), rest)
	}
}
