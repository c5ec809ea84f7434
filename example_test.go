package idefics2_test

import (
	"context"
	"fmt"

	"idefics2"
)

// The committed checkpoint has random weights, so the answer makes no sense; its bytes are
// those of the reference all the same.
func ExampleModel_Chat() {
	ctx := context.Background()
	m, err := idefics2.Open(ctx, "testdata/golden/tiny/checkpoint", idefics2.Options{})
	if err != nil {
		panic(err)
	}
	defer m.Close()
	split := false
	reply := m.Chat(ctx, idefics2.Request{
		Messages: []idefics2.Message{{Role: "user", Content: []idefics2.Part{
			{Type: "image", Image: "testdata/golden/tiny/images/harbour.png"},
			{Type: "text", Text: "What colour is the boat on the left?"},
		}}},
		Split:    &split,
		Generate: idefics2.Generation{MaxNewTokens: 5},
	})
	for piece, err := range reply.Text() {
		if err != nil {
			panic(err)
		}
		fmt.Printf("%q ", piece)
	}
	answer, err := reply.Answer()
	if err != nil {
		panic(err)
	}
	fmt.Println(answer.OutputIDs, answer.Finish)
	// Output: "ima" " this" "nris" ">se" [298 421 519 65 335] length
}

func ExampleProcessor_Process() {
	p, err := idefics2.OpenProcessor("testdata/golden/tiny/checkpoint", idefics2.Options{})
	if err != nil {
		panic(err)
	}
	r, err := idefics2.ParseRequest([]byte(`[{"role":"user","content":[
		{"type":"image","image":"images/harbour.png"},{"type":"text","text":"Is <image> text?"}]}]`), "testdata/golden/tiny")
	if err != nil {
		panic(err)
	}
	split := false
	r.Split = &split
	ready, err := p.Process(context.Background(), r)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%q\n", ready.Prompt)
	crop := ready.Images[0].Crops[0]
	fmt.Println(ready.Images[0].Tokens, "image tokens,", crop.Rows, "rows and", crop.Columns, "columns of patches")
	// Output:
	// "User:<image>Is <image> text?<end_of_utterance>\nAssistant:"
	// 8 image tokens, 3 rows and 4 columns of patches
}

func ExampleVerify() {
	worst := 0.0
	err := idefics2.Verify(context.Background(), "", "", idefics2.Options{}, func(c idefics2.Check) {
		if !c.OK {
			fmt.Println(c)
		}
		if c.Allowed > 0 {
			worst = max(worst, c.Difference/c.Allowed)
		}
	})
	fmt.Println(err, worst < 1)
	// Output: <nil> true
}
