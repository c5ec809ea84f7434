package chat

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// str is Python's str(v): what printing v gives.
func (s *state) str(v Value) string {
	switch v := v.(type) {
	case string:
		return v
	case markup:
		return string(v)
	case *undefined:
		return ""
	}
	return s.repr(v)
}

// repr is Python's repr(v).
func (s *state) repr(v Value) string {
	var b strings.Builder
	s.writeRepr(&b, v)
	s.alloc(b.Len())
	return b.String()
}

func (s *state) writeRepr(b *strings.Builder, v Value) {
	s.step()
	if b.Len() > s.limits.Output {
		s.fail(KindBudget, "more than %d bytes of output", s.limits.Output)
	}
	list := func(open, end string, items []Value) {
		defer s.enter()()
		b.WriteString(open)
		for i, item := range items {
			if i > 0 {
				b.WriteString(", ")
			}
			s.writeRepr(b, item)
		}
		b.WriteString(end)
	}
	switch v := v.(type) {
	case nil:
		b.WriteString("None")
	case bool:
		b.WriteString(map[bool]string{true: "True", false: "False"}[v])
	case int64:
		b.WriteString(strconv.FormatInt(v, 10))
	case *big.Int:
		s.charge(v.BitLen())
		b.WriteString(v.String())
	case float64:
		b.WriteString(formatFloat(v))
	case string:
		s.charge(len(v))
		b.WriteString(quote(v))
	case markup:
		s.charge(len(v))
		b.WriteString("Markup(" + quote(string(v)) + ")")
	case List:
		list("[", "]", v)
	case Tuple:
		if len(v) == 1 {
			list("(", ",)", v)
		} else {
			list("(", ")", v)
		}
	case *Dict:
		s.writeDict(b, v)
	case *undefined:
		b.WriteString("Undefined")
	case rangeValue:
		fmt.Fprintf(b, "range(%d, %d", v.start, v.stop)
		if v.step != 1 {
			fmt.Fprintf(b, ", %d", v.step)
		}
		b.WriteString(")")
	case dictView:
		list("dict_"+v.kind+"([", "])", s.items(v))
	case *namespace:
		b.WriteString("<Namespace ")
		s.writeDict(b, v.attrs)
		b.WriteString(">")
	case *macro:
		fmt.Fprintf(b, "<Macro %s>", quote(v.def.name))
	case *loopValue:
		fmt.Fprintf(b, "<LoopContext %d/%d>", v.index0+1, v.length())
	default: // Python prints an address in memory, which is no prompt
		s.fail(KindType, "a %s has no text: call it, or make a list of it", typeName(v))
	}
}

func (s *state) writeDict(b *strings.Builder, d *Dict) {
	defer s.enter()()
	b.WriteString("{")
	for i, k := range d.keys {
		if i > 0 {
			b.WriteString(", ")
		}
		s.writeRepr(b, k)
		b.WriteString(": ")
		s.writeRepr(b, d.vals[i])
	}
	b.WriteString("}")
}

// quote is Python's repr of a string: single quotes unless there are some and no double
// ones inside; what cannot be printed is escaped.
func quote(text string) string {
	q := byte('\'')
	if strings.Contains(text, "'") && !strings.Contains(text, `"`) {
		q = '"'
	}
	var b strings.Builder
	b.WriteByte(q)
	for _, c := range text {
		switch {
		case c == rune(q) || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(c):
			b.WriteRune(c)
		default:
			b.WriteString(asciiEscape(c))
		}
	}
	b.WriteByte(q)
	return b.String()
}

// jsonOptions are those of Python's json.dumps.
type jsonOptions struct {
	ascii     bool   // escape everything beyond ASCII
	indent    string // of one level
	lines     bool   // an item a line
	item, key string // separators
	sort      bool
}

// writeJSON is Python's json.dumps.
func (s *state) writeJSON(b *strings.Builder, v Value, o *jsonOptions, level int) {
	s.step()
	if b.Len() > s.limits.Output {
		s.fail(KindBudget, "more than %d bytes of output", s.limits.Output)
	}
	if items, ok := sequence(v); ok {
		s.writeJSONItems(b, "[]", len(items), o, level, func(i int) { s.writeJSON(b, items[i], o, level+1) })
		return
	}
	switch v := v.(type) {
	case nil, bool, int64, *big.Int, float64:
		b.WriteString(s.jsonScalar(v))
	case string:
		s.charge(len(v))
		writeJSONString(b, v, o.ascii)
	case markup:
		s.charge(len(v))
		writeJSONString(b, string(v), o.ascii)
	case *Dict:
		order := make([]int, v.Len())
		for i := range order {
			order[i] = i
		}
		if o.sort {
			slices.SortStableFunc(order, func(i, j int) int { return s.order(v.keys[i], v.keys[j]) })
		}
		s.writeJSONItems(b, "{}", v.Len(), o, level, func(i int) {
			key := v.keys[order[i]]
			name, ok := text(key)
			if !ok {
				name = s.jsonScalar(key)
			}
			writeJSONString(b, name, o.ascii)
			b.WriteString(o.key)
			s.writeJSON(b, v.vals[order[i]], o, level+1)
		})
	default:
		s.fail(KindType, "Object of type %s is not JSON serializable", typeName(v))
	}
}

// writeJSONItems writes brackets and separators around n items.
func (s *state) writeJSONItems(b *strings.Builder, brackets string, n int, o *jsonOptions, level int, item func(int)) {
	defer s.enter()()
	b.WriteByte(brackets[0])
	newline := func(level int) {
		if o.lines {
			s.alloc(len(o.indent) * level)
			b.WriteString("\n" + strings.Repeat(o.indent, level))
		}
	}
	for i := range n {
		if i > 0 {
			b.WriteString(o.item)
		}
		newline(level + 1)
		item(i)
	}
	if n > 0 {
		newline(level)
	}
	b.WriteByte(brackets[1])
}

// jsonScalar writes what is neither string nor collection, as a value or as a key.
func (s *state) jsonScalar(v Value) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case float64:
		switch text := formatFloat(v); text {
		case "nan":
			return "NaN"
		case "inf":
			return "Infinity"
		case "-inf":
			return "-Infinity"
		default:
			return text
		}
	case int64, *big.Int:
		return s.repr(v)
	}
	s.fail(KindType, "keys must be str, int, float, bool or None, not %s", typeName(v))
	return ""
}

func writeJSONString(b *strings.Builder, text string, ascii bool) {
	b.WriteByte('"')
	for _, c := range text {
		switch c {
		case '"':
			b.WriteString(`\"`)
		case '\\':
			b.WriteString(`\\`)
		case '\n':
			b.WriteString(`\n`)
		case '\r':
			b.WriteString(`\r`)
		case '\t':
			b.WriteString(`\t`)
		case '\f':
			b.WriteString(`\f`)
		case '\b':
			b.WriteString(`\b`)
		default:
			switch {
			case c < 0x20 || ascii && 0x7f <= c && c < 0x10000:
				fmt.Fprintf(b, `\u%04x`, c)
			case ascii && c >= 0x10000:
				c -= 0x10000
				fmt.Fprintf(b, `\u%04x\u%04x`, 0xd800+c>>10, 0xdc00+c&0x3ff)
			default:
				b.WriteRune(c)
			}
		}
	}
	b.WriteByte('"')
}

// order compares for sorting: -1, 0 or 1.
func (s *state) order(a, b Value) int {
	switch {
	case s.less(a, b):
		return -1
	case s.less(b, a):
		return 1
	}
	return 0
}
