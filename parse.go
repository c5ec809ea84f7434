package idefics2

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"idefics2/chat"
	"idefics2/sample"
)

// ParseRequest reads a request from JSON: a list of messages, or an object of messages
// (or prompt), images, split, add_generation_prompt, raw, adapter, id and generation settings,
// named as the command line's flags with underscores (max_tokens, top_p, stop, …); format is a JSON schema or OpenAI's response_format. Paths
// of pictures are relative to dir. A member that is none of these is an error.
func ParseRequest(data []byte, dir string) (Request, error) {
	parsed, err := chat.ParseRequest(data)
	if err != nil {
		return Request{}, err
	}
	r := Request{
		Messages: parsed.Messages, Split: parsed.Split,
		NoGenerationPrompt: parsed.AddGenerationPrompt != nil && !*parsed.AddGenerationPrompt,
	}
	if parsed.Prompt != nil {
		r.Prompt = *parsed.Prompt
	}
	if json.Unmarshal(parsed.ID, &r.ID) != nil { // a number, or null
		r.ID = string(parsed.ID)
	}
	for i := range r.Messages {
		for k := range r.Messages[i].Content {
			part := &r.Messages[i].Content[k]
			part.Image = within(dir, part.Image)
		}
	}
	for _, image := range parsed.Images {
		r.Images = append(r.Images, Image{Name: within(dir, image)})
	}
	for name, value := range parsed.Extra {
		set, ok := settings[name]
		if !ok {
			return Request{}, fmt.Errorf("idefics2: the request has %q, which is none of its members: messages, prompt, images, split, add_generation_prompt, raw, adapter, id, or a generation setting such as max_tokens", name)
		}
		if err := set(&r, value); err != nil {
			return Request{}, fmt.Errorf("idefics2: the request's %q: %w", name, err)
		}
	}
	return r, nil
}

// within makes a relative path relative to dir. URLs and data URLs are left alone.
func within(dir, name string) string {
	if name == "" || dir == "" || filepath.IsAbs(name) || IsURL(name) {
		return name
	}
	return filepath.Join(dir, name)
}

// settings are the generation settings of a request in JSON.
var settings = map[string]func(*Request, json.RawMessage) error{
	"raw":                field(func(r *Request) *bool { return &r.Raw }),
	"adapter":            field(func(r *Request) *string { return &r.Adapter }),
	"max_tokens":         field(func(r *Request) *int { return &r.Generate.MaxNewTokens }),
	"min_tokens":         field(func(r *Request) *int { return &r.Generate.MinNewTokens }),
	"temperature":        field(func(r *Request) *float64 { return &r.Generate.Temperature }),
	"top_k":              field(func(r *Request) *int { return &r.Generate.TopK }),
	"top_p":              field(func(r *Request) *float64 { return &r.Generate.TopP }),
	"min_p":              field(func(r *Request) *float64 { return &r.Generate.MinP }),
	"typical_p":          field(func(r *Request) *float64 { return &r.Generate.TypicalP }),
	"repetition_penalty": field(func(r *Request) *float64 { return &r.Generate.RepetitionPenalty }),
	"frequency_penalty":  field(func(r *Request) *float64 { return &r.Generate.FrequencyPenalty }),
	"presence_penalty":   field(func(r *Request) *float64 { return &r.Generate.PresencePenalty }),
	"no_repeat_ngram":    field(func(r *Request) *int { return &r.Generate.NoRepeatNgram }),
	"seed":               field(func(r *Request) *uint64 { return &r.Generate.Seed }),
	"stop_ids":           field(func(r *Request) *[]int32 { return &r.Generate.StopIDs }),
	"ignore_eos":         field(func(r *Request) *bool { return &r.IgnoreEOS }),
	"beams":              field(func(r *Request) *int { return &r.Generate.Beams }),
	"length_penalty":     field(func(r *Request) **float64 { return &r.Generate.LengthPenalty }),
	"n":                  field(func(r *Request) *int { return &r.Generate.Returned }),
	"logprobs":           field(func(r *Request) **int { return &r.Logprobs }),
	"format":             parseFormat,
	"response_format":    parseFormat,
	"prompt_lookup":      parseLookup,
	"stop":               parseStop,
	"early_stopping":     parseEarlyStopping,
}

func field[T any](of func(*Request) *T) func(*Request, json.RawMessage) error {
	return func(r *Request, value json.RawMessage) error { return json.Unmarshal(value, of(r)) }
}

// parseFormat reads a JSON schema, or OpenAI's response_format.
func parseFormat(r *Request, value json.RawMessage) (err error) {
	if r.Format = nil; string(value) != "null" {
		r.Format, err = ParseFormat(value)
	}
	return err
}

// parseLookup reads how many tokens prompt lookup may guess at once; 0 is none.
func parseLookup(r *Request, value json.RawMessage) error {
	err := json.Unmarshal(value, &r.Generate.LookupTokens)
	r.NoLookup = r.Generate.LookupTokens == 0
	return err
}

// parseStop reads a stop string, or a list of them.
func parseStop(r *Request, value json.RawMessage) error {
	var one string
	if json.Unmarshal(value, &one) == nil {
		r.Generate.StopStrings = []string{one}
		return nil
	}
	return json.Unmarshal(value, &r.Generate.StopStrings)
}

// parseEarlyStopping reads true, false or "never".
func parseEarlyStopping(r *Request, value json.RawMessage) error {
	var e sample.EarlyStopping
	if err := e.UnmarshalText([]byte(strings.Trim(string(value), `"`))); err != nil {
		return err
	}
	r.Generate.EarlyStopping = e
	return nil
}
