package idefics2

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"idefics2/adapter"
	"idefics2/checkpoint"
	"idefics2/engine"
	"idefics2/model"
)

// adapters puts the adapters of o on net and returns, by name, the models that share its weights.
func adapters(net *model.Model, o Options) (map[string]*model.Model, error) {
	named := map[string]*model.Model{}
	for _, name := range slices.Sorted(maps.Keys(o.Adapters)) { // before net has one itself
		if name == "" {
			return nil, fmt.Errorf("idefics2: an adapter without a name in %q; Options.Adapter is for the one that answers unless a request says", o.Adapters[name])
		}
		named[name] = net.Share()
		if _, err := adapter.Load(named[name], o.Adapters[name]); err != nil {
			return nil, fmt.Errorf("idefics2: adapter %q: %w", name, err)
		}
	}
	if o.Adapter != "" {
		if _, err := adapter.Load(net, o.Adapter); err != nil {
			return nil, fmt.Errorf("idefics2: %w", err)
		}
	}
	return named, nil
}

// ErrNoAdapter is wrapped by errors about a folder that is no adapter's.
var ErrNoAdapter = adapter.ErrNone

// AdapterError is what a request gets that names an adapter which the model was not opened with.
type AdapterError struct {
	Name  string
	Known []string // sorted
}

func (e *AdapterError) Error() string {
	if len(e.Known) == 0 {
		return fmt.Sprintf("idefics2: the request wants the adapter %q, and the model was opened with none", e.Name)
	}
	return fmt.Sprintf("idefics2: the request wants the adapter %q, and the model was opened with %s", e.Name, strings.Join(e.Known, ", "))
}

// adapted returns the model with the adapter of that name, nil for none.
func (m *Model) adapted(name string) (*model.Model, error) {
	if name == "" {
		return nil, nil
	}
	if net := m.adapters[name]; net != nil {
		return net, nil
	}
	return nil, &AdapterError{name, m.Adapters()}
}

// Adapters returns the names that Request.Adapter may have, sorted.
func (m *Model) Adapters() []string { return slices.Sorted(maps.Keys(m.adapters)) }

// Borrow answers with a model that is loaded and that somebody else owns: a training asks its own
// between two steps. Until Close nobody else may use net, and it stays open behind it. Of o, what
// bounds pictures and requests counts; source tells the generation settings and stays open, too.
func Borrow(net *model.Model, source *checkpoint.Checkpoint, p *Processor, o Options) *Model {
	o.Engine.Borrowed = true
	m := &Model{processor: p, source: source, borrowed: true, engine: engine.New(net, o.Engine), kv: o.Engine.CacheType, prepare: make(chan struct{}, 2)}
	return m
}
