package idefics2

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"sync"
	"testing"

	"idefics2/adapter"
	"idefics2/checkpoint"
	"idefics2/model"
	"idefics2/nn"
)

// newAdapters writes folders of adapters for the tiny model, each of which changes its answers, and
// returns them by name.
func newAdapters(t *testing.T) map[string]string {
	t.Helper()
	dirs := map[string]string{}
	for i, c := range []adapter.Config{
		{Rank: 2, Alpha: 8, Pattern: ".*text_model.*(q_proj|up_proj)"},
		{Rank: 3, Alpha: 6, DoRA: true, Pattern: ".*(vision_model.*q_proj|perceiver_resampler.*k_proj|text_model.*v_proj)"},
		{Rank: 1, Alpha: 4, Names: []string{"down_proj"}, Save: []string{"modality_projection.gate_proj"}},
	} {
		source, err := checkpoint.Open(filepath.Join(tiny, "checkpoint"))
		if err != nil {
			t.Fatal(err)
		}
		net, err := model.Load(source, model.Options{Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		set, err := adapter.New(net, c, uint64(i))
		if err != nil {
			t.Fatal(err)
		}
		noise := nn.Noise(i)
		net.Params(func(p nn.Param) {
			if p.Adapter || set.Trains(p.Name) {
				values := p.Floats()
				for k := range values {
					values[k] += 0.3 * noise.Normal(k)
				}
				p.Set(values)
			}
		})
		name := string(rune('a' + i))
		dirs[name] = filepath.Join(t.TempDir(), name)
		if err := set.Save(dirs[name]); err != nil {
			t.Fatal(err)
		}
		net.Close()
		source.Close()
	}
	return dirs
}

// Requests that choose among adapters over one model get the bits that a model gives which has the
// one alone, whatever else is answered at the same time.
func TestAdapters(t *testing.T) {
	dirs := newAdapters(t)
	logprobs := 2
	ask := func(i int, name string) Request {
		r := about(fmt.Sprintf("Question %d?", i), 12)
		r.Adapter, r.Logprobs = name, &logprobs
		return r
	}
	names := []string{"", "a", "b", "c"}
	want := map[string][]*Answer{}
	for _, name := range names {
		alone := open(t, Options{Adapter: dirs[name]})
		for i := range 3 {
			want[name] = append(want[name], answer(t, alone, ask(i, "")))
		}
	}
	m := open(t, Options{Adapters: dirs})
	var wait sync.WaitGroup
	for i := range 3 {
		for _, name := range names {
			wait.Go(func() {
				got, err := m.Chat(t.Context(), ask(i, name)).Answer()
				if err != nil {
					t.Error(err)
					return
				}
				if w := want[name][i]; !reflect.DeepEqual(got.OutputIDs, w.OutputIDs) || !reflect.DeepEqual(got.Logprobs, w.Logprobs) || got.Adapter != name {
					t.Errorf("question %d, adapter %q: %v %v, alone %v %v", i, name, got.OutputIDs, got.Logprobs[0], w.OutputIDs, w.Logprobs[0])
				}
			})
		}
	}
	wait.Wait()
	for _, name := range names[1:] {
		if reflect.DeepEqual(want[name][0].Logprobs, want[""][0].Logprobs) {
			t.Errorf("adapter %s changes nothing", name)
		}
	}
	var unknown *AdapterError
	if _, err := m.Chat(t.Context(), ask(0, "d")).Answer(); !errors.As(err, &unknown) || len(unknown.Known) != 3 {
		t.Errorf("an unknown adapter: %v", err)
	}
}

func TestAdapterErrors(t *testing.T) {
	dirs := newAdapters(t)
	for _, o := range []Options{{Adapter: "nowhere"}, {Adapters: map[string]string{"a": dirs["a"], "x": "nowhere"}}} {
		if _, err := Open(t.Context(), filepath.Join(tiny, "checkpoint"), o); !errors.Is(err, ErrNoAdapter) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
