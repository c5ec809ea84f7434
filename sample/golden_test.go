package sample

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"idefics2/internal/golden"
)

// recording is the part of golden/model/<case>/expect.json that this package is held to.
type recording struct {
	Requests map[string]struct {
		Processors *struct {
			IDs    []int32
			Chains []struct {
				Settings map[string]json.RawMessage
				Chain    []string
				Tensor   string
				Kept     int
			}
		}
	}
}

// TestGoldenProcessors holds every chain of processors that was recorded from the reference
// against ours: within 1e-6, and the same ids removed.
func TestGoldenProcessors(t *testing.T) {
	chains := checkRecording(t, "testdata/processors.json", "testdata/processors.safetensors")
	if chains != 19 {
		t.Errorf("testdata has %d chains, want 19", chains)
	}
	dir, ok := golden.Shared(t, "model")
	if !ok {
		return
	}
	cases, err := filepath.Glob(filepath.Join(dir, "*", "expect.json"))
	if err != nil || len(cases) == 0 {
		t.Fatalf("no case in %s: %v", dir, err)
	}
	all := 0
	for _, expect := range cases {
		all += checkRecording(t, expect, filepath.Join(filepath.Dir(expect), "stages.safetensors"))
	}
	if all < chains {
		t.Errorf("%d chains in %s, want at least the %d of testdata", all, dir, chains)
	}
}

func checkRecording(t *testing.T, expect, tensors string) (chains int) {
	t.Helper()
	text, err := os.ReadFile(expect)
	if err != nil {
		t.Fatal(err)
	}
	var record recording
	if err := json.Unmarshal(text, &record); err != nil {
		t.Fatal(err)
	}
	for name, request := range record.Requests {
		if request.Processors == nil {
			continue
		}
		file := readTensors(t, tensors)
		input, ids := file[name+"/processors.input"], request.Processors.IDs
		for _, chain := range request.Processors.Chains {
			s, err := New(optionsOf(t, chain.Settings), len(input), 0)
			if err != nil {
				t.Fatal(err)
			}
			got := append([]float32(nil), input...)
			if err := s.Process(got, ids, len(ids)); err != nil {
				t.Fatal(err)
			}
			want, kept := file[chain.Tensor], 0
			if len(want) != len(got) || len(got) == 0 {
				t.Fatalf("%s: %d values, want %d", chain.Tensor, len(got), len(want))
			}
			var worst float64
			for i, w := range want {
				if (w == removed) != (got[i] == removed) {
					t.Errorf("%s %v: id %d is %v, want %v", chain.Tensor, chain.Chain, i, got[i], w)
				}
				if w != removed {
					kept++
					worst = max(worst, math.Abs(float64(w)-float64(got[i])))
				}
			}
			if !(worst <= 1e-6) || kept != chain.Kept {
				t.Errorf("%s %v: off by %g, %d kept, want at most 1e-6 and %d", chain.Tensor, chain.Chain, worst, kept, chain.Kept)
			}
			chains++
		}
	}
	return chains
}

// optionsOf translates the reference's names. The recordings sample, so the temperature is 1
// where they name none.
func optionsOf(t *testing.T, settings map[string]json.RawMessage) Options {
	o := Options{Temperature: 1, StopIDs: []int32{2, 615}}
	for name, value := range settings {
		field, ok := map[string]any{
			"temperature": &o.Temperature, "top_k": &o.TopK, "top_p": &o.TopP, "min_p": &o.MinP,
			"typical_p": &o.TypicalP, "epsilon_cutoff": &o.EpsilonCutoff, "eta_cutoff": &o.EtaCutoff,
			"repetition_penalty": &o.RepetitionPenalty, "no_repeat_ngram_size": &o.NoRepeatNgram,
			"bad_words_ids": &o.BadWords, "min_new_tokens": &o.MinNewTokens,
		}[name]
		if !ok {
			t.Fatalf("setting %q is not translated", name)
		}
		if err := json.Unmarshal(value, field); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

// readTensors reads the float32 tensors of a safetensors file that we recorded ourselves.
func readTensors(t *testing.T, file string) map[string][]float32 {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	n := binary.LittleEndian.Uint64(b)
	var header map[string]struct {
		DType   string `json:"dtype"`
		Offsets [2]int `json:"data_offsets"`
	}
	if err := json.Unmarshal(b[8:8+n], &header); err != nil {
		t.Fatal(err)
	}
	tensors := map[string][]float32{}
	for name, info := range header {
		if info.DType != "F32" {
			continue
		}
		data := b[8+n:][info.Offsets[0]:info.Offsets[1]]
		for ; len(data) > 0; data = data[4:] {
			tensors[name] = append(tensors[name], math.Float32frombits(binary.LittleEndian.Uint32(data)))
		}
	}
	return tensors
}
