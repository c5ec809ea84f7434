package chat

import (
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxWidth bounds widths and precisions in formats.
const maxWidth = 1 << 16

// spec is one conversion: of "%-8.3f" or of "{:<8.3f}".
type spec struct {
	fill      string // one character
	align     byte   // < > ^ =, or 0
	sign      byte   // + - or a space
	alternate bool   // #
	group     string // , or _
	width     int64
	precision int64 // -1 if none
	verb      byte  // 0 if none
}

// truncate is int(f).
func (s *state) truncate(f float64) Value {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		s.fail(KindRuntime, "cannot convert float %s to integer", formatFloat(f))
	}
	n, _ := big.NewFloat(f).Int(nil)
	return s.normal(n)
}

// cutRunes keeps at most n code points, all where n < 0.
func cutRunes(s string, n int64) string {
	if n < 0 {
		return s
	}
	return runeSlice(s, 0, int(n))
}

// ascii escapes what is beyond ASCII.
func ascii(s string) string {
	var b strings.Builder
	for _, c := range s {
		if c < utf8.RuneSelf {
			b.WriteRune(c)
		} else {
			b.WriteString(asciiEscape(c))
		}
	}
	return b.String()
}

// padSpec fills body up to the width; prefix (sign, 0x) stays in front of zeros.
func (s *state) padSpec(c spec, body, prefix string) string {
	n := c.width - int64(utf8.RuneCountInString(body)+utf8.RuneCountInString(prefix))
	s.alloc(len(body) + len(prefix))
	if n <= 0 {
		return prefix + body
	}
	s.allocMany(len(c.fill), n)
	fill := func(n int64) string { return strings.Repeat(c.fill, int(n)) }
	switch c.align {
	case '<':
		return prefix + body + fill(n)
	case '^':
		return fill(n/2) + prefix + body + fill(n-n/2)
	case '=':
		return prefix + fill(n) + body
	}
	return fill(n) + prefix + body
}

func (c spec) signOf(negative bool) string {
	switch {
	case negative:
		return "-"
	case c.sign == '+' || c.sign == ' ':
		return string(c.sign)
	}
	return ""
}

func (s *state) formatInt(c spec, n *big.Int) string {
	base := map[byte]int{'x': 16, 'X': 16, 'o': 8, 'b': 2}[c.verb]
	if base == 0 {
		base = 10
	}
	s.charge(n.BitLen())
	digits := new(big.Int).Abs(n).Text(base)
	if missing := c.precision - int64(len(digits)); missing > 0 {
		s.alloc(int(missing))
		digits = strings.Repeat("0", int(missing)) + digits
	}
	prefix := c.signOf(n.Sign() < 0)
	if c.alternate && base != 10 {
		prefix += "0" + string(c.verb)
	}
	if c.verb == 'X' {
		digits = strings.ToUpper(digits)
	}
	every := 3
	if base != 10 {
		every = 4
	}
	return s.padSpec(c, s.group(c, digits, prefix, every), prefix)
}

// group puts the separator between every so many digits, and counts filling zeros in.
func (s *state) group(c spec, digits, prefix string, every int) string {
	if c.group == "" {
		return digits
	}
	whole, rest := digits, ""
	if at := strings.IndexAny(digits, ".e"); at >= 0 {
		whole, rest = digits[:at], digits[at:]
	}
	if c.fill == "0" && c.align == '=' {
		for width := int(c.width) - len(prefix) - len(rest); len(whole)+(len(whole)-1)/every < width; {
			whole = "0" + whole
		}
	}
	s.alloc(2 * len(whole))
	var b strings.Builder
	for i, d := range []byte(whole) {
		if i > 0 && (len(whole)-i)%every == 0 {
			b.WriteString(c.group)
		}
		b.WriteByte(d)
	}
	return b.String() + rest
}

func (s *state) formatFloat(c spec, f float64) string {
	prefix := c.signOf(math.Signbit(f) && !math.IsNaN(f))
	abs := math.Abs(f)
	var body string
	verb := c.verb | 0x20
	switch {
	case math.IsInf(f, 0) || math.IsNaN(f):
		body = strings.TrimPrefix(formatFloat(abs), "-")
		if c.fill == "0" && c.align == '=' {
			c.group = ""
		}
	case verb == '%':
		body = strconv.FormatFloat(abs*100, 'f', int(c.precision), 64) + "%"
	case verb == 'g':
		body = formatG(abs, max(int(c.precision), 1), c.alternate)
	default:
		body = strconv.FormatFloat(abs, verb, int(c.precision), 64)
	}
	if c.alternate && c.precision == 0 && verb != 'g' && !strings.Contains(body, ".") {
		body = strings.Replace(body+"e", "e", ".e", 1)
		body = strings.TrimSuffix(body, "e")
	}
	if c.verb < 'a' && c.verb != '%' {
		body = strings.ToUpper(body)
	}
	s.alloc(len(body))
	return s.padSpec(c, s.group(c, body, prefix, 3), prefix)
}

// formatG is C's %g with p significant digits: an exponent below 1e-4 and from 10^p on.
func formatG(f float64, p int, keepZeros bool) string {
	e := strconv.FormatFloat(f, 'e', p-1, 64)
	at := strings.IndexByte(e, 'e')
	exp, _ := strconv.Atoi(e[at+1:])
	mantissa, tail := e[:at], e[at:]
	if exp >= -4 && exp < p {
		mantissa, tail = strconv.FormatFloat(f, 'f', p-1-exp, 64), ""
	}
	if keepZeros {
		if !strings.Contains(mantissa, ".") {
			mantissa += "."
		}
	} else if strings.Contains(mantissa, ".") {
		mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
	}
	return mantissa + tail
}

// formatBraces is Python's str.format.
func (s *state) formatBraces(format string, a args) Value {
	auto := 0
	var b strings.Builder
	s.braces(&b, format, a, &auto, 3)
	return b.String()
}

// braces writes format to b; nested counts the levels left: a format within a format
// within a format is the last.
func (s *state) braces(b *strings.Builder, format string, a args, auto *int, nested int) {
	if nested == 0 {
		s.fail(KindRuntime, "Max string recursion exceeded")
	}
	for format != "" {
		at := strings.IndexAny(format, "{}")
		if at < 0 {
			at = len(format)
		}
		s.alloc(at)
		b.WriteString(format[:at])
		if format = format[at:]; format == "" {
			return
		}
		if len(format) > 1 && format[1] == format[0] {
			b.WriteByte(format[0])
			format = format[2:]
			continue
		}
		if format[0] == '}' {
			s.fail(KindRuntime, "Single '}' encountered in format string")
		}
		end := matchBrace(format)
		if end < 0 {
			s.fail(KindRuntime, "Single '{' encountered in format string")
		}
		s.field(b, format[1:end], a, auto, nested)
		format = format[end+1:]
	}
}

func matchBrace(s string) int {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// field writes one {name!conversion:spec}.
func (s *state) field(b *strings.Builder, field string, a args, auto *int, nested int) {
	s.step()
	name, format := field, ""
	bracket := 0
	for i, c := range []byte(field) { // a colon inside brackets is part of a key
		if c == '[' {
			bracket++
		} else if c == ']' {
			bracket--
		} else if bracket <= 0 && (c == ':' || c == '!') {
			name, format = field[:i], field[i:]
			break
		}
	}
	v := s.fieldValue(name, a, auto)
	if strings.HasPrefix(format, "!") {
		if len(format) < 2 || len(format) > 2 && format[2] != ':' {
			s.fail(KindRuntime, "expected ':' after conversion specifier")
		}
		switch format[1] {
		case 's':
			v = s.str(v)
		case 'r':
			v = s.repr(v)
		case 'a':
			v = ascii(s.repr(v))
		default:
			s.fail(KindRuntime, "Unknown conversion specifier %q", format[1])
		}
		format = format[2:]
	}
	var inner strings.Builder
	s.braces(&inner, strings.TrimPrefix(format, ":"), a, auto, nested-1)
	b.WriteString(s.formatValue(v, inner.String()))
}

// fieldValue finds what {name}, {0.attr} or {[key]} speaks of.
func (s *state) fieldValue(name string, a args, auto *int) Value {
	at := strings.IndexAny(name, ".[")
	first, rest := name, ""
	if at >= 0 {
		first, rest = name[:at], name[at:]
	}
	var v Value
	n, err := strconv.Atoi(first)
	switch {
	case first == "" || err == nil:
		if manual := first != ""; *auto != 0 && manual != (*auto < 0) {
			s.fail(KindRuntime, "cannot switch between manual field specification and automatic field numbering")
		} else if manual {
			*auto = -1
		} else {
			n = *auto
			*auto++
		}
		if n < 0 || n >= len(a.pos) {
			s.fail(KindRuntime, "Replacement index %d out of range for positional args tuple", n)
		}
		v = a.pos[n]
	default:
		i := slices.Index(a.names, first)
		if i < 0 {
			s.fail(KindRuntime, "no argument is named %s", quote(first))
		}
		v = a.values[i]
	}
	for rest != "" {
		if rest[0] == '.' {
			end := strings.IndexAny(rest[1:], ".[") + 1
			if end == 0 {
				end = len(rest)
			}
			v, rest = s.attribute(v, rest[1:end]), rest[end:]
			continue
		}
		end := strings.IndexByte(rest, ']')
		if end < 0 || rest[0] != '[' {
			s.fail(KindRuntime, "Missing ']' in format string")
		}
		key := Value(rest[1:end])
		if n, err := strconv.ParseInt(rest[1:end], 10, 64); err == nil && n >= 0 {
			key = n
		}
		v, rest = s.item(v, key), rest[end+1:]
	}
	return v
}

// formatValue is Python's format(v, spec).
func (s *state) formatValue(v Value, format string) string {
	if format == "" {
		return s.str(v)
	}
	c := s.parseSpec(format)
	if str, ok := text(v); ok {
		if c.verb != 0 && c.verb != 's' || c.align == '=' || c.sign != 0 || c.alternate || c.group != "" {
			s.fail(KindRuntime, "Invalid format specifier %s for object of type 'str'", quote(format))
		}
		if c.align == 0 {
			c.align = '<'
		}
		return s.padSpec(c, cutRunes(str, c.precision), "")
	}
	if _, ok := v.(*undefined); ok || !isNumber(v) {
		s.fail(KindType, "unsupported format string passed to %s.__format__", typeName(v))
	}
	if c.align == 0 {
		c.align = '>'
	}
	f, isFloat := v.(float64)
	if _, isBool := v.(bool); isBool && c.verb == 0 {
		v = s.positive(v)
	}
	n, isInt := bigInteger(v)
	switch {
	case isInt && strings.IndexByte("\x00dnbcoxX", c.verb) >= 0:
		if c.precision >= 0 {
			s.fail(KindRuntime, "Precision not allowed in integer format specifier")
		}
		if c.verb == 'c' {
			return s.padSpec(c, s.percent(spec{fill: " ", verb: 'c'}, v), "")
		}
		return s.formatInt(c, n)
	case isInt && strings.IndexByte("eEfFgG%", c.verb) >= 0:
		f = s.float(v)
	case !isFloat || strings.IndexByte("\x00eEfFgGn%", c.verb) < 0:
		s.fail(KindRuntime, "Unknown format code '%c' for object of type '%s'", c.verb, typeName(v))
	}
	switch {
	case c.verb == 'n':
		c.verb = 'g'
	case c.verb == 0 && c.precision < 0:
		prefix := c.signOf(math.Signbit(f))
		body := formatFloat(math.Abs(f))
		return s.padSpec(c, s.group(c, body, prefix, 3), prefix)
	case c.verb == 0:
		c.verb = 'g'
		// Without a verb a whole number keeps one digit after its point.
		prefix := c.signOf(math.Signbit(f))
		body := formatG(math.Abs(f), max(int(c.precision), 1), false)
		if exp := int(math.Floor(math.Log10(math.Abs(f)))); f != 0 && exp == int(c.precision)-1 && !strings.Contains(body, "e") {
			body = strconv.FormatFloat(math.Abs(f), 'e', max(int(c.precision)-1, 0), 64)
			at := strings.IndexByte(body, 'e')
			if m := body[:at]; strings.Contains(m, ".") {
				body = strings.TrimRight(strings.TrimRight(m, "0"), ".") + body[at:]
			}
		} else if !strings.ContainsAny(body, ".e") {
			body += ".0"
		}
		return s.padSpec(c, s.group(c, body, prefix, 3), prefix)
	}
	if c.precision < 0 {
		c.precision = 6
	}
	return s.formatFloat(c, f)
}

// parseSpec reads [[fill]align][sign][#][0][width][,][.precision][type].
func (s *state) parseSpec(format string) (c spec) {
	rest := format
	c = spec{fill: " ", precision: -1}
	isAlign := func(s string) bool { return s != "" && strings.IndexByte("<>^=", s[0]) >= 0 }
	if _, n := utf8.DecodeRuneInString(rest); isAlign(rest[n:]) {
		c.fill, c.align, rest = rest[:n], rest[n], rest[n+1:]
	} else if isAlign(rest) {
		c.align, rest = rest[0], rest[1:]
	}
	next := func(set string) byte {
		if rest == "" || strings.IndexByte(set, rest[0]) < 0 {
			return 0
		}
		b := rest[0]
		rest = rest[1:]
		return b
	}
	number := func() int64 {
		n := span(rest, "0123456789")
		out, err := strconv.ParseInt("0"+rest[:n], 10, 64)
		if err != nil {
			out = math.MaxInt64
		}
		rest = rest[n:]
		return s.formatWidth(out)
	}
	c.sign = next("+- ")
	c.alternate = next("#") != 0
	if strings.HasPrefix(rest, "0") && c.align == 0 {
		c.fill, c.align = "0", '='
	}
	c.width = number()
	if g := next(",_"); g != 0 {
		c.group = string(g)
	}
	if next(".") != 0 {
		if rest == "" || !isDigit(rest[0]) {
			s.fail(KindRuntime, "Format specifier missing precision")
		}
		c.precision = number()
	}
	c.verb = next("bcdeEfFgGnosxX%")
	if rest != "" {
		s.fail(KindRuntime, "Invalid format specifier %s", quote(format))
	}
	return c
}
