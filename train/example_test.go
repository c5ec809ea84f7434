package train_test

import (
	"fmt"

	"idefics2/adapter"
	"idefics2/checkpoint"
	"idefics2/input"
	"idefics2/model"
	"idefics2/train"
)

// Teach a model one sentence with an adapter. A processor makes the inputs of real examples, pictures
// among them; here they are numbers.
func Example() {
	source, err := checkpoint.Open("testdata/lora/checkpoint")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer source.Close()
	m, err := model.Load(source, model.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()

	// Adapters of rank 4 on every projection of the decoder. All else stays as it is.
	lora, err := adapter.New(m, adapter.Config{Rank: 4, Alpha: 8, Pattern: `.*text_model.*_proj`}, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	t, err := train.New(m, train.Options{
		Train:    lora.Trains,
		Schedule: train.Schedule{Shape: train.Cosine, Peak: 2e-2, Warmup: 2, Total: 40},
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	// The prompt carries no loss, the answer does.
	in := &input.Input{IDs: []int32{1, 340, 17, 25, 200, 201, 202, 2}}
	in.Labels = []int32{input.Ignore, input.Ignore, input.Ignore, input.Ignore, 200, 201, 202, 2}
	batch := []*input.Input{in}

	first, last := 0.0, 0.0
	for step := range 40 {
		stats, err := t.Step(batch)
		if err != nil {
			fmt.Println(err)
			return
		}
		if step == 0 {
			first = stats.Loss
		}
		last = stats.Loss
	}
	state, err := t.State() // what a checkpoint of the run holds
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("learned:", first > 3, last < 0.5)
	fmt.Println(len(lora.Modules()), "layers,", t.Parameters(), "numbers,", len(state.Tensors), "tensors of state after step", state.Step)
	// Output:
	// learned: true true
	// 14 layers, 6144 numbers, 84 tensors of state after step 40
}
