package chat

import (
	"fmt"
	"strings"
)

// Message is one turn of a conversation.
type Message struct {
	// Role says who speaks: user, assistant, system or what the template knows.
	Role string
	// Content is text and images in order. It is nil only where Extra says what the
	// message is instead, such as tool_calls.
	Content []Part
	// Extra are the message's other fields (name, tool_calls, …), which templates may
	// use. nil is none.
	Extra *Dict
}

// Part is one entry of a message: a text or an image.
type Part struct {
	Type string // "text" or "image"
	Text string // of a text
	// Image is a path, a URL or a data URL; empty for the next of the request's images.
	Image string
}

// The types of [Part].
const (
	TypeText  = "text"
	TypeImage = "image"
)

// Text is a part with text.
func Text(s string) Part { return Part{Type: TypeText, Text: s} }

// Image is a part with an image: a path, a URL or a data URL; empty for the next of the
// request's images.
func Image(source string) Part { return Part{Type: TypeImage, Image: source} }

// Images returns the sources of all images of a conversation, in the order in which
// the model sees them.
func Images(messages []Message) []string {
	var out []string
	for _, m := range messages {
		for _, p := range m.Content {
			if p.Type == TypeImage {
				out = append(out, p.Image)
			}
		}
	}
	return out
}

// MarshalJSON writes the message in Hugging Face's form, as [ParseRequest] reads it.
func (m Message) MarshalJSON() ([]byte, error) {
	d := NewDict()
	d.Set("role", m.Role)
	if m.Content != nil {
		list := List{}
		for _, p := range m.Content {
			part := NewDict()
			part.Set("type", p.Type)
			if p.Type == TypeText {
				part.Set("text", p.Text)
			} else if p.Image != "" {
				part.Set("image", p.Image)
			}
			list = append(list, part)
		}
		d.Set("content", list)
	}
	for k, v := range m.Extra.All() {
		d.Set(k.(string), v)
	}
	return marshal(d)
}

// UnmarshalJSON reads one message, as [ParseRequest] does.
func (m *Message) UnmarshalJSON(data []byte) error {
	v, err := ParseJSON(data)
	if err != nil {
		return err
	}
	*m, err = message(v, "message")
	return err
}

// MarshalJSON writes the dict in its order. Its values must be those of JSON.
func (d *Dict) MarshalJSON() ([]byte, error) { return marshal(d) }

// marshal writes a value as JSON, floats as floats: 1.0 stays 1.0.
func marshal(v Value) (out []byte, err error) {
	s := &state{limits: Limits{}.withDefaults()}
	defer catch(&err)
	var b strings.Builder
	s.writeJSON(&b, v, &jsonOptions{item: ",", key: ":"}, 0)
	return []byte(b.String()), nil
}

// found describes a JSON value in an error.
func found(v Value) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return fmt.Sprint(v)
	case string:
		return "a string"
	case List:
		return "a list"
	case *Dict:
		return "an object"
	}
	return fmt.Sprintf("the number %v", v)
}

// message reads a message; at names its place in errors.
func message(v Value, at string) (m Message, err error) {
	d, ok := v.(*Dict)
	if !ok {
		return m, fmt.Errorf("chat: %s: found %s, want an object with role and content", at, found(v))
	}
	role, ok := d.Get("role")
	if !ok {
		return m, fmt.Errorf("chat: %s: no role; add \"role\": \"user\", \"assistant\" or \"system\"", at)
	}
	if m.Role, ok = role.(string); !ok {
		return m, fmt.Errorf("chat: %s.role: found %s, want a string", at, found(role))
	}
	for k, v := range d.All() {
		if k != "role" && k != "content" {
			if m.Extra == nil {
				m.Extra = NewDict()
			}
			m.Extra.Set(k.(string), v)
		}
	}
	content, ok := d.Get("content")
	for _, instead := range []string{"tool_calls", "function_call", "reasoning_content"} {
		if _, has := m.Extra.Get(instead); has && content == nil {
			return m, nil
		}
	}
	if !ok {
		return m, fmt.Errorf("chat: %s: no content; add \"content\": \"…\" or a list of texts and images", at)
	}
	m.Content, err = contentParts(content, at+".content")
	return m, err
}

// contentParts reads a message's content: a string, which counts as one text, or a list
// of strings, texts and images.
func contentParts(v Value, at string) ([]Part, error) {
	if text, ok := v.(string); ok {
		return []Part{Text(text)}, nil
	}
	list, ok := v.(List)
	if !ok {
		return nil, fmt.Errorf("chat: %s: found %s, want a string or a list of texts and images", at, found(v))
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("chat: %s: the list is empty, want at least one text or image", at)
	}
	parts := make([]Part, len(list))
	for i, entry := range list {
		var err error
		if parts[i], err = contentPart(entry, fmt.Sprintf("%s[%d]", at, i)); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

func contentPart(v Value, at string) (p Part, err error) {
	if text, ok := v.(string); ok {
		return Text(text), nil
	}
	d, ok := v.(*Dict)
	if !ok {
		return p, fmt.Errorf("chat: %s: found %s, want an object with a type, or a string", at, found(v))
	}
	kind, _ := d.Get("type")
	switch kind {
	case "text":
		return textPart(d, at)
	case "image":
		return imagePart(d, at)
	case "image_url":
		return imageURLPart(d, at)
	}
	name := "no type"
	if s, ok := kind.(string); ok {
		name = fmt.Sprintf("unknown type %q", s)
	} else if kind != nil {
		name = "type is " + found(kind)
	}
	return p, fmt.Errorf("chat: %s: %s, want \"text\", \"image\" or \"image_url\"", at, name)
}

func textPart(d *Dict, at string) (p Part, err error) {
	v, ok := d.Get("text")
	if !ok && d.Len() > 1 { // what was meant as the text would be lost
		return p, fmt.Errorf("chat: %s: no text; write {\"type\": \"text\", \"text\": \"…\"}", at)
	}
	if !ok {
		return Text(""), nil
	}
	text, ok := v.(string)
	if !ok {
		return p, fmt.Errorf("chat: %s.text: found %s, want a string", at, found(v))
	}
	return Text(text), nil
}

// imagePart reads Hugging Face's {"type":"image"}, with image, url, path or base64 for
// the source. null is as good as absent: tables of examples write it in every row.
func imagePart(d *Dict, at string) (p Part, err error) {
	p.Type = TypeImage
	from := ""
	for _, key := range []string{"image", "url", "path", "base64"} {
		v, _ := d.Get(key)
		if v == nil {
			continue
		}
		source, ok := v.(string)
		switch {
		case !ok:
			return p, fmt.Errorf("chat: %s.%s: found %s, want a string", at, key, found(v))
		case source == "":
			return p, fmt.Errorf("chat: %s.%s: empty; leave it out to take the next of the request's images", at, key)
		case from != "":
			return p, fmt.Errorf("chat: %s: both %s and %s, want one", at, from, key)
		}
		from, p.Image = key, source
		if key == "base64" && !strings.HasPrefix(source, "data:") {
			p.Image = "data:image/unknown;base64," + source
		}
	}
	return p, nil
}

// imageURLPart reads OpenAI's {"type":"image_url","image_url":{"url":"…"}}, or with the
// URL itself.
func imageURLPart(d *Dict, at string) (p Part, err error) {
	at += ".image_url"
	v, ok := d.Get("image_url")
	if inner, isDict := v.(*Dict); isDict {
		at += ".url"
		v, ok = inner.Get("url")
	}
	if !ok {
		return p, fmt.Errorf("chat: %s: missing; write {\"type\": \"image_url\", \"image_url\": {\"url\": \"…\"}}", at)
	}
	url, ok := v.(string)
	if !ok {
		return p, fmt.Errorf("chat: %s: found %s, want a string", at, found(v))
	}
	if url == "" {
		return p, fmt.Errorf("chat: %s: empty, want a URL or a data URL", at)
	}
	return Image(url), nil
}
