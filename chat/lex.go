package chat

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// tokenKind tells the tokens apart; operators are their own spelling.
type tokenKind string

const (
	tokEOF      tokenKind = "end of template"
	tokData     tokenKind = "text"
	tokVarBegin tokenKind = "{{"
	tokVarEnd   tokenKind = "}}"
	tokTagBegin tokenKind = "{%"
	tokTagEnd   tokenKind = "%}"
	tokName     tokenKind = "name"
	tokString   tokenKind = "string"
	tokInteger  tokenKind = "integer"
	tokFloat    tokenKind = "float"
)

type token struct {
	kind tokenKind
	text string // of a name, of data, a string's value
	num  Value  // of a number
	at   int    // offset in the source
}

func (t token) String() string {
	if t.kind == tokName || t.kind == tokString {
		return strconv.Quote(t.text)
	}
	return "'" + string(t.kind) + "'"
}

// lexer cuts the source into tokens. White space control follows jinja2 3.1's lexer
// with trim_blocks (a tag or comment swallows one newline after it) and lstrip_blocks
// (white space between a line's beginning and a tag or comment is dropped).
type lexer struct {
	src    string
	pos    int
	tokens []token
	// lineStarting says that what was read last ended a line; white space up to a tag
	// is stripped only from a line's beginning.
	lineStarting bool
}

func lex(src string) []token {
	l := &lexer{src: src, lineStarting: true}
	for l.pos < len(src) {
		l.data()
	}
	return append(l.tokens, token{kind: tokEOF, at: len(src)})
}

func (l *lexer) fail(at int, format string, args ...any) {
	line, column := position(l.src, at)
	panic(&Error{KindSyntax, line, column, fmt.Sprintf(format, args...)})
}

func (l *lexer) emit(t token) { l.tokens = append(l.tokens, t) }

// data reads text up to the next tag, and the tag.
func (l *lexer) data() {
	start := l.pos
	begin := start
	for {
		i := strings.IndexByte(l.src[begin:], '{')
		if i < 0 || begin+i+1 >= len(l.src) {
			l.emit(token{kind: tokData, text: l.src[start:], at: start})
			l.pos = len(l.src)
			return
		}
		begin += i
		if c := l.src[begin+1]; c == '{' || c == '%' || c == '#' {
			break
		}
		begin++
	}
	open := l.src[begin : begin+2]
	l.pos = begin + 2
	sign := l.sign("-+")
	text := l.strip(l.src[start:begin], sign, open != "{{")
	if text != "" {
		l.emit(token{kind: tokData, text: text, at: start})
	}
	switch open {
	case "{#":
		l.comment(begin)
	case "{{":
		l.emit(token{kind: tokVarBegin, at: begin})
		l.code(tokVarEnd)
	default:
		if rest, ok := matchRaw(l.src[l.pos:], "raw"); ok {
			l.raw(begin, rest)
			return
		}
		l.emit(token{kind: tokTagBegin, at: begin})
		l.code(tokTagEnd)
	}
}

// sign consumes one of the characters in set and returns it, or 0.
func (l *lexer) sign(set string) byte {
	if l.pos < len(l.src) && strings.IndexByte(set, l.src[l.pos]) >= 0 {
		l.pos++
		return l.src[l.pos-1]
	}
	return 0
}

// strip drops white space at the end of text that stands before a tag.
func (l *lexer) strip(text string, sign byte, lstrip bool) string {
	if sign == '-' {
		return strings.TrimRightFunc(text, isSpace)
	}
	if sign == '+' || !lstrip {
		return text
	}
	line := strings.LastIndexByte(text, '\n') + 1
	if (line > 0 || l.lineStarting) && strings.TrimFunc(text[line:], isSpace) == "" {
		return text[:line]
	}
	return text
}

// end consumes a closing delimiter with its sign and the white space that goes with
// it, and reports whether one is here.
func (l *lexer) end(delimiter string, signs string, trim bool) bool {
	rest := l.src[l.pos:]
	sign := byte(0)
	if rest != "" && strings.IndexByte(signs, rest[0]) >= 0 {
		sign, rest = rest[0], rest[1:]
	}
	rest, ok := strings.CutPrefix(rest, delimiter)
	if !ok {
		return false
	}
	if sign == '-' {
		rest = strings.TrimLeftFunc(rest, isSpace)
	} else if sign == 0 && trim {
		rest = strings.TrimPrefix(rest, "\n")
	}
	l.pos = len(l.src) - len(rest)
	l.lineStarting = l.src[l.pos-1] == '\n'
	return true
}

func (l *lexer) comment(begin int) {
	for ; l.pos < len(l.src); l.pos++ {
		if l.end("#}", "-+", true) {
			return
		}
	}
	l.fail(begin, "comment without end, want #}")
}

// matchRaw matches the inside of a {% raw %} or {% endraw %} tag up to its end, and
// returns what follows the name.
func matchRaw(src, name string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(strings.TrimLeftFunc(src, isSpace), name)
	if !ok {
		return "", false
	}
	rest = strings.TrimLeftFunc(rest, isSpace)
	return rest, strings.HasPrefix(strings.TrimPrefix(rest, "-"), "%}") || name == "endraw" && strings.HasPrefix(rest, "+%}")
}

// raw reads text up to {% endraw %} as it is.
func (l *lexer) raw(begin int, rest string) {
	l.pos = len(l.src) - len(rest)
	l.end("%}", "-", false)
	start := l.pos
	for at := start; ; at += 2 {
		i := strings.Index(l.src[at:], "{%")
		if i < 0 {
			l.fail(begin, "raw block without end, want {%% endraw %%}")
		}
		at += i
		l.pos = at + 2
		sign := l.sign("-+")
		if rest, ok := matchRaw(l.src[l.pos:], "endraw"); ok {
			if text := l.strip(l.src[start:at], sign, true); text != "" {
				l.emit(token{kind: tokData, text: text, at: start})
			}
			l.pos = len(l.src) - len(rest)
			l.end("%}", "-+", true)
			return
		}
	}
}

// operators, longest first.
var operators = []string{"**", "//", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";"}

var closing = map[string]string{"(": ")", "[": "]", "{": "}"}

// code reads the inside of a tag up to its end, which counts only outside brackets.
func (l *lexer) code(end tokenKind) {
	begin := l.pos
	var open []string
	for l.pos < len(l.src) {
		if len(open) == 0 {
			at, signs := l.pos, "-"
			if end == tokTagEnd {
				signs = "-+"
			}
			if l.end(string(end), signs, end == tokTagEnd) {
				l.emit(token{kind: end, at: at})
				return
			}
		}
		at := l.pos
		c, n := utf8.DecodeRuneInString(l.src[at:])
		switch {
		case isSpace(c):
			l.pos += n
			continue
		case '0' <= c && c <= '9':
			l.number()
			continue
		case isWord(c):
			rest := strings.TrimLeftFunc(l.src[at:], isWord)
			l.pos = len(l.src) - len(rest)
			l.emit(token{kind: tokName, text: l.src[at:l.pos], at: at})
			continue
		case c == '\'' || c == '"':
			l.str(byte(c))
			continue
		}
		op := ""
		for _, o := range operators {
			if strings.HasPrefix(l.src[at:], o) {
				op = o
				break
			}
		}
		switch op {
		case "":
			l.fail(at, "unexpected character %q", c)
		case "(", "[", "{":
			if len(open) == maxNesting {
				l.fail(at, "more than %d brackets within one another", maxNesting)
			}
			open = append(open, closing[op])
		case ")", "]", "}":
			if len(open) == 0 || open[len(open)-1] != op {
				l.fail(at, "unexpected %q", op)
			}
			open = open[:len(open)-1]
		}
		l.pos += len(op)
		l.emit(token{kind: tokenKind(op), at: at})
	}
	l.fail(begin, "tag without end, want %s", end)
}

func isWord(c rune) bool {
	return c == '_' || unicode.IsLetter(c) || unicode.IsDigit(c) || unicode.IsMark(c)
}

// number reads an int or a float. After a dot there are only ints: x.1.2 are two items.
func (l *lexer) number() {
	at := l.pos
	rest := l.src[at:]
	if at == 0 || l.src[at-1] != '.' {
		n := digits(rest)
		m := n
		if m < len(rest) && rest[m] == '.' {
			if d := digits(rest[m+1:]); d > 0 {
				m += 1 + d
			}
		}
		if m < len(rest) && (rest[m] == 'e' || rest[m] == 'E') {
			e := m + 1
			if e < len(rest) && (rest[e] == '+' || rest[e] == '-') {
				e++
			}
			if d := digits(rest[e:]); d > 0 {
				m = e + d
			}
		}
		if m > n {
			f, _ := strconv.ParseFloat(strings.ReplaceAll(rest[:m], "_", ""), 64) // too large is inf
			l.pos += m
			l.emit(token{kind: tokFloat, num: f, at: at})
			return
		}
	}
	n := digits(rest)
	if len(rest) > 2 && rest[0] == '0' {
		if base := map[byte]string{'x': "0123456789abcdef", 'o': "01234567", 'b': "01"}[rest[1]|0x20]; base != "" {
			if d := span(rest[2:], base+"_"); d > 0 && strings.Trim(rest[2:2+d], "_") != "" {
				n = 2 + d
			}
		} else if rest[1] != '_' && span(rest[:n], "0_") < n {
			n = span(rest[:n], "0") // 007 is two tokens, which no rule accepts
		}
	}
	if n > 4300 {
		l.fail(at, "integer of %d digits, at most 4300", n)
	}
	num, ok := new(big.Int).SetString(rest[:n], 0)
	if !ok {
		if num, ok = new(big.Int).SetString(strings.ReplaceAll(rest[:n], "_", ""), 10); !ok {
			l.fail(at, "malformed number %q", rest[:n])
		}
	}
	l.pos += n
	var v Value = num
	if num.IsInt64() {
		v = num.Int64()
	}
	l.emit(token{kind: tokInteger, num: v, at: at})
}

// span counts the leading bytes of s that are in set, letters in either case.
func span(s, set string) int {
	n := 0
	for n < len(s) && (strings.IndexByte(set, s[n]) >= 0 || 'A' <= s[n] && s[n] <= 'Z' && strings.IndexByte(set, s[n]|0x20) >= 0) {
		n++
	}
	return n
}

// digits measures a run of decimal digits with single underscores between them.
func digits(s string) int {
	n := 0
	for n < len(s) && (isDigit(s[n]) || s[n] == '_' && n > 0 && s[n-1] != '_' && n+1 < len(s) && isDigit(s[n+1])) {
		n++
	}
	return n
}

// str reads a string literal. Strings may span lines.
func (l *lexer) str(quote byte) {
	at := l.pos
	for l.pos++; ; l.pos++ {
		if l.pos >= len(l.src) {
			l.fail(at, "string without end")
		}
		switch l.src[l.pos] {
		case '\\':
			l.pos++
		case quote:
			l.pos++
			l.emit(token{kind: tokString, text: l.unescape(l.src[at+1:l.pos-1], at+1), at: at})
			return
		}
	}
}

var simpleEscapes = map[byte]string{'\\': "\\", '\'': "'", '"': `"`, 'n': "\n", 't': "\t", 'r': "\r",
	'a': "\a", 'b': "\b", 'f': "\f", 'v': "\v", '\n': ""}

// unescape resolves Python's backslash escapes. Unknown ones stay as they are.
func (l *lexer) unescape(s string, at int) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			i++
			continue
		}
		c, size := utf8.DecodeRuneInString(s[i+1:])
		if text, ok := simpleEscapes[s[i+1]]; ok {
			b.WriteString(text)
			i += 2
			continue
		}
		width, base := map[rune]int{'x': 2, 'u': 4, 'U': 8}[c], 16
		first := i + 2
		if '0' <= c && c <= '7' {
			first, base = i+1, 8
			width = min(3, span(s[first:min(first+3, len(s))], "01234567"))
		}
		switch {
		case width > 0:
			n, err := strconv.ParseUint(s[first:min(first+width, len(s))], base, 32)
			if err != nil || first+width > len(s) || n > unicode.MaxRune {
				l.fail(at+i, "malformed escape in string, \\%c wants %d hexadecimal digits", c, width)
			}
			if 0xd800 <= n && n < 0xe000 {
				l.fail(at+i, "escape \\%s is half a surrogate pair, which no text can hold; write \\U and eight digits", s[i+1:first+width])
			}
			b.WriteRune(rune(n))
			i = first + width
		case c == 'N':
			l.fail(at+i, "character names (\\N{…}) are not supported; write the character itself")
		case c >= utf8.RuneSelf:
			// The reference first writes c in ASCII as an escape of its own, whose
			// backslash the one before then quotes: what remains is its number.
			b.WriteString(asciiEscape(c))
			i += 1 + size
		default:
			b.WriteString(s[i : i+2])
			i += 2
		}
	}
	return b.String()
}

// asciiEscape writes c as Python's backslashreplace does: \xe9, \u20ac, \U0001f600.
func asciiEscape(c rune) string {
	switch {
	case c < 0x100:
		return fmt.Sprintf(`\x%02x`, c)
	case c < 0x10000:
		return fmt.Sprintf(`\u%04x`, c)
	}
	return fmt.Sprintf(`\U%08x`, c)
}
