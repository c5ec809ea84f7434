package constrain

import (
	"fmt"
	"regexp/syntax"
	"unicode"
)

// maxRegex bounds a regular expression in bytes.
const maxRegex = 16 << 10

// pattern turns regular expressions into expressions. spell writes a set of code points: as
// UTF-8, or as it stands in a JSON string.
type pattern struct {
	*arena
	spell func(runes) expr
}

// whole is what matches text from end to end.
func (p pattern) whole(text string) (expr, error) {
	re, err := parseRegex(text)
	if err != nil {
		return nothing, err
	}
	return p.anchored(re, epsilon)
}

// part is what holds a match, as "pattern" of JSON Schema means it.
func (p pattern) part(text string) (expr, error) {
	re, err := parseRegex(text)
	if err != nil {
		return nothing, err
	}
	return p.anchored(re, p.repeat(p.spell(anyRune), 0, many))
}

func parseRegex(text string) (*syntax.Regexp, error) {
	if len(text) > maxRegex {
		return nil, fmt.Errorf("the regular expression has %d bytes, want at most %d", len(text), maxRegex)
	}
	re, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("%.200q is no regular expression of Go's kind (RE2): %w", text, err)
	}
	return re, nil
}

// anchored allows ^ and $ at the ends, and around stands where they are missing.
func (p pattern) anchored(re *syntax.Regexp, around expr) (expr, error) {
	for re.Op == syntax.OpCapture {
		re = re.Sub[0]
	}
	if re.Op == syntax.OpAlternate {
		var all []expr
		for _, sub := range re.Sub {
			e, err := p.anchored(sub, around)
			if err != nil {
				return nothing, err
			}
			all = append(all, e)
		}
		return p.or(all...), nil
	}
	parts := []*syntax.Regexp{re}
	if re.Op == syntax.OpConcat {
		parts = re.Sub
	}
	before, after := around, around
	for len(parts) > 0 && parts[0].Op == syntax.OpBeginText {
		parts, before = parts[1:], epsilon
	}
	for len(parts) > 0 && parts[len(parts)-1].Op == syntax.OpEndText {
		parts, after = parts[:len(parts)-1], epsilon
	}
	list := []expr{before}
	for _, part := range parts {
		e, err := p.convert(part)
		if err != nil {
			return nothing, err
		}
		list = append(list, e)
	}
	return p.seq(append(list, after)...), nil
}

func (p pattern) convert(re *syntax.Regexp) (expr, error) {
	switch re.Op {
	case syntax.OpNoMatch:
		return nothing, nil
	case syntax.OpEmptyMatch:
		return epsilon, nil
	case syntax.OpLiteral:
		list := make([]expr, len(re.Rune))
		for i, c := range re.Rune {
			list[i] = p.letter(c, re.Flags&syntax.FoldCase != 0)
		}
		return p.seq(list...), nil
	case syntax.OpCharClass:
		return p.spell(re.Rune), nil
	case syntax.OpAnyCharNotNL:
		return p.spell(runes{0, '\n' - 1, '\n' + 1, unicode.MaxRune}), nil
	case syntax.OpAnyChar:
		return p.spell(anyRune), nil
	case syntax.OpCapture, syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		x, err := p.convert(re.Sub[0])
		if err != nil {
			return nothing, err
		}
		switch re.Op {
		case syntax.OpStar:
			return p.repeat(x, 0, many), nil
		case syntax.OpPlus:
			return p.repeat(x, 1, many), nil
		case syntax.OpQuest:
			return p.optional(x), nil
		case syntax.OpRepeat:
			return p.repeat(x, int32(re.Min), int32(re.Max)), nil
		}
		return x, nil
	case syntax.OpConcat, syntax.OpAlternate:
		list := make([]expr, len(re.Sub))
		for i, sub := range re.Sub {
			var err error
			if list[i], err = p.convert(sub); err != nil {
				return nothing, err
			}
		}
		if re.Op == syntax.OpConcat {
			return p.seq(list...), nil
		}
		return p.or(list...), nil
	}
	return nothing, fmt.Errorf("%q within a regular expression is not supported: ^ may begin it and $ may end it, and no other places are asked about", re)
}

// letter is one code point, or with fold any that differs from it in case alone.
func (p pattern) letter(c rune, fold bool) expr {
	all := []expr{p.spell(runes{c, c})}
	if fold {
		for f := unicode.SimpleFold(c); f != c; f = unicode.SimpleFold(f) {
			all = append(all, p.spell(runes{f, f}))
		}
	}
	return p.or(all...)
}
