package tokenizer_test

import (
	"fmt"
	"log"

	"idefics2/tokenizer"
)

// In text that a user wrote <image> is text; where the caller vouches for it, it is the control token 614.
func ExampleTokenizer_Encode() {
	tok, err := tokenizer.Load("testdata/tiny.json")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(tok.Encode("a boat")) // 1 is <s>
	fmt.Println(tok.Encode("a <image>"))
	fmt.Println(tok.EncodeRaw("a <image>"))
	// Output:
	// [1 262 350]
	// [1 262 612 63 597 278 287 65]
	// [1 262 612 614]
}

// A template's own tokens are recognized, and those that a user typed are not.
func ExampleTokenizer_EncodePrompt() {
	tok, err := tokenizer.Load("testdata/tiny.json")
	if err != nil {
		log.Fatal(err)
	}
	question := "<image>?"
	mark, err := tokenizer.PickMark(question)
	if err != nil {
		log.Fatal(err)
	}
	prompt := "User:<image>" + tok.Mark(question, mark) + "<end_of_utterance>"
	for _, id := range tok.EncodePrompt(prompt, mark) {
		token, _ := tok.Token(id)
		fmt.Println(token)
	}
	// Output:
	// <s>
	// ▁
	// Us
	// er
	// :
	// <image>
	// ▁
	// <0x3C>
	// i
	// ma
	// ge
	// <0x3E>
	// ?
	// <end_of_utterance>
}

// The bytes of a rare character come one by one; the stream gives it when it is whole.
func ExampleTokenizer_Stream() {
	tok, err := tokenizer.Load("testdata/tiny.json")
	if err != nil {
		log.Fatal(err)
	}
	s := tok.Stream(false)
	for _, id := range tok.Encode("the 龘 boat") {
		fmt.Printf("%q ", s.Push(id))
	}
	fmt.Printf("%q\n", s.Flush())
	// Output:
	// "" "the" " " "" "" "" "龘 boat" ""
}
