package chat

import (
	"fmt"
	"slices"
	"strings"
)

// parser builds statements from tokens, by the grammar of jinja2 3.1's parser.
type parser struct {
	src    string
	tokens []token
	pos    int
	depth  int
	// loops counts the for blocks around, back to the innermost macro: break and
	// continue need one.
	loops int
	// special collects, for each macro being read, which of caller, varargs and
	// kwargs its body speaks of.
	special []map[string]bool
	// loopStores counts assignments to the name loop, which a for block forbids, and
	// loopLoads its uses, without which a loop needs no bookkeeping.
	loopStores, loopLoads int
	// unknown are uses of filters and tests that do not exist. Under an if they fail
	// only when reached, elsewhere the template is refused, as jinja2 does.
	unknown []unknown
	blocks  map[string]bool
}

type unknown struct {
	at   int
	what string
}

func parse(src string) []stmt {
	p := &parser{src: src, tokens: lex(src), blocks: map[string]bool{}}
	body, _ := p.statements()
	if len(p.unknown) > 0 {
		p.refuseUnknown(0)
	}
	return body
}

func (p *parser) fail(at int, kind Kind, format string, args ...any) {
	line, column := position(p.src, at)
	panic(&Error{kind, line, column, fmt.Sprintf(format, args...)})
}

func (p *parser) syntax(t token, format string, args ...any) {
	p.fail(t.at, KindSyntax, format, args...)
}

func (p *parser) refuseUnknown(from int) {
	if len(p.unknown) > from {
		u := p.unknown[from]
		p.fail(u.at, KindUnsupported, "no %s", u.what)
	}
}

func (p *parser) cur() token { return p.tokens[p.pos] }

// ahead is the token after the current one.
func (p *parser) ahead() token { return p.tokens[min(p.pos+1, len(p.tokens)-1)] }

func (p *parser) next() token {
	t := p.tokens[p.pos]
	if t.kind != tokEOF {
		p.pos++
	}
	return t
}

func (p *parser) is(kind tokenKind) bool { return p.cur().kind == kind }

// isWord reports whether the current token is the name word.
func (p *parser) isWord(word string) bool { return p.cur().kind == tokName && p.cur().text == word }

func (p *parser) skip(kind tokenKind) bool {
	if p.is(kind) {
		p.pos++
		return true
	}
	return false
}

func (p *parser) skipWord(word string) bool {
	if p.isWord(word) {
		p.pos++
		return true
	}
	return false
}

func (p *parser) expect(kind tokenKind) token {
	if !p.is(kind) {
		p.syntax(p.cur(), "found %s, want '%s'", p.cur(), kind)
	}
	return p.next()
}

// nest goes one level deeper and returns what comes back up.
func (p *parser) nest() func() {
	p.depth++
	if p.depth > maxNesting {
		p.syntax(p.cur(), "blocks or expressions nest deeper than %d levels", maxNesting)
	}
	return func() { p.depth-- }
}

// statements reads up to a tag named by one of ends, consumes its name and returns it;
// without ends, up to the end of the template.
func (p *parser) statements(ends ...string) (body []stmt, end string) {
	defer p.nest()()
	for {
		switch t := p.next(); t.kind {
		case tokEOF:
			if len(ends) > 0 {
				p.syntax(t, "found the end of the template, want {%% %s %%}", strings.Join(ends, " %} or {% "))
			}
			return body, ""
		case tokData:
			body = append(body, &dataStmt{t.text})
		case tokVarBegin:
			body = append(body, &outputStmt{p.tuple(tupleOptions{})})
			p.expect(tokVarEnd)
		default: // {%
			if p.is(tokName) && slices.Contains(ends, p.cur().text) {
				return body, p.next().text
			}
			body = append(body, p.statement()...)
			p.expect(tokTagEnd)
		}
	}
}

// block reads the body of a tag whose head is read: a colon is allowed before its end.
func (p *parser) block(ends ...string) (body []stmt, end string) {
	p.skip(":")
	p.expect(tokTagEnd)
	return p.statements(ends...)
}

// inner is block for a body that has a scope of its own, where unknown filters are
// refused even under an if.
func (p *parser) inner(ends ...string) (body []stmt, end string) {
	from := len(p.unknown)
	body, end = p.block(ends...)
	p.refuseUnknown(from)
	return body, end
}

// apart is inner for a body that becomes a function: it breaks no loop outside.
func (p *parser) apart(ends ...string) []stmt {
	loops := p.loops
	p.loops = 0
	body, _ := p.inner(ends...)
	p.loops = loops
	return body
}

func (p *parser) statement() []stmt {
	t := p.cur()
	if t.kind != tokName {
		p.syntax(t, "found %s, want the name of a tag", t)
	}
	p.next()
	one := func(s stmt) []stmt { return []stmt{s} }
	switch t.text {
	case "if":
		return one(p.ifBlock(t))
	case "for":
		return one(p.forBlock(t))
	case "set":
		return one(p.set(t))
	case "macro":
		return one(&macroStmt{p.macro(t)})
	case "call":
		return one(p.callBlock(t))
	case "filter":
		first := p.filterName()
		filters := append([]filterCall{first}, p.filters()...)
		body, _ := p.inner("endfilter")
		return one(&filterStmt{t.at, filters, body})
	case "with":
		return one(p.with(t))
	case "generation":
		return one(&scopeStmt{body: p.apart("endgeneration")})
	case "block":
		return one(p.namedBlock())
	case "print":
		var out []stmt
		for !p.is(tokTagEnd) {
			if len(out) > 0 {
				p.expect(",")
			}
			out = append(out, &outputStmt{p.expression()})
		}
		return out
	case "break", "continue":
		if p.loops == 0 {
			p.syntax(t, "%s outside a loop", t.text)
		}
		return one(&jumpStmt{map[string]flow{"break": flowBreak, "continue": flowContinue}[t.text]})
	case "autoescape":
		if c, ok := p.expression().(*constExpr); !ok || truth(c.v) {
			p.fail(t.at, KindUnsupported, "prompts are not HTML: only autoescape false is supported")
		}
		body, _ := p.inner("endautoescape")
		return one(&scopeStmt{body: body})
	case "include", "import", "from", "extends":
		p.fail(t.at, KindUnsupported, "chat templates stand alone: %s is not supported", t.text)
	}
	p.syntax(t, "unknown tag %q", t.text)
	return nil
}

// ifBlock reads from after its if or elif.
func (p *parser) ifBlock(t token) stmt {
	from := len(p.unknown)
	outer := &ifStmt{at: t.at}
	for node, n := outer, 0; ; n++ {
		p.chain(n)
		node.test = p.tuple(tupleOptions{noCond: true})
		var end string
		node.body, end = p.block("elif", "else", "endif")
		if end == "elif" {
			elif := &ifStmt{at: p.tokens[p.pos-1].at}
			node.orElse = []stmt{elif}
			node = elif
			continue
		}
		if end == "else" {
			node.orElse, _ = p.block("endif")
		}
		p.unknown = p.unknown[:from]
		return outer
	}
}

func (p *parser) forBlock(t token) stmt {
	stores := p.loopStores
	node := &forStmt{at: t.at, target: p.target(targetOptions{end: "in"})}
	if !p.skipWord("in") {
		p.syntax(p.cur(), "found %s, want \"in\"", p.cur())
	}
	node.iter = p.tuple(tupleOptions{noCond: true, end: "recursive"})
	from := len(p.unknown)
	if p.skipWord("if") {
		node.test = p.expression()
	}
	node.recursive = p.skipWord("recursive")
	loads := p.loopLoads
	p.loops++
	var end string
	node.body, end = p.inner("endfor", "else")
	p.loops--
	node.loop = node.recursive || p.loopLoads > loads
	if end == "else" {
		node.orElse, _ = p.inner("endfor")
	}
	p.refuseUnknown(from)
	if p.loopStores > stores {
		p.syntax(t, "this loop assigns to loop, which is its own")
	}
	return node
}

func (p *parser) set(t token) stmt {
	target := p.target(targetOptions{namespace: true})
	if p.skip("=") {
		return &setStmt{t.at, target, p.tuple(tupleOptions{})}
	}
	filters := p.filters()
	body, _ := p.inner("endset")
	return &setBlockStmt{t.at, target, filters, body}
}

func (p *parser) with(t token) stmt {
	node := &withStmt{at: t.at}
	for !p.is(tokTagEnd) {
		if len(node.targets) > 0 {
			p.expect(",")
		}
		node.targets = append(node.targets, p.target(targetOptions{}))
		p.expect("=")
		node.values = append(node.values, p.expression())
	}
	node.body, _ = p.inner("endwith")
	return node
}

func (p *parser) namedBlock() stmt {
	name := p.expect(tokName)
	if p.blocks[name.text] {
		p.syntax(name, "block %q is defined twice", name.text)
	}
	p.blocks[name.text] = true
	scoped := p.skipWord("scoped")
	if p.isWord("required") {
		p.fail(p.cur().at, KindUnsupported, "required blocks need a template that extends this one")
	}
	body := p.apart("endblock")
	p.skipWord(name.text)
	return &scopeStmt{body: body, top: !scoped}
}

// macro reads from after the word macro.
func (p *parser) macro(t token) *macroDef {
	def := &macroDef{at: t.at, name: p.target(targetOptions{nameOnly: true}).name}
	p.signature(def)
	p.macroBody(def, "endmacro")
	return def
}

func (p *parser) signature(def *macroDef) {
	p.expect("(")
	for !p.is(")") {
		if len(def.params) > 0 {
			p.expect(",")
		}
		name := p.expect(tokName)
		if constants[name.text] != nil {
			p.syntax(name, "%s is no name for a parameter", name.text)
		}
		if slices.Contains(def.params, name.text) {
			p.syntax(name, "parameter %s is given twice", name.text)
		}
		if len(def.params) == maxArguments {
			p.syntax(name, "more than %d parameters", maxArguments)
		}
		def.params = append(def.params, name.text)
		if p.skip("=") {
			def.defaults = append(def.defaults, p.expression())
		} else if len(def.defaults) > 0 {
			p.syntax(name, "parameter %s without a default follows one that has one", name.text)
		}
	}
	p.expect(")")
}

func (p *parser) macroBody(def *macroDef, end string) {
	p.special = append(p.special, map[string]bool{})
	def.body = p.apart(end)
	used := p.special[len(p.special)-1]
	p.special = p.special[:len(p.special)-1]
	is := func(name string) bool { return used[name] && !slices.Contains(def.params, name) }
	def.caller, def.varargs, def.kwargs = is("caller"), is("varargs"), is("kwargs")
	if i := slices.Index(def.params, "caller"); used["caller"] && i >= 0 && i < len(def.params)-len(def.defaults) {
		p.fail(def.at, KindSyntax, "the parameter caller needs a default, or leave it out")
	}
}

func (p *parser) callBlock(t token) stmt {
	def := &macroDef{at: t.at, name: "caller"}
	if p.is("(") {
		p.signature(def)
	}
	call, ok := p.expression().(*callExpr)
	if !ok {
		p.syntax(t, "a call block wants the call of a macro")
	}
	p.macroBody(def, "endcall")
	return &callStmt{t.at, call, def}
}

type targetOptions struct {
	end       string // a word that ends the target, besides the usual ends
	namespace bool   // ns.attr is allowed
	nameOnly  bool
}

// target reads where an assignment goes.
func (p *parser) target(o targetOptions) target {
	t := p.cur()
	if o.nameOnly {
		return p.assignable(&nameExpr{t.at, p.expect(tokName).text}, t)
	}
	var items []expr
	isTuple := false
	for {
		if len(items) > 0 {
			p.expect(",")
		}
		if p.tupleEnds(o.end) {
			break
		}
		items = append(items, p.primaryTarget(o.namespace))
		if !p.is(",") {
			break
		}
		isTuple = true
	}
	if isTuple {
		return p.assignable(&listExpr{t.at, items, true}, t)
	}
	if len(items) == 0 {
		p.syntax(p.cur(), "found %s, want a name", p.cur())
	}
	return p.assignable(items[0], t)
}

// primaryTarget reads one part of a target; a namespace's attribute comes back as an
// attrExpr.
func (p *parser) primaryTarget(namespace bool) expr {
	if t := p.cur(); namespace && t.kind == tokName && constants[t.text] == nil && p.ahead().kind == "." {
		p.next()
		p.next()
		return &attrExpr{t.at, &nameExpr{t.at, t.text}, p.expect(tokName).text}
	}
	return p.primary()
}

// assignable turns an expression into a target.
func (p *parser) assignable(x expr, t token) target {
	switch x := x.(type) {
	case *nameExpr:
		if constants[x.name] != nil {
			break
		}
		if x.name == "loop" {
			p.loopStores++
		}
		return target{at: x.at, name: x.name}
	case *attrExpr:
		if ns, ok := x.x.(*nameExpr); ok {
			return target{at: x.at, name: ns.name, attr: x.name}
		}
	case *listExpr:
		if !x.isTuple {
			break
		}
		out := target{at: x.at, isTuple: true}
		for _, item := range x.items {
			out.tuple = append(out.tuple, p.assignable(item, t))
		}
		return out
	}
	p.syntax(t, "cannot assign to this; want a name, a tuple of names, or namespace.name")
	return target{}
}
