package idefics2

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

const boat = `{"type":"object","properties":{"boats":{"type":"integer","minimum":1,"maximum":99},"colour":{"enum":["red","blue"]},
"name":{"type":"string","maxLength":6,"pattern":"^[a-zé]*$"},"seen":{"type":"array","items":{"type":"boolean"},"maxItems":3}},"required":["boats","colour","name"]}`

// Whatever draws, an answer that ends is what was asked for.
func TestFormat(t *testing.T) {
	m := open(t, Options{})
	schema := &Format{Schema: json.RawMessage(boat)}
	for _, c := range []struct {
		name   string
		format *Format
		change func(r *Request)
	}{
		{"greedy", schema, func(*Request) {}},
		{"without drafts", schema, func(r *Request) { r.NoLookup = true }},
		{"drafts", schema, func(r *Request) { r.Generate.LookupTokens = 5 }},
		{"sampled", schema, func(r *Request) { r.Generate.Temperature, r.Generate.Returned = 1.5, 4 }},
		{"beams", schema, func(r *Request) { r.Generate.Beams, r.Generate.Returned = 4, 2 }},
		{"choices", &Format{Choices: []string{"a red boat", "a blue boat"}}, func(*Request) {}},
		{"regex", &Format{Regex: `[0-9]{2}-(boat|ship)`}, func(*Request) {}},
		{"end in the text", &Format{Regex: `ab?\n`}, func(r *Request) {
			id, _ := m.Processor().Tokenizer().ID("<0x0A>")
			r.Generate.StopIDs = []int32{id}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := about("What boat?", 120)
			r.Format = c.format
			c.change(&r)
			a := answer(t, m, r)
			choices := a.Choices
			if choices == nil {
				choices = []Choice{a.Choice}
			}
			for _, choice := range choices {
				var v struct {
					Boats        int
					Colour, Name string
					Seen         []bool
				}
				ok := false
				switch c.name {
				case "choices":
					ok = strings.HasSuffix(choice.Text, " boat") && len(choice.Text) > 9
				case "regex":
					ok = len(choice.Text) == 7
				case "end in the text":
					ok = choice.Text == "a\n" || choice.Text == "ab\n"
				default:
					err := json.Unmarshal([]byte(choice.Text), &v)
					ok = err == nil && v.Boats > 0 && v.Boats < 100 && (v.Colour == "red" || v.Colour == "blue") && len([]rune(v.Name)) <= 6
				}
				if !ok || choice.Finish != "stop" {
					t.Errorf("%q, %s", choice.Text, choice.Finish)
				}
			}
		})
	}
	plain := about("What boat?", 120)
	plain.Format, plain.NoLookup = schema, true
	drafted := about("What boat?", 120)
	drafted.Format, drafted.Generate.LookupTokens = schema, 5
	if a, b := answer(t, m, plain), answer(t, m, drafted); a.Text != b.Text {
		t.Errorf("%q, with drafts %q", a.Text, b.Text)
	}
	for i := range 2 * maxGrammars {
		if _, err := m.grammar(&Format{Choices: []string{fmt.Sprint(i % (maxGrammars + 1))}}); err != nil {
			t.Fatal(err)
		}
	}
	if s := &m.grammars; len(s.known) != maxGrammars || len(s.order) != maxGrammars {
		t.Errorf("%d grammars and %d names are remembered", len(s.known), len(s.order))
	}
}

func TestFormatRefusals(t *testing.T) {
	m := open(t, Options{})
	for want, change := range map[string]func(*Request){
		"none; don't ignore":          func(r *Request) { r.Format, r.IgnoreEOS = &Format{Object: true}, true },
		`"not" is not supported`:      func(r *Request) { r.Format = &Format{Schema: json.RawMessage(`{"not":{}}`)} },
		"a Constraint beside them":    func(r *Request) { r.Format, r.Generate.MinNewTokens = &Format{Choices: []string{"a"}}, 9 },
		"the format is empty, want a": func(r *Request) { r.Format = &Format{} },
	} {
		r := about("What boat?", 20)
		change(&r)
		if _, err := m.Chat(t.Context(), r).Answer(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	r, err := ParseRequest([]byte(`{"prompt":"x","response_format":{"type":"json_object"}}`), "")
	if err != nil || r.Format == nil || !r.Format.Object {
		t.Errorf("%+v %v", r.Format, err)
	}
	r, err = ParseRequest([]byte(`{"prompt":"x","format":{"type":"integer"}}`), "")
	if err != nil || string(r.Format.Schema) != `{"type":"integer"}` {
		t.Errorf("%+v %v", r.Format, err)
	}
	if _, err := ParseRequest([]byte(`{"prompt":"x","format":{"type":"regex"}}`), ""); err == nil || !strings.Contains(err.Error(), `the request's "format"`) {
		t.Errorf("%v", err)
	}
}
