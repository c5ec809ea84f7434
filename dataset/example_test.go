package dataset_test

import (
	"context"
	"fmt"

	"idefics2/chat"
	"idefics2/dataset"
)

// Two sources of made examples, drawn three to one.
func Example() {
	made := func(name string) *dataset.Func {
		return &dataset.Func{Title: name, Count: 100, Make: func(_ context.Context, i int) (dataset.Example, error) {
			return dataset.Example{Document: []chat.Part{chat.Text(fmt.Sprint(name, " ", i))}}, nil
		}}
	}
	m, err := dataset.NewMixture([]dataset.Part{
		{Name: "shapes", Source: made("shapes"), Weight: 3},
		{Name: "forms", Source: made("forms"), Weight: 1},
	}, dataset.MixtureOptions{Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	for range 4 {
		d, err := m.Next(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}
		e, err := d.Load(ctx)
		fmt.Println(d.Number, e.Document[0].Text, err)
	}
	fmt.Println(m.Cursor().Draws, "drawn")
	// Output:
	// 0 shapes 1 <nil>
	// 1 shapes 26 <nil>
	// 2 shapes 2 <nil>
	// 3 forms 57 <nil>
	// 4 drawn
}
