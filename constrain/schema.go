package constrain

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxNesting is how often a $ref may lead into another, and how deep values of no schema nest.
const maxNesting = 16

// compiler makes expressions of schemas.
type compiler struct {
	*arena
	root         value
	colon, comma expr
	characters   expr // of a string, any number
	any, objects [maxNesting + 1]expr
	refs         map[reference]expr
	cut          bool // somewhere a $ref went too deep
}

// reference is a schema that a $ref names, at a depth of such.
type reference struct {
	at    string
	depth int
}

func newCompiler(a *arena) *compiler {
	c := &compiler{arena: a, refs: map[reference]expr{}}
	gap := c.optional(c.literal(" "))
	c.colon, c.comma = c.cat(c.literal(":"), gap), c.cat(c.literal(","), gap)
	c.characters = c.repeat(c.spelled(anyRune), 0, many)
	return c
}

func (c *compiler) document(v value) (expr, error) {
	c.root = v
	e, err := c.schema(v, "#", maxNesting)
	if err == nil && e == nothing {
		if c.cut {
			return e, fmt.Errorf("schema: no value is complete with at most %d levels of $ref", maxNesting)
		}
		return e, fmt.Errorf("schema: no value satisfies it")
	}
	return e, err
}

// unsupported is an error about a place in the schema.
func unsupported(at, format string, args ...any) error {
	return fmt.Errorf("schema at %s: %s", at, fmt.Sprintf(format, args...))
}

// kindOf is a type, the keywords that say something about its values, and what makes them.
type kindOf struct {
	name     string
	keywords []string
	write    func(*compiler, *object, string, int) (expr, error)
}

var types []kindOf

func init() { // which its functions read
	types = []kindOf{
		{"object", []string{"properties", "required", "additionalProperties", "minProperties", "maxProperties"}, (*compiler).object},
		{"array", []string{"items", "prefixItems", "minItems", "maxItems", "uniqueItems"}, (*compiler).array},
		{"string", []string{"minLength", "maxLength", "pattern"}, (*compiler).text},
		{"integer", []string{"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}, (*compiler).integers},
		{"number", []string{"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}, (*compiler).numbers},
		{"boolean", nil, func(c *compiler, _ *object, _ string, _ int) (expr, error) {
			return c.or(c.literal("true"), c.literal("false")), nil
		}},
		{"null", nil, func(c *compiler, _ *object, _ string, _ int) (expr, error) { return c.literal("null"), nil }},
	}
}

// remarks are keywords that ask nothing of a value. format is one for most formats.
var remarks = []string{
	"$schema", "$id", "$comment", "$defs", "definitions", "title", "description", "default", "example", "examples", "deprecated",
	"readOnly", "writeOnly", "contentEncoding", "contentMediaType", "contentSchema", "format", "nullable", "discriminator", "externalDocs", "xml",
}

// schema is the values of one schema. depth is how many $ref may still be followed.
func (c *compiler) schema(v value, at string, depth int) (expr, error) {
	c.spend(0, 1)
	if b, ok := v.(bool); ok {
		if b {
			return c.anyValue(maxNesting), nil
		}
		return nothing, nil
	}
	s, ok := v.(*object)
	if !ok {
		return nothing, unsupported(at, "found %s, want an object, true or false", called(v))
	}
	e, err := c.asked(s, at, depth)
	if err != nil {
		return nothing, err
	}
	switch nullable := s.of["nullable"].(type) {
	case nil:
	case bool:
		if nullable {
			e = c.or(e, c.literal("null"))
		}
	default:
		return nothing, unsupported(at, "\"nullable\" is %s, want true or false", called(nullable))
	}
	return e, nil
}

// asked is what the keywords of a schema ask for, nullable left out.
func (c *compiler) asked(s *object, at string, depth int) (expr, error) {
	var keywords []string // that ask for something
	for _, k := range s.keys {
		if slices.Contains(remarks, k) || strings.HasPrefix(k, "x-") {
			continue
		}
		keywords = append(keywords, k)
	}
	for _, k := range []string{"$ref", "anyOf", "oneOf", "allOf"} {
		if !slices.Contains(keywords, k) {
			continue
		}
		if len(keywords) > 1 {
			other := keywords[0]
			if other == k {
				other = keywords[1]
			}
			return nothing, unsupported(at, "%q beside %q is not supported; put all into one schema", other, k)
		}
		if k == "$ref" {
			return c.refer(s.of[k], at, depth)
		}
		return c.alternatives(k, s.of[k], at, depth)
	}
	for _, k := range []string{"const", "enum"} {
		if slices.Contains(keywords, k) {
			return c.listed(k, s, keywords, at)
		}
	}
	names, err := typeNames(s, keywords, at)
	if err != nil {
		return nothing, err
	}
	for _, k := range keywords {
		if k != "type" && !slices.ContainsFunc(types, func(t kindOf) bool { return slices.Contains(t.keywords, k) }) {
			return nothing, unsupported(at, "%q is not supported", k)
		}
	}
	if names == nil {
		return c.anyValue(maxNesting), nil
	}
	var all []expr
	for _, t := range types {
		if slices.Contains(names, t.name) {
			e, err := t.write(c, s, at, depth)
			if err != nil {
				return nothing, err
			}
			all = append(all, e)
		}
	}
	return c.or(all...), nil
}

// typeNames is the types that a schema names, or else means; nil is all.
func typeNames(s *object, keywords []string, at string) (names []string, err error) {
	switch t := s.of["type"].(type) {
	case string:
		names = []string{t}
	case []value:
		for _, v := range t {
			name, ok := v.(string)
			if !ok {
				return nil, unsupported(at, "\"type\" has %s in its list, want names", called(v))
			}
			names = append(names, name)
		}
		if names == nil {
			return nil, unsupported(at, "\"type\" is an empty list")
		}
	case nil:
		if _, given := s.get("type"); given {
			return nil, unsupported(at, "\"type\" is null, want a name; write \"null\"")
		}
		for _, t := range types {
			if t.name != "integer" && slices.ContainsFunc(t.keywords, func(k string) bool { return slices.Contains(keywords, k) }) {
				return []string{t.name}, nil
			}
		}
		return nil, nil
	default:
		return nil, unsupported(at, "\"type\" is %s, want a name or a list of names", called(t))
	}
	for _, name := range names {
		if !slices.ContainsFunc(types, func(t kindOf) bool { return t.name == name }) {
			return nil, unsupported(at, "\"type\" is %.60q, want object, array, string, number, integer, boolean or null", name)
		}
	}
	return names, nil
}

// refer follows a $ref within the document.
func (c *compiler) refer(v value, at string, depth int) (expr, error) {
	to, ok := v.(string)
	if !ok || to != "#" && !strings.HasPrefix(to, "#/") {
		return nothing, unsupported(at, "\"$ref\" is %.60q, want a place within the schema, such as #/$defs/name", fmt.Sprint(v))
	}
	target := c.root
	for _, name := range strings.Split(to, "/")[1:] {
		name = strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
		switch in := target.(type) {
		case *object:
			target, ok = in.of[name]
		case []value:
			i, err := strconv.Atoi(name)
			if ok = err == nil && i >= 0 && i < len(in); ok {
				target = in[i]
			}
		default:
			ok = false
		}
		if !ok {
			return nothing, unsupported(at, "\"$ref\" leads to %.100q, where there is nothing", to)
		}
	}
	if depth == 0 {
		c.cut = true
		return nothing, nil
	}
	r := reference{to, depth}
	if e, ok := c.refs[r]; ok {
		return e, nil
	}
	e, err := c.schema(target, to, depth-1)
	if err != nil {
		return nothing, err
	}
	c.refs[r] = e
	return e, nil
}

func (c *compiler) alternatives(k string, v value, at string, depth int) (expr, error) {
	list, ok := v.([]value)
	if !ok || len(list) == 0 {
		return nothing, unsupported(at, "%q wants a list of schemas", k)
	}
	if k == "allOf" && len(list) > 1 {
		return nothing, unsupported(at, "\"allOf\" of %d schemas is not supported; put all into one schema", len(list))
	}
	var all []expr
	for i, sub := range list {
		e, err := c.schema(sub, pointer(pointer(at, k), strconv.Itoa(i)), depth)
		if err != nil {
			return nothing, err
		}
		all = append(all, e)
	}
	return c.or(all...), nil
}

// listed is the values of an enum or a const that have the type.
func (c *compiler) listed(k string, s *object, keywords []string, at string) (expr, error) {
	for _, other := range keywords {
		if other != k && other != "type" {
			return nothing, unsupported(at, "%q beside %q is not supported; leave out of %q what it forbids", other, k, k)
		}
	}
	list, ok := s.of[k].([]value)
	if k == "const" {
		list, ok = []value{s.of[k]}, true
	}
	if !ok || len(list) == 0 {
		return nothing, unsupported(at, "\"enum\" wants a list of values")
	}
	names, err := typeNames(s, []string{k}, at)
	if err != nil {
		return nothing, err
	}
	var all []expr
	for _, v := range list {
		name := called(v)
		if names == nil || slices.Contains(names, name) || name == "integer" && slices.Contains(names, "number") {
			all = append(all, c.writeValue(v))
		}
	}
	return c.or(all...), nil
}

// count reads a keyword that is a number of things. ok says whether it is there.
func (c *compiler) count(s *object, k, at string) (n int32, ok bool, err error) {
	v, ok := s.get(k)
	if !ok {
		return 0, false, nil
	}
	const most = 1 << 20
	number, _ := v.(json.Number)
	d, err := parseDecimal(number)
	if err != nil || d.negative || !d.whole() || len(d.digits) > 7 {
		return 0, false, unsupported(at, "%q wants a whole number from 0 to %d", k, most)
	}
	all, _ := strconv.Atoi(d.digits)
	if all > most {
		return 0, false, unsupported(at, "%q is %d, want at most %d", k, all, most)
	}
	return int32(all), true, nil
}

// counts reads a least and a most.
func (c *compiler) counts(s *object, least, most, at string) (m, n int32, err error) {
	if m, _, err = c.count(s, least, at); err != nil {
		return 0, 0, err
	}
	n, ok, err := c.count(s, most, at)
	switch {
	case err != nil:
		return 0, 0, err
	case !ok:
		return m, many, nil
	case n < m:
		return 0, 0, unsupported(at, "%q is %d and %q %d: no value has both", least, m, most, n)
	}
	return m, n, nil
}

// formats are those whose form is kept to. Days are those that every such month has.
var formats = map[string]string{
	"date":      day,
	"time":      clock,
	"date-time": day + "T" + clock,
	"uuid":      `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`,
	"ipv4":      `(` + byteNumber + `\.){3}` + byteNumber,
}

const (
	day        = `[0-9]{4}-((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)`
	clock      = `([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])`
	byteNumber = `(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])`
)

func (c *compiler) text(s *object, at string, _ int) (expr, error) {
	m, n, err := c.counts(s, "minLength", "maxLength", at)
	if err != nil {
		return nothing, err
	}
	e := c.characters
	if m > 0 || n != many {
		e = c.repeat(c.spelled(anyRune), m, n)
	}
	inString := pattern{c.arena, c.spelled}
	for k, read := range map[string]func(string) (expr, error){
		"pattern": inString.part,
		"format":  func(name string) (expr, error) { return inString.whole(formats[name]) },
	} {
		v, given := s.get(k)
		text, ok := v.(string)
		switch {
		case given && !ok:
			return nothing, unsupported(at, "%q is %s, want a string", k, called(v))
		case !given || k == "format" && formats[text] == "":
			continue
		}
		form, err := read(text)
		if err != nil {
			return nothing, unsupported(at, "%q: %v", k, err)
		}
		if e == c.characters {
			e = form // which is within it
		} else {
			e = c.and(e, form)
		}
	}
	return c.seq(c.literal(`"`), e, c.literal(`"`)), nil
}

func (c *compiler) bounds(s *object, at string) (lo, hi *limit, err error) {
	for _, k := range []string{"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"} {
		v, ok := s.get(k)
		if !ok {
			continue
		}
		n, ok := v.(json.Number)
		if !ok {
			return nil, nil, unsupported(at, "%q is %s, want a number", k, called(v))
		}
		d, err := parseDecimal(n)
		if err != nil {
			return nil, nil, unsupported(at, "%q: %v", k, err)
		}
		l := &limit{d, strings.HasPrefix(k, "exclusive")}
		if strings.HasSuffix(k, "inimum") {
			lo = tighter(lo, l, false)
		} else {
			hi = tighter(hi, l, true)
		}
	}
	return lo, hi, nil
}

func (c *compiler) integers(s *object, at string, _ int) (expr, error) {
	lo, hi, err := c.bounds(s, at)
	if err != nil {
		return nothing, err
	}
	if v, ok := s.get("multipleOf"); ok && v != json.Number("1") {
		return nothing, unsupported(at, "\"multipleOf\" is not supported")
	}
	return c.integer(lo, hi), nil
}

func (c *compiler) numbers(s *object, at string, depth int) (expr, error) {
	if v, ok := s.get("multipleOf"); ok && v == json.Number("1") {
		return c.integers(s, at, depth)
	} else if ok {
		return nothing, unsupported(at, "\"multipleOf\" is not supported")
	}
	lo, hi, err := c.bounds(s, at)
	if err != nil {
		return nothing, err
	}
	return c.number(lo, hi), nil
}

func (c *compiler) array(s *object, at string, depth int) (expr, error) {
	m, n, err := c.counts(s, "minItems", "maxItems", at)
	if err != nil {
		return nothing, err
	}
	if v, ok := s.get("uniqueItems"); ok && v != false {
		return nothing, unsupported(at, "\"uniqueItems\" is not supported")
	}
	var first []expr
	prefix, listed := s.get("prefixItems")
	list, ok := prefix.([]value)
	if listed && !ok {
		return nothing, unsupported(at, "\"prefixItems\" is %s, want a list of schemas", called(prefix))
	}
	for i, sub := range list {
		e, err := c.schema(sub, pointer(pointer(at, "prefixItems"), strconv.Itoa(i)), depth)
		if err != nil {
			return nothing, err
		}
		first = append(first, e)
	}
	item := nothing // behind those: nothing is narrower than anything
	if v, ok := s.get("items"); ok {
		if item, err = c.schema(v, pointer(at, "items"), depth); err != nil {
			return nothing, err
		}
	} else if !listed || m > int32(len(first)) {
		item = c.anyValue(maxNesting)
	}
	return c.seq(c.literal("["), c.items(first, item, m, n), c.literal("]")), nil
}

// items is m to n items: first the ones that have their own form, then others.
func (c *compiler) items(first []expr, item expr, m, n int32) expr {
	less := func(n, by int32) int32 {
		if n == many {
			return many
		}
		return max(0, n-by)
	}
	k := int32(len(first))
	rest := c.repeat(c.cat(c.comma, item), max(0, m-k), less(n, k))
	if k == 0 {
		if n == 0 {
			return epsilon
		}
		e := c.cat(item, c.repeat(c.cat(c.comma, item), max(0, m-1), less(n, 1)))
		if m == 0 {
			e = c.optional(e)
		}
		return e
	}
	for i := k - 1; i >= 0; i-- {
		e := nothing
		if n == many || n > i {
			e = c.cat(first[i], rest)
			if i > 0 {
				e = c.cat(c.comma, e)
			}
		}
		if m <= i {
			e = c.optional(e)
		}
		rest = e
	}
	return rest
}

// maxProperties bounds the properties of one object: any of them may come first.
const maxProperties = 1 << 10

func (c *compiler) object(s *object, at string, depth int) (expr, error) {
	properties := &object{}
	if v, ok := s.get("properties"); ok {
		if properties, ok = v.(*object); !ok {
			return nothing, unsupported(at, "\"properties\" is %s, want an object", called(v))
		}
	}
	required, err := c.required(s, at)
	if err != nil {
		return nothing, err
	}
	names := slices.Clone(properties.keys)
	for _, r := range required {
		if !slices.Contains(names, r) {
			names = append(names, r)
		}
	}
	if len(names) > maxProperties {
		return nothing, unsupported(at, "%d properties, want at most %d", len(names), maxProperties)
	}
	other, given := s.get("additionalProperties")
	if !given {
		other = len(names) == 0
	}
	extra, err := c.schema(other, pointer(at, "additionalProperties"), depth)
	if err != nil {
		return nothing, err
	}
	additional, err := c.additional(s, names, required, at)
	if err != nil {
		return nothing, err
	}
	key := c.characters
	if len(names) > 0 {
		var taken []expr
		for _, n := range names {
			spelled := spell(n)
			taken = append(taken, c.literal(spelled[1:len(spelled)-1]))
		}
		key = c.and(c.characters, c.not(c.or(taken...)))
	}
	pair := c.seq(c.literal(`"`), key, c.literal(`"`), c.colon, extra)
	// What may come from a property on: behind another, and as the first.
	behind := c.repeat(c.cat(c.comma, pair), 0, additional)
	alone := c.items(nil, pair, 0, additional)
	for _, name := range slices.Backward(names) {
		v := extra
		sub, ok := properties.get(name)
		if ok {
			if v, err = c.schema(sub, pointer(pointer(at, "properties"), name), depth); err != nil {
				return nothing, err
			}
		} else if !given {
			v = c.anyValue(maxNesting)
		}
		member := c.seq(c.literal(spell(name)), c.colon, v)
		then, first := c.seq(c.comma, member, behind), c.cat(member, behind)
		if slices.Contains(required, name) {
			behind, alone = then, first
		} else {
			behind, alone = c.or(then, behind), c.or(first, alone)
		}
	}
	return c.seq(c.literal("{"), alone, c.literal("}")), nil
}

func (c *compiler) required(s *object, at string) (names []string, err error) {
	v, ok := s.get("required")
	list, isList := v.([]value)
	if ok && !isList {
		return nil, unsupported(at, "\"required\" is %s, want a list of names", called(v))
	}
	for _, v := range list {
		name, ok := v.(string)
		if !ok {
			return nil, unsupported(at, "\"required\" has %s in its list, want names", called(v))
		}
		names = append(names, name)
	}
	return names, nil
}

// additional is how many additional properties there may be.
func (c *compiler) additional(s *object, names, required []string, at string) (int32, error) {
	least, _, err := c.count(s, "minProperties", at)
	if err != nil {
		return 0, err
	}
	most, ok, err := c.count(s, "maxProperties", at)
	switch {
	case err != nil:
		return 0, err
	case int(least) > len(required):
		return 0, unsupported(at, "\"minProperties\" above the number of required properties is not supported; name them in \"required\"")
	case !ok:
		return many, nil
	case int(most) < len(names):
		return 0, unsupported(at, "\"maxProperties\" below the number of properties is not supported")
	}
	return most - int32(len(names)), nil
}

// anyValue is a value of any kind that nests so deep.
func (c *compiler) anyValue(depth int) expr {
	if e := c.any[depth]; e != 0 {
		return e
	}
	text := c.seq(c.literal(`"`), c.characters, c.literal(`"`))
	e := c.or(text, c.number(nil, nil), c.literal("true"), c.literal("false"), c.literal("null"))
	if depth > 0 {
		list := c.seq(c.literal("["), c.items(nil, c.anyValue(depth-1), 0, many), c.literal("]"))
		e = c.or(e, list, c.anyObject(depth))
	}
	c.any[depth] = e
	return e
}

// anyObject is an object of any kind.
func (c *compiler) anyObject(depth int) expr {
	if e := c.objects[depth]; e != 0 {
		return e
	}
	pair := c.seq(c.literal(`"`), c.characters, c.literal(`"`), c.colon, c.anyValue(depth-1))
	e := c.seq(c.literal("{"), c.items(nil, pair, 0, many), c.literal("}"))
	c.objects[depth] = e
	return e
}
