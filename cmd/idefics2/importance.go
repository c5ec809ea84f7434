package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"

	"idefics2"
	"idefics2/internal/terminal"
)

// collectImportance is "quantize -collect".
func collectImportance(ctx context.Context, std stdio, model, requests, out string, threads int) error {
	total, _, err := countRequests(requests, 0)
	if err != nil {
		return err
	}
	bars := terminal.NewProgress(std.err)
	defer bars.Close()
	exact, err := openExact(ctx, std, bars, model, threads)
	if err != nil {
		return err
	}
	defer closeModel(ctx, exact)
	importance, err := exact.Importance(ctx, requestsOf(requests), func(n int) { bars.Count("requests", int64(n), int64(total)) })
	if err != nil {
		return fmt.Errorf("%s: %w", requests, err)
	}
	importance.Datasets = []string{filepath.Base(requests)}
	if err := importance.Write(out); err != nil {
		return err
	}
	bars.Close()
	fmt.Fprintf(std.err, "idefics2: %s: the importance of %d matrices, from %d requests\n", terminal.Clean(out), len(importance.Matrices), importance.Chunks)
	return nil
}

// requestsOf yields the requests of a file, a line each, whose paths are relative to it.
func requestsOf(path string) iter.Seq2[idefics2.Request, error] {
	return func(yield func(idefics2.Request, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield(idefics2.Request{}, err)
			return
		}
		defer f.Close()
		lines := bufio.NewReaderSize(f, 1<<16)
		for at := 1; ; at++ {
			line, err := readLine(lines, maxRequest)
			if err == io.EOF {
				return
			}
			if err == nil && len(bytes.TrimSpace(line)) == 0 {
				continue
			}
			var r idefics2.Request
			if err == nil {
				r, err = idefics2.ParseRequest(asMessages(line), filepath.Dir(path))
			}
			if err != nil {
				yield(r, fmt.Errorf("line %d: %w", at, err))
				return
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// asMessages returns an example of a document, as data synth has some, as what a user says: it is
// read, not answered. Other lines stay as they are.
func asMessages(line []byte) []byte {
	var e struct {
		Document json.RawMessage `json:"document"`
	}
	if json.Unmarshal(line, &e) != nil || e.Document == nil {
		return line
	}
	return fmt.Appendf(nil, `{"messages":[{"role":"user","content":%s}],"add_generation_prompt":false}`, e.Document)
}
