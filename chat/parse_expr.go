package chat

import (
	"slices"
	"strings"
)

// constants are the names that are literals.
var constants = map[string]*constExpr{
	"true": {true}, "True": {true}, "false": {false}, "False": {false}, "none": {nil}, "None": {nil},
}

type tupleOptions struct {
	end    string // a word that ends the tuple, besides the usual ends
	noCond bool   // an if after an expression belongs to the tag: for x in y if z
	parens bool   // within parentheses, where an empty tuple is one
}

func (p *parser) tupleEnds(word string) bool {
	switch p.cur().kind {
	case tokVarEnd, tokTagEnd, ")":
		return true
	}
	return word != "" && p.isWord(word)
}

// tuple reads expressions separated by commas; one alone, without a comma, is itself.
func (p *parser) tuple(o tupleOptions) expr {
	t := p.cur()
	var items []expr
	isTuple := false
	for {
		if len(items) > 0 {
			p.expect(",")
		}
		if p.tupleEnds(o.end) {
			break
		}
		if o.noCond {
			items = append(items, p.or())
		} else {
			items = append(items, p.expression())
		}
		if !p.is(",") {
			break
		}
		isTuple = true
	}
	if !isTuple && len(items) == 1 {
		return items[0]
	}
	if !isTuple && !o.parens {
		p.syntax(p.cur(), "found %s, want an expression", p.cur())
	}
	return &listExpr{t.at, items, true}
}

// expression reads one expression: a if b else c, and all that binds closer.
func (p *parser) expression() expr {
	defer p.nest()()
	from := len(p.unknown)
	x := p.or()
	for n := 0; p.isWord("if"); n++ {
		p.chain(n)
		t := p.next()
		node := &condExpr{at: t.at, then: x, test: p.or()}
		if p.skipWord("else") {
			node.els = p.expression()
		}
		p.unknown = p.unknown[:from]
		x = node
	}
	return x
}

// chain refuses more operators on one level than evaluation should recurse into.
func (p *parser) chain(n int) {
	if n >= maxChain {
		p.syntax(p.cur(), "more than %d operators in a row", maxChain)
	}
}

func (p *parser) or() expr {
	x := p.and()
	for n := 0; p.skipWord("or"); n++ {
		p.chain(n)
		x = &logicExpr{true, x, p.and()}
	}
	return x
}

func (p *parser) and() expr {
	x := p.not()
	for n := 0; p.skipWord("and"); n++ {
		p.chain(n)
		x = &logicExpr{false, x, p.not()}
	}
	return x
}

func (p *parser) not() expr {
	if p.skipWord("not") {
		defer p.nest()()
		return &notExpr{p.not()}
	}
	return p.compare()
}

func (p *parser) compare() expr {
	node := &compareExpr{first: p.sum()}
	for {
		t := p.cur()
		op := ""
		switch t.kind {
		case "==", "!=", "<", "<=", ">", ">=":
			op = string(t.kind)
			p.next()
		case tokName:
			if p.skipWord("in") {
				op = "in"
			} else if t.text == "not" && p.ahead().kind == tokName && p.ahead().text == "in" {
				p.next()
				p.next()
				op = "not in"
			}
		}
		if op == "" {
			break
		}
		p.chain(len(node.ops))
		node.at = t.at
		node.ops = append(node.ops, op)
		node.rest = append(node.rest, p.sum())
	}
	if len(node.ops) == 0 {
		return node.first
	}
	return node
}

// binary reads operands of next joined by operators, from the left.
func (p *parser) binary(next func() expr, operators ...tokenKind) expr {
	x := next()
	for n := 0; slices.Contains(operators, p.cur().kind); n++ {
		p.chain(n)
		t := p.next()
		x = &binaryExpr{t.at, string(t.kind), x, next()}
	}
	return x
}

func (p *parser) sum() expr { return p.binary(p.concat, "+", "-") }

func (p *parser) concat() expr {
	t := p.cur()
	parts := []expr{p.product()}
	for p.skip("~") {
		p.chain(len(parts))
		parts = append(parts, p.product())
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return &concatExpr{t.at, parts}
}

func (p *parser) product() expr { return p.binary(p.power, "*", "/", "//", "%") }

// power groups from the left, unlike Python.
func (p *parser) power() expr {
	return p.binary(func() expr { return p.unary(true) }, "**")
}

// unary reads a sign, and what follows a primary expression. The sign binds closer than
// filters: -1|abs is (-1)|abs.
func (p *parser) unary(filters bool) expr {
	t := p.cur()
	var x expr
	if t.kind == "-" || t.kind == "+" {
		defer p.nest()()
		p.next()
		x = &unaryExpr{t.at, string(t.kind), p.unary(false)}
	} else {
		x = p.primary()
	}
	x = p.postfix(x)
	if !filters {
		return x
	}
	for n := 0; ; n++ {
		p.chain(n)
		switch {
		case p.is("|"):
			p.next()
			x = &filterExpr{x, p.filterName()}
		case p.isWord("is"):
			x = p.test(x)
		case p.is("("):
			x = p.call(x)
		default:
			return x
		}
	}
}

func (p *parser) primary() expr {
	t := p.next()
	switch t.kind {
	case tokName:
		if c := constants[t.text]; c != nil {
			return c
		}
		switch t.text {
		case "loop":
			p.loopLoads++
		case "caller", "varargs", "kwargs":
			for _, m := range p.special {
				m[t.text] = true
			}
		case "self", "super":
			p.fail(t.at, KindUnsupported, "chat templates stand alone: %s is not supported", t.text)
		}
		return &nameExpr{t.at, t.text}
	case tokString:
		text := t.text
		if p.is(tokString) { // literals side by side are one
			var b strings.Builder
			b.WriteString(text)
			for p.is(tokString) {
				b.WriteString(p.next().text)
			}
			text = b.String()
		}
		return &constExpr{text}
	case tokInteger, tokFloat:
		return &constExpr{t.num}
	case "(":
		x := p.tuple(tupleOptions{parens: true})
		p.expect(")")
		return x
	case "[":
		list := &listExpr{at: t.at}
		for !p.is("]") {
			if len(list.items) > 0 {
				p.expect(",")
				if p.is("]") {
					break
				}
			}
			list.items = append(list.items, p.expression())
		}
		p.expect("]")
		return list
	case "{":
		return p.dict(t)
	}
	p.syntax(t, "found %s, want an expression", t)
	return nil
}

func (p *parser) dict(t token) expr {
	dict := &dictExpr{at: t.at}
	for !p.is("}") {
		if len(dict.keys) > 0 {
			p.expect(",")
			if p.is("}") {
				break
			}
		}
		dict.keys = append(dict.keys, p.expression())
		p.expect(":")
		dict.values = append(dict.values, p.expression())
	}
	p.expect("}")
	return dict
}

// postfix reads .name, [index] and (arguments) after x.
func (p *parser) postfix(x expr) expr {
	for n := 0; ; n++ {
		p.chain(n)
		t := p.cur()
		switch t.kind {
		case ".":
			p.next()
			switch name := p.next(); name.kind {
			case tokName:
				x = &attrExpr{t.at, x, name.text}
			case tokInteger:
				x = &itemExpr{t.at, x, &constExpr{name.num}}
			default:
				p.syntax(name, "found %s, want a name or a number", name)
			}
		case "[":
			p.next()
			x = &itemExpr{t.at, x, p.subscript(t)}
		case "(":
			x = p.call(x)
		default:
			return x
		}
	}
}

// subscript reads what stands between brackets, up to the closing one.
func (p *parser) subscript(open token) expr {
	var items []expr
	for !p.is("]") {
		if len(items) > 0 {
			p.expect(",")
		}
		items = append(items, p.slice())
	}
	p.expect("]")
	if len(items) == 1 {
		return items[0]
	}
	return &listExpr{open.at, items, true}
}

// slice reads start:stop:step, or an index.
func (p *parser) slice() expr {
	var part [3]expr
	if !p.is(":") {
		part[0] = p.expression()
		if !p.is(":") {
			return part[0]
		}
	}
	for i := 1; i < 3 && p.skip(":"); i++ {
		if !p.is(":") && !p.is("]") && !p.is(",") {
			part[i] = p.expression()
		}
	}
	return &sliceExpr{part[0], part[1], part[2]}
}

func (p *parser) call(fn expr) expr {
	return &callExpr{p.cur().at, fn, p.arguments()}
}

// arguments reads (a, b, name=c, *args, **kwargs).
func (p *parser) arguments() (a argExprs) {
	open := p.expect("(")
	ensure := func(ok bool) {
		if !ok {
			p.syntax(p.cur(), "arguments are out of order: want positions, then names, then *list, then **dict")
		}
	}
	for n := 0; !p.is(")"); n++ {
		if n > 0 {
			p.expect(",")
			if p.is(")") {
				break
			}
		}
		switch {
		case p.is("*"):
			ensure(a.star == nil && a.dstar == nil)
			p.next()
			a.star = p.expression()
		case p.is("**"):
			ensure(a.dstar == nil)
			p.next()
			a.dstar = p.expression()
		case p.is(tokName) && p.ahead().kind == "=":
			ensure(a.dstar == nil)
			name := p.next()
			if slices.Contains(a.names, name.text) {
				p.syntax(name, "argument %s is given twice", name.text)
			}
			if len(a.names) == maxArguments {
				p.syntax(name, "more than %d named arguments", maxArguments)
			}
			p.next()
			a.names = append(a.names, name.text)
			a.values = append(a.values, p.expression())
		default:
			ensure(a.star == nil && a.dstar == nil && len(a.names) == 0)
			a.pos = append(a.pos, p.expression())
		}
	}
	if !p.skip(")") {
		p.syntax(open, "arguments without end")
	}
	return a
}

// filters reads any number of |name(arguments).
func (p *parser) filters() (calls []filterCall) {
	for p.skip("|") {
		p.chain(len(calls))
		calls = append(calls, p.filterName())
	}
	return calls
}

// dotted reads the name of a filter or test.
func (p *parser) dotted() token {
	t := p.expect(tokName)
	for p.skip(".") {
		t.text += "." + p.expect(tokName).text
	}
	return t
}

// filterName reads name(arguments), the parentheses optional.
func (p *parser) filterName() filterCall {
	t := p.dotted()
	if _, ok := filters[t.text]; !ok {
		p.unknown = append(p.unknown, unknown{t.at, "filter " + t.text})
	}
	call := filterCall{at: t.at, name: t.text}
	if p.is("(") {
		call.args = p.arguments()
	}
	return call
}

// test reads from is: a name and arguments, or one argument without parentheses.
func (p *parser) test(x expr) expr {
	p.next()
	negated := p.skipWord("not")
	t := p.dotted()
	if _, ok := tests[t.text]; !ok {
		p.unknown = append(p.unknown, unknown{t.at, "test " + t.text})
	}
	node := &testExpr{at: t.at, x: x, name: t.text}
	switch next := p.cur(); next.kind {
	case "(":
		node.args = p.arguments()
	case tokName, tokString, tokInteger, tokFloat, "[", "{":
		if next.kind == tokName && slices.Contains([]string{"else", "or", "and"}, next.text) {
			break
		}
		if p.isWord("is") {
			p.syntax(next, "tests with is do not chain; use and")
		}
		node.args.pos = []expr{p.postfix(p.primary())}
	}
	if negated {
		return &notExpr{node}
	}
	return node
}
