package eval

import (
	"html"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// Mark is how one answer was marked against one accepted answer.
type Mark struct {
	Score  float64 // 0 to 1
	Edits  int     // of cer: insertions, deletions and substitutions of code points
	Length int     // of cer: code points of the accepted answer
}

// metrics mark an answer against an accepted one; both have had their white space
// normalized.
var metrics = map[string]func(answer, accepted string) Mark{
	"cer":      characterErrors,
	"exact":    exact,
	"anls":     anls,
	"relaxed5": relaxed5,
	"html":     sameHTML,
}

// mark returns the best of the marks against the accepted answers.
func mark(metric, answer string, accepted []string) Mark {
	var best Mark
	for i, a := range accepted {
		if m := metrics[metric](normalize(answer), normalize(a)); i == 0 || m.Score > best.Score {
			best = m
		}
	}
	return best
}

// normalize makes runs of white space one blank and drops it at both ends.
func normalize(s string) string { return strings.Join(strings.Fields(s), " ") }

// characterErrors is 1 − min(1, edits / length), with the length of the accepted answer.
func characterErrors(answer, accepted string) Mark {
	m := Mark{Edits: edits(answer, accepted), Length: len([]rune(accepted))}
	switch {
	case m.Edits == 0:
		m.Score = 1
	case m.Length > 0:
		m.Score = 1 - min(1, float64(m.Edits)/float64(m.Length))
	}
	return m
}

// exact is 1 if both are equal in lower case, one full stop at the end left aside.
func exact(answer, accepted string) Mark {
	plain := func(s string) string { return strings.TrimSuffix(lower(s), ".") }
	return yes(plain(answer) == plain(accepted))
}

// lower maps each code point by itself, as Python's str.lower does but for a few letters
// that become two.
func lower(s string) string { return strings.Map(unicode.ToLower, s) }

// anls is s = 1 − edits / the longer length, in lower case; below 0.5 it is 0.
func anls(answer, accepted string) Mark {
	answer, accepted = lower(answer), lower(accepted)
	longer := max(len([]rune(answer)), len([]rune(accepted)))
	if longer == 0 {
		return Mark{Score: 1}
	}
	s := 1 - float64(edits(answer, accepted))/float64(longer)
	if s < 0.5 {
		s = 0
	}
	return Mark{Score: s}
}

// relaxed5 is 1 if the answer is a number, alone, within 5 % of the accepted one.
func relaxed5(answer, accepted string) Mark {
	got, ok := number(answer)
	want, known := number(accepted)
	if !ok || !known {
		return Mark{}
	}
	// The last term forgives the binary fractions: 2.1 is within 5 % of 2.
	return yes(math.Abs(got-want) <= 0.05*math.Abs(want)*(1+1e-9))
}

var decimal = regexp.MustCompile(`^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)$`)

// number reads a number beside which stand blanks, commas, signs of currency or per cent,
// and one full stop.
func number(s string) (float64, bool) {
	s = strings.NewReplacer(" ", "", ",", "", "$", "", "€", "", "£", "", "%", "").Replace(s)
	s = strings.TrimSuffix(s, ".")
	if !decimal.MatchString(s) {
		return 0, false
	}
	v, err := strconv.ParseFloat(s, 64)
	return v, err == nil
}

func yes(right bool) Mark {
	if right {
		return Mark{Score: 1}
	}
	return Mark{}
}

// sameHTML is the mean of the similarities of the tags and of the text.
func sameHTML(answer, accepted string) Mark {
	tags, text := parts(answer)
	wantTags, wantText := parts(accepted)
	same := 1.0
	if longer := max(len(tags), len(wantTags)); longer > 0 {
		same = 1 - float64(distance(tags, wantTags))/float64(longer)
	}
	return Mark{Score: (same + characterErrors(text, wantText).Score) / 2}
}

// leftAside are tags that are not counted.
var leftAside = map[string]bool{"html": true, "body": true, "thead": true, "tbody": true, "meta": true, "head": true, "style": true, "script": true}

// hidden are elements whose content is not counted.
var hidden = map[string]bool{"head": true, "style": true, "script": true}

// parts returns the names of the tags of a page, in order and with a slash before those
// that end, and its text, joined by blanks and with entities decoded.
func parts(page string) (tags []string, text string) {
	var pieces []string
	until := "" // the tag that ends what is not counted
	for len(page) > 0 {
		at := strings.IndexByte(page, '<')
		if at != 0 {
			if at < 0 {
				at = len(page)
			}
			if until == "" {
				pieces = append(pieces, html.UnescapeString(page[:at]))
			}
			page = page[at:]
			continue
		}
		if strings.HasPrefix(page, "<!--") {
			end := strings.Index(page, "-->")
			if end < 0 {
				break // a comment without an end takes all
			}
			page = page[end+3:]
			continue
		}
		name, length := tag(page)
		if length == 0 { // a sign, and no tag
			if until == "" {
				pieces = append(pieces, "<")
			}
			page = page[1:]
			continue
		}
		page = page[length:]
		switch {
		case until != "":
			if name == until {
				until = ""
			}
		case hidden[name]:
			until = "/" + name
		case name != "" && !leftAside[strings.TrimPrefix(name, "/")]:
			tags = append(tags, name)
		}
	}
	return tags, normalize(strings.Join(pieces, " "))
}

// tag returns the name of the tag that page begins with, in lower case and with its
// slash, and the tag's length. Declarations have no name; length 0 means no tag.
func tag(page string) (name string, length int) {
	i := 1
	if i < len(page) && page[i] == '/' {
		i++
	}
	from := i
	for i < len(page) && (page[i] >= 'a' && page[i] <= 'z' || page[i] >= 'A' && page[i] <= 'Z' || i > from && page[i] >= '0' && page[i] <= '9') {
		i++
	}
	name = strings.ToLower(page[1:i])
	if i == from {
		if from >= len(page) || page[from] != '!' && page[from] != '?' {
			return "", 0
		}
		name = ""
	}
	var quote byte
	for ; i < len(page); i++ {
		switch c := page[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case (c == '"' || c == '\'') && page[i-1] == '=':
			quote = c
		case c == '>':
			return name, i + 1
		}
	}
	return "", 0
}

// edits is the distance of two texts in code points.
func edits(a, b string) int { return distance([]rune(a), []rune(b)) }

// distance is the fewest insertions, deletions and substitutions that make b out of a
// (Wagner and Fischer 1974).
func distance[T comparable](a, b []T) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		before := row[0] // of the row above, one to the left
		row[0] = i + 1
		for j := range b {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
