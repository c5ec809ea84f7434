package server

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"idefics2/chat"
	"idefics2/openai"
)

const (
	hi      = `"messages":[{"role":"user","content":"hi"}]`
	weather = `"tools":[{"type":"function","function":{"name":"weather","description":"of a town","parameters":{"type":"object","properties":{"town":{"enum":["Oslo","Rome"]}},"required":["town"]}}},
{"type":"function","function":{"name":"now","parameters":{"type":"object","additionalProperties":false}}}]`
)

// A call that is asked for comes as one, at once and in a stream.
func TestTools(t *testing.T) {
	h, _ := serve(t, nil)
	for choice, want := range map[string]string{
		`"required"`: "", `{"type":"function","function":{"name":"now"}}`: "now", `{"type":"function","function":{"name":"weather"}}`: "weather",
	} {
		body := `{` + hi + `,` + weather + `,"tool_choice":` + choice
		status, _, data := send(t, h, "/v1/chat/completions", body+`}`)
		var whole openai.ChatCompletion
		if err := json.Unmarshal(data, &whole); err != nil || status != http.StatusOK {
			t.Fatalf("%s: %d %s", choice, status, data)
		}
		c := whole.Choices[0]
		if *c.Finish != toolCalls || c.Message.Content != nil || len(c.Message.Calls) != 1 {
			t.Fatalf("%s: %s", choice, data)
		}
		call := c.Message.Calls[0]
		var arguments map[string]string
		if err := json.Unmarshal([]byte(call.Function.Arguments), &arguments); err != nil || call.Type != "function" || !strings.HasPrefix(call.ID, "call_") ||
			want != "" && call.Function.Name != want || call.Function.Name == "weather" && arguments["town"] == "" {
			t.Errorf("%s: %+v", choice, call)
		}
		_, _, data = send(t, h, "/v1/chat/completions", body+`,"stream":true}`)
		var streamed []openai.ToolCall
		finish := ""
		for event := range strings.SplitSeq(string(data), "\n\n") {
			var chunk openai.ChatCompletion
			if json.Unmarshal([]byte(strings.TrimPrefix(event, "data: ")), &chunk) != nil {
				continue
			}
			for _, c := range chunk.Choices {
				streamed = append(streamed, c.Delta.Calls...)
				if c.Delta.Content != nil && *c.Delta.Content != "" {
					t.Errorf("%s: text in a stream: %q", choice, *c.Delta.Content)
				}
				if c.Finish != nil {
					finish = *c.Finish
				}
			}
		}
		if len(streamed) != 1 || streamed[0].Function != call.Function || streamed[0].Index == nil || finish != toolCalls {
			t.Errorf("%s: streamed %s", choice, data)
		}
	}
	for _, body := range []string{
		`{` + hi + `,` + weather + `,"max_tokens":4}`, `{` + hi + `,` + weather + `,"tool_choice":"none","max_tokens":4}`,
		`{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"now","arguments":"{}"}}]},
{"role":"tool","tool_call_id":"call_1","content":"noon"}],"max_tokens":4}`,
	} {
		if status, _, data := send(t, h, "/v1/chat/completions", body); status != http.StatusOK {
			t.Errorf("%s: %d %s", body, status, data)
		}
	}
}

func TestToolRefusals(t *testing.T) {
	h, _ := serve(t, nil)
	for _, c := range []struct{ more, param, says string }{
		{`"tools":[{"type":"retrieval"}]`, "tools", "want function"},
		{`"tools":[{"type":"function","function":{"name":"a b"}}]`, "tools", "letters"},
		{`"tools":[{"type":"function","function":{"name":"a"}},{"type":"function","function":{"name":"a"}}]`, "tools", "another's"},
		{`"tools":[{"type":"function","function":{"name":"a","parameters":{"not":{}}}}],"tool_choice":"required"`, "tools", `function "a": schema at #`},
		{weather + `,"tool_choice":"maybe"`, "tool_choice", "none, auto"},
		{weather + `,"tool_choice":{"type":"function","function":{"name":"x"}}`, "tool_choice", "none of the tools"},
		{weather + `,"tool_choice":{"type":"function","other":1}`, "tool_choice", "want none"},
		{weather + `,"tool_choice":"required","response_format":{"type":"json_object"}`, "response_format", "one of the two"},
		{`"tool_choice":"required"`, "tool_choice", "no tools"},
	} {
		status, _, data := send(t, h, "/v1/chat/completions", `{`+hi+`,`+c.more+`}`)
		var e openai.ErrorBody
		if err := json.Unmarshal(data, &e); err != nil || status != http.StatusBadRequest || e.Error.Param == nil || *e.Error.Param != c.param || !strings.Contains(e.Error.Message, c.says) {
			t.Errorf("%s: %d %s", c.more, status, data)
		}
	}
}

// Where the model may choose, an answer of the form of a call is one, and other text comes at once.
func TestCalling(t *testing.T) {
	box := toolbox{names: []string{"now"}}
	for _, c := range []struct {
		pieces []string
		early  string
		call   bool
	}{
		{[]string{"It is", " noon."}, "It is noon.", false},
		{[]string{" ", "{\"na", `me": "now", "arguments": {}}`}, "", true},
		{[]string{`{"name": "then", "arguments": {}}`}, "", false},
		{[]string{`{"name": "now", "arguments": 3}`}, "", false},
		{[]string{`{"name": "now"`}, "", false},
	} {
		held := calling{box: box}
		early := ""
		for _, p := range c.pieces {
			early += held.push(p)
		}
		rest, call := held.finish()
		if early != c.early || (call != nil) != c.call || call == nil && early+rest != strings.Join(c.pieces, "") {
			t.Errorf("%q: %q at once, then %q and %v", c.pieces, early, rest, call)
		}
	}
	messages := described([]openai.Tool{{Type: "function", Function: openai.ToolFunction{Name: "now"}}}, []chat.Message{{Role: "system", Content: []chat.Part{chat.Text("Be brief.")}}})
	if text := messages[0].Content[0].Text; len(messages) != 1 || len(messages[0].Content) != 2 || !strings.Contains(text, `{"name":"now"}`) {
		t.Errorf("%+v", messages)
	}
}
