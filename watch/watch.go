// Package watch shows how a training goes: live in the terminal, and as curves in PNG files.
package watch

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
)

// Step is what is known after a step of training. It is also a line of log.jsonl.
type Step struct {
	Step         int64   `json:"step"`
	Loss         float64 `json:"loss"` // mean over the step's targets
	LearningRate float64 `json:"learning_rate"`
	GradNorm     float64 `json:"grad_norm,omitempty"`
	Tokens       int64   `json:"tokens"`  // of the step
	Targets      int64   `json:"targets"` // tokens that carry loss
	Images       int64   `json:"images"`
	Examples     int64   `json:"examples"`
	Seconds      float64 `json:"seconds"`          // the step took
	Memory       uint64  `json:"memory,omitempty"` // bytes in use
	Skipped      int64   `json:"skipped,omitempty"`
	// Parts is the loss by part of the mixture, Eval the scores where the step was
	// followed by an evaluation.
	Parts map[string]float64 `json:"parts,omitempty"`
	Eval  map[string]float64 `json:"eval,omitempty"`
	// Marks are those of tasks, from 0 to 1, and Samples answers to read, where they are asked for.
	Marks   map[string]float64 `json:"marks,omitempty"`
	Samples []Sample           `json:"samples,omitempty"`
	Stage   string             `json:"stage,omitempty"`
}

// Sample is what the model answers at an evaluation, beside what it should.
type Sample struct {
	Source   string `json:"source"`
	Origin   string `json:"origin"`
	Question string `json:"question"`
	Wanted   string `json:"wanted"`
	Given    string `json:"given"`
}

// maxSteps bounds the steps that ReadSteps keeps.
const maxSteps = 10_000_000

// ReadSteps reads the lines of a log.jsonl.
func ReadSteps(from io.Reader) (steps []Step, err error) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for number := 1; lines.Scan(); number++ {
		if len(steps) == maxSteps {
			return nil, fmt.Errorf("watch: more than %d lines", maxSteps)
		}
		var s Step
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			return nil, fmt.Errorf("watch: line %d: %w", number, err)
		}
		steps = append(steps, s)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	return steps, nil
}
