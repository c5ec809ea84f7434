package feed

import (
	"math"
	"math/rand/v2"
	"slices"

	"idefics2/chat"
	"idefics2/dataset"
	"idefics2/processor"
)

// Augment is what is left to chance in an example, chosen by the seed and the number of its
// draw alone. The zero value leaves examples as they are.
type Augment struct {
	Seed uint64
	// Split is the share of examples whose pictures are cut in four; examples that say so
	// themselves are left alone.
	Split float64
	// Upscale is the share of examples whose pictures are enlarged, by 1.5 to UpscaleMax, the
	// large factors more often (a triangular distribution with its mode at the end).
	Upscale, UpscaleMax float64
	// ShuffleTurns shuffles the questions about one picture, and MaxTurns keeps the first
	// so many of them; 0 keeps all. Where later turns have pictures too, the order stays;
	// a conversation whose turns do not alternate is left alone.
	ShuffleTurns bool
	MaxTurns     int
	// Newline is the share of questions that get a newline in front.
	Newline float64
}

// request makes a request of an example.
func (a *Augment) request(draw int64, e dataset.Example) processor.Request {
	r := rand.New(rand.NewPCG(a.Seed, uint64(draw)))
	// Every choice draws its number, taken or not, so that one setting does not move the
	// others.
	split, enlarge, scale := r.Float64() < a.Split, r.Float64() < a.Upscale, r.Float64()
	out := processor.Request{Messages: a.turns(r, e.Messages), Document: e.Document, Split: split}
	if e.Split != nil {
		out.Split = *e.Split
	}
	if enlarge {
		out.Scale = 1.5 + (a.UpscaleMax-1.5)*math.Sqrt(scale)
	}
	for _, image := range e.Images {
		out.Images = append(out.Images, processor.Source{Name: image.Name, Data: image.Data})
	}
	return out
}

// turns shuffles and cuts the turns of a conversation.
func (a *Augment) turns(r *rand.Rand, messages []chat.Message) []chat.Message {
	start := 0
	if len(messages) > 0 && messages[0].Role == "system" {
		start = 1
	}
	turns := messages[start:]
	if len(turns) < 2 || !alternate(turns) {
		return messages
	}
	n := len(turns) / 2
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	images, movable := leading(turns)
	if a.ShuffleTurns && movable {
		r.Shuffle(n, func(i, j int) { order[i], order[j] = order[j], order[i] })
	}
	if a.MaxTurns > 0 {
		order = order[:min(n, a.MaxTurns)]
	}
	out := slices.Clone(messages[:start])
	for k, i := range order {
		question := turns[2*i]
		question.Content = slices.Clone(question.Content)
		if movable && i == 0 {
			question.Content = question.Content[images:]
		}
		if r.Float64() < a.Newline {
			for j := range question.Content {
				if p := &question.Content[j]; p.Type == chat.TypeText {
					p.Text = "\n" + p.Text
					break
				}
			}
		}
		if movable && k == 0 {
			question.Content = append(slices.Clone(turns[0].Content[:images]), question.Content...)
		}
		out = append(out, question, turns[2*i+1])
	}
	return out
}

// alternate reports whether questions and answers follow one another, an answer last.
func alternate(messages []chat.Message) bool {
	for i, m := range messages {
		if m.Role != [2]string{"user", "assistant"}[i%2] {
			return false
		}
	}
	return len(messages)%2 == 0
}

// leading returns how many images the first message begins with, and whether these are all
// there are and texts follow, so that the turns can change places.
func leading(messages []chat.Message) (n int, movable bool) {
	first := messages[0].Content
	for n < len(first) && first[n].Type == chat.TypeImage {
		n++
	}
	return n, n < len(first) && len(chat.Images(messages)) == n
}
