package chat

import (
	"math"
	"time"
)

// maxRange is the sandbox's bound for range, as in the reference.
const maxRange = 100_000

// globals are the functions that every template knows.
var globals = &scope{vars: map[string]Value{
	"range":           &builtin{"range", rangeFunction},
	"namespace":       &builtin{"namespace", func(s *state, a args) Value { return &namespace{s.dict(a)} }},
	"dict":            &builtin{"dict", func(s *state, a args) Value { return s.dict(a) }},
	"joiner":          &builtin{"joiner", joinerFunction},
	"cycler":          &builtin{"cycler", cyclerFunction},
	"raise_exception": &builtin{"raise_exception", raiseException},
	"strftime_now":    &builtin{"strftime_now", strftimeNow},
}}

func rangeFunction(s *state, a args) Value {
	b := s.bind("range", a, "start", "stop?", "step?")
	var n [3]int64
	for i, v := range []Value{b[0], or(b[1], int64(0)), or(b[2], int64(1))} {
		if !isInteger(v) {
			if _, ok := v.(bool); !ok {
				s.refuseUndefined(v)
				s.fail(KindType, "'%s' object cannot be interpreted as an integer", typeName(v))
			}
		}
		n[i], _ = clamp(v)
	}
	r := rangeValue{start: n[0], stop: n[1], step: n[2]}
	if _, ok := b[1].(absent); ok {
		r.start, r.stop = 0, n[0]
	}
	if r.step == 0 {
		s.fail(KindRuntime, "range() arg 3 must not be zero")
	}
	// In floats, because differences of int64s overflow; exact for all that is allowed.
	size := math.Ceil((float64(r.stop) - float64(r.start)) / float64(r.step))
	if size > maxRange {
		s.fail(KindBudget, "range too big: the sandbox blocks ranges of more than %d items", maxRange)
	}
	r.n = int64(max(size, 0))
	return r
}

// dict is Python's dict(mapping or pairs, **names).
func (s *state) dict(a args) *Dict {
	d := NewDict()
	set := func(k, v Value) {
		h, ok := s.hash(k)
		if !ok {
			s.fail(KindType, "unhashable type: '%s'", typeName(k))
		}
		s.alloc(4 * valueSize)
		d.set(h, k, v)
	}
	b := s.bind("dict", args{pos: a.pos}, "mapping?")
	switch from := or(b[0], NewDict()).(type) {
	case *Dict:
		for k, v := range from.All() {
			set(k, v)
		}
	default:
		for _, pair := range s.items(from) {
			kv := s.items(pair)
			if len(kv) != 2 {
				s.fail(KindRuntime, "dict: found a sequence of length %d, want pairs", len(kv))
			}
			set(kv[0], kv[1])
		}
	}
	for i, name := range a.names {
		set(name, a.values[i])
	}
	return d
}

// joinerFunction returns a function that gives nothing the first time, then sep.
func joinerFunction(s *state, a args) Value {
	sep := or(s.bind("joiner", a, "sep?")[0], ", ")
	used := false
	return &builtin{"joiner", func(s *state, a args) Value {
		s.bind("joiner", a)
		if !used {
			used = true
			return ""
		}
		return sep
	}}
}

// cycler hands out its items in turn.
type cycler struct {
	items []Value
	at    int
}

func cyclerFunction(s *state, a args) Value {
	if len(a.pos) == 0 || len(a.names) > 0 {
		s.fail(KindType, "at least one item has to be provided")
	}
	return &cycler{items: a.pos}
}

func (c *cycler) attr(name string) (Value, bool) {
	switch name {
	case "current":
		return c.items[c.at], true
	case "next":
		return &builtin{"next", func(s *state, a args) Value {
			s.bind("next", a)
			item := c.items[c.at]
			c.at = (c.at + 1) % len(c.items)
			return item
		}}, true
	case "reset":
		return &builtin{"reset", func(s *state, a args) Value {
			s.bind("reset", a)
			c.at = 0
			return nil
		}}, true
	}
	return nil, false
}

func raiseException(s *state, a args) Value {
	words := s.str(s.bind("raise_exception", a, "message")[0])
	if words == "" {
		words = "it gives no reason"
	}
	s.fail(KindRaised, "%s", words)
	return nil
}

func strftimeNow(s *state, a args) Value {
	format := s.wantText(s.bind("strftime_now", a, "format")[0], "strftime_now")
	now := time.Now
	if s.now != nil {
		now = s.now
	}
	s.allocMany(32, int64(len(format)))
	out, ok := strftime(now(), format)
	if !ok {
		s.fail(KindRuntime, "strftime_now: unknown directive in %s", quote(format))
	}
	return out
}
