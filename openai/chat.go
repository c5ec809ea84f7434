// Package openai holds the bodies of OpenAI's HTTP API as the server reads and writes them:
// https://platform.openai.com/docs/api-reference. It has no behaviour but reading strictly: a
// member that the server does not know is refused by its name, never ignored.
package openai

import (
	"encoding/json"
	"fmt"

	"idefics2/chat"
)

// ChatRequest is the body of POST /v1/chat/completions. Pointers tell what was not given.
type ChatRequest struct {
	Model               string             `json:"model"`
	Messages            []chat.Message     `json:"messages"`
	MaxTokens           *int               `json:"max_tokens"`
	MaxCompletionTokens *int               `json:"max_completion_tokens"`
	Temperature         *float64           `json:"temperature"`
	TopP                *float64           `json:"top_p"`
	FrequencyPenalty    *float64           `json:"frequency_penalty"`
	PresencePenalty     *float64           `json:"presence_penalty"`
	LogitBias           map[string]float64 `json:"logit_bias"`
	Stop                Strings            `json:"stop"`
	Seed                *int64             `json:"seed"`
	N                   *int               `json:"n"`
	Logprobs            *bool              `json:"logprobs"`
	TopLogprobs         *int               `json:"top_logprobs"`
	Tools               []Tool             `json:"tools"`
	ToolChoice          json.RawMessage    `json:"tool_choice"` // "none", "auto", "required", or a ToolChoice
	ParallelToolCalls   *bool              `json:"parallel_tool_calls"`
	ResponseFormat      json.RawMessage    `json:"response_format"` // constrain.ParseResponseFormat reads it
	Stream              bool               `json:"stream"`
	StreamOptions       *StreamOptions     `json:"stream_options"`

	// Without effect on an answer: who asks, and labels.
	User     string            `json:"user"`
	Metadata map[string]string `json:"metadata"`

	// Ours: cut pictures into quarters and the whole; the adapter that answers; and what the
	// command line offers besides.
	Split             *bool    `json:"split"`
	TopK              *int     `json:"top_k"`
	MinP              *float64 `json:"min_p"`
	RepetitionPenalty *float64 `json:"repetition_penalty"`
}

// StreamOptions is what a stream tells besides.
type StreamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

// Tool is something that the model may call.
type Tool struct {
	Type     string       `json:"type"` // "function"
	Function ToolFunction `json:"function"`
}

// ToolFunction is a function of the client.
type ToolFunction struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters,omitempty"` // a JSON schema
	Strict      *bool           `json:"strict,omitempty"`     // a forced call is always held to the schema
}

// ToolChoice names the function that is to be called.
type ToolChoice struct {
	Type     string `json:"type"` // "function"
	Function struct {
		Name string `json:"name"`
	} `json:"function"`
}

// ToolCall is a call of a function.
type ToolCall struct {
	Index    *int         `json:"index,omitempty"` // in a stream
	ID       string       `json:"id,omitempty"`
	Type     string       `json:"type,omitempty"` // "function"
	Function FunctionCall `json:"function"`
}

// FunctionCall is a function's name and its arguments, JSON in a string.
type FunctionCall struct {
	Name      string `json:"name,omitempty"`
	Arguments string `json:"arguments"`
}

// Strings is a string or a list of them.
type Strings []string

// UnmarshalJSON reads a string, a list of strings, or null.
func (s *Strings) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		if *s = nil; string(data) != "null" {
			*s = Strings{one}
		}
		return nil
	}
	var all []string
	if err := json.Unmarshal(data, &all); err != nil {
		return fmt.Errorf("want a string or a list of strings")
	}
	*s = all
	return nil
}

// ChatCompletion is the answer to a ChatRequest, or with Object "chat.completion.chunk" an
// event of its stream.
type ChatCompletion struct {
	ID                string       `json:"id"`
	Object            string       `json:"object"`
	Created           int64        `json:"created"` // seconds since 1970
	Model             string       `json:"model"`
	SystemFingerprint string       `json:"system_fingerprint,omitempty"`
	Choices           []ChatChoice `json:"choices"`
	Usage             *Usage       `json:"usage,omitempty"`
}

// ChatChoice is one of the answers: Message whole, or Delta in a stream.
type ChatChoice struct {
	Index    int             `json:"index"`
	Message  *ChatMessage    `json:"message,omitempty"`
	Delta    *ChatMessage    `json:"delta,omitempty"`
	Logprobs *ChoiceLogprobs `json:"logprobs"`
	Finish   *string         `json:"finish_reason"` // null, "stop", "length" or "tool_calls"
}

// ChatMessage is what the assistant says.
type ChatMessage struct {
	Role    string     `json:"role,omitempty"`
	Content *string    `json:"content,omitempty"`
	Refusal *string    `json:"refusal,omitempty"`
	Calls   []ToolCall `json:"tool_calls,omitempty"`
}

// ChoiceLogprobs are the log-probabilities of an answer's tokens.
type ChoiceLogprobs struct {
	Content []TokenLogprob `json:"content"`
}

// TokenLogprob is one token and what was likely in its place.
type TokenLogprob struct {
	Token   string         `json:"token"`
	Logprob float64        `json:"logprob"`
	Bytes   []int          `json:"bytes"`
	Top     []TokenLogprob `json:"top_logprobs,omitempty"`
}

// Usage counts tokens.
type Usage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	TotalTokens      int `json:"total_tokens"`
}

// ErrorBody is how every refusal looks.
type ErrorBody struct {
	Error Error `json:"error"`
}

// Error says what was wrong, and with which member of the request.
type Error struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`
}

// Models is the answer of GET /v1/models.
type Models struct {
	Object string  `json:"object"`
	Data   []Model `json:"data"`
}

// Model is one that can be asked.
type Model struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}
