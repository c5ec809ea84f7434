package idefics2

import (
	"context"
	"fmt"
	"iter"

	"idefics2/checkpoint"
	"idefics2/imatrix"
	"idefics2/model"
	"idefics2/nn"
)

// Importance runs the prompts of requests through the model and adds up the squares of what each
// matrix of the vision tower, the projection, the resampler and the decoder is multiplied with,
// by column; conversations that end with an answer are read to its end. The model must be one
// that computes exactly (DType "f32") for others to get the same sums. A request of requests
// may be an error, which ends it. Done, which may be nil, is told of every request.
//
// The convolution of patches is left out: it is never stored in few bits.
func (m *Model) Importance(ctx context.Context, requests iter.Seq2[Request, error], done func(n int)) (*imatrix.File, error) {
	f := &imatrix.File{Matrices: map[string]*imatrix.Sums{}}
	for r, err := range requests {
		if err != nil {
			return nil, err
		}
		if n := len(r.Messages); n > 0 && r.Messages[n-1].Role == "assistant" {
			r.NoGenerationPrompt = true
		}
		ready, err := m.processor.process(ctx, &r)
		if err != nil {
			return nil, fmt.Errorf("request %d: %w", f.Chunks+1, err)
		}
		err = m.engine.Exclusive(ctx, func(net *model.Model) error {
			watch(net, f)
			defer net.Linears(func(_ string, l *nn.Linear) { l.See = nil })
			return m.trace(ctx, net, ready, func(string, []int, []float32) error { return nil }, r.report)
		})
		if err != nil {
			return nil, fmt.Errorf("request %d: %w", f.Chunks+1, err)
		}
		if f.Chunks++; done != nil {
			done(f.Chunks)
		}
	}
	if f.Chunks == 0 {
		return nil, fmt.Errorf("idefics2: no requests to collect the importance of columns from")
	}
	for name, s := range f.Matrices {
		if s.Count == 0 {
			delete(f.Matrices, name) // no request had a picture
		}
	}
	return f, nil
}

// watch makes every matrix of net add its inputs to the sums of f.
func watch(net *model.Model, f *imatrix.File) {
	net.Linears(func(tensor string, l *nn.Linear) {
		if l == &net.Vision.Patch {
			return
		}
		name := checkpoint.GGUFName(tensor)
		if f.Matrices[name] == nil {
			f.Matrices[name] = &imatrix.Sums{}
		}
		l.See = f.Matrices[name].Add
	})
}
