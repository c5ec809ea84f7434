package processor

import (
	"fmt"
	"strings"

	"idefics2/chat"
	"idefics2/tokenizer"
)

// document returns what prompt does, for texts and images without roles: a text after an
// image follows it as it is, a text after a text after a space, and spaces at both ends go
// (spec: data.md §8.3).
func (p *Processor) document(r Request) (prompt string, mark rune, sources []Source, err error) {
	if mark, err = tokenizer.PickMark(texts([]chat.Message{{Content: r.Document}})...); err != nil {
		return "", 0, nil, fmt.Errorf("processor: %w", err)
	}
	var b strings.Builder
	for i, part := range r.Document {
		if part.Type == chat.TypeImage {
			b.WriteString(p.settings.ImageToken)
			continue
		}
		if i > 0 && r.Document[i-1].Type == chat.TypeText {
			b.WriteByte(' ')
		}
		b.WriteString(p.tokenizer.Mark(part.Text, mark))
	}
	sources, _, err = p.sources(r)
	return strings.TrimSpace(b.String()), mark, sources, err
}
