package chat

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"idefics2/internal/golden"
)

// lines reads a file of one JSON object a line.
func lines(t testing.TB, path string) (rows []*Dict) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	scan := bufio.NewScanner(f)
	scan.Buffer(nil, 1<<24)
	for scan.Scan() {
		v, err := ParseJSON(scan.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, v.(*Dict))
	}
	if len(rows) == 0 {
		t.Fatalf("%s is empty", path)
	}
	return rows
}

func str(d *Dict, key string) string {
	v, _ := d.Get(key)
	s, _ := v.(string)
	return s
}

func has(d *Dict, key string) bool {
	_, ok := d.Get(key)
	return ok
}

func variables(d *Dict) map[string]Value {
	vars := map[string]Value{}
	for k, v := range d.All() {
		vars[k.(string)] = v
	}
	return vars
}

func mustParse(t testing.TB, src string) *Template {
	t.Helper()
	tmpl, err := ParseTemplate(src)
	if err != nil {
		t.Fatalf("ParseTemplate(%q): %v", src, err)
	}
	return tmpl
}

// render parses and renders at the moment that the recordings were made.
func render(src string, vars map[string]Value) (string, error) {
	tmpl, err := ParseTemplate(src)
	if err != nil {
		return "", err
	}
	tmpl.Now = func() time.Time { return time.Date(2024, 7, 4, 12, 30, 5, 0, time.UTC) }
	return tmpl.Render(vars, Limits{})
}

// wantRow compares with a recording: its text, or that there is an error.
func wantRow(t *testing.T, row *Dict, got string, err error) {
	t.Helper()
	if has(row, "error") != (err != nil) || err == nil && got != str(row, "rendered") {
		t.Errorf("got  %q, error %v\nwant %q, error %q", got, err, str(row, "rendered"), str(row, "error"))
	}
}

// TestGolden renders the recorded conversations with the released template, messages as
// they are: what the reference does, the texts that it loses included.
func TestGolden(t *testing.T) {
	paths := []string{"testdata/cases.jsonl"}
	if dir, ok := golden.Shared(t, "chat"); ok {
		paths = append(paths, filepath.Join(dir, "cases.jsonl"))
	}
	tmpl := mustParse(t, DefaultTemplate)
	for _, path := range paths {
		for _, row := range lines(t, path) {
			vars := map[string]Value{}
			for _, name := range []string{"messages", "add_generation_prompt"} {
				vars[name], _ = row.Get(name)
			}
			got, err := tmpl.Render(vars, Limits{})
			wantRow(t, row, got, err)
			var e *Error
			if err != nil && (!errors.As(err, &e) || e.Kind != KindUndefined) {
				t.Errorf("%v: want the kind that the reference calls %s", err, str(row, "error"))
			}
			if n := strings.Count(got, "<image>"); err == nil && int64(n) != mustGet(t, row, "images") {
				t.Errorf("%q: %d markers", got, n)
			}
		}
	}
}

func mustGet(t *testing.T, d *Dict, key string) Value {
	t.Helper()
	v, ok := d.Get(key)
	if !ok {
		t.Fatalf("no %s", key)
	}
	return v
}

// TestTemplates renders templates in the manner of the well-known models over
// conversations with turns, images, tools and documents, as transformers did
// (testdata/record.py).
func TestTemplates(t *testing.T) {
	data, err := os.ReadFile("testdata/templates.txt")
	if err != nil {
		t.Fatal(err)
	}
	templates := map[string]string{}
	for _, part := range strings.Split(string(data), "=== ")[1:] {
		name, src, _ := strings.Cut(part, "\n")
		templates[name] = strings.TrimSuffix(src, "\n")
	}
	if data, err = os.ReadFile("testdata/conversations.json"); err != nil {
		t.Fatal(err)
	}
	v, err := ParseJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	conversations := map[string]map[string]Value{}
	for _, c := range v.(List) {
		vars, _ := c.(*Dict).Get("vars")
		conversations[str(c.(*Dict), "name")] = variables(vars.(*Dict))
	}
	for _, row := range lines(t, "testdata/templates.jsonl") {
		t.Run(str(row, "template")+"/"+str(row, "conversation"), func(t *testing.T) {
			got, err := render(templates[str(row, "template")], conversations[str(row, "conversation")])
			wantRow(t, row, got, err)
		})
	}
}

// snippetsElsewhere are the recorded snippets that we deliberately refuse.
var snippetsElsewhere = map[string]Kind{
	"{{ (-8) ** 0.5 }}":    KindType,        // complex numbers
	"{{ s.encode() }}":     KindUndefined,   // bytes
	"{{ self }}":           KindUnsupported, // inheritance
	"{{ 1 .real }}":        "",              // attributes of numbers: undefined, prints nothing
	"{{ dict }}":           KindType,        // a class has no place in a prompt
	"{{ namespace }}":      KindType,
	"{{ (1).bit_length }}": "",
}

// TestSnippets holds more than a thousand expressions and small templates against
// jinja2, set up as transformers does.
func TestSnippets(t *testing.T) {
	data, err := os.ReadFile("testdata/snippets.json")
	if err != nil {
		t.Fatal(err)
	}
	v, err := ParseJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	vars := variables(v.(*Dict))
	for _, row := range lines(t, "testdata/snippets.jsonl") {
		src := str(row, "template")
		got, err := render(src, vars)
		if kind, ok := snippetsElsewhere[src]; ok {
			var e *Error
			if errors.As(err, &e); (kind == "") != (err == nil) || err != nil && e.Kind != kind {
				t.Errorf("%s: got %q, %v; want %s", src, got, err, kind)
			}
			continue
		}
		if has(row, "error") != (err != nil) || err == nil && got != str(row, "rendered") {
			t.Errorf("%s\ngot  %q, error %v\nwant %q, error %q", src, got, err, str(row, "rendered"), str(row, "error"))
		}
	}
}

func TestErrorsNameThePlace(t *testing.T) {
	tests := []struct {
		src          string
		line, column int
		kind         Kind
		words        string
	}{
		{"{{ 1 + }}", 1, 8, KindSyntax, "want an expression"},
		{"a\n{% if x %}\nb", 3, 2, KindSyntax, "{% elif %} or {% else %} or {% endif %}"},
		{"a\n  {% nosuch %}", 2, 6, KindSyntax, `unknown tag "nosuch"`},
		{"é{{ x | nosuch }}", 1, 9, KindUnsupported, "no filter nosuch"},
		{"{{ x is nosuch }}", 1, 9, KindUnsupported, "no test nosuch"},
		{"{{ 'a\nb", 1, 4, KindSyntax, "string without end"},
		{"{{ [1 }}", 1, 7, KindSyntax, `unexpected "}"`},
		{"{# a", 1, 1, KindSyntax, "comment without end"},
		{"x {% raw %} y", 1, 3, KindSyntax, "raw block without end"},
		{"{{ x", 1, 3, KindSyntax, "tag without end, want }}"},
		{"{{ a ? b }}", 1, 6, KindSyntax, "unexpected character '?'"},
		{"{{ '\\ud800' }}", 1, 5, KindSyntax, "surrogate"},
		{"{{ '\\xzz' }}", 1, 5, KindSyntax, "malformed escape"},
		{"{% set a.b.c = 1 %}", 1, 11, KindSyntax, "want '%}'"},
		{"{% set 1 = 1 %}", 1, 8, KindSyntax, "cannot assign"},
		{"{% break %}", 1, 4, KindSyntax, "outside a loop"},
		{"{% include 'x' %}", 1, 4, KindUnsupported, "include"},
		{"{% extends 'x' %}", 1, 4, KindUnsupported, "extends"},
		{"{% import 'x' as y %}", 1, 4, KindUnsupported, "import"},

		{"\n{{ x.y }}", 2, 5, KindUndefined, "'x' is undefined"},
		{"{{ 1 + none }}", 1, 6, KindType, "unsupported operand type(s) for +: 'int' and 'NoneType'"},
		{"{{ [].append(1) }}", 1, 13, KindSecurity, "append"},
		{"{{ {}.update({}) }}", 1, 13, KindSecurity, "update"},
		{"{{ ''.__class__.x }}", 1, 16, KindSecurity, "__class__"},
		{"{{ raise_exception('roles must alternate') }}", 1, 19, KindRaised, "roles must alternate"},
		{"{{ 1 // 0 }}", 1, 6, KindRuntime, "zero"},
		{"{{ ''.join }}", 1, 6, KindType, "call it"},
		{"{{ [1] | map('string') }}", 1, 10, KindType, "make a list of it"},
	}
	for _, tt := range tests {
		_, err := render(tt.src, nil)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%q: error %v", tt.src, err)
			continue
		}
		if e.Line != tt.line || e.Column != tt.column || e.Kind != tt.kind || !strings.Contains(e.Message, tt.words) {
			t.Errorf("%q: %v; want line %d, column %d: %s: …%s…", tt.src, err, tt.line, tt.column, tt.kind, tt.words)
		}
	}
}

// TestLimits runs templates that would take for ever, or all memory. None may: what they
// ask for is refused before it is made.
func TestLimits(t *testing.T) {
	const forever = "{% for a in range(99999) %}{% for b in range(99999) %}"
	tests := []struct{ name, src string }{
		{"loops", forever + "{{ a }}{% endfor %}{% endfor %}"},
		{"silent loops", forever + "{% endfor %}{% endfor %}"},
		{"filtered loops", "{% for a in range(99999) if range(99999)|select('gt', 999999)|list %}{% endfor %}"},
		{"range", "{% for a in range(1000000000) %}{% endfor %}"},
		{"range of 64 bits", "{{ range(-9223372036854775808, 9223372036854775807)|length }}"},
		{"macro", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"},
		{"caller", "{% macro f() %}{% call f() %}{{ caller() }}{% endcall %}{{ caller() }}{% endmacro %}{% call f() %}x{% endcall %}"},
		{"recursive loop", "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}"},
		{"repetition", "{{ 'a' * 10**9 }}"},
		{"repetition of 64 bits", "{{ 'aaaaaaaaaaaaaaaa' * 9223372036854775807 }}"},
		{"list repetition", "{{ ([1, 2] * 10**12)|length }}"},
		{"doubling", "{% set ns = namespace(s='a') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}"},
		{"doubling list", "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}"},
		{"tree", "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}"},
		{"tree as JSON", "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x|tojson }}"},
		{"equal trees", "{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}"},
		{"deep list", "{% set ns = namespace(x=[]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}"},
		{"deep generator", "{% set ns = namespace(x=[1]) %}{% for i in range(9999) %}{% set ns.x = ns.x|map('string') %}{% endfor %}{{ ns.x|list }}"},
		{"itself", "{% set ns = namespace() %}{% set ns.ns = ns %}{{ ns }}"},
		{"power", "{{ 10 ** (10 ** 10) }}"},
		{"power of powers", "{{ 9 ** (9 ** (9 ** 9)) }}"},
		{"squares", "{% set ns = namespace(x=3) %}{% for i in range(99) %}{% set ns.x = ns.x * ns.x %}{% endfor %}"},
		{"indent", "{{ 'a\nb'|indent(10**10) }}"},
		{"center", "{{ 'a'|center(10**10) }}"},
		{"ljust", "{{ 'a'.ljust(10**10) }}"},
		{"zfill", "{{ 'a'.zfill(9223372036854775807) }}"},
		{"expandtabs", "{{ '\t\t'.expandtabs(10**10) }}"},
		{"replace", "{{ ('a' * 10**6).replace('a', 'b' * 10**6) }}"},
		{"join", "{{ ('a' * 10**6)|join('b' * 10**6) }}"},
		{"width", "{{ '%9999999999d' % 1 }}"},
		{"star width", "{{ '%*d' % (10**9, 1) }}"},
		{"format width", "{{ '{:9999999999}'.format(1) }}"},
		{"precision", "{{ '%.999999999f' % 1 }}"},
		{"json indent", "{{ [1]|tojson(indent=10**9) }}"},
		{"batch", "{{ [1]|batch(10**10, 0)|list }}"},
		{"slice", "{{ []|slice(10**10)|list }}"},
		{"comparing", forever + "{{ ('a' * 10**7) == ('a' * 10**7) }}{% endfor %}{% endfor %}"},
		{"sorting", "{% for a in range(99999) %}{{ range(99999)|sort|length }}{% endfor %}"},
		{"time", "{{ strftime_now('%c' * 10**8) }}"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err := render(tt.src, nil)
			var e *Error
			if !errors.As(err, &e) || e.Kind != KindBudget {
				t.Fatalf("got %d bytes, error %v; want one of kind %q", len(out), err, KindBudget)
			}
		})
	}
}

// TestDeepSources are nested so deep that parser or interpreter would run out of stack.
func TestDeepSources(t *testing.T) {
	const n = 100_000
	many := func(s string) string { return strings.Repeat(s, n) }
	for name, src := range map[string]string{
		"parentheses": "{{ " + many("(") + "1" + many(")") + " }}",
		"lists":       "{{ " + many("[") + many("]") + " }}",
		"not":         "{{ " + many("not ") + "1 }}",
		"minus":       "{{ " + many("-") + "1 }}",
		"sum":         "{{ 1" + many("+1") + " }}",
		"filters":     "{{ 1" + many("|abs") + " }}",
		"attributes":  "{{ x" + many(".a") + " }}",
		"conditions":  "{{ 1" + many(" if 1 else 1") + " }}",
		"or":          "{{ 0" + many(" or 0") + " }}",
		"comparison":  "{{ 0" + many(" < 0") + " }}",
		"blocks":      many("{% if 1 %}"),
		"elif":        "{% if 0 %}" + many("{% elif 0 %}") + "{% endif %}",
		"target":      "{% set " + many("(") + "x" + many(")") + " = 1 %}",
	} {
		if _, err := ParseTemplate(src[:min(len(src), maxSource)]); err == nil {
			t.Errorf("%s: parsed", name)
		}
	}
	// Within the parser's bounds, yet too deep once a macro calls itself.
	sum := "1"
	for range 60 {
		sum = "(" + sum + strings.Repeat("+1", 200) + ")"
	}
	_, err := render("{% macro f() %}{{ "+strings.Replace(sum, "1", "f()|int", 1)+" }}{% endmacro %}{{ f() }}", nil)
	var e *Error
	if !errors.As(err, &e) || e.Kind != KindBudget {
		t.Errorf("deep macro: %v", err)
	}
}

// TestRenderIsRepeatable: rendering leaves nothing behind in the template or in what it
// was given, and many may do it at once.
func TestRenderIsRepeatable(t *testing.T) {
	tmpl := mustParse(t, "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{{ m.role }}{{ ns.n }}{% endfor %}")
	role := NewDict()
	role.Set("role", "user")
	vars := map[string]Value{"messages": List{role, role}}
	out := make(chan string)
	for range 8 {
		go func() {
			s, err := tmpl.Render(vars, Limits{})
			if err != nil {
				s = err.Error()
			}
			out <- s
		}()
	}
	for range 8 {
		if s := <-out; s != "user1user2" {
			t.Errorf("got %q", s)
		}
	}
	if len(vars) != 1 {
		t.Errorf("variables changed: %v", vars)
	}
}

func TestStrftime(t *testing.T) {
	at := time.Date(2024, 2, 5, 3, 4, 9, 123456000, time.UTC)
	tests := []struct{ format, want string }{
		{"%Y-%m-%d %H:%M:%S.%f", "2024-02-05 03:04:09.123456"},
		{"%d %b %Y, %A %B %a", "05 Feb 2024, Monday February Mon"},
		{"%-d/%-m/%y %I:%M %p %e", "5/2/24 03:04 AM  5"},
		{"%j %U %W %V %w %u %G %C", "036 05 06 06 1 1 2024 20"}, // as Python's
		{"%c|%x|%X|%D|%F|%T|%R", "Mon Feb  5 03:04:09 2024|02/05/24|03:04:09|02/05/24|2024-02-05|03:04:09|03:04"},
		{"100%% %Z%z%", "100% %"},
		{"", ""},
	}
	for _, tt := range tests {
		if got, ok := strftime(at, tt.format); !ok || got != tt.want {
			t.Errorf("strftime(%q) = %q, want %q", tt.format, got, tt.want)
		}
	}
	if _, ok := strftime(at, "%Q"); ok {
		t.Error("an unknown directive passed")
	}
}

// FuzzTemplate: whatever the source, parsing and rendering end with a text or an *Error.
func FuzzTemplate(f *testing.F) {
	data, err := os.ReadFile("testdata/templates.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, part := range strings.Split(string(data), "=== ")[1:] {
		_, src, _ := strings.Cut(part, "\n")
		f.Add(src)
	}
	for i, row := range lines(f, "testdata/snippets.jsonl") {
		if i%7 == 0 {
			f.Add(str(row, "template"))
		}
	}
	v, err := ParseJSON([]byte(`{"messages":[{"role":"user","content":[{"type":"image"},{"type":"text","text":"Hé"}]},
		{"role":"assistant","content":"yes","tool_calls":[{"function":{"name":"f","arguments":{"x":1.5}}}]}],
		"add_generation_prompt":true,"bos_token":"<s>","eos_token":"</s>","a":1,"f":1.5,"s":"Hello","l":[3,1,2],"d":{"b":1},"n":null}`))
	if err != nil {
		f.Fatal(err)
	}
	vars := variables(v.(*Dict))
	limits := Limits{Steps: 20_000, Output: 1 << 16, Memory: 1 << 20, Depth: 50}
	f.Fuzz(func(t *testing.T, src string) {
		tmpl, err := ParseTemplate(src)
		if err == nil {
			var again string
			var first string
			tmpl.Now = func() time.Time { return time.Time{} }
			first, err = tmpl.Render(vars, limits)
			again, _ = tmpl.Render(vars, limits)
			if first != again {
				t.Errorf("renders %q, then %q", first, again)
			}
			if len(first) > limits.Output {
				t.Errorf("%d bytes of output, at most %d", len(first), limits.Output)
			}
		}
		var e *Error
		if err != nil && (!errors.As(err, &e) || e.Line < 1 || e.Column < 1 || e.Message == "") {
			t.Errorf("error %v", err)
		}
	})
}

func BenchmarkRender(b *testing.B) {
	tmpl := mustParse(b, DefaultTemplate)
	var messages []Message
	for range 50 {
		messages = append(messages, Message{Role: "user", Content: []Part{Image(""), Text("What is in this image?")}},
			Message{Role: "assistant", Content: []Part{Text(strings.Repeat("A cat on a mat. ", 20))}})
	}
	for b.Loop() {
		if _, err := Render(tmpl, messages, RenderOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseTemplate(b *testing.B) {
	for b.Loop() {
		mustParse(b, DefaultTemplate)
	}
}
