package preview

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"idefics2"
	"idefics2/chat"
	"idefics2/dataset"
	"idefics2/feed"
	"idefics2/internal/terminal"
	"idefics2/processor"
)

const tiny = "../testdata/golden/tiny"

// examples prepares a few: with a picture, cut in four, and with text that would act.
func examples(t testing.TB) (*processor.Processor, []*feed.Prepared) {
	t.Helper()
	p, err := idefics2.OpenProcessor(filepath.Join(tiny, "checkpoint"), idefics2.Options{})
	if err != nil {
		t.Fatal(err)
	}
	split := true
	made := []dataset.Example{
		{Messages: []chat.Message{
			{Role: "user", Content: []chat.Part{chat.Image("harbour.png"), chat.Text("What colour is the boat on the left?\nAnswer briefly.")}},
			{Role: "assistant", Content: []chat.Part{chat.Text("Red.")}},
			{Role: "user", Content: []chat.Part{chat.Text("And the other one, 日本?")}},
			{Role: "assistant", Content: []chat.Part{chat.Text("Blue:\nlike the sea 海.")}},
		}},
		{Split: &split, Messages: []chat.Message{
			{Role: "user", Content: []chat.Part{chat.Image("tall.png"), chat.Text("What is this?")}},
			{Role: "assistant", Content: []chat.Part{chat.Text("A tall picture.")}},
		}},
		{Origin: "<script>alert(1)</script>", Messages: []chat.Message{
			{Role: "user", Content: []chat.Part{chat.Text("<script>alert(2)</script> \x1b]52;c;x\x07 <image>")}},
			{Role: "assistant", Content: []chat.Part{chat.Text("</div><b>bold</b> \x1b[2J")}},
		}},
	}
	m, err := dataset.NewMixture([]dataset.Part{{Name: "made", Source: &dataset.Func{Title: "made", Count: len(made), Make: func(_ context.Context, i int) (dataset.Example, error) { return made[i], nil }}}},
		dataset.MixtureOptions{InOrder: true})
	if err != nil {
		t.Fatal(err)
	}
	prepared := feed.Examples(t.Context(), m, p.Processor, feed.Options{Length: 2048, Read: func(_ context.Context, name string) ([]byte, error) {
		return os.ReadFile(filepath.Join(tiny, "images", name))
	}})
	defer prepared.Close()
	var all []*feed.Prepared
	for {
		e, err := prepared.Next()
		if err == io.EOF {
			return p.Processor, all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
}

func TestPieces(t *testing.T) {
	p, all := examples(t)
	var b strings.Builder
	tokens := 0
	for _, x := range pieces(p.Tokenizer(), p.ImageID(), all[0].IDs, all[0].Labels) {
		tokens += x.tokens
		if x.loss {
			b.WriteString(x.text)
		}
	}
	if want := " Red.<end_of_utterance> Blue:\nlike the sea 海.<end_of_utterance></s>"; b.String() != want {
		t.Errorf("loss on %q, want %q", b.String(), want)
	}
	if tokens != len(all[0].IDs) {
		t.Errorf("pieces of %d tokens, want %d", tokens, len(all[0].IDs))
	}
}

func TestHTML(t *testing.T) {
	p, all := examples(t)
	var b bytes.Buffer
	if err := HTML(&b, "A <preview>", p, all); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, want := range []string{"A &lt;preview&gt;", "&lt;script&gt;alert(1)", "data:image/png;base64,", "3 examples", `<span class=" loss">`, "× 8", "crops: 5"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	for _, never := range []string{"<script", "<b>", "http://", "https://", "\x1b"} {
		if strings.Contains(page, never) {
			t.Errorf("the page has %q", never)
		}
	}
}

func TestTerminal(t *testing.T) {
	p, all := examples(t)
	for _, colours := range []bool{true, false} {
		var b bytes.Buffer
		for _, e := range all {
			graphics := terminal.None
			if colours {
				graphics = terminal.Blocks
			}
			if err := Terminal(&b, p, e, graphics, colours, 80); err != nil {
				t.Fatal(err)
			}
		}
		out := b.String()
		want := []string{"made, draw 0", "5 crops", "[<image> × 8]", "What colour is the boat", "picture 1: "}
		if !colours {
			want = append(want, "⟦ Blue:↵\nlike the sea 海.<end_of_utterance></s>⟧")
		}
		for _, w := range want {
			if !strings.Contains(out, w) {
				t.Errorf("colours %v: no %q in\n%s", colours, w, out)
			}
		}
		if !strings.Contains(out, "␛") || strings.Contains(out, "\x1b[2J") || strings.Contains(out, "\x1b]52") || !colours && strings.Contains(out, "\x1b") {
			t.Errorf("colours %v: something acts on the terminal", colours)
		}
	}
}
