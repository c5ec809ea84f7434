package chat

import "slices"

// RenderOptions are what a template sees besides the messages.
type RenderOptions struct {
	// AddGenerationPrompt ends the prompt with the beginning of the answer.
	AddGenerationPrompt bool
	// BOS and EOS are the texts of the tokens that templates call bos_token and
	// eos_token.
	BOS, EOS string
	// Tools and Documents are lists for templates that know them; nil is none.
	Tools, Documents Value
	// Extra are more variables, such as enable_thinking.
	Extra *Dict
	// Escape, where not nil, is applied to every string that comes from the user: texts,
	// roles, and strings and keys within Message.Extra, Tools, Documents and Extra. It
	// marks what must stay plain text, so that <image> written in a message is no image.
	// It must leave ordinary words as they are, because templates compare them.
	Escape func(string) string
	// Limits bound the rendering.
	Limits Limits
}

// Render makes the prompt of messages. The template sees each as a dict of role,
// content (a list of {"type":"text","text":…} and {"type":"image"}; None where there is
// none) and the other fields.
func Render(t *Template, messages []Message, o RenderOptions) (string, error) {
	escape := o.Escape
	if escape == nil {
		escape = func(s string) string { return s }
	}
	list := make(List, len(messages))
	for i, m := range messages {
		list[i] = m.value(escape)
	}
	vars := map[string]Value{
		"messages":              list,
		"add_generation_prompt": o.AddGenerationPrompt,
		"bos_token":             o.BOS,
		"eos_token":             o.EOS,
		"tools":                 escaped(o.Tools, escape),
		"documents":             escaped(o.Documents, escape),
	}
	for k, v := range o.Extra.All() {
		if name := k.(string); vars[name] == nil {
			vars[name] = escaped(v, escape)
		}
	}
	return t.Render(vars, o.Limits)
}

func (m Message) value(escape func(string) string) Value {
	d := NewDict()
	d.Set("role", escape(m.Role))
	d.Set("content", nil)
	if m.Content != nil {
		list := make(List, len(m.Content))
		for i, p := range m.Content {
			part := NewDict()
			part.Set("type", p.Type)
			if p.Type == TypeText {
				part.Set("text", escape(p.Text))
			}
			list[i] = part
		}
		d.Set("content", list)
	}
	for k, v := range m.Extra.All() {
		if k != "role" && k != "content" {
			d.Set(escape(k.(string)), escaped(v, escape))
		}
	}
	return d
}

// escaped returns v with every string and key escaped.
func escaped(v Value, escape func(string) string) Value {
	switch v := v.(type) {
	case string:
		return escape(v)
	case List:
		out := slices.Clone(v)
		for i, item := range out {
			out[i] = escaped(item, escape)
		}
		return out
	case *Dict:
		if v == nil {
			return nil
		}
		out := NewDict()
		for k, item := range v.All() {
			out.Set(escape(k.(string)), escaped(item, escape))
		}
		return out
	}
	return v
}
