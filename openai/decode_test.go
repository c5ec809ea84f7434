package openai

import (
	"errors"
	"strings"
	"testing"
)

func TestDecode(t *testing.T) {
	var r ChatRequest
	if err := Decode([]byte(`{"model":"m","stop":"x","temperature":0,"messages":[{"role":"user","content":"hi"}]}`), &r); err != nil {
		t.Fatal(err)
	}
	if r.Model != "m" || len(r.Stop) != 1 || *r.Temperature != 0 || r.Messages[0].Content[0].Text != "hi" {
		t.Errorf("%+v", r)
	}
	for _, c := range []struct{ body, param, says string }{
		{`{"audio":{}}`, "audio", "does not know"},
		{`{"n":"two"}`, "n", "found string, want a whole number"},
		{`{"stop":3}`, "", "string or a list"},
		{`{"messages":[{"role":"user"}]}`, "", "no content"},
		{`{"n":1,"n":2}`, "", `"n" repeated`},
		{`[]`, "", "want an object"},
		{`{} {}`, "", "want the end"},
		{``, "", "want an object"},
	} {
		err := Decode([]byte(c.body), new(ChatRequest))
		var param *ParamError
		if !errors.As(err, &param) || param.Param != c.param || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q of %q", c.body, err, c.says, c.param)
		}
	}
}

// No body makes the decoder panic, and what it takes has known members only.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}],"stop":["a"],"logit_bias":{"3":-1}}`, `{"n":null}`, `{"a":1}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var param *ParamError
		if err := Decode(body, new(ChatRequest)); err != nil && !errors.As(err, &param) {
			t.Errorf("%q: %v is no ParamError", body, err)
		}
	})
}
