// Package eval measures what a model can do. Its task so far is reading: pictures with
// questions in sixteen categories, each with its metric.
//
//	cases, err := eval.ReadCases(dir)
//	records, err := eval.Run(ctx, cases, model, eval.Options{})
//	report := eval.Summarize(records, 1)
//	report.WriteTable(os.Stdout)
//
// What is measured is a [Model], an interface of one function, so that tests need none.
// Runs are deterministic as far as the model is, keep the order of the cases, and go on
// where they were interrupted.
package eval

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// Case is one question about one or more pictures.
type Case struct {
	ID       string   `json:"id"`
	Category string   `json:"category"`
	Kind     string   `json:"kind"`
	Images   []string `json:"images"` // ReadCases makes paths of them
	Question string   `json:"question"`
	Answers  []string `json:"answers"` // accepted ones
	Metric   string   `json:"metric"`
	Tags     []string `json:"tags"` // how the picture was made
}

// Bounds of a file of cases.
const (
	maxCases = 1 << 20
	maxLine  = 1 << 20 // bytes
)

// ReadCases reads the file cases.jsonl in a folder, or a file of that form. Pictures are
// looked for in its folder, and must lie in it.
func ReadCases(path string) ([]Case, error) {
	if info, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("eval: %w", err)
	} else if info.IsDir() {
		path = filepath.Join(path, "cases.jsonl")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("eval: %w", err)
	}
	defer f.Close()
	cases, err := parseCases(f)
	if err != nil {
		return nil, fmt.Errorf("eval: %s: %w", path, err)
	}
	for i := range cases {
		for k, image := range cases[i].Images {
			if !filepath.IsLocal(filepath.FromSlash(image)) {
				return nil, fmt.Errorf("eval: %s: %s: the picture %q lies outside the folder", path, cases[i].ID, image)
			}
			cases[i].Images[k] = filepath.Join(filepath.Dir(path), filepath.FromSlash(image))
		}
	}
	return cases, nil
}

// Limit returns the first n cases of each category, all for 0.
func Limit(cases []Case, n int) (out []Case) {
	seen := map[string]int{}
	for _, c := range cases {
		if seen[c.Category]++; n == 0 || seen[c.Category] <= n {
			out = append(out, c)
		}
	}
	return out
}

// parseCases reads cases, one JSON object a line.
func parseCases(r io.Reader) (cases []Case, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 1<<16), maxLine)
	seen := map[string]bool{}
	for at := 1; lines.Scan(); at++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		var c Case
		if err := json.Unmarshal(line, &c); err != nil {
			return nil, fmt.Errorf("line %d: %w", at, err)
		}
		switch {
		case c.ID == "" || seen[c.ID]:
			return nil, fmt.Errorf("line %d: id %q, want one that no other case has", at, c.ID)
		case c.Category == "" || len(c.Category) > 100:
			return nil, fmt.Errorf("line %d: %s: category %.40q, want a name", at, c.ID, c.Category)
		case metrics[c.Metric] == nil:
			return nil, fmt.Errorf("line %d: %s: metric %.40q, want cer, exact, anls, relaxed5 or html", at, c.ID, c.Metric)
		case len(c.Answers) == 0:
			return nil, fmt.Errorf("line %d: %s: no accepted answer", at, c.ID)
		case c.Question == "" || !utf8.ValidString(c.Question):
			return nil, fmt.Errorf("line %d: %s: no question", at, c.ID)
		case len(cases) == maxCases:
			return nil, fmt.Errorf("more than %d cases", maxCases)
		}
		seen[c.ID] = true
		cases = append(cases, c)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("after %d cases: %w", len(cases), err)
	}
	if len(cases) == 0 {
		return nil, fmt.Errorf("no cases")
	}
	return cases, nil
}

// categoryOrder is the order in which tables list the categories of reading.
var categoryOrder = []string{"line", "paragraph", "form", "receipt", "table", "bar", "linechart", "pie", "count", "colour", "position", "compare", "sum", "web", "html", "scene"}

// categoriesOf returns the categories of cases, those of reading first and in their order.
func categoriesOf(cases []Case) (out []string) {
	for _, c := range cases {
		if !slices.Contains(out, c.Category) {
			out = append(out, c.Category)
		}
	}
	rank := func(s string) int {
		if i := slices.Index(categoryOrder, s); i >= 0 {
			return i
		}
		return len(categoryOrder)
	}
	slices.SortStableFunc(out, func(a, b string) int {
		if rank(a) != rank(b) {
			return rank(a) - rank(b)
		}
		return strings.Compare(a, b)
	})
	return out
}
