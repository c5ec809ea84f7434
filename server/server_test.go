package server

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"idefics2"
	"idefics2/openai"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const tiny = "../testdata/golden/tiny"

// serve starts a server over a recorded model.
func serve(t *testing.T, change func(*Config)) (*httptest.Server, *Server) {
	t.Helper()
	model, err := idefics2.Open(t.Context(), tiny+"/checkpoint", idefics2.Options{Read: Sources{}.Read})
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Models: map[string]*idefics2.Model{"tiny": model}, Order: []string{"tiny"}}
	if change != nil {
		change(&c)
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(func() {
		h.Close()
		if err := s.Drain(context.Background()); err != nil {
			t.Error(err)
		}
		if err := model.Close(); err != nil {
			t.Error(err)
		}
	})
	return h, s
}

// send posts a body and returns the status and what came back.
func send(t *testing.T, h *httptest.Server, path, body string, headers ...string) (int, http.Header, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
	}
	res, err := h.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, data
}

func picture(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(tiny + "/images/harbour.png")
	if err != nil {
		t.Fatal(err)
	}
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(data)
}

func about(t *testing.T, more string) string {
	return `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"` + picture(t) + `"}},{"type":"text","text":"What is it?"}]}],"split":false,"max_tokens":12` + more + `}`
}

// A stream's pieces add up to the answer that comes at once, and both to the library's.
func TestChat(t *testing.T) {
	h, s := serve(t, nil)
	for _, more := range []string{"", `,"n":2,"temperature":1,"seed":3,"logprobs":true,"top_logprobs":2`} {
		status, _, data := send(t, h, "/v1/chat/completions", about(t, more))
		var whole openai.ChatCompletion
		if err := json.Unmarshal(data, &whole); err != nil || status != http.StatusOK {
			t.Fatalf("%d %s", status, data)
		}
		status, header, data := send(t, h, "/v1/chat/completions", about(t, more+`,"stream":true,"stream_options":{"include_usage":true}`))
		if status != http.StatusOK || header.Get("Content-Type") != "text/event-stream" {
			t.Fatalf("%d %s", status, data)
		}
		texts, tokens, finish := map[int]string{}, map[int]int{}, map[int]string{}
		var usage *openai.Usage
		events := strings.Split(strings.TrimSuffix(string(data), "\n\n"), "\n\n")
		for i, e := range events {
			e = strings.TrimPrefix(e, "data: ")
			if i == len(events)-1 {
				if e != "[DONE]" {
					t.Errorf("the stream ends with %s", e)
				}
				break
			}
			var chunk openai.ChatCompletion
			if err := json.Unmarshal([]byte(e), &chunk); err != nil {
				t.Fatalf("%s: %v", e, err)
			}
			for _, c := range chunk.Choices {
				if c.Delta.Content != nil {
					texts[c.Index] += *c.Delta.Content
				}
				if c.Logprobs != nil {
					tokens[c.Index] += len(c.Logprobs.Content)
				}
				if c.Finish != nil {
					finish[c.Index] = *c.Finish
				}
			}
			if chunk.Usage != nil {
				usage = chunk.Usage
			}
		}
		for _, c := range whole.Choices {
			want := 0
			if c.Logprobs != nil {
				want = len(c.Logprobs.Content)
			}
			if texts[c.Index] != *c.Message.Content || finish[c.Index] != *c.Finish || tokens[c.Index] != want {
				t.Errorf("choice %d: streamed %q, %q, %d tokens, at once %q, %q, %d", c.Index, texts[c.Index], finish[c.Index], tokens[c.Index], *c.Message.Content, *c.Finish, want)
			}
		}
		if usage == nil || *usage != *whole.Usage {
			t.Errorf("usage %+v, at once %+v", usage, whole.Usage)
		}
	}
	model := s.config.Models["tiny"]
	no := false
	answer, err := model.Chat(t.Context(), idefics2.Request{Messages: []idefics2.Message{{Role: "user", Content: []idefics2.Part{{Type: "image", Image: picture(t)}, {Type: "text", Text: "What is it?"}}}}, Split: &no, Generate: idefics2.Generation{MaxNewTokens: 12}}).Answer()
	if err != nil {
		t.Fatal(err)
	}
	_, _, data := send(t, h, "/v1/chat/completions", about(t, ""))
	var whole openai.ChatCompletion
	if err := json.Unmarshal(data, &whole); err != nil || *whole.Choices[0].Message.Content != answer.Text {
		t.Errorf("%s, the library says %q", data, answer.Text)
	}
}

// An answer has the form that was asked for, at once and in a stream.
func TestResponseFormat(t *testing.T) {
	h, _ := serve(t, nil)
	hi := `{"messages":[{"role":"user","content":"hi"}],"temperature":1,"seed":4,"response_format":`
	for format, forms := range map[string]string{
		`{"type":"text"}`: ``, `null`: ``,
		`{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":{"type":"object","properties":{"a":{"type":"integer","maximum":9,"minimum":1}},"required":["a"]}}}`: `^\{"a": ?[1-9]\}$`,
		`{"type":"regex","regex":"[ab]{3}"}`:      `^[ab]{3}$`,
		`{"type":"choice","choices":["x y","z"]}`: `^(x y|z)$`,
	} {
		status, _, data := send(t, h, "/v1/chat/completions", hi+format+`,"max_tokens":40}`)
		var whole openai.ChatCompletion
		if err := json.Unmarshal(data, &whole); err != nil || status != http.StatusOK {
			t.Fatalf("%s: %d %s", format, status, data)
		}
		if text := *whole.Choices[0].Message.Content; !regexp.MustCompile(forms).MatchString(text) {
			t.Errorf("%s: %q", format, text)
		}
	}
}

func TestRefusals(t *testing.T) {
	h, _ := serve(t, func(c *Config) {
		c.MaxBody, c.MaxImages, c.Hosts, c.Origins = 1<<20, 1, []string{"here"}, []string{"https://ours.example"}
	})
	hi := `"messages":[{"role":"user","content":"hi"}]`
	for _, c := range []struct {
		body   string
		status int
		param  string
		says   string
		header []string
	}{
		{`{` + hi + `,"audio":{}}`, 400, "audio", "will not ignore", nil},
		{`{` + hi + `,"model":"gpt-9"}`, 404, "model", "lists those", nil},
		{`{"messages":[]}`, 400, "messages", "at least one", nil},
		{`{` + hi + `,"n":0}`, 400, "n", "1 to 128", nil},
		{`{` + hi + `,"temperature":3}`, 400, "temperature", "0 to 2", nil},
		{`{` + hi + `,"top_logprobs":2}`, 400, "top_logprobs", "logprobs", nil},
		{`{` + hi + `,"logit_bias":{"x":1}}`, 400, "logit_bias", "no token", nil},
		{`{` + hi + `,"logit_bias":{"999999":1}}`, 400, "", "999999", nil},
		{`{` + hi + `,"response_format":{"type":"xml"}}`, 400, "response_format", "json_schema", nil},
		{`{` + hi + `,"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"properties":{"a":{"not":{}}}}}}}`, 400, "response_format", "#/properties/a", nil},
		{`{` + hi + `,"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{},"stric":true}}}`, 400, "response_format", "stric", nil},
		{`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"/etc/passwd"}}]}]}`, 400, "", "data URL", nil},
		{`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://169.254.169.254/"}}]}]}`, 400, "", "fetches no addresses", nil},
		{`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"file:///etc/passwd"}}]}]}`, 400, "", "no files", nil},
		{`{"messages":[{"role":"user","content":[{"type":"image"},{"type":"image"}]}]}`, 400, "messages", "takes 1", nil},
		{`{"messages":[{"role":"user","content":[{"type":"image"}]}]}`, 400, "messages", "without its data", nil},
		{`{"messages":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "", "more than", nil},
		{`{` + hi + `,"max_tokens":1}`, 403, "", "may not ask", []string{"Origin", "https://evil.example"}},
		{`{` + hi + `,"max_tokens":1}`, 200, "", "", []string{"Origin", "https://ours.example"}},
		{`{` + hi + `,"max_tokens":1}`, 421, "", "not reached as", []string{"Host", "rebound.example"}},
		{`{` + hi + `,"max_tokens":1}`, 200, "", "", []string{"Host", "here:80"}},
	} {
		status, _, data := send(t, h, "/v1/chat/completions", c.body, c.header...)
		var e openai.ErrorBody
		if err := json.Unmarshal(data, &e); err != nil {
			t.Fatalf("%.80s: %s", c.body, data)
		}
		param := ""
		if e.Error.Param != nil {
			param = *e.Error.Param
		}
		if status != c.status || param != c.param || !strings.Contains(e.Error.Message, c.says) {
			t.Errorf("%.80s: %d, %q, %s; want %d, %q, %q", c.body, status, param, e.Error.Message, c.status, c.param, c.says)
		}
	}
}

func TestKeys(t *testing.T) {
	h, _ := serve(t, func(c *Config) {
		c.Keys = []Key{{Name: "ann", SHA256: HashKey("open sesame"), Requests: 2}, {Name: "bob", SHA256: HashKey("let me in"), Images: 1}}
	})
	body := `{"messages":[{"role":"user","content":"hi"}],"max_tokens":1}`
	for i, c := range []struct {
		header string
		body   string
		status int
	}{
		{"", body, 401},
		{"Bearer wrong", body, 401},
		{"Basic open sesame", body, 401},
		{"Bearer open sesame", body, 200},
		{"bearer open sesame", body, 200},
		{"Bearer open sesame", body, 429},
		{"Bearer let me in", body, 200},
		{"Bearer let me in", about(t, ""), 200},
		{"Bearer let me in", about(t, ""), 429},
	} {
		status, header, data := send(t, h, "/v1/chat/completions", c.body, "Authorization", c.header)
		if status != c.status {
			t.Errorf("%d: %q: %d %s, want %d", i, c.header, status, data, c.status)
		}
		if status == 429 && header.Get("Retry-After") == "" {
			t.Errorf("%d: no Retry-After", i)
		}
	}
	for _, keys := range [][]Key{
		{{Name: "", SHA256: HashKey("x")}}, {{Name: "a", SHA256: "short"}},
		{{Name: "a", SHA256: HashKey("x")}, {Name: "a", SHA256: HashKey("y")}},
		{{Name: "a", SHA256: HashKey("x")}, {Name: "b", SHA256: HashKey("x")}},
		{{Name: "a", SHA256: HashKey("x"), Tokens: -1}},
	} {
		if _, err := newKeyring(keys); err == nil {
			t.Errorf("%+v was taken", keys)
		}
	}
}

// A client that leaves ends its request, and a server that drains refuses new ones.
func TestLeavingAndDraining(t *testing.T) {
	h, s := serve(t, nil)
	ctx, leave := context.WithCancel(t.Context())
	body := `{"messages":[{"role":"user","content":"hi"}],"max_tokens":100000,"stream":true,"logit_bias":{"2":-100}}`
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := h.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := res.Body.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	leave()
	res.Body.Close()
	end, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := s.Drain(end); err != nil {
		t.Fatal(err)
	}
	status, header, _ := send(t, h, "/v1/chat/completions", `{"messages":[{"role":"user","content":"hi"}]}`)
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" {
		t.Errorf("after draining: %d", status)
	}
	if ready, err := h.Client().Get(h.URL + "/readyz"); err != nil || ready.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("ready while draining: %v %v", ready, err)
	} else {
		ready.Body.Close()
	}
}

func TestTelling(t *testing.T) {
	h, _ := serve(t, nil)
	for _, c := range []struct{ path, body, has string }{
		{"/tokenize", `{"content":"boat"}`, `"count":`},
		{"/detokenize", `{"tokens":[99999999]}`, "no token"},
		{"/v1/images/estimate", `{"image":"` + picture(t) + `","split":true,"preview":true}`, `"preview":"data:image/png`},
		{"/v1/images/estimate", `{"image":"data:image/png;base64,AAAA"}`, `"param":"image"`},
		{"/nowhere", `{}`, "openapi.yaml"},
	} {
		if _, _, data := send(t, h, c.path, c.body); !bytes.Contains(data, []byte(c.has)) {
			t.Errorf("%s: %.300s, want %q in it", c.path, data, c.has)
		}
	}
	for path, has := range map[string]string{
		"/v1/models": `"id":"tiny"`, "/v1/models/tiny": `"object":"model"`, "/metrics": "idefics2_requests_running", "/healthz": "ok",
		"/readyz": "ready", "/openapi.yaml": "openapi: 3.1", "/": "<title>idefics2", "/web/page.js": "Model text is only ever text nodes",
	} {
		res, err := h.Client().Get(h.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK || !bytes.Contains(data, []byte(has)) {
			t.Errorf("%s: %d %.200s, want %q in it", path, res.StatusCode, data, has)
		}
	}
}

// Names of files lead nowhere but below the folder that is served.
func TestSources(t *testing.T) {
	dir := t.TempDir()
	inside := filepath.Join(dir, "inside")
	for _, err := range []error{
		os.Mkdir(inside, 0o700), os.WriteFile(filepath.Join(dir, "secret"), []byte("s"), 0o600),
		os.WriteFile(filepath.Join(inside, "a.png"), []byte("a"), 0o600), os.Symlink("../secret", filepath.Join(inside, "link")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(inside)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	s := Sources{Media: root}
	for name, want := range map[string]bool{
		"file:a.png": true, "file:///a.png": true, "file:../secret": false, "file:link": false, "file:/../secret": false, "file:.": false,
		"file:": false, filepath.Join(dir, "secret"): false, "a.png": false, "https://example.org/a.png": false, "FILE:a.png": false,
	} {
		if _, err := s.Read(t.Context(), name); (err == nil) != want {
			t.Errorf("%s: %v, want read %v", name, err, want)
		} else if err != nil && strings.Contains(err.Error(), dir) && !strings.Contains(name, dir) {
			t.Errorf("%s: %v tells where the folder lies", name, err)
		}
	}
}
