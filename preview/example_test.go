package preview_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"idefics2"
	"idefics2/chat"
	"idefics2/dataset"
	"idefics2/feed"
	"idefics2/internal/terminal"
	"idefics2/preview"
)

// What carries loss stands between ⟦ and ⟧ where there are no colours.
func ExampleTerminal() {
	p, err := idefics2.OpenProcessor(filepath.Join("..", "testdata", "golden", "tiny", "checkpoint"), idefics2.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	source := &dataset.Func{Title: "mine", Count: 1, Make: func(context.Context, int) (dataset.Example, error) {
		return dataset.Example{Messages: []chat.Message{
			{Role: "user", Content: []chat.Part{chat.Text("Is it asleep?")}},
			{Role: "assistant", Content: []chat.Part{chat.Text("Yes.")}},
		}}, nil
	}}
	m, err := dataset.NewMixture([]dataset.Part{{Name: "mine", Source: source}}, dataset.MixtureOptions{InOrder: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	examples := feed.Examples(context.Background(), m, p.Processor, feed.Options{Length: 2048})
	defer examples.Close()
	e, err := examples.Next()
	if err != nil {
		fmt.Println(err)
		return
	}
	var out strings.Builder
	if err := preview.Terminal(&out, p.Processor, e, terminal.None, false, 80); err != nil {
		fmt.Println(err)
	}
	fmt.Println(strings.ReplaceAll(out.String(), " \n", "\n"))
	// Output:
	// mine, draw 0  mine#0
	// 24 tokens, 5 carry loss; 0 pictures in 0 crops take 0 tokens
	// <s> User: Is it asleep?<end_of_utterance>
	// Assistant:⟦ Yes.<end_of_utterance></s>⟧
}
