package sample_test

import (
	"fmt"
	"log"

	"idefics2/sample"
)

// A model is anything that gives a row of logits for the next token. This one likes to count.
func model(ids []int32) []float32 {
	logits := make([]float32, 8)
	logits[(ids[len(ids)-1]+1)%8] = 2
	return logits
}

func Example() {
	opts := sample.Options{MaxNewTokens: 10, StopIDs: []int32{6}}
	s, err := sample.New(opts, 8, 0)
	if err != nil {
		log.Fatal(err)
	}
	prompt := []int32{1, 2}
	ids := prompt
	for len(ids) < len(prompt)+opts.MaxNewTokens && ids[len(ids)-1] != 6 {
		id, err := s.Next(model(ids), ids, len(prompt))
		if err != nil {
			log.Fatal(err)
		}
		ids = append(ids, id)
	}
	fmt.Println(ids[len(prompt):])
	// Output: [3 4 5 6]
}

func ExampleBeams() {
	opts := sample.Options{Beams: 2, Returned: 2, MaxNewTokens: 3, StopIDs: []int32{0}}
	beams, err := sample.NewBeams(opts, 8, 0, []int32{5}, nil)
	if err != nil {
		log.Fatal(err)
	}
	logits := model(beams.Running(0))
	for !beams.Done() {
		if _, _, err := beams.Step(logits); err != nil {
			log.Fatal(err)
		}
		logits = nil
		for i := range opts.Beams { // an engine would run one pass, on the caches of the parents
			logits = append(logits, model(beams.Running(i))...)
		}
	}
	for _, answer := range beams.Result() {
		fmt.Printf("%v %.3f %s\n", answer.IDs, answer.Score, answer.Finish)
	}
	// Output:
	// [6 7 0] -0.666 stop
	// [6 7 1] -1.333 length
}

func ExampleLookup() {
	// A text that repeats a name: after its first two ids the rest is likely to follow again.
	ids := []int32{7, 21, 22, 23, 24, 8, 9, 21, 22}
	fmt.Println(sample.Lookup(ids, 2, 2, nil))
	// Output: [23 24]
}

func ExampleStops() {
	stops, err := sample.NewStops("\nUser:")
	if err != nil {
		log.Fatal(err)
	}
	for _, piece := range []string{"Blue", ".\n", "And\nUs", "er", ": why?"} {
		emit, stopped := stops.Push(piece)
		fmt.Printf("%q %v\n", emit, stopped)
	}
	// Output:
	// "Blue" false
	// "." false
	// "\nAnd" false
	// "" false
	// "" true
}

func ExampleLogprobs() {
	top := make([]sample.Logprob, 2)
	chosen := sample.Logprobs([]float32{0, 2, 1, 0}, 2, top)
	fmt.Printf("%.3f\n", chosen)
	for _, other := range top {
		fmt.Printf("%d %.3f\n", other.ID, other.Logprob)
	}
	// Output:
	// -1.494
	// 1 -0.494
	// 2 -1.494
}
