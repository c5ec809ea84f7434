package feed_test

import (
	"context"
	"fmt"
	"path/filepath"

	"idefics2"
	"idefics2/chat"
	"idefics2/dataset"
	"idefics2/feed"
)

// Questions and answers, packed into sequences of 64 tokens.
func Example() {
	ctx := context.Background()
	p, err := idefics2.OpenProcessor(filepath.Join("..", "testdata", "golden", "tiny", "checkpoint"), idefics2.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	source := &dataset.Func{Title: "sums", Count: 9, Make: func(_ context.Context, i int) (dataset.Example, error) {
		return dataset.Example{Messages: []chat.Message{
			{Role: "user", Content: []chat.Part{chat.Text(fmt.Sprintf("%d+1?", i))}},
			{Role: "assistant", Content: []chat.Part{chat.Text(fmt.Sprint(i + 1))}},
		}}, nil
	}}
	m, err := dataset.NewMixture([]dataset.Part{{Name: "sums", Source: source}}, dataset.MixtureOptions{InOrder: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	f, err := feed.New(ctx, m, p.Processor, nil, feed.Options{Length: 64, Read: idefics2.ReadSource})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	for range 3 {
		b, err := f.Next()
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(b.Origins, b.Tokens, "tokens,", b.Targets, "carry loss")
	}
	// Output:
	// [sums#0 sums#1 sums#2] 60 tokens, 12 carry loss
	// [sums#3 sums#4 sums#5] 57 tokens, 10 carry loss
	// [sums#6 sums#7 sums#8] 59 tokens, 12 carry loss
}
