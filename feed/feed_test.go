package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"idefics2"
	"idefics2/chat"
	"idefics2/dataset"
	"idefics2/input"
	"idefics2/processor"
)

const tiny = "../testdata/golden/tiny"

func open(t testing.TB) *processor.Processor {
	t.Helper()
	p, err := idefics2.OpenProcessor(filepath.Join(tiny, "checkpoint"), idefics2.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p.Processor
}

func read(_ context.Context, name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(tiny, "images", name))
}

// mixture is of questions about pictures of several sizes, some of them bad.
func mixture(t testing.TB, epochs int) *dataset.Mixture {
	t.Helper()
	names := []string{"square.png", "tall.png", "dot.png", "wide.png"}
	source := &dataset.Func{Title: "made", Count: 60, Make: func(_ context.Context, i int) (dataset.Example, error) {
		if i%17 == 3 {
			return dataset.Example{}, errors.New("made to fail")
		}
		content := []chat.Part{chat.Text(fmt.Sprint("What is number ", i, "?"))}
		if i%3 > 0 {
			content = append([]chat.Part{chat.Image(names[i%4])}, content...)
		}
		return dataset.Example{Messages: []chat.Message{
			{Role: "user", Content: content},
			{Role: "assistant", Content: []chat.Part{chat.Text(strings.Repeat("a thing ", 1+i%5))}},
		}}, nil
	}}
	m, err := dataset.NewMixture([]dataset.Part{{Name: "made", Source: source}}, dataset.MixtureOptions{Seed: 5, Epochs: epochs})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func options() Options {
	return Options{Length: 120, Crops: 3, Window: 9, Read: read, Augment: Augment{Seed: 1, Newline: 0.3, Upscale: 0.5, UpscaleMax: 3}}
}

// The facts of data.md §9.
func TestFirstFit(t *testing.T) {
	for _, tt := range []struct {
		tokens, crops []int
		want          string
	}{
		{[]int{5, 4, 3, 6, 2}, make([]int, 5), "[[0 1] [2 3] [4]]"},
		{[]int{5, 4, 3, 6, 1}, make([]int, 5), "[[0 1 4] [2 3]]"},
		{[]int{1, 1, 1, 1}, []int{2, 2, 1, 0}, "[[0 2 3] [1]]"},
		{[]int{11, 1}, []int{0, 9}, "[[0] [1]]"},
	} {
		if got := fmt.Sprint(firstFit(tt.tokens, tt.crops, 10, 3)); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.tokens, got, tt.want)
		}
	}
}

// Every example of an epoch is in one sequence, as it is alone: ids, labels and pictures.
func TestPackedIsUnpacked(t *testing.T) {
	p := open(t)
	alone := map[string]*Prepared{}
	o := options()
	all := Examples(t.Context(), mixture(t, 1), p, o)
	defer all.Close()
	for {
		e, err := all.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		alone[e.Origin] = e
	}
	f, err := New(t.Context(), mixture(t, 1), p, nil, o)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sequences, tokens := 0, 0
	for {
		b, err := f.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		sequences++
		tokens += b.Tokens
		size, crops, targets := 0, 0, 0
		for i, origin := range b.Origins {
			e, in := alone[origin], b.Examples[i]
			if e == nil {
				t.Fatalf("%s comes twice, or was not drawn", origin)
			}
			delete(alone, origin)
			if !slices.Equal(in.IDs, e.IDs) || !slices.Equal(in.Labels, e.Labels) || in.Labels[0] != input.Ignore || b.Draws[i] != e.Draw.Number {
				t.Errorf("%s is packed otherwise than alone", origin)
			}
			size, crops, targets = size+len(e.IDs), crops+len(in.Crops), targets+e.Targets()
			rest := in.Crops
			for i := range e.Images {
				for k := range e.Images[i].Crops {
					if want := p.CropInput(&e.Images[i].Crops[k]); !equal(want, rest[0]) {
						t.Errorf("%s: picture %d is another", origin, i)
					}
					rest = rest[1:]
				}
			}
			if len(rest) > 0 {
				t.Errorf("%s: %d crops too many", origin, len(rest))
			}
		}
		if size > o.Length || crops > o.Crops || size != b.Tokens || targets != b.Targets {
			t.Errorf("a sequence of %d tokens, %d crops, %d targets, of %v", size, crops, targets, b.Origins)
		}
	}
	if len(alone) > 0 {
		t.Errorf("%d examples were packed nowhere", len(alone))
	}
	if full := float64(tokens) / float64(sequences*o.Length); full < 0.6 {
		t.Errorf("sequences are full to %.0f %%", 100*full)
	}
	if f.Skipped() != 4 {
		t.Errorf("%d skipped, want 4", f.Skipped())
	}
}

func equal(a, b input.Crop) bool {
	return a.Rows == b.Rows && a.Columns == b.Columns && slices.Equal(a.Patches, b.Patches) && slices.Equal(a.Positions, b.Positions)
}

// From the state behind any sequence the rest comes out the same, skips included.
func TestStateGoesOn(t *testing.T) {
	p := open(t)
	run := func(from *State, n int) (texts []string, states []State) {
		o := options()
		o.Prefetch.OnSkip = func(s dataset.Skip) error { return nil }
		f, err := New(t.Context(), mixture(t, 0), p, from, o)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for range n {
			states = append(states, f.State())
			b, err := f.Next()
			if err != nil {
				t.Fatal(err)
			}
			texts = append(texts, fmt.Sprint(b.Origins, b.Draws, b.Tokens, b.Examples[0].IDs, b.Examples[0].Labels, len(b.Examples[0].Crops)))
		}
		return texts, states
	}
	const n = 40
	want, states := run(nil, n)
	for _, i := range []int{1, 2, 7, 13, 26, n - 1} {
		data, err := json.Marshal(states[i])
		if err != nil {
			t.Fatal(err)
		}
		s, err := ParseState(data)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := run(s, n-i); !slices.Equal(got, want[i:]) {
			t.Errorf("from sequence %d on, it is another", i)
		}
	}
}

func TestAugment(t *testing.T) {
	var messages []chat.Message
	for i := range 9 {
		content := []chat.Part{chat.Text(fmt.Sprint(i))}
		if i == 0 {
			content = append([]chat.Part{chat.Image("")}, content...)
		}
		messages = append(messages, chat.Message{Role: "user", Content: content},
			chat.Message{Role: "assistant", Content: []chat.Part{chat.Text(fmt.Sprint("answer ", i))}})
	}
	e := dataset.Example{Messages: messages}
	a := Augment{Seed: 1, ShuffleTurns: true, MaxTurns: 7, Split: 0.5, Upscale: 0.5, UpscaleMax: 2}
	shuffled, split, scaled := 0, 0, 0
	for draw := range int64(200) {
		r := a.request(draw, e)
		if len(r.Messages) != 14 || r.Messages[0].Content[0].Type != chat.TypeImage || len(chat.Images(r.Messages)) != 1 {
			t.Fatalf("draw %d: %v", draw, r.Messages)
		}
		for i := 0; i < 14; i += 2 {
			q := r.Messages[i].Content
			if "answer "+q[len(q)-1].Text != r.Messages[i+1].Content[0].Text {
				t.Fatalf("draw %d: %v answers %v", draw, r.Messages[i+1], q)
			}
		}
		if r.Messages[1].Content[0].Text != "answer 0" {
			shuffled++
		}
		if r.Split {
			split++
		}
		if r.Scale != 0 {
			scaled++
			if r.Scale < 1.5 || r.Scale > 2 {
				t.Errorf("scale %v", r.Scale)
			}
		}
	}
	if shuffled < 150 || split < 70 || split > 130 || scaled < 70 || scaled > 130 {
		t.Errorf("of 200: %d shuffled, %d split, %d enlarged", shuffled, split, scaled)
	}
	if messages[0].Content[0].Type != chat.TypeImage || len(messages[2].Content) != 1 {
		t.Error("the example itself was changed")
	}
	no := false
	e.Split = &no
	for draw := range int64(20) {
		if a.request(draw, e).Split {
			t.Error("split, though the example says no")
		}
	}
}

func TestRefusedStates(t *testing.T) {
	p := open(t)
	o := options()
	f, err := New(t.Context(), mixture(t, 0), p, nil, o)
	if err != nil {
		t.Fatal(err)
	}
	s := f.State()
	f.Close()
	s.Emitted = 1000
	if _, err := New(t.Context(), mixture(t, 0), p, &s, o); err == nil || !strings.Contains(err.Error(), "changed since") {
		t.Errorf("a state behind the window: %v", err)
	}
	if _, err := New(t.Context(), mixture(t, 0), p, nil, Options{}); err == nil || !strings.Contains(err.Error(), "sequences of 0 tokens") {
		t.Errorf("no length: %v", err)
	}
}

func FuzzState(f *testing.F) {
	f.Add([]byte(`{"cursor":{"seed":5,"draws":3,"parts":[{"name":"made","len":60,"draws":3}]},"emitted":1}`))
	p := open(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseState(data)
		if err != nil {
			return
		}
		if fed, err := New(t.Context(), mixture(t, 1), p, s, options()); err == nil {
			fed.Close()
		}
	})
}

// BenchmarkFeed reads, decodes, resizes to at least 378×378, encodes and packs.
func BenchmarkFeed(b *testing.B) {
	p, err := open(b).Resized(378, 980)
	if err != nil {
		b.Fatal(err)
	}
	o := options()
	o.Augment, o.Length, o.Crops = Augment{}, 2048, 0
	f, err := New(b.Context(), mixture(b, 0), p, nil, o)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	examples, crops := 0, 0
	for b.Loop() {
		batch, err := f.Next()
		if err != nil {
			b.Fatal(err)
		}
		examples += len(batch.Examples)
		for _, e := range batch.Examples {
			crops += len(e.Crops)
		}
	}
	b.ReportMetric(float64(examples)/b.Elapsed().Seconds(), "examples/s")
	b.ReportMetric(float64(crops)/b.Elapsed().Seconds(), "pictures/s")
}
