// Package recording reads recorded cases of the reference: what was asked of a checkpoint, and
// what it answered.
package recording

import (
	"encoding/json"
	"fmt"
	"io/fs"
)

// Case is a recorded checkpoint: what was asked, and what the reference answered.
type Case struct {
	Requests []Request
	Batches  []Batch
	Expect   map[string]*Expect // by request
	Batched  map[string]*struct {
		Greedy []Greedy `json:"greedy"`
	}
}

// Request is one recorded request.
type Request struct {
	Name     string          `json:"name"`
	Messages json.RawMessage `json:"messages"`
	Prompt   string          `json:"prompt"`
	Images   []string        `json:"images"`
	Generate *bool           `json:"add_generation_prompt"`
	Split    bool            `json:"do_image_splitting"`
	Greedy   *Settings       `json:"greedy"`
	Stop     *Settings       `json:"stop"`
	Beams    []Settings      `json:"beams"`
	Rule     string          `json:"position_rule"`
}

// Settings are generation settings under the reference's names.
type Settings struct {
	MaxNewTokens      int             `json:"max_new_tokens"`
	EOS               []int32         `json:"eos_token_id"`
	NumBeams          int             `json:"num_beams"`
	Returned          int             `json:"num_return_sequences"`
	LengthPenalty     *float64        `json:"length_penalty"`
	EarlyStopping     json.RawMessage `json:"early_stopping"`
	RepetitionPenalty float64         `json:"repetition_penalty"`
	NoRepeatNgram     int             `json:"no_repeat_ngram_size"`
}

// Batch names requests that ran together.
type Batch struct {
	Name         string   `json:"name"`
	Requests     []string `json:"requests"`
	MaxNewTokens int      `json:"max_new_tokens"`
}

// Expect is what the reference answered to a request.
type Expect struct {
	Prompt   string  `json:"prompt"`
	Expanded string  `json:"expanded_prompt"`
	InputIDs []int32 `json:"input_ids"`
	Crops    []struct {
		File    string `json:"file"`
		Box     [4]int `json:"box"`
		Resized struct {
			Height int `json:"height"`
			Width  int `json:"width"`
		} `json:"resized"`
		Grid struct {
			Rows    int `json:"rows"`
			Columns int `json:"columns"`
		} `json:"grid"`
		Positions []int32 `json:"position_ids"`
	} `json:"crops"`
	Greedy *Greedy `json:"greedy"`
	Stop   *Greedy `json:"stop"`
	Beams  []struct {
		Sequences []struct {
			IDs   []int32 `json:"ids"`
			Score float32 `json:"score"`
			Text  string  `json:"text"`
		} `json:"sequences"`
	} `json:"beams"`
	Loss []struct {
		Name   string  `json:"name"`
		Labels []int32 `json:"labels"`
		Loss   float64 `json:"loss"`
	} `json:"loss"`
}

// Greedy is a recorded greedy answer. Top5 holds per step the five best (id, log-probability).
type Greedy struct {
	IDs  []int32        `json:"ids"`
	Text string         `json:"text"`
	Top5 [][][2]float64 `json:"top5"`
}

// Load reads requests.json and expect.json of a case's folder.
func Load(dir fs.FS) (*Case, error) {
	c := &Case{}
	var asked struct {
		Requests []Request `json:"requests"`
		Batches  []Batch   `json:"batches"`
	}
	if err := read(dir, "requests.json", &asked); err != nil {
		return nil, err
	}
	var answered struct {
		Requests map[string]*Expect `json:"requests"`
		Batches  map[string]*struct {
			Greedy []Greedy `json:"greedy"`
		} `json:"batches"`
	}
	if err := read(dir, "expect.json", &answered); err != nil {
		return nil, err
	}
	c.Requests, c.Batches, c.Expect, c.Batched = asked.Requests, asked.Batches, answered.Requests, answered.Batches
	for _, r := range c.Requests {
		if c.Expect[r.Name] == nil {
			return nil, fmt.Errorf("recording: expect.json has no answer to request %q of requests.json", r.Name)
		}
	}
	return c, nil
}

func read(dir fs.FS, name string, to any) error {
	data, err := fs.ReadFile(dir, name)
	if err != nil {
		return fmt.Errorf("recording: not a recorded case: %w", err)
	}
	if err := json.Unmarshal(data, to); err != nil {
		return fmt.Errorf("recording: %s: %w", name, err)
	}
	return nil
}
