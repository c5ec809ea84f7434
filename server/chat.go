package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"idefics2"
	"idefics2/chat"
	"idefics2/openai"
	"idefics2/tokenizer"
)

// chat answers POST /v1/chat/completions.
func (s *Server) chat(w http.ResponseWriter, r *http.Request, from *holder) error {
	start := time.Now()
	var body openai.ChatRequest
	if err := decode(r, &body); err != nil {
		return err
	}
	name, model, err := s.named(body.Model)
	if err != nil {
		return err
	}
	request, box, err := s.request(&body)
	if err != nil {
		return err
	}
	images := len(chat.Images(request.Messages))
	if err := take(from.images, images, "images", from.Images); err != nil {
		return err
	}
	request.ID = w.Header().Get(requestID)
	c := &completion{
		server: s, from: from, start: start, tokens: model.Processor().Tokenizer(), choices: max(1, request.Generate.Returned), tools: box,
		frame: openai.ChatCompletion{ID: newID("chatcmpl-"), Created: start.Unix(), Model: name, SystemFingerprint: s.config.Fingerprint},
	}
	reply := model.Chat(r.Context(), request)
	if body.Stream {
		err = c.stream(w, r, reply, body.StreamOptions != nil && body.StreamOptions.IncludeUsage)
	} else {
		err = c.whole(w, r.Context(), reply)
	}
	if err == nil {
		s.metrics.images.WithLabelValues(from.Name).Add(float64(images))
	}
	return err
}

// completion is one answer on its way to a client.
type completion struct {
	server  *Server
	from    *holder
	start   time.Time
	tokens  *tokenizer.Tokenizer
	choices int
	tools   toolbox
	frame   openai.ChatCompletion // what every event repeats
	last    time.Time             // when the last token came
}

// whole answers at once.
func (c *completion) whole(w http.ResponseWriter, ctx context.Context, reply *idefics2.Reply) error {
	for _, err := range reply.Deltas() {
		if err != nil {
			return cause(ctx, err)
		}
		c.token()
	}
	answer, err := reply.Answer()
	if err != nil {
		return cause(ctx, err)
	}
	choices := answer.Choices
	if choices == nil {
		choices = []idefics2.Choice{answer.Choice}
	}
	out := c.frame
	out.Object = "chat.completion"
	for i, choice := range choices {
		message := &openai.ChatMessage{Role: "assistant", Content: &choice.Text}
		if call, ok := c.tools.call(choice.Text); ok {
			message.Content, message.Calls, choice.Finish = nil, []openai.ToolCall{call}, toolCalls
		}
		out.Choices = append(out.Choices, openai.ChatChoice{Index: i, Message: message, Logprobs: c.logprobs(choice.Logprobs), Finish: &choice.Finish})
	}
	out.Usage = c.usage(answer)
	writeJSON(w, http.StatusOK, out)
	return nil
}

// toolCalls is why an answer ends that is a call.
const toolCalls = "tool_calls"

// cause is why an answer failed: a deadline that the server set has its own words.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// stream answers by server-sent events. The first is written when there is something to say,
// so that what is wrong with the request still gets a status; later errors are an event.
func (c *completion) stream(w http.ResponseWriter, r *http.Request, reply *idefics2.Reply, usage bool) error {
	c.frame.Object = "chat.completion.chunk"
	calls := make([]calling, c.choices)
	for i := range calls {
		calls[i].box = c.tools
	}
	events := &events{w: w, control: http.NewResponseController(w)}
	for d, err := range reply.Deltas() {
		if err != nil {
			err = cause(r.Context(), err)
			if !events.begun {
				return err
			}
			e := asRefusal(err)
			events.send(openai.ErrorBody{Error: openai.Error{Message: e.message, Type: "server_error", Code: optional(e.code)}})
			return nil
		}
		c.token()
		if !events.begun {
			for i := range c.choices {
				empty := ""
				events.send(c.chunk(openai.ChatChoice{Index: i, Delta: &openai.ChatMessage{Role: "assistant", Content: &empty}}))
			}
		}
		calling := &calls[d.Choice]
		d.Text = calling.push(d.Text)
		var made []openai.ToolCall
		if d.Finish != "" {
			rest, call := calling.finish()
			if d.Text += rest; call != nil {
				made, d.Finish = []openai.ToolCall{*call}, toolCalls
			}
		}
		if d.Text == "" && d.Tokens == nil && d.Finish == "" {
			continue // held back
		}
		choice := openai.ChatChoice{Index: d.Choice, Delta: &openai.ChatMessage{Calls: made}, Logprobs: c.logprobs(d.Tokens), Finish: optional(d.Finish)}
		if d.Text != "" || d.Tokens != nil && len(c.tools.names) == 0 {
			choice.Delta.Content = &d.Text
		}
		if events.send(c.chunk(choice)) != nil {
			return nil // the client has left: so does its request, with the loop
		}
	}
	answer, err := reply.Answer()
	if err != nil {
		return nil // told above
	}
	used := c.usage(answer)
	if usage {
		last := c.chunk()
		last.Usage = used
		events.send(last)
	}
	events.done()
	return nil
}

func (c *completion) chunk(choices ...openai.ChatChoice) openai.ChatCompletion {
	out := c.frame
	out.Choices = choices
	if choices == nil {
		out.Choices = []openai.ChatChoice{}
	}
	return out
}

// token times what the client waits for.
func (c *completion) token() {
	now := time.Now()
	if c.last.IsZero() {
		c.server.metrics.firstToken.Observe(now.Sub(c.start).Seconds())
	} else {
		c.server.metrics.betweenToken.Observe(now.Sub(c.last).Seconds())
	}
	c.last = now
}

// usage counts an answer's tokens, against its key too: what they cost is known only now, so
// the next request pays.
func (c *completion) usage(a *idefics2.Answer) *openai.Usage {
	u := &openai.Usage{PromptTokens: a.Timings.PromptTokens, CompletionTokens: a.Timings.OutputTokens}
	u.TotalTokens = u.PromptTokens + u.CompletionTokens
	m := c.server.metrics
	m.tokens.WithLabelValues(c.from.Name, "prompt").Add(float64(u.PromptTokens))
	m.tokens.WithLabelValues(c.from.Name, "answer").Add(float64(u.CompletionTokens))
	m.stage.WithLabelValues("image").Observe(a.Timings.Image)
	m.stage.WithLabelValues("prefill").Observe(a.Timings.Prefill)
	m.stage.WithLabelValues("decode").Observe(a.Timings.Decode)
	if c.from.tokens != nil {
		c.from.tokens.ReserveN(time.Now(), min(u.TotalTokens, c.from.Tokens))
	}
	return u
}

func (c *completion) logprobs(of []idefics2.Logprob) *openai.ChoiceLogprobs {
	if of == nil {
		return nil
	}
	out := &openai.ChoiceLogprobs{Content: []openai.TokenLogprob{}}
	for _, l := range of {
		t := c.logprob(l.ID, l.Logprob)
		t.Top = []openai.TokenLogprob{}
		for _, other := range l.Top {
			t.Top = append(t.Top, c.logprob(other.ID, other.Logprob))
		}
		out.Content = append(out.Content, t)
	}
	return out
}

func (c *completion) logprob(id int32, p float32) openai.TokenLogprob {
	bytes := spelled(c.tokens, id)
	out := openai.TokenLogprob{Token: strings.ToValidUTF8(string(bytes), "\uFFFD"), Logprob: float64(p), Bytes: []int{}}
	for _, b := range bytes {
		out.Bytes = append(out.Bytes, int(b))
	}
	return out
}

// spelled returns the bytes that a token stands for within a text, a blank in front included.
func spelled(t *tokenizer.Tokenizer, id int32) []byte {
	token, _ := t.Token(id)
	if t.IsSpecial(id) {
		return []byte(token)
	}
	var b byte
	if n, _ := fmt.Sscanf(token, "<0x%02X>", &b); n == 1 && len(token) == len("<0x00>") {
		return []byte{b}
	}
	return []byte(strings.ReplaceAll(token, "▁", " "))
}

// events writes server-sent events.
type events struct {
	w       http.ResponseWriter
	control *http.ResponseController
	begun   bool
}

// slowest is how long a client may take to read an event.
const slowest = 30 * time.Second

func (e *events) send(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own structs
	}
	return e.write(data)
}

func (e *events) done() { _ = e.write([]byte("[DONE]")) } // who has left reads no end

func (e *events) write(data []byte) error {
	if !e.begun {
		e.begun = true
		h := e.w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("Cache-Control", "no-store")
		h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	}
	_ = e.control.SetWriteDeadline(time.Now().Add(slowest)) // not every connection has deadlines
	if _, err := e.w.Write(append(append([]byte("data: "), data...), "\n\n"...)); err != nil {
		return err
	}
	return e.control.Flush()
}
