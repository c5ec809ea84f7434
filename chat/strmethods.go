package chat

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
)

// stringMethods are the methods of Python's str that make sense in a template.
var stringMethods = map[string]method{
	"upper": textMethod(upper), "lower": textMethod(lower), "capitalize": textMethod(capitalize),
	"title": textMethod(title), "swapcase": textMethod(swapCase), "casefold": textMethod(cases.Fold().String),

	"isspace": classMethod(isSpace), "isalpha": classMethod(unicode.IsLetter), "isdecimal": classMethod(unicode.IsDigit),
	"isdigit": classMethod(isDigitRune), "isnumeric": classMethod(unicode.IsNumber), "isalnum": classMethod(isAlnum),
	"islower":      testMethod(func(s string) bool { return allCased(s, isLower, isUpper) }),
	"isupper":      testMethod(func(s string) bool { return allCased(s, isUpper, isLower) }),
	"istitle":      testMethod(isTitle),
	"isidentifier": testMethod(isIdentifier),
	"isascii":      testMethod(func(s string) bool { return s == "" || all(s, func(c rune) bool { return c < utf8.RuneSelf }) }),
	"isprintable":  testMethod(func(s string) bool { return s == "" || all(s, unicode.IsPrint) }),

	"strip":  stripMethod(strings.TrimFunc),
	"lstrip": stripMethod(strings.TrimLeftFunc),
	"rstrip": stripMethod(strings.TrimRightFunc),

	"split":      splitMethod(false),
	"rsplit":     splitMethod(true),
	"splitlines": splitLinesMethod,
	"partition":  partitionMethod(strings.Index),
	"rpartition": partitionMethod(strings.LastIndex),

	"replace":      replaceMethod,
	"removeprefix": cutMethod(strings.TrimPrefix),
	"removesuffix": cutMethod(strings.TrimSuffix),
	"startswith":   affixMethod(strings.HasPrefix),
	"endswith":     affixMethod(strings.HasSuffix),

	"find": findMethod("find", strings.Index), "rfind": findMethod("rfind", strings.LastIndex),
	"index": findMethod("index", strings.Index), "rindex": findMethod("rindex", strings.LastIndex),
	"count": countMethod,

	"join": joinMethod,

	"center": padMethod("center"), "ljust": padMethod("ljust"), "rjust": padMethod("rjust"), "zfill": zfillMethod,
	"expandtabs": expandTabsMethod,
}

func init() { // apart, because a format may look up attributes, and so this table
	stringMethods["format"] = func(s *state, v Value, a args) Value {
		str, _ := text(v)
		return s.formatBraces(str, a)
	}
}

func textMethod(f func(string) string) method {
	return func(s *state, v Value, a args) Value {
		s.bind("method", a)
		str, _ := text(v)
		s.alloc(3 * len(str)) // some characters become three
		return f(str)
	}
}

func testMethod(f func(string) bool) method {
	return func(s *state, v Value, a args) Value {
		s.bind("method", a)
		str, _ := text(v)
		s.charge(len(str))
		return f(str)
	}
}

func classMethod(class func(rune) bool) method {
	return testMethod(func(s string) bool { return all(s, class) })
}

func stripMethod(trim func(string, func(rune) bool) string) method {
	return func(s *state, v Value, a args) Value {
		str, _ := text(v)
		return s.trim(str, or(s.bindPositions("strip", a, "chars?")[0], nil), trim)
	}
}

// trim strips white space, or the characters of chars where it is not None.
func (s *state) trim(str string, chars Value, trim func(string, func(rune) bool) string) string {
	s.charge(len(str))
	if chars == nil {
		return trim(str, isSpace)
	}
	set := map[rune]bool{}
	for _, c := range s.wantText(chars, "strip") {
		s.step()
		set[c] = true
	}
	return trim(str, func(c rune) bool { return set[c] })
}

// strings makes a list of pieces of one string.
func (s *state) strings(parts []string) List {
	s.alloc(len(parts) * 2 * valueSize)
	out := make(List, len(parts))
	for i, p := range parts {
		out[i] = p
	}
	return out
}

func splitMethod(right bool) method {
	return func(s *state, v Value, a args) Value {
		str, _ := text(v)
		b := s.bind("split", a, "sep?", "maxsplit?")
		limit := s.wantInt(or(b[1], int64(-1)), "split")
		s.charge(len(str))
		if or(b[0], nil) == nil {
			return s.strings(splitSpace(str, limit, right))
		}
		sep := s.wantText(b[0], "split")
		switch {
		case sep == "":
			s.fail(KindRuntime, "split: empty separator")
		case right:
			return s.strings(rsplit(str, sep, limit))
		case limit < 0 || limit > int64(len(str)):
			return s.strings(strings.Split(str, sep))
		}
		return s.strings(strings.SplitN(str, sep, int(limit)+1))
	}
}

func splitLinesMethod(s *state, v Value, a args) Value {
	str, _ := text(v)
	s.charge(len(str))
	return s.strings(splitLines(str, truth(or(s.bind("splitlines", a, "keepends?")[0], false))))
}

func partitionMethod(index func(s, sep string) int) method {
	last := index("aa", "a") == 1
	return func(s *state, v Value, a args) Value {
		str, _ := text(v)
		sep := s.wantText(s.bindPositions("partition", a, "sep")[0], "partition")
		if sep == "" {
			s.fail(KindRuntime, "partition: empty separator")
		}
		s.charge(len(str))
		at := index(str, sep)
		switch {
		case at >= 0:
			return Tuple{str[:at], sep, str[at+len(sep):]}
		case last:
			return Tuple{"", "", str}
		}
		return Tuple{str, "", ""}
	}
}

func replaceMethod(s *state, v Value, a args) Value {
	str, _ := text(v)
	b := s.bindPositions("replace", a, "old", "new", "count?")
	return s.replace(str, s.wantText(b[0], "replace"), s.wantText(b[1], "replace"), s.wantInt(or(b[2], int64(-1)), "replace"))
}

// replace is str.replace; the size of the result is known before it is made.
func (s *state) replace(str, old, with string, limit int64) string {
	s.charge(len(str))
	n := int64(strings.Count(str, old))
	if limit >= 0 {
		n = min(n, limit)
	}
	s.allocMany(len(with), n)
	s.alloc(len(str))
	return strings.Replace(str, old, with, int(n))
}

func cutMethod(cut func(s, affix string) string) method {
	return func(s *state, v Value, a args) Value {
		str, _ := text(v)
		affix := s.wantText(s.bindPositions("removeprefix", a, "affix")[0], "removeprefix")
		s.charge(len(affix))
		return cut(str, affix)
	}
}

func affixMethod(has func(s, affix string) bool) method {
	return func(s *state, v Value, a args) Value {
		str, _ := text(v)
		s.charge(len(str))
		b := s.bindPositions("startswith", a, "affix", "start?", "end?")
		if or(b[1], nil) != nil || or(b[2], nil) != nil {
			start, stop := s.bounds(b[1], b[2], utf8.RuneCountInString(str))
			str = runeSlice(str, start, stop)
		}
		if _, ok := text(b[0]); ok {
			return has(str, s.wantText(b[0], "startswith"))
		}
		affixes, ok := b[0].(Tuple)
		if !ok {
			s.fail(KindType, "startswith: found '%s', want a string or a tuple of strings", typeName(b[0]))
		}
		return slices.ContainsFunc(affixes, func(x Value) bool { return has(str, s.wantText(x, "startswith")) })
	}
}

func findMethod(name string, index func(s, sub string) int) method {
	return func(s *state, v Value, a args) Value {
		str, _ := text(v)
		b := s.bindPositions(name, a, "sub", "start?", "end?")
		s.charge(len(str))
		start, stop := s.bounds(b[1], b[2], utf8.RuneCountInString(str))
		part := runeSlice(str, start, stop)
		at := index(part, s.wantText(b[0], name))
		if at >= 0 {
			return int64(start + utf8.RuneCountInString(part[:at]))
		}
		if strings.HasSuffix(name, "index") {
			s.fail(KindRuntime, "substring not found")
		}
		return int64(-1)
	}
}

func countMethod(s *state, v Value, a args) Value {
	str, _ := text(v)
	b := s.bindPositions("count", a, "sub", "start?", "end?")
	s.charge(len(str))
	start, stop := s.bounds(b[1], b[2], utf8.RuneCountInString(str))
	return int64(strings.Count(runeSlice(str, start, stop), s.wantText(b[0], "count")))
}

func joinMethod(s *state, v Value, a args) Value {
	sep, _ := text(v)
	var parts []string
	for i, item := range s.items(s.bindPositions("join", a, "iterable")[0]) {
		part, ok := text(item)
		if !ok {
			s.fail(KindType, "sequence item %d: expected str instance, %s found", i, typeName(item))
		}
		parts = append(parts, part)
	}
	return s.join(parts, sep)
}

func (s *state) join(parts []string, sep string) string {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	s.allocMany(len(sep), int64(len(parts)))
	s.alloc(size)
	return strings.Join(parts, sep)
}

func padMethod(name string) method {
	return func(s *state, v Value, a args) Value {
		str, _ := text(v)
		b := s.bindPositions(name, a, "width", "fillchar?")
		fill := s.wantText(or(b[1], " "), name)
		if utf8.RuneCountInString(fill) != 1 {
			s.fail(KindType, "the fill character must be exactly one character long")
		}
		return s.pad(str, s.wantInt(b[0], name), fill, name)
	}
}

// pad fills str up to width code points.
func (s *state) pad(str string, width int64, fill, name string) string {
	size := int64(utf8.RuneCountInString(str))
	n := max(width-size, 0)
	s.allocMany(len(fill), n)
	s.alloc(len(str))
	left := int64(0)
	switch name {
	case "rjust":
		left = n
	case "center":
		left = n/2 + n&width&1 // Python's rule for an odd rest
	}
	return strings.Repeat(fill, int(left)) + str + strings.Repeat(fill, int(n-left))
}

func zfillMethod(s *state, v Value, a args) Value {
	str, _ := text(v)
	width := s.wantInt(s.bindPositions("zfill", a, "width")[0], "zfill")
	sign := ""
	if str != "" && (str[0] == '+' || str[0] == '-') {
		sign, str = str[:1], str[1:]
		width--
	}
	return sign + s.pad(str, width, "0", "rjust")
}

func expandTabsMethod(s *state, v Value, a args) Value {
	str, _ := text(v)
	size := s.wantInt(or(s.bind("expandtabs", a, "tabsize?")[0], int64(8)), "expandtabs")
	s.allocMany(strings.Count(str, "\t"), max(size, 0))
	s.alloc(len(str))
	var b strings.Builder
	column := int64(0)
	for _, c := range str {
		switch c {
		case '\t':
			if size > 0 {
				n := size - column%size
				b.WriteString(strings.Repeat(" ", int(n)))
				column += n
			}
		case '\n', '\r':
			b.WriteRune(c)
			column = 0
		default:
			b.WriteRune(c)
			column++
		}
	}
	return b.String()
}
