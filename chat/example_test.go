package chat_test

import (
	"fmt"

	"idefics2/chat"
)

// A request in the forms that -messages reads, rendered with the released template.
func Example() {
	req, err := chat.ParseRequest([]byte(`{"messages": [
		{"role": "user", "content": [{"type": "image", "image": "cat.jpg"}, "What is this?"]},
		{"role": "assistant", "content": "A cat."},
		{"role": "user", "content": "What colour?"}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	template, err := chat.ParseTemplate(chat.DefaultTemplate)
	if err != nil {
		fmt.Println(err)
		return
	}
	prompt, err := chat.Render(template, req.Messages, chat.RenderOptions{AddGenerationPrompt: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(prompt)
	fmt.Println(chat.Images(req.Messages))
	// Output:
	// User:<image>What is this?<end_of_utterance>
	// Assistant: A cat.<end_of_utterance>
	// User: What colour?<end_of_utterance>
	// Assistant:
	// [cat.jpg]
}

// A mistake in a request is named with its place.
func ExampleParseRequest() {
	_, err := chat.ParseRequest([]byte(`[{"role": "user", "content": [{"type": "video"}]}]`))
	fmt.Println(err)
	// Output:
	// chat: messages[0].content[0]: unknown type "video", want "text", "image" or "image_url"
}

// A template may refuse messages in its own words.
func ExampleIsRaised() {
	template, err := chat.ParseTemplate(`{% if messages[0].role != "user" %}
{{ raise_exception("the user speaks first") }}
{% endif %}`)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = chat.Render(template, []chat.Message{{Role: "assistant", Content: []chat.Part{chat.Text("Hi")}}}, chat.RenderOptions{})
	words, refused := chat.IsRaised(err)
	fmt.Println(refused, words)
	fmt.Println(err)
	// Output:
	// true the user speaks first
	// chat: template line 2, column 19: the template refuses: the user speaks first
}

// A template works on plain values too, within limits.
func ExampleTemplate_Render() {
	template, err := chat.ParseTemplate("{% for n in range(1000000) %}{% endfor %}")
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = template.Render(nil, chat.Limits{})
	fmt.Println(err)
	// Output:
	// chat: template line 1, column 18: over budget: range too big: the sandbox blocks ranges of more than 100000 items
}
