package idefics2

import (
	"errors"
	"sync"

	"idefics2/constrain"
	"idefics2/sample"
)

// Format is what an answer must look like: JSON of a schema, text of a regular expression, or one
// of some choices. See docs/structured-output.md.
type Format = constrain.Format

// ParseFormat reads a JSON schema, or a response_format of OpenAI's API. nil is text of any kind.
func ParseFormat(data []byte) (*Format, error) { return constrain.ParseFormat(data) }

// maxGrammars is how many formats a model remembers.
const maxGrammars = 16

// grammars are the formats that were asked for lately, made for one model's vocabulary.
type grammars struct {
	mu         sync.Mutex
	vocabulary *constrain.Vocabulary // made when it is first needed
	known      map[string]*constrain.Grammar
	order      []string // the longest unused first
}

// constrain adds a request's format to its options.
func (m *Model) constrain(o *sample.Options, f *Format) error {
	if f == nil {
		return nil
	}
	if len(o.StopIDs) == 0 {
		return errors.New("idefics2: a format ends with an end token, and the request has none; don't ignore the end token")
	}
	g, err := m.grammar(f)
	if err != nil {
		return err
	}
	o.Constraint, err = g.Constraint(o.StopIDs)
	return err
}

func (m *Model) grammar(f *Format) (*constrain.Grammar, error) {
	key, s := f.Key(), &m.grammars
	s.mu.Lock()
	if s.vocabulary == nil {
		s.vocabulary = constrain.NewVocabulary(m.processor.Tokenizer(), m.source.Config.Text.VocabSize)
	}
	g := s.known[key]
	s.mu.Unlock()
	if g == nil { // made without the lock: one that takes long holds nobody up
		var err error
		if g, err = constrain.New(*f, s.vocabulary); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = map[string]*constrain.Grammar{}
	}
	for i, k := range s.order {
		if k == key {
			s.order = append(s.order[:i], s.order[i+1:]...)
			break
		}
	}
	s.known[key], s.order = g, append(s.order, key)
	if len(s.order) > maxGrammars {
		delete(s.known, s.order[0])
		s.order = s.order[1:]
	}
	return g, nil
}
