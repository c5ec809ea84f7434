package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"idefics2"
	"idefics2/chat"
	"idefics2/constrain"
	"idefics2/openai"
)

// Functions are described to the model in the system message, and a call is an answer of the form
// {"name": …, "arguments": {…}}. Where a call is asked for, the answer is held to that form and to the
// function's schema; where the model may choose, an answer that has the form is a call.

// maxTools bounds the functions of one request.
const maxTools = 128

var toolName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// toolbox is the functions of a request.
type toolbox struct {
	names  []string // that may be called; none: no answer is a call
	forced bool     // every answer is a call
}

// tools adds the functions of a body to a request.
func tools(c *openai.ChatRequest, r *idefics2.Request) (box toolbox, err error) {
	if r.Messages, err = toldCalls(r.Messages); err != nil {
		return box, bad("messages", err)
	}
	if c.ParallelToolCalls != nil && *c.ParallelToolCalls && len(c.Tools) == 0 {
		return box, bad("parallel_tool_calls", errors.New("parallel_tool_calls wants tools"))
	}
	if len(c.Tools) > maxTools {
		return box, bad("tools", fmt.Errorf("%d tools, want at most %d", len(c.Tools), maxTools))
	}
	var functions []constrain.Function
	for i, t := range c.Tools {
		f := constrain.Function{Name: t.Function.Name, Parameters: t.Function.Parameters}
		if string(f.Parameters) == "null" {
			f.Parameters = nil
		}
		switch {
		case t.Type != "function":
			return box, bad("tools", fmt.Errorf("tools[%d].type is %.60q, want function", i, t.Type))
		case !toolName.MatchString(f.Name):
			return box, bad("tools", fmt.Errorf("tools[%d].function.name is %.80q, want 1 to 64 letters, digits, _ or -", i, f.Name))
		case slices.Contains(box.names, f.Name):
			return box, bad("tools", fmt.Errorf("tools[%d].function.name is %q, as is another's", i, f.Name))
		}
		box.names, functions = append(box.names, f.Name), append(functions, f)
	}
	choice, name, err := toolChoice(c.ToolChoice)
	if err != nil {
		return box, bad("tool_choice", err)
	}
	switch choice {
	case "none":
		return toolbox{}, nil
	case "auto", "":
		if len(functions) > 0 {
			r.Messages = described(c.Tools, r.Messages)
		}
		return box, nil
	case "function":
		i := slices.Index(box.names, name)
		if i < 0 {
			return box, bad("tool_choice", fmt.Errorf("tool_choice names %.80q, which is none of the tools", name))
		}
		functions, box.names = functions[i:i+1], box.names[i:i+1]
	}
	switch {
	case len(functions) == 0:
		return box, bad("tool_choice", errors.New("tool_choice asks for a call, and there are no tools"))
	case r.Format != nil:
		return box, bad("response_format", errors.New("response_format beside a tool_choice that asks for a call; want one of the two"))
	}
	r.Format, box.forced = &idefics2.Format{Calls: functions}, true
	if err := r.Format.Validate(); err != nil {
		return box, bad("tools", err)
	}
	r.Messages = described(c.Tools, r.Messages)
	return box, nil
}

// toolChoice reads tool_choice: a word, or "function" and its name.
func toolChoice(data json.RawMessage) (choice, name string, err error) {
	if len(data) == 0 || string(data) == "null" {
		return "", "", nil
	}
	if json.Unmarshal(data, &choice) == nil {
		if !slices.Contains([]string{"none", "auto", "required"}, choice) {
			return "", "", fmt.Errorf("tool_choice is %.60q, want none, auto, required or an object", choice)
		}
		return choice, "", nil
	}
	var named openai.ToolChoice
	if err := openai.Decode(data, &named); err != nil || named.Type != "function" {
		return "", "", errors.New(`tool_choice: want none, auto, required or {"type": "function", "function": {"name": "…"}}`)
	}
	return named.Type, named.Function.Name, nil
}

// described tells the model of the functions, in front of what the system message says.
func described(tools []openai.Tool, messages []idefics2.Message) []idefics2.Message {
	var b strings.Builder
	b.WriteString("You may call these functions:\n")
	for _, t := range tools {
		f := t.Function
		f.Strict = nil
		line, err := json.Marshal(f)
		if err != nil {
			panic(err) // it came as JSON
		}
		b.Write(line)
		b.WriteByte('\n')
	}
	b.WriteString(`To call one, answer with nothing but {"name": "its name", "arguments": {…}}.`)
	if len(messages) > 0 && messages[0].Role == "system" {
		first := messages[0]
		first.Content = append([]chat.Part{chat.Text(b.String() + "\n")}, first.Content...)
		return append([]idefics2.Message{first}, messages[1:]...)
	}
	return append([]idefics2.Message{{Role: "system", Content: []chat.Part{chat.Text(b.String())}}}, messages...)
}

// toldCalls writes the calls that an assistant made into its message's text, as the model wrote
// them. What a function gave comes as a message of the role tool.
func toldCalls(messages []idefics2.Message) ([]idefics2.Message, error) {
	var out []idefics2.Message
	for i, m := range messages {
		v, ok := m.Extra.Get("tool_calls")
		if !ok || v == nil {
			out = append(out, m)
			continue
		}
		list, _ := v.(chat.List)
		for k, call := range list {
			text, err := toldCall(call)
			if err != nil {
				return nil, fmt.Errorf("messages[%d].tool_calls[%d]: %w", i, k, err)
			}
			m.Content = append(slices.Clip(m.Content), chat.Text(text))
		}
		if len(m.Content) == 0 {
			return nil, fmt.Errorf("messages[%d].tool_calls: want a list of calls", i)
		}
		m.Extra = nil
		out = append(out, m)
	}
	return out, nil
}

func toldCall(call chat.Value) (string, error) {
	d, _ := call.(*chat.Dict)
	f, _ := d.Get("function")
	function, _ := f.(*chat.Dict)
	n, _ := function.Get("name")
	a, _ := function.Get("arguments")
	name, ok := n.(string)
	arguments, also := a.(string)
	if !ok || !also || !json.Valid([]byte(arguments)) {
		return "", errors.New(`want {"id": "…", "type": "function", "function": {"name": "…", "arguments": "{…}"}}`)
	}
	quoted, err := json.Marshal(name)
	return `{"name": ` + string(quoted) + `, "arguments": ` + arguments + `}`, err
}

// call reads an answer that is a call.
func (b toolbox) call(text string) (call openai.ToolCall, ok bool) {
	text = strings.TrimSpace(text)
	if len(b.names) == 0 || !strings.HasPrefix(text, "{") {
		return call, false
	}
	var body struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	}
	if openai.Decode([]byte(text), &body) != nil || !slices.Contains(b.names, body.Name) || !strings.HasPrefix(string(body.Arguments), "{") && !b.forced {
		return call, false
	}
	return openai.ToolCall{ID: newID("call_"), Type: "function", Function: openai.FunctionCall{Name: body.Name, Arguments: string(body.Arguments)}}, true
}

// calling is one answer's text in a stream, as long as it may be a call.
type calling struct {
	box   toolbox
	held  string
	plain bool // it is text
}

// push takes the next piece and returns what is text for sure.
func (c *calling) push(piece string) string {
	if c.plain || len(c.box.names) == 0 {
		return piece
	}
	c.held += piece
	if begun := strings.TrimSpace(c.held); c.box.forced || begun == "" || begun[0] == '{' {
		return ""
	}
	c.plain = true
	return c.held
}

// finish returns the call that the answer was, or the rest of its text.
func (c *calling) finish() (rest string, call *openai.ToolCall) {
	if c.plain || len(c.box.names) == 0 {
		return "", nil
	}
	if made, ok := c.box.call(c.held); ok {
		first := 0
		made.Index = &first
		return "", &made
	}
	return c.held, nil
}
