package chat

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// Python's strings, in Go: white space, case and splitting are not those of package
// strings.

// isSpace is str.isspace: Go's white space and the four separators of ASCII.
func isSpace(c rune) bool { return unicode.IsSpace(c) || 0x1c <= c && c <= 0x1f }

func trimSpace(s string) string { return strings.TrimFunc(s, isSpace) }

func upper(s string) string { return cases.Upper(language.Und).String(s) }

func lower(s string) string { return cases.Lower(language.Und).String(s) }

// titleRune is the title case of one character, which may be several: ß becomes Ss.
func titleRune(c rune) string {
	if c < utf8.RuneSelf {
		return string(unicode.ToUpper(c))
	}
	if t := unicode.ToTitle(c); t != c {
		return string(t)
	}
	t := cases.Title(language.Und).String(string(c))
	return t
}

// capitalize is str.capitalize.
func capitalize(s string) string {
	c, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return ""
	}
	// The rest is lowered in its context: a final sigma after a capital is one.
	low := lower(s)
	return titleRune(c) + low[len(lower(s[:n])):]
}

// title is str.title: a letter after a letter is lowered, others are raised.
func title(s string) string {
	var b strings.Builder
	low := lower(s)
	rest := low
	inWord := false
	for _, c := range s {
		size := len(lower(string(c)))
		piece := rest[:min(size, len(rest))]
		rest = rest[len(piece):]
		if inWord {
			b.WriteString(piece)
		} else {
			b.WriteString(titleRune(c))
		}
		inWord = isCased(c)
	}
	return b.String()
}

// titleWords is jinja2's filter of the name, which raises after its own set of
// separators.
func titleWords(s string) string {
	var b strings.Builder
	separator := func(c rune) bool { return isSpace(c) || strings.ContainsRune("-({[<", c) }
	for s != "" {
		n := strings.IndexFunc(s, func(c rune) bool { return !separator(c) })
		if n != 0 {
			if n < 0 {
				n = len(s)
			}
			b.WriteString(s[:n])
			s = s[n:]
			continue
		}
		if n = strings.IndexFunc(s, separator); n < 0 {
			n = len(s)
		}
		_, first := utf8.DecodeRuneInString(s)
		b.WriteString(upper(s[:first]) + lower(s[first:n]))
		s = s[n:]
	}
	return b.String()
}

func swapCase(s string) string {
	var b strings.Builder
	for _, c := range s {
		switch {
		case isUpper(c):
			b.WriteString(lower(string(c)))
		case isLower(c):
			b.WriteString(upper(string(c)))
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

func isLower(c rune) bool { return unicode.IsLower(c) || unicode.Is(unicode.Other_Lowercase, c) }

func isUpper(c rune) bool { return unicode.IsUpper(c) || unicode.Is(unicode.Other_Uppercase, c) }

func isCased(c rune) bool { return isLower(c) || isUpper(c) || unicode.IsTitle(c) }

// all reports whether s is not empty and all its characters are in class.
func all(s string, class func(rune) bool) bool {
	return s != "" && strings.IndexFunc(s, func(c rune) bool { return !class(c) }) < 0
}

// allCased is islower and isupper: no character in the other case, and a cased one.
func allCased(s string, is, other func(rune) bool) bool {
	return strings.IndexFunc(s, is) >= 0 && strings.IndexFunc(s, func(c rune) bool { return other(c) || unicode.IsTitle(c) }) < 0
}

// isTitle is str.istitle: capitals only at the beginnings of words, small letters only
// after them.
func isTitle(s string) bool {
	cased, inWord := false, false
	for _, c := range s {
		switch {
		case isUpper(c) || unicode.IsTitle(c):
			if inWord {
				return false
			}
			cased, inWord = true, true
		case isLower(c):
			if !inWord {
				return false
			}
		default:
			inWord = false
		}
	}
	return cased
}

// isDigitRune is str.isdigit: decimals, and super- and subscripts.
func isDigitRune(c rune) bool {
	return unicode.IsDigit(c) || strings.ContainsRune("²³¹⁰⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉", c) || 0x2460 <= c && c <= 0x2468
}

func isAlnum(c rune) bool { return unicode.IsLetter(c) || unicode.IsNumber(c) }

func isIdentifier(s string) bool {
	for i, c := range s {
		if !isWord(c) || i == 0 && (unicode.IsDigit(c) || unicode.IsMark(c)) {
			return false
		}
	}
	return s != ""
}

// asciiDigits turns the decimal digits of all scripts into ASCII's.
func asciiDigits(s string) string {
	return strings.Map(func(c rune) rune {
		if c < utf8.RuneSelf || !unicode.IsDigit(c) {
			return c
		}
		// Each script's ten digits follow one another, and blocks of them start at a zero.
		for n := rune(0); n < 10; n++ {
			if !unicode.IsDigit(c - n - 1) {
				return '0' + n
			}
		}
		return c
	}, s)
}

// splitSpace is str.split() and str.rsplit(): at runs of white space, at most max times
// (all where max < 0), from the left or from the right.
func splitSpace(s string, max int64, right bool) []string {
	var out []string
	if right {
		s = strings.TrimRightFunc(s, isSpace)
	} else {
		s = strings.TrimLeftFunc(s, isSpace)
	}
	for s != "" {
		if max >= 0 && int64(len(out)) == max {
			out = append(out, s)
			break
		}
		if right {
			at := strings.LastIndexFunc(s, isSpace)
			word := s
			if at >= 0 {
				_, n := utf8.DecodeRuneInString(s[at:])
				word = s[at+n:]
				s = strings.TrimRightFunc(s[:at], isSpace)
			} else {
				s = ""
			}
			out = append(out, word)
			continue
		}
		at := strings.IndexFunc(s, isSpace)
		if at < 0 {
			at = len(s)
		}
		out = append(out, s[:at])
		s = strings.TrimLeftFunc(s[at:], isSpace)
	}
	if right {
		reverse(out)
	}
	return out
}

// rsplit is str.rsplit(sep, max).
func rsplit(s, sep string, max int64) []string {
	var out []string
	for max < 0 || int64(len(out)) < max {
		at := strings.LastIndex(s, sep)
		if at < 0 {
			break
		}
		out = append(out, s[at+len(sep):])
		s = s[:at]
	}
	out = append(out, s)
	reverse(out)
	return out
}

func reverse[T any](s []T) {
	for i, j := 0, len(s)-1; i < j; i, j = i+1, j-1 {
		s[i], s[j] = s[j], s[i]
	}
}

// splitLines is str.splitlines: at every kind of line end that Unicode knows.
func splitLines(s string, keep bool) []string {
	var out []string
	for s != "" {
		at := strings.IndexAny(s, "\n\r\v\f\x1c\x1d\x1e\u0085\u2028\u2029")
		if at < 0 {
			out = append(out, s)
			break
		}
		_, n := utf8.DecodeRuneInString(s[at:])
		if strings.HasPrefix(s[at:], "\r\n") {
			n = 2
		}
		if keep {
			out = append(out, s[:at+n])
		} else {
			out = append(out, s[:at])
		}
		s = s[at+n:]
	}
	return out
}

func reverseRunes(s string) string {
	runes := []rune(s)
	reverse(runes)
	return string(runes)
}

// escapeHTML is markupsafe's escape.
func escapeHTML(s string) string { return htmlEscaper.Replace(s) }

var htmlEscaper = strings.NewReplacer("&", "&amp;", ">", "&gt;", "<", "&lt;", "'", "&#39;", `"`, "&#34;")
