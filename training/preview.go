package training

import (
	"context"
	"errors"
	"fmt"
	"io"

	"idefics2"
	"idefics2/feed"
	"idefics2/processor"
)

// Preview returns the first n examples of every stage as the training reads them, and the processor that
// made them, for package preview. No weights are loaded.
func Preview(ctx context.Context, o Options, n int) (p *processor.Processor, all []*feed.Prepared, err error) {
	if err := o.check(); err != nil {
		return nil, nil, err
	}
	err = o.withFolder(func(dir string, _ int64) error {
		opened, err := idefics2.OpenProcessor(dir, idefics2.Options{})
		if err != nil {
			return err
		}
		p = opened.Processor
		sources, err := o.openSources()
		if err != nil {
			return err
		}
		for _, s := range sources {
			defer s.Close()
		}
		for i := range o.Recipe.Stages {
			s := &o.Recipe.Stages[i]
			proc, err := sized(p, s)
			if err != nil {
				return err
			}
			m, err := o.mixture(sources, i)
			if err != nil {
				return fmt.Errorf("stage %q: %w", s.Name, err)
			}
			examples := feed.Examples(ctx, m, proc, o.feedOptions(i))
			for range n {
				e, err := examples.Next()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					examples.Close()
					return errors.Join(fmt.Errorf("stage %q: %w", s.Name, err), m.Close())
				}
				all = append(all, e)
			}
			examples.Close()
			if err := m.Close(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("training: %w", err)
	}
	return p, all, nil
}
