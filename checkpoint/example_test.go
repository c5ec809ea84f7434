package checkpoint_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"idefics2/checkpoint"
)

// A new model is made, and its tensors taken as a loader does.
func Example() {
	parent, err := os.MkdirTemp("", "checkpoint")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(parent)
	dir := filepath.Join(parent, "model")

	b, err := checkpoint.LoadBlueprint("tiny")
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := checkpoint.Init(context.Background(), dir, b, 42, checkpoint.InitOptions{}); err != nil {
		fmt.Println(err)
		return
	}

	c, err := checkpoint.Open(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	embed, err := c.Take("model.text_model.embed_tokens.weight", -1, c.Config.Text.HiddenSize)
	fmt.Println(embed.DType, embed.Shape, err)
	for _, t := range c.Config.Tensors() {
		if t.Name != "model.text_model.embed_tokens.weight" {
			c.Take(t.Name, t.Shape...)
		}
	}
	fmt.Println(c.Finish())
	// Output:
	// BF16 [32003 64] <nil>
	// <nil>
}

// Every field that is wrong is named at once.
func ExampleParseConfig() {
	_, err := checkpoint.ParseConfig([]byte(`{
		"model_type": "idefics2",
		"text_config": {"hidden_size": -4096, "hidden_act": "quick_gelu"}
	}`))
	fmt.Println(err)
	// Output:
	// checkpoint: config.json: text_config.hidden_size: found -4096, want a whole number from 1 to 1048576
	// text_config.hidden_act: found "quick_gelu", want silu, gelu_pytorch_tanh, gelu or relu
}

func ExampleConfig_Parameters() {
	fmt.Println(checkpoint.Released().Parameters())
	// Output: 8402768112
}
