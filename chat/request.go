package chat

import (
	"encoding/json"
	"fmt"
)

// Bounds of a request. The model's own length, 512 images at 64 tokens each, is well
// below.
const (
	maxMessages = 1 << 16
	maxImages   = 1024
)

// Request is one question to the model, as the flag -messages and a line of ask -batch
// have it.
type Request struct {
	// ID is whatever the request calls itself, as it was written; nil if nothing.
	ID json.RawMessage
	// Messages is the conversation; nil where Prompt is given instead.
	Messages []Message
	// Prompt is a bare prompt with the image markers written in it; nil if absent.
	Prompt *string
	// Images are paths, URLs or data URLs for the images of Messages that name none,
	// and for the markers of Prompt.
	Images []string
	// Split says whether images are cut in four; nil where the request does not say.
	Split *bool
	// AddGenerationPrompt says whether the beginning of the answer is added; nil where
	// the request does not say.
	AddGenerationPrompt *bool
	// Extra are the other keys as they were written, such as max_tokens: the caller
	// knows them.
	Extra map[string]json.RawMessage
}

// ParseRequest reads a request from JSON: a list of messages, or an object of messages
// (or prompt), images, split, add_generation_prompt, id and more. Messages may have any
// of the forms of Hugging Face and OpenAI: content as a string or a list; entries as
// strings, {"type":"text"}, {"type":"image"} with or without image, url, path or base64,
// and {"type":"image_url"}. What is not understood is an error that names its place.
func ParseRequest(data []byte) (req Request, err error) {
	r, err := newJSONReader(data)
	if err != nil {
		return req, err
	}
	switch r.peek() {
	case '[':
		v, err := r.value()
		if err == nil {
			err = req.messages(v)
		}
		if err != nil {
			return Request{}, err
		}
	case '{':
		if err := r.object(func(key string) error { return req.field(r, key) }); err != nil {
			return Request{}, err
		}
	default:
		return req, r.errorf(r.pos, "found %s, want a list of messages or an object with messages", r.found())
	}
	if err := r.end(); err != nil {
		return Request{}, err
	}
	return req, req.check()
}

// field reads the value of one key of a request.
func (req *Request) field(r *jsonReader, key string) error {
	r.space()
	start := r.pos
	v, err := r.value()
	if err != nil {
		return err
	}
	raw := json.RawMessage(r.src[start:r.pos])
	twice := false
	switch key {
	case "id":
		twice = req.ID != nil
		req.ID = raw
	case "messages":
		twice = req.Messages != nil
		err = req.messages(v)
	case "images":
		twice = req.Images != nil
		req.Images, err = imageList(v)
	case "prompt":
		twice = req.Prompt != nil
		prompt, ok := v.(string)
		if !ok {
			err = fmt.Errorf("chat: prompt: found %s, want a string", found(v))
		}
		req.Prompt = &prompt
	case "split":
		twice = req.Split != nil
		req.Split, err = boolean(v, key)
	case "add_generation_prompt":
		twice = req.AddGenerationPrompt != nil
		req.AddGenerationPrompt, err = boolean(v, key)
	default:
		_, twice = req.Extra[key]
		if req.Extra == nil {
			req.Extra = map[string]json.RawMessage{}
		}
		req.Extra[key] = raw
	}
	if twice && err == nil {
		return r.errorf(start, "key %q is given twice", key)
	}
	return err
}

func (req *Request) messages(v Value) error {
	list, ok := v.(List)
	switch {
	case !ok:
		return fmt.Errorf("chat: messages: found %s, want a list", found(v))
	case len(list) == 0:
		return fmt.Errorf("chat: messages: the list is empty, want at least one message")
	case len(list) > maxMessages:
		return fmt.Errorf("chat: messages: %d of them, at most %d", len(list), maxMessages)
	}
	req.Messages = make([]Message, len(list))
	for i, item := range list {
		var err error
		if req.Messages[i], err = message(item, fmt.Sprintf("messages[%d]", i)); err != nil {
			return err
		}
	}
	return nil
}

func (req *Request) check() error {
	if req.Messages == nil && req.Prompt == nil {
		return fmt.Errorf("chat: neither messages nor prompt; want {\"messages\": [{\"role\": \"user\", \"content\": \"…\"}]}")
	}
	if req.Messages != nil && req.Prompt != nil {
		return fmt.Errorf("chat: both messages and prompt, want one")
	}
	if n := max(len(Images(req.Messages)), len(req.Images)); n > maxImages {
		return fmt.Errorf("chat: %d images, at most %d", n, maxImages)
	}
	return nil
}

func imageList(v Value) ([]string, error) {
	list, ok := v.(List)
	if !ok {
		return nil, fmt.Errorf("chat: images: found %s, want a list of paths, URLs or data URLs", found(v))
	}
	out := make([]string, len(list))
	for i, item := range list {
		s, ok := item.(string)
		if !ok || s == "" {
			what := found(item)
			if ok {
				what = "an empty string"
			}
			return nil, fmt.Errorf("chat: images[%d]: found %s, want a path, a URL or a data URL", i, what)
		}
		out[i] = s
	}
	return out, nil
}

func boolean(v Value, key string) (*bool, error) {
	b, ok := v.(bool)
	if !ok {
		return nil, fmt.Errorf("chat: %s: found %s, want true or false", key, found(v))
	}
	return &b, nil
}
