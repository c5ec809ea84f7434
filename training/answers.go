package training

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"idefics2"
	"idefics2/chat"
	"idefics2/dataset"
	"idefics2/engine"
	"idefics2/eval"
	"idefics2/watch"
)

// answerTokens is how long an answer becomes where the recipe does not say.
const answerTokens = 128

// answerCache bounds the keys and values of answers, in bytes.
const answerCache = 1 << 30

// exam is what the model in training is asked at every evaluation: the same each time.
type exam struct {
	tasks   map[string][]eval.Case
	samples []sampled
}

// sampled is an example that the model answers for people to read.
type sampled struct {
	watch.Sample
	request idefics2.Request
}

// prepareExam reads what evaluations ask.
func (j *job) prepareExam(ctx context.Context) error {
	e := j.Recipe.Eval
	if e == nil {
		return nil
	}
	j.exam.tasks = map[string][]eval.Case{}
	for _, name := range slices.Sorted(maps.Keys(e.Tasks)) {
		t := e.Tasks[name]
		cases, err := eval.ReadCases(j.path(t.Path))
		if err != nil {
			return fmt.Errorf("eval.tasks.%s: %w", name, err)
		}
		j.exam.tasks[name] = eval.Limit(cases, t.Limit)
	}
	if e.Samples == 0 {
		return nil
	}
	for _, name := range e.Data {
		if err := j.sample(ctx, name, e.Samples); err != nil {
			return fmt.Errorf("eval.samples of %s: %w", name, err)
		}
	}
	return nil
}

// sample takes the first n conversations of a source, each up to its first answer.
func (j *job) sample(ctx context.Context, name string, n int) error {
	m, err := dataset.NewMixture([]dataset.Part{{Name: name, Source: j.sources[name]}}, dataset.MixtureOptions{Epochs: 1, InOrder: true})
	if err != nil {
		return err
	}
	defer m.Close()
	for tries := 0; n > 0 && tries < 16*evaluated; tries++ {
		d, err := m.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		e, err := d.Load(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		at := slices.IndexFunc(e.Messages, func(m chat.Message) bool { return m.Role == "assistant" })
		if err != nil || at < 1 {
			continue // a bad one, or a document, which asks nothing
		}
		whole := false
		s := sampled{
			Sample:  watch.Sample{Source: name, Origin: clipped(e.Origin), Question: textOf(e.Messages[:at]), Wanted: textOf(e.Messages[at : at+1])},
			request: idefics2.Request{Messages: e.Messages[:at], Split: &whole},
		}
		if e.Split != nil {
			s.request.Split = e.Split
		}
		for _, image := range chat.Images(e.Messages[:at]) {
			if k := len(s.request.Images); image == "" && k < len(e.Images) {
				s.request.Images = append(s.request.Images, idefics2.Image{Name: e.Images[k].Name, Data: e.Images[k].Data})
			}
		}
		j.exam.samples = append(j.exam.samples, s)
		n--
	}
	return nil
}

// textOf returns the words of messages, and a mark for each picture.
func textOf(messages []chat.Message) string {
	var pieces []string
	for _, m := range messages {
		for _, p := range m.Content {
			if p.Type == chat.TypeImage {
				pieces = append(pieces, "🖼")
			} else {
				pieces = append(pieces, p.Text)
			}
		}
	}
	return clipped(strings.Join(pieces, " "))
}

// clipped keeps a line of the log short.
func clipped(s string) string {
	const most = 2000
	if len(s) <= most {
		return s
	}
	for s = s[:most]; !utf8.ValidString(s[max(0, len(s)-utf8.UTFMax):]) && len(s) > most-utf8.UTFMax; {
		s = s[:len(s)-1]
	}
	return strings.ToValidUTF8(s, "") + "…"
}

// answer asks the model as it is now, by its own weights: no copy is made, and the trainer goes on with the same
// bits. It adds the tasks' marks to marks, and returns the samples with their answers. Pictures are read
// and answers drawn as by the eval command from the finished model.
func (j *job) answer(ctx context.Context, marks map[string]float64) (samples []watch.Sample, err error) {
	if len(j.exam.tasks)+len(j.exam.samples) == 0 {
		return nil, nil
	}
	tokens := j.Recipe.Eval.MaxTokens
	if tokens == 0 {
		tokens = answerTokens
	}
	m := idefics2.Borrow(j.net, j.base, j.asking, idefics2.Options{Engine: engine.Options{CacheBytes: answerCache}})
	defer func() { err = errors.Join(err, m.Close()) }()
	for _, name := range slices.Sorted(maps.Keys(j.exam.tasks)) {
		records, err := eval.Run(ctx, j.exam.tasks[name], &asked{m, tokens}, eval.Options{})
		if err != nil {
			return nil, fmt.Errorf("eval.tasks.%s: %w", name, err)
		}
		mean, categories := eval.Means(records)
		marks[name] = mean
		for category, mark := range categories {
			if len(categories) > 1 {
				marks[name+"/"+category] = mark
			}
		}
	}
	for _, s := range j.exam.samples {
		s.request.Generate.MaxNewTokens = tokens
		a, err := m.Chat(ctx, s.request).Answer()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			s.Given = clipped("✗ " + err.Error()) // a picture that cannot be read is no reason to end a training
		} else {
			s.Given = clipped(a.Text)
		}
		samples = append(samples, s.Sample)
	}
	return samples, nil
}

// asked is an eval.Model.
type asked struct {
	model  *idefics2.Model
	tokens int
}

func (a *asked) Answer(ctx context.Context, images []string, question string) (string, error) {
	var parts []idefics2.Part
	for _, name := range images {
		parts = append(parts, chat.Image(name))
	}
	r := idefics2.Request{Messages: []idefics2.Message{{Role: "user", Content: append(parts, chat.Text(question))}}}
	r.Generate.MaxNewTokens = a.tokens
	answer, err := a.model.Chat(ctx, r).Answer()
	if err != nil {
		return "", err
	}
	return answer.Text, nil
}

// showAnswers tells what an evaluation found: in lines above the view, in TensorBoard and as a page.
func (j *job) showAnswers(s watch.Step) error {
	if s.Eval == nil && s.Marks == nil {
		return nil
	}
	var found []string
	for _, name := range slices.Sorted(maps.Keys(s.Eval)) {
		found = append(found, fmt.Sprintf("loss on %s %.4f", name, s.Eval[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Marks)) {
		j.events.Scalar(s.Step, "marks/"+name, s.Marks[name])
		found = append(found, fmt.Sprintf("%s %.1f %%", name, 100*s.Marks[name]))
	}
	j.note("evaluation at step %d: %s", s.Step, strings.Join(found, ", "))
	for i, a := range s.Samples {
		j.note("  %s: %.120q, wanted %.80q, given %.80q", a.Source, a.Question, a.Wanted, a.Given)
		j.events.Text(s.Step, fmt.Sprintf("samples/%s %d", a.Source, i+1), fmt.Sprintf("**%s**\n\nwanted: %s\n\ngiven: %s", a.Question, a.Wanted, a.Given))
	}
	if len(s.Samples) == 0 {
		return nil
	}
	steps, err := j.past()
	if err != nil {
		return err
	}
	var page bytes.Buffer
	if err := watch.SamplesPage(&page, steps); err != nil {
		return err
	}
	return j.folder.WriteFile("samples.html", page.Bytes())
}
