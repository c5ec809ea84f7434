package processor_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"idefics2"
	"idefics2/chat"
	"idefics2/input"
	"idefics2/internal/golden"
	"idefics2/internal/recording"
	"idefics2/processor"
)

const tiny = "../testdata/golden/tiny"

func open(t testing.TB) *processor.Processor {
	t.Helper()
	p, err := idefics2.OpenProcessor(filepath.Join(tiny, "checkpoint"), idefics2.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p.Processor
}

func read(_ context.Context, name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(tiny, "images", filepath.Base(name)))
}

func user(parts ...chat.Part) chat.Message { return chat.Message{Role: "user", Content: parts} }

func assistant(text string) chat.Message {
	return chat.Message{Role: "assistant", Content: []chat.Part{chat.Text(text)}}
}

// What the reference recorded: labels over the answer, and over all but the image tokens.
// The recording also has loss on the newline that the template writes after the last turn;
// training as the weights had it does not (spec: data.md §4.2).
func TestRecordedLabels(t *testing.T) {
	for _, name := range []string{"tiny", "split", "window", "train", "variant_mha", "variant_mqa"} {
		dir := filepath.Join("..", "testdata", "golden", name)
		if _, err := os.Stat(dir); err != nil {
			shared, ok := golden.Shared(t, filepath.Join("model", name))
			if !ok {
				continue
			}
			dir = shared
		}
		c, err := recording.Load(os.DirFS(dir))
		if err != nil {
			t.Fatal(err)
		}
		p, err := idefics2.OpenProcessor(filepath.Join(dir, "checkpoint"), idefics2.Options{})
		if err != nil {
			t.Fatal(err)
		}
		eou, _ := p.Tokenizer().ID("<end_of_utterance>")
		for _, r := range c.Requests {
			e := c.Expect[r.Name]
			if len(e.Loss) == 0 || r.Messages == nil {
				continue
			}
			parsed, err := chat.ParseRequest(r.Messages)
			if err != nil {
				t.Fatal(err)
			}
			request := processor.Request{Messages: parsed.Messages, Split: r.Split}
			for _, image := range r.Images {
				request.Images = append(request.Images, processor.Source{Name: image})
			}
			for _, loss := range e.Loss {
				o := processor.Supervision{KeepEnd: true}
				switch loss.Name {
				case "all_but_images":
					o.Loss = processor.LossText
				case "answer":
				default:
					continue
				}
				got, err := p.Supervise(t.Context(), request, o, func(_ context.Context, name string) ([]byte, error) { return os.ReadFile(filepath.Join(dir, name)) })
				if err != nil {
					t.Fatalf("%s/%s: %v", name, r.Name, err)
				}
				want := slices.Clone(loss.Labels)
				if loss.Name == "answer" { // the last one alone was recorded
					for i := 0; want[i] == input.Ignore; i++ {
						got.Labels[i] = input.Ignore
					}
				}
				want[0] = input.Ignore // nothing comes before it
				if loss.Name == "answer" {
					for i := lastIndex(want, eou) + 1; i < len(want); i++ {
						want[i] = input.Ignore
					}
				}
				if !slices.Equal(got.IDs, e.InputIDs) || !slices.Equal(got.Labels, want) {
					t.Errorf("%s/%s %s:\nids    %v\nlabels %v\nwant   %v", name, r.Name, loss.Name, got.IDs, got.Labels, want)
				}
			}
		}
	}
}

func lastIndex(ids []int32, id int32) int {
	for i := len(ids) - 1; i >= 0; i-- {
		if ids[i] == id {
			return i
		}
	}
	return -1
}

// The example of data.md §4.2: loss on the answers, their closing tokens and the end of
// sequence, and on nothing between.
func TestAnswersOfTwoTurns(t *testing.T) {
	p := open(t)
	got, err := p.Supervise(t.Context(), processor.Request{Messages: []chat.Message{
		user(chat.Image("square.png"), chat.Text("What is this?")), assistant("A cat."),
		user(chat.Text("Is it <image> asleep?")), assistant("Yes."),
	}}, processor.Supervision{}, read)
	if err != nil {
		t.Fatal(err)
	}
	var spoken []string
	var run []int32
	for i, l := range append(slices.Clone(got.Labels), input.Ignore) {
		if l != input.Ignore {
			if l != got.IDs[i] {
				t.Errorf("label %d is %d, and the token %d", i, l, got.IDs[i])
			}
			run = append(run, l)
		} else if run != nil {
			spoken = append(spoken, p.Tokenizer().Decode(run, true))
			run = nil
		}
	}
	want := []string{"A cat.<end_of_utterance>", "Yes.<end_of_utterance></s>"}
	if !slices.Equal(spoken, want) {
		t.Errorf("loss on %q, want %q", spoken, want)
	}
	if text := p.Tokenizer().Decode(got.IDs, true); !strings.HasSuffix(text, "Assistant: Yes.<end_of_utterance></s>") {
		t.Errorf("the example ends as %q", text)
	}
	if got.Crops() != 1 || len(got.Images) != 1 {
		t.Errorf("%d crops of %d images, want 1 of 1", got.Crops(), len(got.Images))
	}
}

// A document is read whole: all of its text carries loss, and no image token does.
func TestDocument(t *testing.T) {
	p := open(t)
	got, err := p.Supervise(t.Context(), processor.Request{Document: []chat.Part{
		chat.Image("square.png"), chat.Text("A boat"), chat.Text("at sea. </s> "),
	}}, processor.Supervision{}, read)
	if err != nil {
		t.Fatal(err)
	}
	image, _ := p.Tokenizer().ID("<image>")
	eos, _ := p.Tokenizer().ID("</s>")
	for i, id := range got.IDs {
		if loss := got.Labels[i] != input.Ignore; loss != (i > 0 && id != image) {
			t.Errorf("token %d (%d) carries loss: %v", i, id, loss)
		}
	}
	if n := len(got.IDs); got.IDs[n-1] != eos || slices.Contains(got.IDs[:n-1], eos) {
		t.Errorf("ids %v: want one end of sequence, at the end", got.IDs)
	}
	if text := p.Tokenizer().Decode(got.IDs, false); text != "A boat at sea. </s>" {
		t.Errorf("the text is %q", text)
	}
}

func TestRefusedExamples(t *testing.T) {
	p := open(t)
	ask := user(chat.Image("square.png"), chat.Text("What?"))
	tests := []struct {
		name     string
		messages []chat.Message
		images   []processor.Source
		o        processor.Supervision
		want     string
	}{
		{"no answer", []chat.Message{ask}, nil, processor.Supervision{}, "no turn of the assistant"},
		{"too many images", []chat.Message{ask, assistant("A")}, []processor.Source{{Name: "tall.png"}}, processor.Supervision{}, "every one wants exactly one image"},
		{"too long", []chat.Message{ask, assistant("A")}, nil, processor.Supervision{MaxTokens: 10}, "longer than a sequence of 10"},
		{"far too long", []chat.Message{ask, assistant(strings.Repeat("word ", 10000))}, nil, processor.Supervision{MaxTokens: 10}, "longer than a sequence of 10"},
		{"too many crops", []chat.Message{user(chat.Image("square.png"), chat.Image("tall.png")), assistant("A")}, nil, processor.Supervision{MaxCrops: 1}, "longer than a sequence, which holds 1"},
		{"unreadable", []chat.Message{user(chat.Image("nowhere.png")), assistant("A")}, nil, processor.Supervision{}, "no such file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := p.Supervise(t.Context(), processor.Request{Messages: tt.messages, Images: tt.images}, tt.o, read)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
			if tt.o.MaxTokens+tt.o.MaxCrops > 0 && !errors.Is(err, processor.ErrTooLong) {
				t.Errorf("%v is not ErrTooLong", err)
			}
		})
	}
}

// Other templates: where the answer lies is found, or refused, never guessed.
func TestLabelsOfOtherTemplates(t *testing.T) {
	tests := []struct{ name, template, want, err string }{
		{"ends without a token", "{% for m in messages %}[{{m.role}}] {{m.content[0].text}}\n{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}", "yes\n|no", ""},
		{"closes with another", "{{bos_token}}{% for m in messages %}{{m.role}}: {{m.content[0].text}}</s>{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}", "yes</s>|no</s>", ""},
		{"rewrites the past", "{% for m in messages %}{{loop.revindex}} {{m.content[0].text}}{% endfor %}", "", "where it begins cannot be told"},
	}
	tok := open(t).Tokenizer()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			template, err := chat.ParseTemplate(tt.template)
			if err != nil {
				t.Fatal(err)
			}
			p, err := processor.New(processor.Settings{Side: 10, Tokens: 8, BOS: "<s>", EOS: "</s>"}, tok, template)
			if err != nil {
				t.Fatal(err)
			}
			got, err := p.Supervise(t.Context(), processor.Request{Messages: []chat.Message{
				user(chat.Text("really?")), assistant("yes"), user(chat.Text("again")), assistant("no"),
			}}, processor.Supervision{KeepEnd: tt.name == "closes with another"}, read)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want one with %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var spans []string
			for i := 0; i < len(got.IDs); i++ {
				from := i
				for i < len(got.IDs) && got.Labels[i] != input.Ignore {
					i++
				}
				if i > from {
					spans = append(spans, tok.Decode(got.Labels[from:i], true))
				}
			}
			if text := strings.TrimSuffix(strings.Join(spans, "|"), "</s>"); text != strings.TrimSuffix(tt.want, "</s>") {
				t.Errorf("loss on %q, want %q", text, tt.want)
			}
		})
	}
}

func TestScaleEnlarges(t *testing.T) {
	p := open(t)
	request := processor.Request{Messages: []chat.Message{user(chat.Image("dot.png"), chat.Text("?")), assistant("A")}}
	area := func(scale float64) int {
		request.Scale = scale
		got, err := p.Supervise(t.Context(), request, processor.Supervision{}, read)
		if err != nil {
			t.Fatal(err)
		}
		c := p.CropInput(&got.Images[0].Crops[0])
		return c.Rows * c.Columns
	}
	if one, three := area(0), area(8); three <= one {
		t.Errorf("%d patches, and %d when enlarged", one, three)
	}
}

func FuzzSupervise(f *testing.F) {
	p := open(f)
	f.Add([]byte(`[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]`))
	f.Add([]byte(`[{"role":"assistant","content":[{"type":"image"},"<image></s>"]},{"role":"x","content":"\n"}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var messages []chat.Message
		if json.Unmarshal(data, &messages) != nil || len(messages) == 0 {
			return
		}
		got, err := p.Supervise(t.Context(), processor.Request{Messages: messages}, processor.Supervision{MaxTokens: 4096}, func(context.Context, string) ([]byte, error) {
			return os.ReadFile(filepath.Join(tiny, "images", "dot.png"))
		})
		if err != nil {
			return
		}
		if len(got.IDs) != len(got.Labels) || got.Targets() == 0 {
			t.Fatalf("%d ids, %d labels, %d of them targets", len(got.IDs), len(got.Labels), got.Targets())
		}
	})
}
