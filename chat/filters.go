package chat

import (
	"math"
	"math/big"
	"net/url"
	"strings"
	"unicode/utf8"
)

// filter is what stands after a |: v|name(arguments).
type filter func(s *state, v Value, a args) Value

// filters are those of jinja2 that chat templates have a use for. Missing are random
// (a prompt is no lottery) and those that make web pages.
var filters map[string]filter

func init() { // here, because map and the test filter look into the table
	filters = map[string]filter{
		"upper": textFilter(upper), "lower": textFilter(lower), "capitalize": textFilter(capitalize), "title": textFilter(titleWords),
		"trim": trimFilter, "replace": replaceFilter, "indent": indentFilter, "center": centerFilter, "truncate": truncateFilter,
		"wordcount": wordCountFilter, "format": formatFilter, "string": stringFilter, "urlencode": urlEncodeFilter,
		"e": escapeFilter, "escape": escapeFilter, "forceescape": escapeFilter, "safe": safeFilter,
		"tojson": toJSONFilter, "int": intFilter, "float": floatFilter, "abs": absFilter, "round": roundFilter,
		"default": defaultFilter, "d": defaultFilter, "attr": attrFilter,

		"length": lengthFilter, "count": lengthFilter, "list": listFilter, "first": firstFilter, "last": lastFilter,
		"join": joinFilter, "reverse": reverseFilter, "sort": sortFilter, "dictsort": dictSortFilter, "items": itemsFilter,
		"unique": uniqueFilter, "min": extremeFilter(-1), "max": extremeFilter(1), "sum": sumFilter,
		"batch": batchFilter, "slice": sliceFilter, "groupby": groupByFilter, "map": mapFilter,
		"select": selectFilter(true, false), "reject": selectFilter(false, false),
		"selectattr": selectFilter(true, true), "rejectattr": selectFilter(false, true),
	}
}

func textFilter(f func(string) string) filter {
	return func(s *state, v Value, a args) Value {
		s.bind("filter", a)
		str := s.str(v)
		s.alloc(3 * len(str)) // some characters become three
		return f(str)
	}
}

func trimFilter(s *state, v Value, a args) Value {
	return s.trim(s.str(v), or(s.bind("trim", a, "chars?")[0], nil), strings.TrimFunc)
}

func replaceFilter(s *state, v Value, a args) Value {
	b := s.bind("replace", a, "old", "new", "count?")
	limit := int64(-1)
	if n := or(b[2], nil); n != nil {
		limit = s.wantInt(n, "replace")
	}
	return s.replace(s.str(v), s.str(b[0]), s.str(b[1]), limit)
}

// indentFilter indents every line but the first and empty ones, unless told to.
func indentFilter(s *state, v Value, a args) Value {
	b := s.bind("indent", a, "width?", "first?", "blank?")
	str := s.wantText(v, "indent")
	indent, ok := text(or(b[0], int64(4)))
	if !ok {
		n := max(s.wantInt(or(b[0], int64(4)), "indent"), 0)
		s.allocMany(1, n)
		indent = strings.Repeat(" ", int(n))
	}
	lines := splitLines(str+"\n", false)
	s.allocMany(len(indent), int64(len(lines)))
	s.alloc(len(str))
	for i, line := range lines {
		if i > 0 && (line != "" || truth(or(b[2], false))) {
			lines[i] = indent + line
		}
	}
	if truth(or(b[1], false)) {
		lines[0] = indent + lines[0]
	}
	return strings.Join(lines, "\n")
}

func centerFilter(s *state, v Value, a args) Value {
	return s.pad(s.str(v), s.wantInt(or(s.bind("center", a, "width?")[0], int64(80)), "center"), " ", "center")
}

func truncateFilter(s *state, v Value, a args) Value {
	b := s.bind("truncate", a, "length?", "killwords?", "end?", "leeway?")
	end := s.wantText(or(b[2], "..."), "truncate")
	limit := s.wantInt(or(b[0], int64(255)), "truncate")
	leeway := int64(5)
	if n := or(b[3], nil); n != nil {
		leeway = s.wantInt(n, "truncate")
	}
	keep := limit - int64(utf8.RuneCountInString(end))
	if keep < 0 || leeway < 0 {
		s.fail(KindRuntime, "truncate: length %d and leeway %d are too small", limit, leeway)
	}
	if size, ok := s.length(v); ok && int64(size)-leeway <= limit {
		return v
	}
	str := s.wantText(v, "truncate")
	s.alloc(len(str))
	cut := runeSlice(str, 0, int(keep))
	if !truth(or(b[1], false)) {
		if at := strings.LastIndexByte(cut, ' '); at >= 0 {
			cut = cut[:at]
		}
	}
	return cut + end
}

func wordCountFilter(s *state, v Value, a args) Value {
	s.bind("wordcount", a)
	str := s.str(v)
	s.charge(len(str))
	return int64(len(strings.FieldsFunc(str, func(c rune) bool { return !isAlnum(c) && c != '_' })))
}

func formatFilter(s *state, v Value, a args) Value {
	if len(a.names) == 0 {
		return s.formatPercent(s.str(v), Tuple(a.pos))
	}
	if len(a.pos) > 0 {
		s.fail(KindType, "format: positional and keyword arguments at the same time")
	}
	d := NewDict()
	for i, name := range a.names {
		d.Set(name, a.values[i])
	}
	return s.formatPercent(s.str(v), d)
}

func stringFilter(s *state, v Value, a args) Value {
	s.bind("string", a)
	if _, ok := v.(markup); ok {
		return v
	}
	return s.str(v)
}

func urlEncodeFilter(s *state, v Value, a args) Value {
	s.bind("urlencode", a)
	quoteURL := func(v Value, slash string) string {
		str := s.str(v)
		s.alloc(3 * len(str))
		return strings.NewReplacer("+", "%20", "%7E", "~", "%2F", slash).Replace(url.QueryEscape(str))
	}
	_, isText := text(v)
	next, ok := iterate(v)
	if isText || !ok || isUndefined(v) {
		return quoteURL(v, "/")
	}
	if d, ok := v.(*Dict); ok {
		next, _ = iterate(dictView{d, "items"})
	}
	var parts []string
	for item, ok := next(); ok; item, ok = next() {
		pair := s.items(item)
		if len(pair) != 2 {
			s.fail(KindRuntime, "urlencode: found %d values to unpack, want 2", len(pair))
		}
		query := quoteURL(pair[0], "%2F") + "=" + quoteURL(pair[1], "%2F")
		parts = append(parts, strings.ReplaceAll(query, "%20", "+"))
	}
	return s.join(parts, "&")
}

func escapeFilter(s *state, v Value, a args) Value {
	s.bind("escape", a)
	if m, ok := v.(markup); ok {
		return m
	}
	str := s.str(v)
	s.alloc(5 * len(str))
	return markup(escapeHTML(str))
}

func safeFilter(s *state, v Value, a args) Value {
	s.bind("safe", a)
	return markup(s.str(v))
}

// toJSONFilter is transformers' own: json.dumps with its arguments, nothing escaped
// for HTML.
func toJSONFilter(s *state, v Value, a args) Value {
	b := s.bind("tojson", a, "ensure_ascii?", "indent?", "separators?", "sort_keys?")
	o := &jsonOptions{ascii: truth(or(b[0], false)), item: ", ", key: ": ", sort: truth(or(b[3], false))}
	if indent := or(b[1], nil); indent != nil {
		o.lines, o.item = true, ","
		if str, ok := text(indent); ok {
			o.indent = str
		} else {
			n := max(s.wantInt(indent, "tojson: indent"), 0)
			o.indent = strings.Repeat(" ", int(s.formatWidth(n)))
		}
	}
	if sep := or(b[2], nil); sep != nil {
		parts, ok := sequence(sep)
		if !ok || len(parts) != 2 {
			s.fail(KindType, "tojson: separators want two strings")
		}
		o.item, o.key = s.wantText(parts[0], "tojson: separators"), s.wantText(parts[1], "tojson: separators")
	}
	var out strings.Builder
	s.writeJSON(&out, v, o, 0)
	s.alloc(out.Len())
	return out.String()
}

func intFilter(s *state, v Value, a args) Value {
	b := s.bind("int", a, "default?", "base?")
	s.refuseUndefined(v)
	if str, ok := text(v); ok {
		s.charge(len(str))
		base := s.wantInt(or(b[1], int64(10)), "int")
		if base != 0 && (base < 2 || base > 36) {
			return or(b[0], int64(0))
		}
		if n, ok := parseInt(str, int(base)); ok {
			return s.normal(n)
		}
		// "42.7" gives 42.
		if f, ok := parseFloat(str); ok && f-f == 0 {
			return s.truncate(f)
		}
		return or(b[0], int64(0))
	}
	switch v := v.(type) {
	case bool, int64, *big.Int:
		return s.positive(v)
	case float64:
		if !math.IsNaN(v) {
			return s.truncate(v)
		}
	}
	return or(b[0], int64(0))
}

func floatFilter(s *state, v Value, a args) Value {
	def := or(s.bind("float", a, "default?")[0], 0.0)
	s.refuseUndefined(v)
	if str, ok := text(v); ok {
		s.charge(len(str))
		if f, ok := parseFloat(str); ok {
			return f
		}
		return def
	}
	if isNumber(v) {
		return s.float(v)
	}
	return def
}

func absFilter(s *state, v Value, a args) Value {
	s.bind("abs", a)
	if f, ok := v.(float64); ok {
		return math.Abs(f)
	}
	n, ok := bigInteger(v)
	if !ok {
		s.fail(KindType, "bad operand type for abs(): '%s'", typeName(v))
	}
	return s.normal(new(big.Int).Abs(n))
}

func roundFilter(s *state, v Value, a args) Value {
	b := s.bind("round", a, "precision?", "method?")
	how := s.wantText(or(b[1], "common"), "round")
	digits := s.wantInt(or(b[0], int64(0)), "round")
	if how == "common" {
		return s.round(v, digits)
	}
	f := map[string]func(float64) float64{"ceil": math.Ceil, "floor": math.Floor}[how]
	if f == nil {
		s.fail(KindRuntime, "method must be common, ceil or floor")
	}
	if !isNumber(v) {
		s.refuseUndefined(v)
		s.fail(KindType, "round: found '%s', want a number", typeName(v))
	}
	unit := s.arithmetic("**", int64(10), digits)
	return s.arithmetic("/", s.truncate(f(s.float(s.arithmetic("*", v, unit)))), unit)
}

func defaultFilter(s *state, v Value, a args) Value {
	b := s.bind("default", a, "default_value?", "boolean?")
	if _, ok := v.(*undefined); ok || truth(or(b[1], false)) && !truth(v) {
		return or(b[0], "")
	}
	return v
}

// attrFilter is v.name without looking into a dict's items.
func attrFilter(s *state, v Value, a args) Value {
	name := s.wantText(s.bind("attr", a, "name")[0], "attr")
	s.refuseUndefined(v)
	if m, ok := s.member(v, name); ok {
		return m
	}
	return noAttribute(v, name)
}
