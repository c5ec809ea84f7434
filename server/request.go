package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"

	"idefics2"
	"idefics2/chat"
	"idefics2/constrain"
	"idefics2/openai"
	"idefics2/sample"
)

// decode reads a request's body.
func decode(r *http.Request, v any) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	return openai.Decode(body, v)
}

// named returns the model that a request names.
func (s *Server) named(name string) (string, *idefics2.Model, error) {
	if name == "" {
		name = s.config.Order[0]
	}
	m := s.config.Models[name]
	if m == nil {
		return "", nil, refusal{status: http.StatusNotFound, param: "model", code: "model_not_found",
			message: fmt.Sprintf("there is no model %q here; GET /v1/models lists those that there are", name)}
	}
	return name, m, nil
}

// request makes of a body what the library answers.
func (s *Server) request(c *openai.ChatRequest) (r idefics2.Request, box toolbox, err error) {
	r = idefics2.Request{Messages: c.Messages, Split: c.Split, Generate: s.config.Defaults}
	if len(c.Messages) == 0 {
		return r, box, bad("messages", errors.New("want at least one message"))
	}
	if n := len(chat.Images(c.Messages)); n > s.config.MaxImages {
		return r, box, bad("messages", fmt.Errorf("%d pictures, and this server takes %d in a request", n, s.config.MaxImages))
	}
	for i, m := range c.Messages {
		for k, part := range m.Content {
			if part.Type == chat.TypeImage && part.Image == "" {
				return r, box, bad("messages", fmt.Errorf("messages[%d].content[%d] is a picture without its data; give image_url", i, k))
			}
		}
	}
	g := &r.Generate
	set(&g.Temperature, c.Temperature)
	set(&g.TopP, c.TopP)
	set(&g.MinP, c.MinP)
	set(&g.TopK, c.TopK)
	set(&g.FrequencyPenalty, c.FrequencyPenalty)
	set(&g.PresencePenalty, c.PresencePenalty)
	set(&g.RepetitionPenalty, c.RepetitionPenalty)
	set(&g.MaxNewTokens, c.MaxTokens)
	set(&g.MaxNewTokens, c.MaxCompletionTokens)
	set(&g.Returned, c.N)
	if c.Stop != nil {
		g.StopStrings = c.Stop
	}
	if c.Seed != nil {
		g.Seed = uint64(*c.Seed)
	}
	for _, limit := range []struct {
		param    string
		value    *int
		from, to int
	}{
		{"max_tokens", c.MaxTokens, 1, 1 << 20},
		{"max_completion_tokens", c.MaxCompletionTokens, 1, 1 << 20},
		{"n", c.N, 1, 128},
		{"top_logprobs", c.TopLogprobs, 0, 20},
	} {
		if v := limit.value; v != nil && (*v < limit.from || *v > limit.to) {
			return r, box, bad(limit.param, fmt.Errorf("%s is %d, want %d to %d", limit.param, *v, limit.from, limit.to))
		}
	}
	if err := penalties(c); err != nil {
		return r, box, err
	}
	if r.Format, err = format(c.ResponseFormat); err != nil {
		return r, box, bad("response_format", err)
	}
	if c.Logprobs != nil && *c.Logprobs {
		r.Logprobs = new(int)
		set(r.Logprobs, c.TopLogprobs)
	} else if c.TopLogprobs != nil {
		return r, box, bad("top_logprobs", errors.New("top_logprobs wants logprobs to be true"))
	}
	if err := bias(g, c.LogitBias); err != nil {
		return r, box, err
	}
	box, err = tools(c, &r)
	return r, box, err
}

// format reads response_format.
func format(data json.RawMessage) (*idefics2.Format, error) {
	if len(data) == 0 || string(data) == "null" {
		return nil, nil
	}
	f, err := constrain.ParseResponseFormat(data)
	if err == nil && f != nil {
		err = f.Validate()
	}
	return f, err
}

func penalties(c *openai.ChatRequest) error {
	for _, limit := range []struct {
		param    string
		value    *float64
		from, to float64
	}{
		{"temperature", c.Temperature, 0, 2},
		{"top_p", c.TopP, 0, 1},
		{"frequency_penalty", c.FrequencyPenalty, -2, 2},
		{"presence_penalty", c.PresencePenalty, -2, 2},
	} {
		if v := limit.value; v != nil && (*v < limit.from || *v > limit.to) {
			return bad(limit.param, fmt.Errorf("%s is %v, want %v to %v", limit.param, *v, limit.from, limit.to))
		}
	}
	return nil
}

// bias reads logit_bias: ids as strings, −100 to 100.
func bias(g *idefics2.Generation, of map[string]float64) error {
	for key, value := range of {
		id, err := strconv.ParseInt(key, 10, 32)
		if err != nil || id < 0 {
			return bad("logit_bias", fmt.Errorf("logit_bias: %q is no token's id", key))
		}
		if !(value >= -100 && value <= 100) {
			return bad("logit_bias", fmt.Errorf("logit_bias: %v of token %d, want -100 to 100", value, id))
		}
		g.Bias = append(g.Bias, sample.Bias{IDs: []int32{int32(id)}, Value: value})
	}
	slices.SortFunc(g.Bias, func(a, b sample.Bias) int { return int(a.IDs[0]) - int(b.IDs[0]) })
	return nil
}

// set changes *to where there is a value.
func set[T any](to *T, value *T) {
	if value != nil {
		*to = *value
	}
}
