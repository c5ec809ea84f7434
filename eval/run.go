package eval

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Model answers questions about pictures. It may be asked by several goroutines at once.
type Model interface {
	// Answer returns the whole text that the model gives. Images are paths.
	Answer(ctx context.Context, images []string, question string) (string, error)
}

// Record is what a case came to: a line of the file of results.
type Record struct {
	ID       string   `json:"id"`
	Model    string   `json:"model,omitempty"`
	Category string   `json:"category"`
	Kind     string   `json:"kind"`
	Question string   `json:"question"`
	Answers  []string `json:"answers"` // accepted
	Answer   string   `json:"answer"`  // given
	Metric   string   `json:"metric"`
	Score    float64  `json:"score"`
	Edits    int      `json:"edits,omitempty"`
	Length   int      `json:"length,omitempty"`
	Error    string   `json:"error,omitempty"` // why there is no answer
}

// Options are the choices of a run; the zero value works.
type Options struct {
	Parallel int       // questions in flight at once; 0 means 8
	Out      io.Writer // where records go, a line of JSON each, in the order of the cases; may be nil
	Done     []Record  // of a run before this one, by ParseRecords
	Model    string    // the model's name, for the records: Done must be of the same
	Progress func(done, total int)
}

// Run asks a model all cases and marks its answers. A case that cannot be asked is
// recorded with its error and marked 0. It returns the records in the order of the cases,
// and when the context ends, those of the cases before.
func Run(ctx context.Context, cases []Case, m Model, o Options) ([]Record, error) {
	if o.Parallel == 0 {
		o.Parallel = 8
	}
	records, err := Resume(cases, o.Done, o.Model)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// The queue holds promises in the order of the cases; its size bounds those in flight.
	type promise chan Record
	queue := make(chan promise, o.Parallel-1)
	go func() {
		defer close(queue)
		for _, c := range cases[len(records):] {
			p := make(promise, 1)
			select {
			case queue <- p:
			case <-ctx.Done():
				return
			}
			go func() {
				answer, err := m.Answer(ctx, c.Images, c.Question)
				failed := ""
				if err != nil {
					failed = err.Error()
				}
				p <- record(c, o.Model, answer, failed)
			}()
		}
	}()
	var failed error
	for p := range queue {
		r := <-p
		if ctx.Err() != nil || failed != nil {
			continue // cut short; empty the queue and end
		}
		if o.Out != nil {
			if failed = write(o.Out, r); failed != nil {
				cancel()
				continue
			}
		}
		records = append(records, r)
		if o.Progress != nil {
			o.Progress(len(records), len(cases))
		}
	}
	return records, errors.Join(failed, context.Cause(ctx))
}

// Resume checks that records are those of the first cases by this model, and marks them
// anew.
func Resume(cases []Case, done []Record, model string) ([]Record, error) {
	if len(done) > len(cases) {
		return nil, fmt.Errorf("eval: %d results of %d cases", len(done), len(cases))
	}
	var records []Record
	for i, r := range done {
		c := cases[i]
		if r.ID != c.ID || r.Question != c.Question {
			return nil, fmt.Errorf("eval: result %d is of %q and not of %q, or its question is another", i+1, r.ID, c.ID)
		}
		if r.Model != model {
			return nil, fmt.Errorf("eval: result %d is of the model %q and not of %q", i+1, r.Model, model)
		}
		records = append(records, record(c, model, r.Answer, r.Error))
	}
	return records, nil
}

func record(c Case, model, answer, failed string) Record {
	r := Record{ID: c.ID, Model: model, Category: c.Category, Kind: c.Kind, Question: c.Question, Answers: c.Answers, Answer: answer, Metric: c.Metric, Error: failed}
	m := mark(c.Metric, answer, c.Answers)
	if failed != "" {
		m.Score = 0
	}
	r.Score, r.Edits, r.Length = m.Score, m.Edits, m.Length
	return r
}

func write(w io.Writer, r Record) error {
	var line bytes.Buffer
	e := json.NewEncoder(&line)
	e.SetEscapeHTML(false)
	if err := e.Encode(r); err != nil {
		return fmt.Errorf("eval: result of %s: %w", r.ID, err)
	}
	if _, err := w.Write(line.Bytes()); err != nil {
		return fmt.Errorf("eval: results: %w", err)
	}
	return nil
}

// ParseRecords reads the results of an interrupted run. It returns them, and the bytes
// that they take: what follows is a line that was cut short.
func ParseRecords(data []byte) (records []Record, whole int, err error) {
	for {
		end := bytes.IndexByte(data[whole:], '\n')
		if end < 0 {
			return records, whole, nil
		}
		var r Record
		if err := json.Unmarshal(data[whole:whole+end], &r); err != nil {
			return nil, 0, fmt.Errorf("eval: results: line %d: %w", len(records)+1, err)
		}
		records = append(records, r)
		whole += end + 1
	}
}
