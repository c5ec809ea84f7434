package idefics2

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"idefics2/internal/recording"
	"idefics2/safetensors"
	"idefics2/sample"
)

// Check is one comparison with a recording of the reference.
type Check struct {
	Request string
	Stage   string
	// Difference is the largest absolute difference, and Allowed what the contract lets it
	// be: 2e-5 · max(1, the largest recorded magnitude). Both are 0 where equality is asked.
	Difference, Allowed float64
	OK                  bool
	Note                string // what differs, where something does
}

// allowance is the contract of exact mode: see docs/numerics.md.
const allowance = 2e-5

// verify answers the recorded requests of a case and reports every comparison.
func (m *Model) verify(ctx context.Context, dir string, report func(Check)) error {
	c, err := recording.Load(os.DirFS(dir))
	if err != nil {
		return err
	}
	stages, err := safetensors.Open(filepath.Join(dir, "stages.safetensors"))
	if err != nil {
		return err
	}
	defer stages.Close()
	v := verifier{m: m, dir: dir, c: c, stages: stages, report: report}
	for i := range c.Requests {
		r := &c.Requests[i]
		if r.Rule != "" && r.Rule != "hf-4.40" {
			continue // another version's position ids: a function that is not ours
		}
		if err := v.request(ctx, r); err != nil {
			return fmt.Errorf("idefics2: verify: request %q: %w", r.Name, err)
		}
	}
	for _, b := range c.Batches {
		if err := v.batch(ctx, b); err != nil {
			return fmt.Errorf("idefics2: verify: batch %q: %w", b.Name, err)
		}
	}
	return nil
}

type verifier struct {
	m      *Model
	dir    string
	c      *recording.Case
	stages *safetensors.File
	report func(Check)
}

func (v *verifier) build(r *recording.Request) (Request, error) {
	body := map[string]any{"split": r.Split}
	if r.Prompt != "" {
		body["prompt"] = r.Prompt
		body["images"] = r.Images
	} else {
		body["messages"] = r.Messages
		body["add_generation_prompt"] = r.Generate == nil || *r.Generate
	}
	data, err := json.Marshal(body)
	if err != nil {
		return Request{}, err
	}
	return ParseRequest(data, v.dir)
}

func (v *verifier) request(ctx context.Context, r *recording.Request) error {
	q, err := v.build(r)
	if err != nil {
		return err
	}
	want := v.c.Expect[r.Name]
	if err := v.processed(ctx, r.Name, q, want); err != nil {
		return err
	}
	if err := v.traced(ctx, r.Name, q, want); err != nil {
		return err
	}
	if r.Greedy != nil && want.Greedy != nil {
		if err := v.greedy(ctx, r.Name, "greedy", q, r.Greedy, want.Greedy); err != nil {
			return err
		}
	}
	if r.Stop != nil && want.Stop != nil {
		if err := v.greedy(ctx, r.Name, "stop", q, r.Stop, want.Stop); err != nil {
			return err
		}
	}
	for i := range r.Beams {
		if err := v.beams(ctx, r.Name, i, q, &r.Beams[i], want); err != nil {
			return err
		}
	}
	return nil
}

// equal reports a comparison of things that must be the same.
func (v *verifier) equal(request, stage string, same bool, note func() string) {
	c := Check{Request: request, Stage: stage, OK: same}
	if !same {
		c.Note = note()
	}
	v.report(c)
}

func (v *verifier) processed(ctx context.Context, name string, q Request, want *recording.Expect) error {
	got, err := v.m.processor.Process(ctx, q)
	if err != nil {
		return err
	}
	expanded := want.Expanded == "" || got.Expanded == want.Expanded // cases of quantized weights do not record it
	v.equal(name, "prompt", got.Prompt == want.Prompt && expanded, func() string {
		return fmt.Sprintf("%q and %q, want %q and %q", got.Prompt, got.Expanded, want.Prompt, want.Expanded)
	})
	v.equal(name, "input_ids", slices.Equal(got.InputIDs, want.InputIDs), func() string {
		return fmt.Sprintf("%v, want %v", got.InputIDs, want.InputIDs)
	})
	if want.Crops == nil {
		return nil // not recorded
	}
	var crops []ProcessedCrop
	for _, image := range got.Images {
		crops = append(crops, image.Crops...)
	}
	if len(crops) != len(want.Crops) {
		v.equal(name, "crops", false, func() string { return fmt.Sprintf("%d, want %d", len(crops), len(want.Crops)) })
		return nil
	}
	for i, w := range want.Crops {
		g := crops[i]
		same := g.Box == w.Box && g.Height == w.Resized.Height && g.Width == w.Resized.Width &&
			g.Rows == w.Grid.Rows && g.Columns == w.Grid.Columns && slices.Equal(g.Positions, w.Positions)
		v.equal(name, fmt.Sprintf("crop.%d", i), same, func() string { return fmt.Sprintf("%v, want %v", g, w) })
	}
	return nil
}

func (v *verifier) traced(ctx context.Context, name string, q Request, want *recording.Expect) error {
	seen := map[string]bool{}
	err := v.m.Trace(ctx, q, func(stage string, shape []int, values []float32) error {
		seen[stage] = true
		if stage == "logits" {
			v.last(name, shape, values)
			v.loss(name, shape[1], values, want)
		}
		recorded, ok := v.stages.View(name + "/" + stage)
		if !ok {
			return nil
		}
		v.compare(name, stage, shape, values, recorded.Shape, recorded.Floats())
		return nil
	})
	if err != nil {
		return err
	}
	for _, full := range v.stages.Names() {
		request, stage, _ := strings.Cut(full, "/")
		if request == name && !seen[stage] && stage != "logits.last" && !strings.HasPrefix(stage, "processors.") {
			v.equal(name, stage, false, func() string { return "recorded, and not computed" })
		}
	}
	return nil
}

// last compares the logits of the last position, where only those are recorded.
func (v *verifier) last(name string, shape []int, values []float32) {
	if recorded, ok := v.stages.View(name + "/logits.last"); ok {
		v.compare(name, "logits.last", shape[1:], values[len(values)-shape[1]:], recorded.Shape, recorded.Floats())
	}
}

func (v *verifier) compare(name, stage string, shape []int, got []float32, wantShape []int, want []float32) {
	if !slices.Equal(shape, wantShape) {
		v.equal(name, stage, false, func() string { return fmt.Sprintf("shape %v, want %v", shape, wantShape) })
		return
	}
	c := Check{Request: name, Stage: stage}
	scale := 1.0
	for i, w := range want {
		scale = max(scale, math.Abs(float64(w)))
		d := math.Abs(float64(got[i]) - float64(w))
		if math.IsNaN(d) {
			d = math.Inf(1)
		}
		c.Difference = max(c.Difference, d)
	}
	if stage[strings.LastIndex(stage, ".")+1:] != "pixels" { // those must be equal
		c.Allowed = allowance * scale
	}
	c.OK = c.Difference <= c.Allowed
	v.report(c)
}

// loss compares the mean cross-entropy over the labels that are not −100, shifted by one.
func (v *verifier) loss(name string, vocab int, logits []float32, want *recording.Expect) {
	for _, l := range want.Loss {
		sum, count := 0.0, 0
		for t, label := range l.Labels[min(1, len(l.Labels)):] {
			if label >= 0 {
				sum -= float64(sample.Logprobs(logits[t*vocab:(t+1)*vocab], label, nil))
				count++
			}
		}
		c := Check{Request: name, Stage: "loss." + l.Name, Difference: math.Abs(sum/float64(count) - l.Loss), Allowed: allowance * max(1, l.Loss)}
		c.OK = c.Difference <= c.Allowed
		v.report(c)
	}
}

func (v *verifier) greedy(ctx context.Context, name, stage string, q Request, s *recording.Settings, want *recording.Greedy) error {
	q.Generate = sample.Options{MaxNewTokens: s.MaxNewTokens, StopIDs: s.EOS}
	five := 5
	q.Logprobs = &five
	got, err := v.m.Chat(ctx, q).Answer()
	if err != nil {
		return err
	}
	v.drawn(name, stage, got.Choice, want)
	return nil
}

// drawn compares an answer's ids, text and log-probabilities.
func (v *verifier) drawn(name, stage string, got Choice, want *recording.Greedy) {
	same := slices.Equal(got.OutputIDs, want.IDs) && got.Text == want.Text
	v.equal(name, stage, same, func() string {
		return fmt.Sprintf("%v %q, want %v %q", got.OutputIDs, got.Text, want.IDs, want.Text)
	})
	if !same {
		return
	}
	c := Check{Request: name, Stage: stage + ".logprobs", Allowed: allowance}
	for k, step := range want.Top5 {
		for i, pair := range step {
			top := got.Logprobs[k].Top[i]
			c.Allowed = max(c.Allowed, allowance*math.Abs(pair[1]))
			c.Difference = max(c.Difference, math.Abs(float64(top.Logprob)-pair[1]))
			if top.ID != int32(pair[0]) {
				c.Note = fmt.Sprintf("step %d: id %d is in place %d, want %d", k, top.ID, i, int32(pair[0]))
			}
		}
	}
	c.OK = c.Difference <= c.Allowed
	v.report(c)
}

func (v *verifier) beams(ctx context.Context, name string, i int, q Request, s *recording.Settings, want *recording.Expect) error {
	q.Generate = sample.Options{
		MaxNewTokens: s.MaxNewTokens, StopIDs: s.EOS, Beams: s.NumBeams, Returned: s.Returned,
		LengthPenalty: s.LengthPenalty, RepetitionPenalty: s.RepetitionPenalty, NoRepeatNgram: s.NoRepeatNgram,
	}
	if len(s.EarlyStopping) > 0 {
		if err := q.Generate.EarlyStopping.UnmarshalText([]byte(strings.Trim(string(s.EarlyStopping), `"`))); err != nil {
			return err
		}
	}
	got, err := v.m.Chat(ctx, q).Answer()
	if err != nil {
		return err
	}
	stage := fmt.Sprintf("beams.%d", i)
	if i >= len(want.Beams) {
		return errors.New("the recording has fewer beam searches than the requests")
	}
	sequences := want.Beams[i].Sequences
	c := Check{Request: name, Stage: stage, Allowed: allowance, OK: len(got.Choices) == len(sequences)}
	for k := 0; k < len(sequences) && c.OK; k++ {
		g, w := got.Choices[k], sequences[k]
		// The reference fills shorter sequences up with an end id.
		ids := w.IDs
		if n := len(g.OutputIDs); n < len(ids) && len(g.OutputIDs) > 0 {
			ids = ids[:n]
		}
		c.Allowed = max(c.Allowed, allowance*math.Abs(float64(w.Score)))
		c.Difference = max(c.Difference, math.Abs(float64(*g.Score)-float64(w.Score)))
		if !slices.Equal(g.OutputIDs, ids) || c.Difference > c.Allowed {
			c.OK = false
			c.Note = fmt.Sprintf("sequence %d: %v %v, want %v %v", k, g.OutputIDs, *g.Score, w.IDs, w.Score)
		}
	}
	v.report(c)
	return nil
}

// batch runs requests at once, and each must get what it got alone.
func (v *verifier) batch(ctx context.Context, b recording.Batch) error {
	want := v.c.Batched[b.Name]
	if want == nil || len(want.Greedy) != len(b.Requests) {
		return errors.New("expect.json has no answers to it")
	}
	five := 5
	replies := make([]*Reply, len(b.Requests))
	for i, name := range b.Requests {
		at := slices.IndexFunc(v.c.Requests, func(r recording.Request) bool { return r.Name == name })
		if at < 0 {
			return fmt.Errorf("there is no request %q", name)
		}
		q, err := v.build(&v.c.Requests[at])
		if err != nil {
			return err
		}
		q.Generate.MaxNewTokens, q.Logprobs = b.MaxNewTokens, &five
		replies[i] = v.m.Chat(ctx, q)
	}
	for i, reply := range replies {
		got, err := reply.Answer()
		if err != nil {
			return err
		}
		v.drawn(b.Requests[i], "batch."+b.Name, got.Choice, &want.Greedy[i])
	}
	return nil
}
