package constrain

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"idefics2/tokenizer"
)

const tiny = "../testdata/golden/tiny/checkpoint/tokenizer.json"

func vocabulary(t testing.TB) (*Vocabulary, *tokenizer.Tokenizer) {
	t.Helper()
	tok, err := tokenizer.Load(tiny)
	if err != nil {
		t.Fatal(err)
	}
	return NewVocabulary(tok, tok.Size()+5), tok
}

var end = []int32{2}

// holds reports whether a text is one of the format, and whether it may begin one.
func (g *Grammar) holds(text string) (whole, begins bool) {
	g.a.work = 0
	e := g.root
	for i := range len(text) {
		e = g.a.step(e, g.a.class[text[i]])
	}
	return g.a.nodes[e].nullable, g.a.live(e)
}

// write draws a text of the format: tokens at random for a while, then those that end it.
func write(t testing.TB, g *Grammar, tok *tokenizer.Tokenizer, random *rand.Rand) string {
	c, err := g.Constraint(end)
	if err != nil {
		t.Fatal(err)
	}
	var ids []int32
	wild := random.IntN(60)
	for {
		mask, err := c.Mask(ids)
		if errors.Is(err, errTooComplex) {
			t.Skip(err)
		}
		if err != nil {
			t.Fatalf("after %q: %v", tok.Decode(ids, false), err)
		}
		var allowed []int32
		for id := range g.v.size {
			if mask[id>>6]>>(id&63)&1 != 0 {
				allowed = append(allowed, int32(id))
			}
		}
		next := allowed[random.IntN(len(allowed))]
		if len(ids) > wild {
			for _, want := range []string{"</s>", "}", "]", `"`, "0", "1", "true"} {
				if id, ok := tok.ID(want); ok && slices.Contains(allowed, id) {
					next = id
					break
				}
			}
		}
		if next == end[0] {
			return tok.Decode(ids, false)
		}
		if ids = append(ids, next); len(ids) > 3000 {
			t.Skip("a long text")
		}
	}
}

func TestSchema(t *testing.T) {
	v, _ := vocabulary(t)
	for _, c := range []struct {
		schema  string
		yes, no []string
	}{
		{`{"type":"string"}`, []string{`""`, `"é\n\"\\\u0001 /"`, `"😀"`}, []string{`"`, `"` + "\n" + `"`, `"\/"`, `"\u00e9"`, "\"\xff\"", `x`, `  ""`, `"" `}},
		{`{"type":"string","minLength":2,"maxLength":3}`, []string{`"ab"`, `"é😀\n"`}, []string{`"a"`, `"abcd"`}},
		{`{"type":"string","pattern":"^a+$","maxLength":3}`, []string{`"a"`, `"aaa"`}, []string{`""`, `"aaaa"`, `"b"`}},
		{`{"type":"string","pattern":"b|^c"}`, []string{`"abc"`, `"cx"`}, []string{`"ac"`}},
		{`{"type":"string","pattern":"^\\n\"$"}`, []string{`"\n\""`}, []string{`"n"`}},
		{`{"type":"string","format":"date"}`, []string{`"2024-02-28"`, `"2023-12-31"`}, []string{`"2023-02-30"`, `"2023-04-31"`, `"x"`}},
		{`{"type":"string","format":"ipv4"}`, []string{`"1.22.255.0"`}, []string{`"1.2.3"`, `"256.1.1.1"`}},
		{`{"type":"integer"}`, []string{`0`, `-1`, `123456789012345`}, []string{`01`, `-`, `1.0`, `1e3`, `-0`, `1234567890123456`}},
		{`{"type":"integer","minimum":-3,"maximum":120}`, []string{`-3`, `0`, `9`, `99`, `120`}, []string{`-4`, `121`, `130`, `200`}},
		{`{"type":"integer","exclusiveMinimum":10,"maximum":12.5}`, []string{`11`, `12`}, []string{`10`, `13`}},
		{`{"type":"integer","minimum":17}`, []string{`17`, `20`, `100`}, []string{`16`, `9`, `-20`}},
		{`{"type":"integer","maximum":-17}`, []string{`-17`, `-100`}, []string{`-16`, `0`, `5`}},
		{`{"type":"number"}`, []string{`0`, `-1.5`, `1e9`, `2.5E-3`, `1.50`}, []string{`.5`, `1.`, `+1`, `1e999`}},
		{`{"type":"number","minimum":-1.25,"exclusiveMaximum":3.5}`, []string{`-1.25`, `-1.250`, `-1`, `-0.3`, `0`, `3.49`, `3`}, []string{`-1.26`, `3.5`, `3.51`, `4`, `1e0`}},
		{`{"type":"number","exclusiveMinimum":0,"maximum":1}`, []string{`0.1`, `1`, `1.00`}, []string{`0`, `0.0`, `1.01`, `-1`}},
		{`{"type":["string","null"]}`, []string{`null`, `"x"`}, []string{`1`}},
		{`{"type":"boolean","nullable":true}`, []string{`true`, `null`}, []string{`0`}},
		{`{"enum":["a\"b",1,null,{"k":[1,2]}]}`, []string{`"a\"b"`, `1`, `null`, `{"k":[1,2]}`, `{"k": [1, 2]}`}, []string{`"a"`, `2`}},
		{`{"type":"integer","enum":["a",1]}`, []string{`1`}, []string{`"a"`}},
		{`{"const":{}}`, []string{`{}`}, []string{`{"a":1}`}},
		{`{"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":3}`, []string{`[1]`, `[1, 2,3]`}, []string{`[]`, `[1,2,3,4]`, `[1,]`, `[1,  2]`}},
		{`{"type":"array","prefixItems":[{"type":"integer"},{"type":"string"}]}`, []string{`[]`, `[1]`, `[1,"a"]`}, []string{`["a"]`, `[1,"a",2]`}},
		{`{"type":"array","prefixItems":[{"type":"integer"}],"items":{"type":"null"},"minItems":2,"maxItems":3}`, []string{`[1,null]`, `[1,null,null]`}, []string{`[1]`, `[1,null,null,null]`}},
		{`{"type":"array","maxItems":0}`, []string{`[]`}, []string{`[1]`}},
		{`{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"null"},"c":true},"required":["b"]}`,
			[]string{`{"b":null}`, `{"a":1,"b":null}`, `{"a": 1, "b": null, "c": [{"x": 1}]}`}, []string{`{}`, `{"a":1}`, `{"b":null,"a":1}`, `{"b":null,"d":1}`}},
		{`{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"null"}}}`, []string{`{}`, `{"b":null}`, `{"a":1}`}, []string{`{,"b":null}`, `{"a":1,}`}},
		{`{"type":"object","properties":{"a":{"type":"integer"}},"additionalProperties":{"type":"string"},"maxProperties":2}`,
			[]string{`{"a":1,"x":"y"}`, `{"ab":"y"}`, `{"":""}`, `{}`}, []string{`{"a":"x"}`, `{"x":"y","y":"z"}`, `{"x":"y","a":1}`}},
		{`{"required":["z"]}`, []string{`{"z":1}`}, []string{`{}`}},
		{`{"anyOf":[{"type":"integer"},{"type":"string"}]}`, []string{`1`, `"a"`}, []string{`true`}},
		{`{"$ref":"#/$defs/t","$defs":{"t":{"type":"object","properties":{"v":{"type":"integer"},"next":{"anyOf":[{"$ref":"#/$defs/t"},{"type":"null"}]}},"required":["v","next"]}}}`,
			[]string{`{"v":1,"next":{"v":2,"next":null}}`}, []string{`{"v":1}`, `{"v":1,"next":1}`}},
		{`{"allOf":[{"type":"null"}],"title":"x","x-own":1}`, []string{`null`}, []string{`1`}},
		{`true`, []string{`[[{"a":[1,"x",null]}]]`, `1`}, []string{``, `{`}},
	} {
		g, err := New(Format{Schema: json.RawMessage(c.schema)}, v)
		if err != nil {
			t.Errorf("%s: %v", c.schema, err)
			continue
		}
		for _, text := range c.yes {
			if whole, _ := g.holds(text); !whole {
				t.Errorf("%s: %s is refused", c.schema, text)
			}
		}
		for _, text := range c.no {
			if whole, _ := g.holds(text); whole {
				t.Errorf("%s: %s is taken", c.schema, text)
			}
		}
	}
}

func TestFormats(t *testing.T) {
	v, _ := vocabulary(t)
	for _, c := range []struct {
		f       Format
		yes, no []string
	}{
		{Format{Object: true}, []string{`{}`, `{"a": {"b": [1, {}]}}`}, []string{`[]`, `1`}},
		{Format{Choices: []string{"yes", "no", "not here"}}, []string{"yes", "no", "not here", " yes"}, []string{"not", "  yes", ""}},
		{Format{Choices: []string{" a", "b"}}, []string{"  a", "b", " b"}, []string{" a", "a"}},
		{Format{Regex: `[a-c]{2,3}(é|\d)+`}, []string{"abé", "abc12"}, []string{"aé", "abcd", "xabé"}},
		{Format{Calls: []Function{{Name: "now"}, {Name: "add", Parameters: json.RawMessage(`{"properties":{"a":{"$ref":"#/$defs/n"}},"required":["a"],"$defs":{"n":{"type":"integer"}}}`)}}},
			[]string{`{"name": "now", "arguments": {}}`, `{"name":"add","arguments":{"a":1}}`}, []string{`{"name":"add","arguments":{}}`, `{"name":"x","arguments":{}}`, `{}`}},
		{Format{Regex: `^(?i)yes$`}, []string{"yes", "YeS", "yeſ"}, []string{"no"}},
		{Format{Regex: `.{0,1000}`}, []string{"", "\xf4\x8f\xbf\xbf"}, []string{"\n", "\xed\xa0\x80", "\xf5\x80\x80\x80"}},
		{Format{Regex: `[^a]`}, []string{"b", "\n", "\ud7ff", "\ue000", "\u07ff", "\u0800", "\uffff", "\U00010000"}, []string{"a", "\xc0\x80", "bb"}},
	} {
		g, err := New(c.f, v)
		if err != nil {
			t.Errorf("%+v: %v", c.f, err)
			continue
		}
		for _, text := range c.yes {
			if whole, _ := g.holds(text); !whole {
				t.Errorf("%+v: %q is refused", c.f, text)
			}
		}
		for _, text := range c.no {
			if whole, _ := g.holds(text); whole {
				t.Errorf("%+v: %q is taken", c.f, text)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	v, _ := vocabulary(t)
	deep := strings.Repeat(`{"items":`, 70) + `{}` + strings.Repeat(`}`, 70)
	for _, c := range []struct{ schema, says string }{
		{`{"properties":{"a/b":{"not":{}}}}`, `#/properties/a~1b: "not" is not supported`},
		{`{"type":"array","uniqueItems":true}`, `"uniqueItems"`},
		{`{"type":"integer","multipleOf":3}`, `"multipleOf"`},
		{`{"type":"text"}`, `"type" is "text"`},
		{`{"type":"string","pattern":"(?=a)"}`, `"pattern"`},
		{`{"type":"string","pattern":"a\\bc"}`, `not supported`},
		{`{"type":"string","maxLength":-1}`, `"maxLength" wants`},
		{`{"type":"string","minLength":3,"maxLength":2}`, `no value has both`},
		{`{"type":"string","minLength":3,"pattern":"^a$"}`, `nothing satisfies it`},
		{`{"$ref":"http://example.org/x"}`, `within the schema`},
		{`{"$ref":"#/$defs/x"}`, `there is nothing`},
		{`{"$ref":"#"}`, `levels of $ref`},
		{`{"properties":{"a":{"$ref":"#"}},"required":["a"]}`, `levels of $ref`},
		{`{"type":"object","required":["a"],"additionalProperties":false}`, `no value satisfies`},
		{`{"anyOf":[{"type":"null"}],"type":"string"}`, `beside`},
		{`{"allOf":[{},{}]}`, `"allOf" of 2`},
		{`{"enum":[]}`, `"enum" wants`},
		{`{"type":"integer","minimum":5,"maximum":4}`, `no value`},
		{`{"minimum":1e999999999}`, `too many digits`},
		{`{"typ":"string"}`, `"typ" is not supported`},
		{`{"a":1,"a":2}`, `repeated`},
		{deep, `deep`},
		{`"x"`, `want an object`},
		{`{"minProperties":1}`, `"minProperties"`},
		{strings.Repeat(" ", maxFormat) + `{}`, `bytes`},
	} {
		if _, err := New(Format{Schema: json.RawMessage(c.schema)}, v); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.100s: %v, want %q", c.schema, err, c.says)
		}
	}
	for _, f := range []Format{{}, {Regex: "("}, {Regex: `a\bb`}, {Regex: strings.Repeat("a", maxRegex+1)}, {Choices: []string{""}}, {Choices: []string{"\xff"}}, {Regex: `a$b`}} {
		if _, err := New(f, v); err == nil {
			t.Errorf("%+v was taken", f)
		}
	}
	g, err := New(Format{Object: true}, v)
	if err != nil {
		t.Fatal(err)
	}
	for _, ends := range [][]int32{nil, {-1}, {1 << 20}} {
		if _, err := g.Constraint(ends); err == nil {
			t.Errorf("end ids %v were taken", ends)
		}
	}
}

func TestParseFormat(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`{"type":"text"}`, ``},
		{`{"type":"json_object"}`, `true "" "" [] []`},
		{`{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":{"type":"null"}}}`, `false "{\"type\":\"null\"}" "" [] []`},
		{`{"type":"regex","regex":"a+"}`, `false "" "a+" [] []`},
		{`{"type":"choice","choices":["a","b"]}`, `false "" "" ["a" "b"] []`},
		{`{"type":"object"}`, `false "{\"type\":\"object\"}" "" [] []`},
		{`{"type":"json_schema"}`, `error`}, {`{"type":"json_schema","json_schema":{"name":"n"}}`, `error`},
		{`{"type":"json_schema","json_schema":{"schema":{},"other":1}}`, `error`}, {`{"type":"json_object","x":1}`, `error`},
		{`{"type":"regex"}`, `error`}, {`{"type":"choice","choices":[]}`, `error`}, {`{`, `error`},
	} {
		f, err := ParseFormat([]byte(c.text))
		got := ""
		if err != nil {
			got = "error"
		} else if f != nil {
			got = f.Key()
		}
		if got != c.want {
			t.Errorf("%s: %s %v, want %s", c.text, got, err, c.want)
		}
	}
	if _, err := ParseResponseFormat([]byte(`{"type":"object"}`)); err == nil {
		t.Error("a schema was taken for a response format")
	}
}

const invoice = `{"type":"object","properties":{"number":{"type":"string","maxLength":12},"total":{"type":"number","minimum":0},"paid":{"type":"boolean"},
"day":{"type":"string","format":"date"},"lines":{"type":"array","items":{"$ref":"#/$defs/line"},"maxItems":4}},"required":["number","total","lines"],
"$defs":{"line":{"type":"object","properties":{"what":{"type":"string"},"parts":{"type":"array","items":{"$ref":"#/$defs/line"}}},"required":["what"],"additionalProperties":{"type":"integer","minimum":3,"maximum":77}}}}`

// What masks allow, drawn at random, is valid. The masks do not depend on the order in which
// they are asked for, nor on counts being clamped.
func TestWriting(t *testing.T) {
	v, tok := vocabulary(t)
	random := rand.New(rand.NewPCG(1, 2))
	for _, schema := range []string{invoice, `true`, `{"type":"string","minLength":40,"maxLength":90}`, `{"type":"string","pattern":"^(ab|a|ba)*$","minLength":9,"maxLength":30}`} {
		g, err := New(Format{Schema: json.RawMessage(schema)}, v)
		if err != nil {
			t.Fatal(err)
		}
		valid := validator(t, schema)
		for range 30 {
			if text := write(t, g, tok, random); !valid(text) {
				t.Errorf("%s: %q", schema, text)
			}
		}
	}
	g, err := New(Format{Schema: json.RawMessage(invoice)}, v)
	if err != nil {
		t.Fatal(err)
	}
	ids := tok.Encode(`{"number": "a b", "total": 12.5, "lines": [{"what": "x\n", "n": 5}]}`)[1:]
	var masks [][]uint64
	c, _ := g.Constraint(end)
	for n := range len(ids) + 1 {
		mask, err := c.Mask(ids[:n])
		if err != nil {
			t.Fatal(err)
		}
		masks = append(masks, slices.Clone(mask))
		if n < len(ids) && mask[ids[n]>>6]>>(ids[n]&63)&1 == 0 {
			t.Fatalf("after %q token %d is refused", tok.Decode(ids[:n], false), ids[n])
		}
		full := make([]uint64, len(mask))
		g.v.later.mark(full, g.a, c.find(ids[:n]).state)
		for _, e := range end {
			full[e>>6] |= mask[e>>6] & (1 << (e & 63))
		}
		if !slices.Equal(full, mask) {
			t.Errorf("after %d tokens the clamped mask differs", n)
		}
	}
	if masks[len(ids)][0]>>2&1 == 0 || masks[0][0]>>2&1 != 0 {
		t.Error("an end is allowed too early, or not at the end")
	}
	fresh, _ := g.Constraint(end)
	g.reset()
	for n := len(ids); n >= 0; n-- {
		if mask, err := fresh.Mask(ids[:n]); err != nil || !slices.Equal(mask, masks[n]) {
			t.Errorf("asked backwards, the mask after %d tokens differs", n)
		}
	}
	past, err := fresh.Mask(append(slices.Clone(ids), end[0]))
	if err != nil || slices.ContainsFunc(past, func(w uint64) bool { return w != 0 }) {
		t.Errorf("something may follow an end: %v", err)
	}
}

// Hostile formats cost what they may, and no more.
func TestHostile(t *testing.T) {
	v, tok := vocabulary(t)
	random := rand.New(rand.NewPCG(3, 4))
	wide := `{"properties":{`
	for i := range 1000 {
		wide += strings.Repeat(",", min(i, 1)) + `"p` + strings.Repeat("x", i%30) + string(rune('a'+i%26)) + string(rune('a'+i/26)) + `":{"type":"null"}`
	}
	wide += `}}`
	twice := `{"$defs":{`
	for i := range 15 {
		next := `"#/$defs/` + string(rune('a'+i+1)) + `"`
		twice += `"` + string(rune('a'+i)) + `":{"properties":{"l":{"$ref":` + next + `},"r":{"$ref":` + next + `}}},`
	}
	twice += `"p":{"type":"null"}},"$ref":"#/$defs/a"}`
	for _, f := range []Format{
		{Schema: json.RawMessage(wide)},
		{Schema: json.RawMessage(twice)},
		{Schema: json.RawMessage(`{"anyOf":[{"type":"array","items":{"$ref":"#"}},{"type":"array","items":{"$ref":"#"},"maxItems":3},{"type":"object","additionalProperties":{"$ref":"#"}},{"type":"null"}]}`)},
		{Schema: json.RawMessage(`{"type":"string","pattern":"a.{500}$","minLength":1000,"maxLength":1000000}`)},
		{Regex: `(a|aa){1,1000}(a|b)*a(a|b){900}`},
		{Regex: `((a?){30}){30}b`},
		{Regex: strings.Repeat("a?", 8000)},
		{Regex: strings.Repeat(`\pL`, 5000)},
		{Regex: `(\pL|\d){1,400}`},
	} {
		g, err := New(f, v)
		if err != nil {
			continue
		}
		t.Run("", func(t *testing.T) { write(t, g, tok, random) })
	}
}

// validator judges texts by another's implementation, which may read no files.
func validator(t testing.TB, schema string) func(text string) bool {
	s, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
	if err != nil {
		t.Skip(err)
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(refuse{})
	if err := c.AddResource("schema.json", s); err != nil {
		t.Skip(err)
	}
	compiled, err := c.Compile("schema.json")
	if err != nil {
		t.Skip(err)
	}
	return func(text string) bool {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(text)))
		return err == nil && compiled.Validate(v) == nil
	}
}

type refuse struct{}

func (refuse) Load(string) (any, error) { return nil, errors.New("nothing is loaded") }

func FuzzSchema(f *testing.F) {
	for _, s := range []string{
		invoice, `true`, `{}`, `{"type":["integer","string"],"minimum":-7,"maxLength":4}`, `{"enum":[1,"a",null]}`, `{"type":"number","exclusiveMinimum":-0.05,"maximum":12.75}`,
		`{"type":"array","prefixItems":[{"const":[]}],"minItems":2}`, `{"type":"object","additionalProperties":false}`, `{"anyOf":[{"$ref":"#/$defs/a"},{"type":"null"}],"$defs":{"a":{"items":{"$ref":"#"},"maxItems":2}}}`,
		`{"type":"string","pattern":"^[^x]+$|y","minLength":2}`, `{"properties":{"a":{}},"additionalProperties":{"type":"boolean"},"required":["q"]}`,
	} {
		f.Add(s, uint64(1))
	}
	v, tok := vocabulary(f)
	f.Fuzz(func(t *testing.T, schema string, seed uint64) {
		if strings.Contains(schema, "nullable") || strings.Contains(schema, "oneOf") || strings.Contains(schema, `\u`) {
			return // another draft's, a promise that is not made, or a keyword in disguise
		}
		g, err := New(Format{Schema: json.RawMessage(schema)}, v)
		if err != nil {
			return
		}
		valid := validator(t, schema)
		if text := write(t, g, tok, rand.New(rand.NewPCG(seed, 0))); !valid(text) {
			t.Errorf("%s: %s is not valid", schema, text)
		}
	})
}

func FuzzRegex(f *testing.F) {
	for _, s := range []string{`a+`, `(?i)x[a-f]{2,5}|\d*`, `[^\pL]\W?é`, `^a|b$`, `.{3}\n(?s:.)`, `(|a)*b`} {
		f.Add(s, uint64(1))
	}
	v, tok := vocabulary(f)
	f.Fuzz(func(t *testing.T, text string, seed uint64) {
		g, err := New(Format{Regex: text}, v)
		if err != nil {
			return
		}
		re, err := regexp.Compile(`\A(?:` + text + `)\z`)
		if err != nil {
			return
		}
		if out := write(t, g, tok, rand.New(rand.NewPCG(seed, 0))); !re.MatchString(out) {
			t.Errorf("%s: %q does not match", text, out)
		}
	})
}
