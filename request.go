package idefics2

import (
	"slices"

	"idefics2/chat"
	"idefics2/processor"
	"idefics2/sample"
)

// Message is one turn of a conversation, Part a text or an image in it, and Generation
// how an answer is drawn.
type (
	Message    = chat.Message
	Part       = chat.Part
	Generation = sample.Options
)

// Image is a picture of a request: its file's bytes, or the path or URL to read them from.
type Image struct {
	Name string
	Data []byte
}

// Request is a conversation, or a bare prompt, and how to answer it.
type Request struct {
	ID       string
	Messages []Message
	// Prompt is used instead of Messages: a text with "<image>" where pictures go. Its
	// special tokens are recognized, so it must not come from a stranger.
	Prompt string
	// Images are for the entries of Messages that name no picture, and for Prompt's markers.
	Images []Image
	Split  *bool // cut pictures into quarters and the whole; nil: as the checkpoint says
	// Raw recognizes special tokens in the text of messages, as the reference does.
	Raw                bool
	NoGenerationPrompt bool // the conversation is finished: for traces
	// Adapter is one of Options.Adapters; "" answers as the model was opened.
	Adapter string

	// Generate says how tokens are drawn. The zero value is greedy. Where it says nothing,
	// the checkpoint's generation_config.json does: end ids, bad words, penalties, but never
	// sampling.
	Generate  Generation
	IgnoreEOS bool
	// NoLookup forbids what is done otherwise where Generate says nothing of prompt lookup:
	// guessing tokens from the text so far, as long as that is faster. It changes no answer.
	NoLookup bool
	// Format is what the answer must look like; nil: anything. An answer that the limit of
	// tokens or a stop string cuts short only begins to.
	Format   *Format
	Logprobs *int // report log-probabilities, and those of so many alternatives

	Progress func(Progress) // called by one goroutine at a time; nil: not at all
}

// DefaultMaxTokens is how many tokens an answer has at most where a request does not say.
const DefaultMaxTokens = 512

func (r *Request) sources() []processor.Source {
	sources := make([]processor.Source, len(r.Images))
	for i, image := range r.Images {
		sources[i] = processor.Source{Name: image.Name, Data: image.Data}
	}
	return sources
}

// pictures reports how many pictures are ready.
func (r *Request) pictures(ready, all int) { r.report("picture", ready, all) }

func (r *Request) report(stage string, done, total int) {
	if r.Progress != nil {
		r.Progress(Progress{stage, int64(done), int64(total)})
	}
}

// options completes a request's generation options from the checkpoint's.
func (m *Model) options(r *Request) (sample.Options, error) {
	o, file := r.Generate, m.source.Generation
	if o.MaxNewTokens == 0 {
		o.MaxNewTokens = DefaultMaxTokens
	}
	switch {
	case r.IgnoreEOS:
		o.StopIDs = nil
	case o.StopIDs == nil:
		o.StopIDs = m.endIDs()
	}
	for _, word := range file.BadWords {
		o.BadWords = append(slices.Clip(o.BadWords), ids(word))
	}
	o.Suppress = append(slices.Clip(o.Suppress), ids(file.SuppressTokens)...)
	o.SuppressAtBegin = append(slices.Clip(o.SuppressAtBegin), ids(file.BeginSuppressTokens)...)
	if o.RepetitionPenalty == 0 && file.RepetitionPenalty != nil {
		o.RepetitionPenalty = *file.RepetitionPenalty
	}
	if o.NoRepeatNgram == 0 && file.NoRepeatNGram != nil {
		o.NoRepeatNgram = *file.NoRepeatNGram
	}
	if o.MinNewTokens == 0 && file.MinNewTokens != nil && r.Format == nil {
		o.MinNewTokens = min(*file.MinNewTokens, o.MaxNewTokens)
	}
	if r.Logprobs != nil {
		o.Logprobs = *r.Logprobs
	}
	if err := o.Validate(m.source.Config.Text.VocabSize); err != nil {
		return o, err
	}
	err := m.constrain(&o, r.Format)
	return o, err
}

// endIDs returns the ids that end an answer: the checkpoint's, and where it has no
// generation_config.json the end of an utterance too, if the tokenizer knows one.
func (m *Model) endIDs() []int32 {
	end := ids(m.source.Generation.EOS)
	if _, err := m.source.File("generation_config.json"); err == nil {
		return end
	}
	if id, ok := m.processor.Tokenizer().ID("<end_of_utterance>"); ok && !slices.Contains(end, id) {
		end = append(end, id)
	}
	return end
}

func ids(from []int) []int32 {
	to := make([]int32, len(from))
	for i, id := range from {
		to[i] = int32(id)
	}
	return to
}
