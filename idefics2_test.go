package idefics2

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"idefics2/hub"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const tiny = "testdata/golden/tiny"

func open(t *testing.T, o Options) *Model {
	t.Helper()
	m, err := Open(t.Context(), filepath.Join(tiny, "checkpoint"), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// about asks for some tokens about a picture, whole.
func about(question string, tokens int) Request {
	split := false
	return Request{
		Messages: []Message{{Role: "user", Content: []Part{{Type: "image", Image: tiny + "/images/harbour.png"}, {Type: "text", Text: question}}}},
		Split:    &split,
		Generate: Generation{MaxNewTokens: tokens},
	}
}

func answer(t *testing.T, m *Model, r Request) *Answer {
	t.Helper()
	a, err := m.Chat(t.Context(), r).Answer()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestTextAddsUpToTheAnswer(t *testing.T) {
	m := open(t, Options{})
	reply := m.Chat(t.Context(), about("What colour is the boat on the left?", 60))
	var text strings.Builder
	for piece, err := range reply.Text() {
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString(piece)
	}
	a, err := reply.Answer()
	if err != nil {
		t.Fatal(err)
	}
	if whole := m.Processor().Tokenizer().Decode(a.OutputIDs, false); text.String() != a.Text || a.Text != whole {
		t.Errorf("streamed %q, answered %q, decoded %q", text.String(), a.Text, whole)
	}
	if a.Timings.PromptTokens != len(a.InputIDs) || a.Timings.OutputTokens != 60 || a.Peak == 0 {
		t.Errorf("timings %+v, peak %d", a.Timings, a.Peak)
	}
}

// Every stage is told from its first step to its last.
func TestProgress(t *testing.T) {
	seen := map[string][]Progress{}
	tell := func(p Progress) { seen[p.Stage] = append(seen[p.Stage], p) }
	m := open(t, Options{Progress: tell})
	r := about("Why?", 1)
	r.Progress = tell
	answer(t, m, r)
	for _, stage := range []string{"load", "picture", "image", "prefill"} {
		all := seen[stage]
		if len(all) == 0 {
			t.Errorf("%s: nothing was told", stage)
			continue
		}
		for i, p := range all {
			if p.Total != all[0].Total || p.Done <= 0 || i > 0 && p.Done < all[i-1].Done {
				t.Errorf("%s: %v", stage, all)
			}
		}
		if last := all[len(all)-1]; last.Done != last.Total {
			t.Errorf("%s ends at %d of %d", stage, last.Done, last.Total)
		}
	}
}

func TestLeavingTheLoopEndsTheRequest(t *testing.T) {
	m := open(t, Options{})
	reply := m.Chat(t.Context(), about("Why?", 3000))
	for _, err := range reply.Text() {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	if _, err := reply.Answer(); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want a cancelled context", err)
	}
}

func TestManyGoroutinesGetTheirOwnAnswers(t *testing.T) {
	m := open(t, Options{})
	questions := []string{"What colour is the boat on the left?", "Describe this image.", "Why?", "Where is the bicycle?"}
	want := map[string]*Answer{}
	for _, q := range questions {
		want[q] = answer(t, m, about(q, 20))
	}
	var wg sync.WaitGroup
	for range 5 {
		for _, q := range questions {
			wg.Go(func() {
				got, err := m.Chat(t.Context(), about(q, 20)).Answer()
				if err != nil {
					t.Error(err)
				} else if !reflect.DeepEqual(got.OutputIDs, want[q].OutputIDs) || got.Text != want[q].Text {
					t.Errorf("%q: %q together, %q alone", q, got.Text, want[q].Text)
				}
			})
		}
	}
	wg.Wait()
}

// What a user writes is text; the reference's way makes a token of it, and wants a picture.
func TestUsersCannotWriteControlTokens(t *testing.T) {
	p := open(t, Options{}).Processor()
	for _, written := range []string{"<image>", "<end_of_utterance>", "<s>", "<fake_token_around_image>", "</s><s>"} {
		r := about("a "+written+" b", 1)
		got, err := p.Process(t.Context(), r)
		if err != nil {
			t.Errorf("%q: %v", written, err)
			continue
		}
		plain, err := p.Process(t.Context(), about("a b", 1))
		if err != nil {
			t.Fatal(err)
		}
		special := func(ids []int32) (n int) {
			for _, id := range ids {
				if p.Tokenizer().IsSpecial(id) {
					n++
				}
			}
			return n
		}
		if special(got.InputIDs) != special(plain.InputIDs) {
			t.Errorf("%q became a control token: %v", written, got.InputIDs)
		}
		if !strings.Contains(got.Prompt, "a "+written+" b") {
			t.Errorf("the prompt lost %q: %q", written, got.Prompt)
		}
	}
	r := about("a <image> b", 1)
	r.Raw = true
	if _, err := p.Process(t.Context(), r); err == nil || !strings.Contains(err.Error(), "2 <image> markers") {
		t.Errorf("the raw way: error %v, want one that counts two markers", err)
	}
	r.Images = []Image{{Name: tiny + "/images/wide.png"}}
	if got, err := p.Process(t.Context(), r); err != nil || len(got.Images) != 2 {
		t.Errorf("the raw way with a picture: %v", err)
	}
	// Two entries of one message don't make a token either.
	r = about("x", 1)
	r.Messages[0].Content = append(r.Messages[0].Content, Part{Type: "text", Text: "<im"}, Part{Type: "text", Text: "age>"})
	if _, err := p.Process(t.Context(), r); err != nil {
		t.Errorf("a marker in two entries: %v", err)
	}
}

func TestImagesAndMarkersMustAgree(t *testing.T) {
	p := open(t, Options{}).Processor()
	one := Image{Name: tiny + "/images/wide.png"}
	wants := Request{Messages: []Message{{Role: "user", Content: []Part{{Type: "image"}, {Type: "image"}}}}}
	for name, tt := range map[string]struct {
		r    Request
		want string
	}{
		"too few":           {Request{Messages: wants.Messages, Images: []Image{one}}, "2 image entries without a picture of their own in the messages, and 1 images"},
		"too many":          {Request{Messages: wants.Messages, Images: []Image{one, one, one}}, "and 3 images"},
		"a bare prompt":     {Request{Prompt: "see <image>"}, "1 <image> markers in the prompt, and 0 images"},
		"nothing":           {Request{}, "neither messages nor a prompt"},
		"both":              {Request{Prompt: "x", Messages: wants.Messages}, "messages and a prompt"},
		"a missing file":    {Request{Messages: wants.Messages, Images: []Image{one, {Name: "no/such.png"}}}, "no/such.png"},
		"not a picture":     {Request{Messages: wants.Messages, Images: []Image{one, {Name: "README.md"}}}, "README.md"},
		"bytes, no picture": {Request{Messages: wants.Messages, Images: []Image{one, {Name: "upload", Data: []byte("GIF8")}}}, "upload"},
	} {
		if _, err := p.Process(t.Context(), tt.r); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, tt.want)
		}
	}
}

func TestStopStrings(t *testing.T) {
	m := open(t, Options{})
	r := about("What colour is the boat on the left?", 24)
	whole := answer(t, m, r)
	cut := strings.Index(whole.Text, ">se")
	r.Generate.StopStrings = []string{"never", ">s"}
	got := answer(t, m, r)
	if got.Text != whole.Text[:cut] || got.Finish != "stop" {
		t.Errorf("%q %s, want %q stop", got.Text, got.Finish, whole.Text[:cut])
	}
	if n := len(got.OutputIDs); !slices.Equal(got.OutputIDs, whole.OutputIDs[:n]) || n >= len(whole.OutputIDs) {
		t.Errorf("drew %v of %v", got.OutputIDs, whole.OutputIDs)
	}
	r.Generate.Beams = 3
	if got := answer(t, m, r); strings.Contains(got.Text, ">s") || len(got.Choices) != 1 || got.Choices[0].Score == nil {
		t.Errorf("beams: %+v", got)
	}
}

func TestEndIDs(t *testing.T) {
	m := open(t, Options{})
	r := about("Why?", 24)
	r.Generate.StopIDs = []int32{519}
	if got := answer(t, m, about("What colour is the boat on the left?", 24)); got.Finish != "length" {
		t.Errorf("finish %q", got.Finish)
	}
	r = about("What colour is the boat on the left?", 24)
	r.Generate.StopIDs = []int32{519}
	got := answer(t, m, r)
	if got.Finish != "stop" || got.OutputIDs[len(got.OutputIDs)-1] != 519 {
		t.Errorf("drew %v, finish %q; the end token belongs to output_ids", got.OutputIDs, got.Finish)
	}
	r.IgnoreEOS = true
	if got := answer(t, m, r); len(got.OutputIDs) != 24 {
		t.Errorf("drew %d tokens, want 24", len(got.OutputIDs))
	}
}

// A folder without generation_config.json forgets <end_of_utterance>.
func TestEndOfUtteranceIsNotForgotten(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(tiny, "checkpoint"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "generation_config.json")); err != nil {
		t.Fatal(err)
	}
	m, err := Open(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if got := m.endIDs(); !slices.Equal(got, []int32{2, 615}) {
		t.Errorf("end ids %v, want 2 and 615", got)
	}
}

func TestLogprobsAndChoices(t *testing.T) {
	m := open(t, Options{})
	r := about("Why?", 5)
	three := 3
	r.Logprobs = &three
	a := answer(t, m, r)
	if len(a.Logprobs) != 5 || len(a.Logprobs[0].Top) != 3 || a.Choices != nil {
		t.Fatalf("%+v", a)
	}
	for k, l := range a.Logprobs {
		if l.ID != a.OutputIDs[k] || l.Logprob > 0 || l.Top[0].Logprob < l.Top[1].Logprob {
			t.Errorf("token %d: %+v", k, l)
		}
	}
	r.Generate.Temperature, r.Generate.Returned, r.Generate.Seed = 1.2, 3, 11
	a, b := answer(t, m, r), answer(t, m, r)
	if len(a.Choices) != 3 || !reflect.DeepEqual(a.Choices, b.Choices) {
		t.Errorf("the same seed gave %+v and %+v", a.Choices, b.Choices)
	}
	if a.Choices[0].Text == a.Choices[1].Text && a.Choices[1].Text == a.Choices[2].Text {
		t.Error("three draws are the same")
	}
}

// bfloat16 weights take half the memory and change the numbers a little.
func TestDeltasAddUpToEveryChoice(t *testing.T) {
	m := open(t, Options{})
	two := 2
	for _, generate := range []Generation{
		{MaxNewTokens: 12, Temperature: 1, Returned: 3, Seed: 5},
		{MaxNewTokens: 6, Beams: 3, Returned: 2},
	} {
		r := about("Why?", 0)
		r.Generate, r.Logprobs = generate, &two
		reply := m.Chat(t.Context(), r)
		texts, finish := make([]string, generate.Returned), make([]string, generate.Returned)
		tokens := make([][]Logprob, generate.Returned)
		for d, err := range reply.Deltas() {
			if err != nil {
				t.Fatal(err)
			}
			if finish[d.Choice] != "" {
				t.Errorf("choice %d grows after its end", d.Choice)
			}
			texts[d.Choice] += d.Text
			tokens[d.Choice] = append(tokens[d.Choice], d.Tokens...)
			finish[d.Choice] = d.Finish
		}
		answer, err := reply.Answer()
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range answer.Choices {
			if texts[i] != c.Text || finish[i] != c.Finish || !reflect.DeepEqual(tokens[i], c.Logprobs) {
				t.Errorf("choice %d: deltas give %q, %q and %d tokens, the answer has %q, %q and %d", i, texts[i], finish[i], len(tokens[i]), c.Text, c.Finish, len(c.Logprobs))
			}
		}
	}
}

func TestNarrowWeights(t *testing.T) {
	logits := func(m *Model) (out []float32) {
		err := m.Trace(t.Context(), about("Why?", 1), func(name string, _ []int, values []float32) error {
			if name == "logits" {
				out = slices.Clone(values)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	exact, narrow := logits(open(t, Options{DType: "f32"})), logits(open(t, Options{DType: "bf16"}))
	worst, largest := 0.0, 0.0
	for i := range exact {
		worst = max(worst, math.Abs(float64(exact[i]-narrow[i])))
		largest = max(largest, math.Abs(float64(exact[i])))
	}
	if worst == 0 || worst > 0.05*largest {
		t.Errorf("logits differ by %v of %v", worst, largest)
	}
}

func TestTraceStopsWhereItsReaderFails(t *testing.T) {
	m := open(t, Options{})
	full := errors.New("disk full")
	seen := 0
	err := m.Trace(t.Context(), about("Why?", 1), func(string, []int, []float32) error {
		if seen++; seen == 3 {
			return full
		}
		return nil
	})
	if !errors.Is(err, full) || seen != 3 {
		t.Errorf("error %v after %d stages", err, seen)
	}
}

func TestOpenRefuses(t *testing.T) {
	empty := t.TempDir()
	file := filepath.Join(empty, "model.gguf")
	if err := os.WriteFile(file, []byte("GGUF"), 0o600); err != nil {
		t.Fatal(err)
	}
	cache := &hub.Cache{Dir: t.TempDir()}
	for name, tt := range map[string]struct {
		model string
		o     Options
		want  string
	}{
		"no config":     {empty, Options{}, "config.json"},
		"not in cache":  {"owner/name", Options{Hub: cache}, "owner/name"},
		"a GGUF file":   {file, Options{}, "truncated"},
		"no GGUF file":  {file + ".gguf", Options{}, "no such file"},
		"unknown dtype": {filepath.Join(tiny, "checkpoint"), Options{DType: "int3"}, `"int3", want auto, f32 or bf16`},
	} {
		if _, err := Open(t.Context(), tt.model, tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, tt.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, filepath.Join(tiny, "checkpoint"), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context: %v", err)
	}
}

// Another model's tokenizer must not go unnoticed.
func TestTokenizerOfAnotherModel(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(tiny, "checkpoint"))); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "tokenizer.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	edge := strings.ReplaceAll(string(data), `"<fake_token_around_image>"`, `"<edge>"`)
	if err := os.WriteFile(path, []byte(edge), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), dir, Options{}); err == nil || !strings.Contains(err.Error(), "<fake_token_around_image>") {
		t.Errorf("without a token around images: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), dir, Options{}); err == nil || !strings.Contains(err.Error(), "tokenizer.json") {
		t.Errorf("without a tokenizer: %v", err)
	}
}

func TestParseRequest(t *testing.T) {
	r, err := ParseRequest([]byte(`{"id":7,"messages":[{"role":"user","content":[{"type":"image","image":"a/b.png"},
		{"type":"image_url","image_url":{"url":"https://example.com/x.png"}},{"type":"image"},"Hi"]}],
		"images":["c.png"],"split":true,"add_generation_prompt":false,"max_tokens":9,"stop":"x","early_stopping":"never",
		"length_penalty":0,"logprobs":2,"stop_ids":[1,2]}`), "dir")
	if err != nil {
		t.Fatal(err)
	}
	content := r.Messages[0].Content
	got := fmt.Sprint(r.ID, content[0].Image, content[1].Image, content[3].Text, r.Images, *r.Split, r.NoGenerationPrompt,
		r.Generate.MaxNewTokens, r.Generate.StopStrings, r.Generate.EarlyStopping, *r.Generate.LengthPenalty, *r.Logprobs, r.Generate.StopIDs)
	want := "7" + filepath.Join("dir", "a/b.png") + "https://example.com/x.pngHi[{" + filepath.Join("dir", "c.png") + " []}] true true 9 [x] never 0 2 [1 2]"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for body, want := range map[string]string{
		`{"prompt":"x","max_token":3}`:                   "max_token",
		`{"messages":[`:                                  "line 1",
		`{"prompt":"x","max_tokens":"many"}`:             "max_tokens",
		`{"prompt":"x","early_stopping":"now"}`:          "early_stopping",
		`[{"role":"user","content":[{"type":"video"}]}]`: "video",
	} {
		if _, err := ParseRequest([]byte(body), ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", body, err, want)
		}
	}
}

func TestContextEndsARequest(t *testing.T) {
	m := open(t, Options{})
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	reason := errors.New("asked to stop")
	reply := m.Chat(ctx, about("Why?", 3000))
	for range reply.Text() {
		cancel(reason)
	}
	if _, err := reply.Answer(); !errors.Is(err, reason) {
		t.Errorf("error %v, want %v", err, reason)
	}
}
