package chat

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestProductPath runs the golden conversations as requests. Where our prompt is not the
// reference's, the reference loses a text or an image without a word; what we refuse
// instead is counted here.
func TestProductPath(t *testing.T) {
	tmpl := mustParse(t, DefaultTemplate)
	refused := map[string]int{} // by reason
	kept := 0
	for _, row := range lines(t, "testdata/cases.jsonl") {
		messages, _ := row.Get("messages")
		prompt, _ := row.Get("add_generation_prompt")
		data, err := marshal(messages)
		if err != nil {
			t.Fatal(err)
		}
		req, err := ParseRequest(data)
		if err != nil {
			reason := err.Error()
			reason = reason[strings.LastIndex(reason, "]")+1:]
			refused[reason]++
			continue
		}
		got, err := Render(tmpl, req.Messages, RenderOptions{AddGenerationPrompt: prompt.(bool)})
		if err != nil {
			t.Errorf("%s: %v", data, err)
			continue
		}
		if got == str(row, "rendered") {
			continue
		}
		kept++
		// The two differences: a plain string counts as a text, and an image_url as an image.
		plain := strings.Contains(string(data), `"type":"image_url"`)
		for _, m := range messages.(List) {
			content, _ := m.(*Dict).Get("content")
			_, isString := content.(string)
			plain = plain || isString
			if list, ok := content.(List); ok {
				for _, entry := range list {
					_, isString := entry.(string)
					plain = plain || isString
				}
			}
		}
		if !plain {
			t.Errorf("%s:\ngot  %q\nwant %q", data, got, str(row, "rendered"))
		}
	}
	want := map[string]int{
		".content: the list is empty, want at least one text or image":        2,
		": no content; add \"content\": \"…\" or a list of texts and images":  2,
		".content: found null, want a string or a list of texts and images":   2,
		": no role; add \"role\": \"user\", \"assistant\" or \"system\"":      2,
		".role: found null, want a string":                                    2,
		".text: found null, want a string":                                    2,
		".text: found the number 5, want a string":                            2,
		".text: found true, want a string":                                    2,
		": no type, want \"text\", \"image\" or \"image_url\"":                2,
		": unknown type \"video\", want \"text\", \"image\" or \"image_url\"": 2,
		": unknown type \"Image\", want \"text\", \"image\" or \"image_url\"": 2,
		": found null, want an object with a type, or a string":               1,
		": unknown type \"audio\", want \"text\", \"image\" or \"image_url\"": 11,
	}
	if !reflect.DeepEqual(refused, want) {
		t.Errorf("refused %v\nwant    %v", refused, want)
	}
	if kept != 17 {
		t.Errorf("%d prompts keep what the reference loses, want 17", kept)
	}
}

func TestStringContentIsText(t *testing.T) {
	tmpl := mustParse(t, DefaultTemplate)
	for _, tt := range []struct{ content, want string }{
		{`"Hello"`, "User: Hello<end_of_utterance>\n"},
		{`""`, "User: <end_of_utterance>\n"},
		{`["a", {"type":"image"}, "b"]`, "User: a<image>b<end_of_utterance>\n"},
		{`[{"type":"image"}, "b"]`, "User:<image>b<end_of_utterance>\n"},
		{`[{"type":"text"}]`, "User: <end_of_utterance>\n"},
		{`[{"type":"image_url","image_url":{"url":"x"}}, "b"]`, "User:<image>b<end_of_utterance>\n"},
	} {
		req, err := ParseRequest([]byte(`[{"role":"user","content":` + tt.content + `}]`))
		if err != nil {
			t.Errorf("%s: %v", tt.content, err)
			continue
		}
		if got, err := Render(tmpl, req.Messages, RenderOptions{}); got != tt.want || err != nil {
			t.Errorf("%s: got %q, %v; want %q", tt.content, got, err, tt.want)
		}
	}
}

func TestParseRequest(t *testing.T) {
	yes, no, prompt := true, false, "User:<image>x"
	user := func(parts ...Part) []Message { return []Message{{Role: "user", Content: parts}} }
	tests := []struct {
		name, src string
		want      Request
	}{
		{"a list", `[{"role":"user","content":"Hi"}]`, Request{Messages: user(Text("Hi"))}},
		{"an object", "\ufeff{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\"},{\"type\":\"text\",\"text\":\"a\"}]}],\n\"images\":[\"a.jpg\"],\"split\":true,\"add_generation_prompt\":false,\"id\":7}",
			Request{ID: json.RawMessage("7"), Messages: user(Image(""), Text("a")), Images: []string{"a.jpg"}, Split: &yes, AddGenerationPrompt: &no}},
		{"a prompt", `{"prompt":"User:<image>x","images":["a","b"]}`, Request{Prompt: &prompt, Images: []string{"a", "b"}}},
		{"other keys are kept as written", `{"messages":[{"role":"user","content":"x"}],"max_tokens": 5 ,"stop":["a", "b"],"model":null}`,
			Request{Messages: user(Text("x")), Extra: map[string]json.RawMessage{"max_tokens": json.RawMessage("5"), "stop": json.RawMessage(`["a", "b"]`), "model": json.RawMessage("null")}}},
		{"sources of images", `[{"role":"user","content":[{"type":"image","image":"a"},{"type":"image","url":"https://b"},{"type":"image","path":"c"},
			{"type":"image","base64":"QQ=="},{"type":"image","base64":"data:image/png;base64,QQ=="},{"type":"image_url","image_url":{"url":"d","detail":"low"}},
			{"type":"image_url","image_url":"e"},{"type":"image","image":null,"text":null}]}]`,
			Request{Messages: user(Image("a"), Image("https://b"), Image("c"), Image("data:image/unknown;base64,QQ=="), Image("data:image/png;base64,QQ=="), Image("d"), Image("e"), Image(""))}},
		{"an escaped surrogate pair", `[{"role":"user","content":"\ud83d\ude00\u00e9\n"}]`, Request{Messages: user(Text("😀é\n"))}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseRequest([]byte(tt.src))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestExtraFieldsReachTheTemplate(t *testing.T) {
	req, err := ParseRequest([]byte(`[{"role":"assistant","content":null,"tool_calls":[{"name":"f","arguments":{"b":1.0,"a":[true,null,12345678901234567890]}}],"name":"bot"}]`))
	if err != nil {
		t.Fatal(err)
	}
	tmpl := mustParse(t, "{% for m in messages %}{{ m.name }}:{{ m.content }}:{{ m.tool_calls|tojson }}{% endfor %} {{ tools|length }} {{ thinking }} {{ bos_token }}{{ eos_token }}")
	extra := NewDict()
	extra.Set("thinking", false)
	extra.Set("messages", "not this")
	got, err := Render(tmpl, req.Messages, RenderOptions{BOS: "<s>", EOS: "</s>", Tools: List{int64(1)}, Extra: extra})
	want := `bot:None:[{"name": "f", "arguments": {"b": 1.0, "a": [true, null, 12345678901234567890]}}] 1 False <s></s>`
	if err != nil || got != want {
		t.Errorf("got  %q, %v\nwant %q", got, err, want)
	}
}

// TestEscape: the hook sees every string that a user can write, keys included, and none
// of the template's own.
func TestEscape(t *testing.T) {
	src := `{"messages":[{"role":"us<er","content":["a<b",{"type":"text","text":"<image>"},{"type":"image"}],"name":"<n>","tool_calls":[{"<k>":"<v>"}]}]}`
	req, err := ParseRequest([]byte(src))
	if err != nil {
		t.Fatal(err)
	}
	escape := func(s string) string { return strings.ReplaceAll(s, "<", "‹") }
	tools := NewDict()
	tools.Set("<key>", List{"<value>"})
	extra := NewDict()
	extra.Set("more", "<more>")
	tmpl := mustParse(t, "<s>{% for m in messages %}{{ m|tojson }}{% for c in m.content %}{% if c.type == 'image' %}<image>{% else %}{{ c.text }}{% endif %}{% endfor %}{% endfor %}{{ tools }}{{ documents }}{{ more }}</s>")
	got, err := Render(tmpl, req.Messages, RenderOptions{Tools: tools, Documents: List{"<doc>"}, Extra: extra, Escape: escape})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(got, "<") != 3 || strings.Count(got, "<image>") != 1 {
		t.Errorf("a user's < came through: %q", got)
	}
	if n := strings.Count(src, "<") + 4 + 2; strings.Count(got, "‹") < n-2 {
		t.Errorf("a user's < was lost: %q", got)
	}
}

func TestRequestErrors(t *testing.T) {
	part := func(s string) string {
		return `[{"role":"user","content":"a"},{"role":"user","content":["b",` + s + `]}]`
	}
	tests := []struct{ src, want string }{
		{``, "line 1, column 1: found the end, want a list of messages or an object"},
		{`5`, "line 1, column 1: found '5', want a list of messages"},
		{"[{\"role\":\"user\",\n \"content\": x}]", "line 2, column 13: found 'x', want a value"},
		{"[{\"role\":\"user\",\n \"é\" 5}]", "line 2, column 6: found '5' after a key, want ':'"},
		{`[{"role":"user"`, "line 1, column 16: found the end, want ',' or '}'"},
		{`[] x`, "messages: the list is empty"},
		{`[{"role":"user","content":"a"}] x`, "line 1, column 33: found 'x' after the value"},
		{`[{"role":"user","content":"a` + "\n" + `"}]`, "column 29: control character 0x0a"},
		{`[{"role":"user","content":"\q"}]`, "column 28: malformed escape"},
		{`[{"role":"user","content":"\ud800x"}]`, "half of a surrogate pair"},
		{"[{\"role\":\"\xff\"}]", "column 11: byte 0xff is not UTF-8"},
		{`{"messages":[{"role":"user","content":"a"}],"n":01}`, "malformed number"},
		{`{"messages":[{"role":"user","content":"a"}],"n":1e999}`, "does not fit"},
		{strings.Repeat("[", 100), "more than 64 levels"},
		{"[" + strings.Repeat("0,", 1<<20) + "0]", "more than 1048576 values"},
		{`{}`, "neither messages nor prompt"},
		{`{"prompt":"a","messages":[{"role":"user","content":"a"}]}`, "both messages and prompt"},
		{`{"messages":{}}`, "messages: found an object, want a list"},
		{`{"messages":["a"]}`, "messages[0]: found a string, want an object"},
		{`{"messages":[{"content":"a"}]}`, "messages[0]: no role"},
		{`{"messages":[{"role":5,"content":"a"}]}`, "messages[0].role: found the number 5, want a string"},
		{`{"messages":[{"role":"user"}]}`, "messages[0]: no content"},
		{`{"messages":[{"role":"user","text":"a"}]}`, "messages[0]: no content"},
		{`{"messages":[{"role":"user","content":null}]}`, "messages[0].content: found null"},
		{`{"messages":[{"role":"user","content":[]}]}`, "messages[0].content: the list is empty"},
		{part(`null`), "messages[1].content[1]: found null, want an object with a type"},
		{part(`{}`), "messages[1].content[1]: no type"},
		{part(`{"type":"video"}`), `messages[1].content[1]: unknown type "video", want "text", "image" or "image_url"`},
		{part(`{"type":5}`), "messages[1].content[1]: type is the number 5"},
		{part(`{"type":"text","text":null}`), "messages[1].content[1].text: found null, want a string"},
		{part(`{"type":"text","text":1.5}`), "messages[1].content[1].text: found the number 1.5, want a string"},
		{part(`{"type":"text","content":"lost?"}`), "messages[1].content[1]: no text"},
		{part(`{"type":"image","image":{}}`), "messages[1].content[1].image: found an object, want a string"},
		{part(`{"type":"image","url":""}`), "messages[1].content[1].url: empty"},
		{part(`{"type":"image","url":"a","path":"b"}`), "messages[1].content[1]: both url and path"},
		{part(`{"type":"image_url"}`), "messages[1].content[1].image_url: missing"},
		{part(`{"type":"image_url","image_url":{}}`), "messages[1].content[1].image_url.url: missing"},
		{part(`{"type":"image_url","image_url":{"url":5}}`), "messages[1].content[1].image_url.url: found the number 5"},
		{part(`{"type":"image_url","image_url":""}`), "messages[1].content[1].image_url: empty"},
		{`{"prompt":5}`, "prompt: found the number 5, want a string"},
		{`{"prompt":"a","images":"b"}`, "images: found a string, want a list"},
		{`{"prompt":"a","images":["b",null]}`, "images[1]: found null"},
		{`{"prompt":"a","images":[""]}`, "images[0]: found an empty string"},
		{`{"prompt":"a","split":1}`, "split: found the number 1, want true or false"},
		{`{"prompt":"a","add_generation_prompt":"yes"}`, "add_generation_prompt: found a string, want true or false"},
		{`{"prompt":"a","prompt":"b"}`, `key "prompt" is given twice`},
		{`{"prompt":"a","x":1,"x":2}`, `key "x" is given twice`},
		{`{"prompt":"a","images":["` + strings.Repeat(`b","`, 1024) + `c"]}`, "1025 images, at most 1024"},
	}
	for _, tt := range tests {
		_, err := ParseRequest([]byte(tt.src))
		if err == nil || !strings.HasPrefix(err.Error(), "chat: ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.80s: error %v, want …%s…", tt.src, err, tt.want)
		}
	}
}

// TestMessageRoundTrip: what is saved is what is read again.
func TestMessageRoundTrip(t *testing.T) {
	for _, src := range []string{
		`{"role":"user","content":[{"type":"text","text":"a<b>&\"\n"},{"type":"image"},{"type":"image","image":"x.png"}]}`,
		`{"role":"assistant","tool_calls":[{"b":1.0,"a":{"z":[],"y":{}}}],"name":"é"}`,
	} {
		var m, again Message
		if err := json.Unmarshal([]byte(src), &m); err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &again); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(m, again) {
			t.Errorf("%s became %s", src, data)
		}
	}
}

func TestParseJSON(t *testing.T) {
	v, err := ParseJSON([]byte(` {"b": [1, -0, 1.0, 1e2, 123456789012345678901, "", "\u00e9\\\/\b"], "a": {"x": null}, "b": true} `))
	if err != nil {
		t.Fatal(err)
	}
	// Python: json.loads, then str.
	got, err := render("{{ v }}", map[string]Value{"v": v})
	if want := `{'b': True, 'a': {'x': None}}`; got != want || err != nil {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
	for _, bad := range []string{"", "{", "[1,]", `{"a":1,}`, "{'a':1}", "nul", "NaN", "Infinity", "+1", ".5", "1.", "1e", "0x1", "-", `"`, `"\u12"`, "[1 2]", "1 1", strings.Repeat("9", 5000)} {
		if v, err := ParseJSON([]byte(bad)); err == nil {
			t.Errorf("%.20s: read as %v", bad, v)
		}
	}
}

func FuzzRequest(f *testing.F) {
	paths, err := filepath.Glob("testdata/requests/*.json")
	if err != nil || len(paths) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	tmpl := mustParse(f, DefaultTemplate)
	f.Fuzz(func(t *testing.T, data []byte) {
		req, err := ParseRequest(data)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "chat: ") {
				t.Errorf("error %v", err)
			}
			return
		}
		if req.Messages == nil {
			return
		}
		saved, err := json.Marshal(req.Messages)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseRequest(saved)
		if err != nil {
			t.Fatalf("%s: %v", saved, err)
		}
		if !reflect.DeepEqual(req.Messages, again.Messages) {
			t.Errorf("%s became %s", data, saved)
		}
		prompt, err := Render(tmpl, req.Messages, RenderOptions{Escape: func(s string) string { return strings.ReplaceAll(s, "<", "‹") }})
		if n := strings.Count(prompt, "<image>"); err == nil && n != len(Images(req.Messages)) {
			t.Errorf("%q: %d markers for %d images", prompt, n, len(Images(req.Messages)))
		}
	})
}
