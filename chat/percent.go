package chat

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// formatPercent is Python's format % values.
func (s *state) formatPercent(format string, values Value) Value {
	list, isTuple := values.(Tuple)
	if !isTuple {
		list = Tuple{values}
	}
	mapping, _ := values.(*Dict)
	// What can be indexed counts as a mapping in Python, and may be left unused.
	_, isList := values.(List)
	_, isRange := values.(rangeValue)
	mayRemain := mapping != nil || isList || isRange || isUndefined(values)
	used := 0
	take := func() Value {
		if used >= len(list) {
			s.fail(KindType, "not enough arguments for format string")
		}
		used++
		return list[used-1]
	}
	var b strings.Builder
	for format != "" {
		at := strings.IndexByte(format, '%')
		if at < 0 {
			at = len(format)
		}
		s.alloc(at)
		b.WriteString(format[:at])
		if format = format[at:]; format == "" {
			break
		}
		format = format[1:]
		var v Value = absent{}
		if strings.HasPrefix(format, "(") {
			if mapping == nil {
				s.fail(KindType, "format requires a mapping")
			}
			end := matchParen(format)
			if end < 0 {
				s.fail(KindRuntime, "incomplete format key")
			}
			item, ok := mapping.Get(format[1:end])
			if !ok {
				s.fail(KindRuntime, "key %s is missing from the mapping", quote(format[1:end]))
			}
			v, format, used = item, format[end+1:], len(list)
		}
		var c spec
		c, format = s.percentSpec(format, take)
		if c.verb == '%' {
			b.WriteByte('%')
			continue
		}
		if _, missing := v.(absent); missing {
			v = take()
		}
		b.WriteString(s.percent(c, v))
	}
	if used < len(list) && !mayRemain {
		s.fail(KindType, "not all arguments converted during string formatting")
	}
	return b.String()
}

// matchParen returns where the parenthesis that opens s closes, or -1.
func matchParen(s string) int {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// percentSpec reads flags, width, precision and verb after a percent sign.
func (s *state) percentSpec(format string, take func() Value) (c spec, rest string) {
	c = spec{fill: " ", align: '>', precision: -1}
	n := span(format, "-+ #0")
	for _, flag := range []byte(format[:n]) {
		switch flag {
		case '-':
			c.align = '<'
		case '+':
			c.sign = '+'
		case ' ':
			if c.sign == 0 {
				c.sign = ' '
			}
		case '#':
			c.alternate = true
		case '0':
			c.fill = "0"
		}
	}
	if c.align == '<' {
		c.fill = " "
	} else if c.fill == "0" {
		c.align = '='
	}
	format = format[n:]
	number := func() int64 {
		if strings.HasPrefix(format, "*") {
			format = format[1:]
			return s.formatWidth(s.wantInt(take(), "* in format"))
		}
		n := span(format, "0123456789")
		out, err := strconv.ParseInt("0"+format[:n], 10, 64)
		if err != nil {
			out = math.MaxInt64
		}
		format = format[n:]
		return s.formatWidth(out)
	}
	if c.width = number(); c.width < 0 {
		c.align, c.width = '<', -c.width
	}
	if strings.HasPrefix(format, ".") {
		format = format[1:]
		c.precision = max(number(), 0)
	}
	format = format[span(format, "hlL"):] // Python ignores C's length modifiers
	if format == "" {
		s.fail(KindRuntime, "incomplete format")
	}
	c.verb = format[0]
	return c, format[1:]
}

func (s *state) formatWidth(n int64) int64 {
	if n > maxWidth || n < -maxWidth {
		s.fail(KindBudget, "format width or precision %d, at most %d", n, maxWidth)
	}
	return n
}

// percent formats one value of a % format.
func (s *state) percent(c spec, v Value) string {
	switch c.verb {
	case 's', 'r', 'a':
		str := s.str(v)
		if c.verb != 's' {
			str = s.repr(v)
		}
		if c.verb == 'a' {
			str = ascii(str)
		}
		if c.align == '=' { // zeros are for numbers
			c.align, c.fill = '>', " "
		}
		return s.padSpec(c, cutRunes(str, c.precision), "")
	case 'c':
		if str, ok := text(v); ok && utf8.RuneCountInString(str) == 1 {
			return s.padSpec(c, str, "")
		}
		n, ok := integer(v)
		if !ok || n < 0 || !utf8.ValidRune(rune(n)) || n > utf8.MaxRune {
			s.fail(KindType, "%%c requires int or char")
		}
		return s.padSpec(c, string(rune(n)), "")
	case 'd', 'i', 'u':
		s.refuseUndefined(v)
		if f, ok := v.(float64); ok {
			v = s.truncate(f)
		}
		n, ok := bigInteger(v)
		if !ok {
			s.fail(KindType, "%%%c format: a real number is required, not %s", c.verb, typeName(v))
		}
		c.verb = 'd'
		return s.formatInt(c, n)
	case 'x', 'X', 'o':
		n, ok := bigInteger(v)
		if !ok {
			s.refuseUndefined(v)
			s.fail(KindType, "%%%c format: an integer is required, not %s", c.verb, typeName(v))
		}
		return s.formatInt(c, n)
	case 'e', 'E', 'f', 'F', 'g', 'G':
		s.refuseUndefined(v)
		if !isNumber(v) {
			s.fail(KindType, "must be real number, not %s", typeName(v))
		}
		if c.precision < 0 {
			c.precision = 6
		}
		return s.formatFloat(c, s.float(v))
	}
	s.fail(KindRuntime, "unsupported format character %q", c.verb)
	return ""
}
