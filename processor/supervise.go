package processor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"idefics2/chat"
	"idefics2/imageproc"
	"idefics2/input"
)

// Loss says which tokens of an example carry loss. Image tokens never do, nor does the
// first token of an example, which nothing comes before.
type Loss uint8

const (
	// LossAnswers is on what the assistant says: from the first token after the template's
	// generation prompt to the token that closes the turn, and on the end of sequence. A
	// document has no answers, and all of its text carries loss.
	LossAnswers Loss = iota
	// LossText is on every token but the images'.
	LossText
)

// Supervision says how a finished conversation becomes an example. The zero value is the
// recipe of instruction tuning (spec: data.md §4).
type Supervision struct {
	Loss Loss
	// KeepEnd leaves the end as the template writes it. Otherwise white space after the
	// last turn goes, and the end-of-sequence token comes, as the weights were trained.
	KeepEnd bool
	// MaxTokens and MaxCrops refuse longer examples before their pictures are read; 0 is no
	// bound. Nothing is ever cut off.
	MaxTokens, MaxCrops int
}

// Supervised is an example made ready, but for its patches: see [Processor.CropInput].
type Supervised struct {
	IDs    []int32
	Labels []int32 // parallel to IDs: the id itself where it carries loss, else input.Ignore
	Images []Image
}

// Crops returns how many crops the images have together.
func (s *Supervised) Crops() (n int) {
	for i := range s.Images {
		n += len(s.Images[i].Crops)
	}
	return n
}

// Targets returns how many tokens carry loss.
func (s *Supervised) Targets() (n int) {
	for _, l := range s.Labels {
		if l != input.Ignore {
			n++
		}
	}
	return n
}

// ErrTooLong says that an example has more tokens or pictures than a sequence holds.
var ErrTooLong = errors.New("longer than a sequence")

// Supervise makes a finished conversation, or a document, ready for training.
//
// Where an answer begins and ends is not read from any one template: it is the difference
// between the prompt of the turns before it, with the beginning of an answer, and the
// prompt of the turns up to it. A template whose prompt of some turns does not begin with
// the prompt of fewer has no such difference, and is refused.
func (p *Processor) Supervise(ctx context.Context, r Request, o Supervision, read Reader) (*Supervised, error) {
	if p.tokenizer == nil {
		return nil, errors.New("processor: no tokenizer: nothing can be learnt without one; name a model")
	}
	if r.Messages == nil && r.Document == nil {
		return nil, errors.New("processor: an example needs messages, or a document")
	}
	r.NoGenerationPrompt = true
	prompt, mark, sources, err := p.prompt(r)
	if err != nil {
		return nil, err
	}
	e := encoder{p, r, mark, 1}
	if r.Split {
		e.crops = 5
	}
	spans := [][2]int{{0, len(prompt)}}
	if o.Loss == LossAnswers && r.Document == nil {
		if n := len(prompt); o.MaxTokens > 0 && n/maxTokenBytes > o.MaxTokens {
			return nil, fmt.Errorf("processor: %d bytes of text: %w of %d tokens", n, ErrTooLong, o.MaxTokens)
		}
		if spans, err = p.answers(r, prompt, mark); err != nil {
			return nil, err
		}
	}
	end := prompt
	if !o.KeepEnd {
		end = strings.TrimRightFunc(prompt, unicode.IsSpace)
	}
	out := &Supervised{IDs: e.encode(end)}
	out.Labels = slices.Repeat([]int32{input.Ignore}, len(out.IDs))
	for _, s := range spans {
		from, to := e.place(out.IDs, end[:min(s[0], len(end))]), e.place(out.IDs, end[:min(s[1], len(end))])
		copy(out.Labels[from:to], out.IDs[from:to])
	}
	if !o.KeepEnd {
		answered := o.Loss == LossText || r.Document != nil || r.Messages[len(r.Messages)-1].Role == "assistant"
		if err := p.end(out, answered); err != nil {
			return nil, err
		}
	}
	for i, id := range out.IDs {
		if id == p.image || i == 0 {
			out.Labels[i] = input.Ignore
		}
	}
	if n := len(sources) * e.crops; o.MaxCrops > 0 && n > o.MaxCrops {
		return nil, fmt.Errorf("processor: %d crops of pictures: %w, which holds %d", n, ErrTooLong, o.MaxCrops)
	}
	if n := len(out.IDs); o.MaxTokens > 0 && n > o.MaxTokens {
		return nil, fmt.Errorf("processor: %d tokens: %w of %d", n, ErrTooLong, o.MaxTokens)
	}
	if out.Targets() == 0 {
		return nil, errors.New("processor: no token carries loss: the answers are empty")
	}
	if out.Images, err = p.images(ctx, sources, r, read); err != nil {
		return nil, err
	}
	return out, nil
}

// maxTokenBytes is more than any token of this family of tokenizers stands for: longer
// texts cannot fit and need not be encoded to know it.
const maxTokenBytes = 256

// CropInput returns a crop as the model reads it. Its Key is zero: features of a model
// that is being trained are not kept.
func (p *Processor) CropInput(c *Crop) input.Crop {
	return input.Crop{
		Rows: c.Rows, Columns: c.Columns,
		Patches:   imageproc.Patches(c.RGB, p.patchSize(), p.table),
		Positions: c.Positions,
	}
}

// Resized returns a processor that differs in the bounds of a picture's sides alone.
func (p *Processor) Resized(shortest, longest int) (*Processor, error) {
	s := p.settings
	s.Image.ShortestEdge, s.Image.LongestEdge = shortest, longest
	return New(s, p.tokenizer, p.template)
}

// answers returns the spans of prompt, in bytes, that the assistant's turns take: each
// from the end of the generation prompt to the end of the turn, without the white space
// that the template writes after the closing token.
func (p *Processor) answers(r Request, prompt string, mark rune) (spans [][2]int, err error) {
	for i, m := range r.Messages {
		if m.Role != "assistant" {
			continue
		}
		from, err := p.render(r.Messages[:i], true, mark)
		if err != nil {
			return nil, fmt.Errorf("processor: chat template, with the turns before answer %d: %w", len(spans)+1, err)
		}
		to, err := p.render(r.Messages[:i+1], false, mark)
		if err != nil {
			return nil, fmt.Errorf("processor: chat template, with the turns up to answer %d: %w", len(spans)+1, err)
		}
		if !strings.HasPrefix(prompt, to) || !strings.HasPrefix(to, from) {
			return nil, fmt.Errorf("processor: the chat template writes the turns before answer %d otherwise when more follow, so where it begins cannot be told; train on all text, or with another template", len(spans)+1)
		}
		spans = append(spans, [2]int{len(from), len(from) + p.closed(to[len(from):])})
	}
	if len(spans) == 0 {
		return nil, errors.New("processor: the example has no turn of the assistant, so there is nothing to learn; add one, or train on all text")
	}
	return spans, nil
}

func (p *Processor) render(messages []chat.Message, begin bool, mark rune) (string, error) {
	return chat.Render(p.template, messages, chat.RenderOptions{
		AddGenerationPrompt: begin, BOS: p.settings.BOS, EOS: p.settings.EOS,
		Escape: func(s string) string { return p.mark(s, mark) },
	})
}

// mark marks what a user wrote, unless mark is 0: control tokens are then recognized in it.
func (p *Processor) mark(s string, mark rune) string {
	if mark == 0 {
		return s
	}
	return p.tokenizer.Mark(s, mark)
}

// closed returns the length of a turn up to its closing special token; the whole turn
// where it ends otherwise.
func (p *Processor) closed(turn string) int {
	trimmed := strings.TrimRightFunc(turn, unicode.IsSpace)
	if at := strings.LastIndexByte(trimmed, '<'); at >= 0 {
		if id, ok := p.tokenizer.ID(trimmed[at:]); ok && p.tokenizer.IsSpecial(id) {
			return len(trimmed)
		}
	}
	return len(turn)
}

// end adds the end of sequence, unless the tokenizer has. It carries loss after an answer.
func (p *Processor) end(s *Supervised, loss bool) error {
	eos, ok := p.tokenizer.ID(p.settings.EOS)
	if !ok {
		return fmt.Errorf("processor: the tokenizer has no end-of-sequence token %q; keep the template's own end", p.settings.EOS)
	}
	if _, after := p.tokenizer.Affixes(); len(after) == 0 {
		s.IDs, s.Labels = append(s.IDs, eos), append(s.Labels, input.Ignore)
	}
	if loss {
		s.Labels[len(s.Labels)-1] = s.IDs[len(s.IDs)-1]
	}
	return nil
}

// encoder encodes beginnings of one prompt.
type encoder struct {
	p     *Processor
	r     Request
	mark  rune
	crops int
}

func (e encoder) encode(prompt string) []int32 {
	return e.p.encode(e.p.expand(prompt, e.crops), e.mark, e.r)
}

// place returns which token of ids, those of a prompt, is the first that a beginning of it
// does not have: where the text after the beginning starts. A token over the border counts
// to what comes after.
func (e encoder) place(ids []int32, beginning string) int {
	if beginning == "" {
		return 0
	}
	own := e.encode(beginning)
	if _, after := e.p.tokenizer.Affixes(); len(after) > 0 {
		own = own[:len(own)-len(after)]
	}
	n := 0
	for n < min(len(own), len(ids)) && own[n] == ids[n] {
		n++
	}
	return n
}
