package dataset

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
)

// Part is a source in a mixture.
type Part struct {
	Name   string // tells it from the others
	Source Source
	// Weight is the part's share of the draws, in proportion to the others'. Where no part
	// has one, every example is drawn once an epoch.
	Weight float64
}

// MixtureOptions say how parts are mixed.
type MixtureOptions struct {
	Seed uint64
	// Epochs ends the draws after so many times as many as there are examples; 0 never
	// does.
	Epochs int
	// Window is how many examples of a Sharded source are read ahead to be shuffled, of
	// shards in shuffled order; 0 is 1024. They take at most WindowBytes; 0 is 256 MiB.
	Window, WindowBytes int
	// InOrder draws without shuffling, part after part: for previews and evaluations.
	InOrder bool
}

// Mixture draws examples from several sources, without end or for some epochs. A Mixture
// belongs to one goroutine.
type Mixture struct {
	options MixtureOptions
	parts   []*part
	bounds  []uint64 // cumulated shares of 2⁶⁴, where there are weights
	total   int      // examples, where all are counted; else -1
	draws   int64
}

// part is a Part with what was drawn of it.
type part struct {
	Part
	index  int
	state  PartCursor
	window []result // of a Sharded source, in the order read
	reader Reader
	at     place // of reader: behind the window
}

// result is an example as read, or why it cannot be used.
type result struct {
	example Example
	err     error
}

// place is where the next example of a sharded source is read.
type place struct {
	Epoch int `json:"epoch"`
	Shard int `json:"shard"` // in the epoch's order
	Skip  int `json:"skip"`  // examples of the shard read before
}

// Cursor is where a mixture is: what it needs to go on exactly there.
type Cursor struct {
	Seed  uint64       `json:"seed"`
	Draws int64        `json:"draws"`
	Parts []PartCursor `json:"parts"`
}

// PartCursor is where a part is.
type PartCursor struct {
	Name  string `json:"name"`
	Len   int    `json:"len"`
	Draws int64  `json:"draws"`
	// Of a sharded source: where its window began, and how much of it was drawn.
	Window *place `json:"window,omitempty"`
	Taken  int    `json:"taken,omitempty"`
}

// Draw is an example that was drawn and not yet read.
type Draw struct {
	Number int64  // of the draw, from 0
	Part   string // name of the part
	Load   func(ctx context.Context) (Example, error)
}

// NewMixture mixes parts.
func NewMixture(parts []Part, o MixtureOptions) (*Mixture, error) {
	if len(parts) == 0 {
		return nil, errors.New("dataset: a mixture of nothing; name at least one source")
	}
	if o.Window == 0 {
		o.Window = 1024
	}
	if o.WindowBytes == 0 {
		o.WindowBytes = 256 << 20
	}
	m := &Mixture{options: o}
	weights := 0
	names := map[string]bool{}
	for i, p := range parts {
		switch p.Source.(type) {
		case Indexed, Sharded:
		default:
			return nil, fmt.Errorf("dataset: %s is neither indexed nor sharded", p.Name)
		}
		if names[p.Name] {
			return nil, fmt.Errorf("dataset: two parts of the mixture are called %q; give each a name of its own", p.Name)
		}
		names[p.Name] = true
		n := p.Source.Len()
		if n == 0 {
			return nil, fmt.Errorf("dataset: %s has no examples", p.Name)
		}
		if m.total += n; n < 0 || m.total < 0 {
			m.total = -1 << 62
		}
		if p.Weight != 0 {
			weights++
		}
		m.parts = append(m.parts, &part{Part: p, index: i, state: PartCursor{Name: p.Name, Len: n}})
	}
	m.total = max(m.total, -1)
	if weights > 0 {
		if weights < len(parts) {
			return nil, fmt.Errorf("dataset: %d of %d parts have a weight; give one to all, or to none", weights, len(parts))
		}
		var err error
		if m.bounds, err = shares(parts); err != nil {
			return nil, err
		}
	}
	if m.total < 0 && (weights == 0 && len(parts) > 1 || o.Epochs > 0) {
		i := slices.IndexFunc(m.parts, func(p *part) bool { return p.state.Len < 0 })
		return nil, fmt.Errorf("dataset: how many examples %s has is not known; give every part a weight, and a number of steps instead of epochs", m.parts[i].Name)
	}
	return m, nil
}

// shares returns the upper bound of each part's share of the numbers below 2⁶⁴, exactly
// in proportion to the weights.
func shares(parts []Part) ([]uint64, error) {
	total := new(big.Rat)
	sums := make([]*big.Rat, len(parts))
	for i, p := range parts {
		w := new(big.Rat).SetFloat64(p.Weight)
		if w == nil || w.Sign() <= 0 {
			return nil, fmt.Errorf("dataset: %s has the weight %v, want a number above 0", p.Name, p.Weight)
		}
		total.Add(total, w)
		sums[i] = new(big.Rat).Set(total)
	}
	bounds := make([]uint64, len(parts))
	whole := new(big.Rat).SetInt(new(big.Int).Lsh(big.NewInt(1), 64))
	for i, sum := range sums {
		at := new(big.Rat).Quo(sum, total)
		at.Mul(at, whole)
		bounds[i] = new(big.Int).Quo(at.Num(), at.Denom()).Uint64() // the last wraps to 0 and is not looked at
	}
	return bounds, nil
}

// Len returns how many examples an epoch has; -1 where nobody counted.
func (m *Mixture) Len() int { return m.total }

// Close closes what was opened to read shards; the sources are their owner's.
func (m *Mixture) Close() (err error) {
	for _, p := range m.parts {
		err = errors.Join(err, p.closeReader())
	}
	return err
}

// Next draws the next example; io.EOF after the last epoch. An example that cannot be read
// is a draw too, whose Load says why.
func (m *Mixture) Next(ctx context.Context) (Draw, error) {
	if m.options.Epochs > 0 && m.draws >= int64(m.options.Epochs)*int64(m.total) {
		return Draw{}, io.EOF
	}
	if m.options.InOrder && m.total > 0 && m.draws == int64(m.total) && m.options.Epochs == 0 {
		return Draw{}, io.EOF
	}
	p := m.parts[m.pick()]
	load, err := p.draw(ctx, &m.options)
	if err != nil {
		return Draw{}, err
	}
	d := Draw{Number: m.draws, Part: p.Name, Load: load}
	m.draws++
	return d, nil
}

// pick returns which part the next draw is of.
func (m *Mixture) pick() int {
	if len(m.parts) == 1 {
		return 0
	}
	if m.bounds != nil {
		u := mix(m.options.Seed, 1, uint64(m.draws))
		for i, bound := range m.bounds[:len(m.bounds)-1] {
			if u < bound {
				return i
			}
		}
		return len(m.parts) - 1
	}
	// Each place of an epoch is some part's, as many as it has examples, and the places
	// are shuffled.
	at := int(m.draws % int64(m.total))
	if !m.options.InOrder {
		at = permuted(mix(m.options.Seed, 2, uint64(m.draws/int64(m.total))), at, m.total)
	}
	for i, p := range m.parts {
		if at -= p.state.Len; at < 0 {
			return i
		}
	}
	panic("dataset: unreachable: a place beyond the last part")
}

// draw draws the next example of the part.
func (p *part) draw(ctx context.Context, o *MixtureOptions) (func(context.Context) (Example, error), error) {
	if source, ok := p.Source.(Indexed); ok {
		n := p.state.Len
		epoch, i := p.state.Draws/int64(n), int(p.state.Draws%int64(n))
		if !o.InOrder {
			i = permuted(mix(o.Seed, 3, uint64(p.index), uint64(epoch)), i, n)
		}
		p.state.Draws++
		return func(ctx context.Context) (Example, error) { return source.At(ctx, i) }, nil
	}
	if p.state.Taken == len(p.window) {
		if err := p.fill(ctx, o); err != nil {
			return nil, err
		}
	}
	i := p.state.Taken
	if !o.InOrder {
		w := p.state.Window
		i = permuted(mix(o.Seed, 4, uint64(p.index), uint64(w.Epoch), uint64(w.Shard), uint64(w.Skip)), i, len(p.window))
	}
	r := p.window[i]
	p.window[i].example = Example{} // is used once
	p.state.Taken++
	p.state.Draws++
	return func(context.Context) (Example, error) { return r.example, r.err }, nil
}

// fill reads the next window, which begins where the last one ended. A window ends at the
// end of an epoch at the latest.
func (p *part) fill(ctx context.Context, o *MixtureOptions) error {
	source := p.Source.(Sharded)
	start := p.at
	p.state.Window, p.state.Taken, p.window = &start, 0, p.window[:0]
	order := func(shard int) int {
		if o.InOrder {
			return shard
		}
		return permuted(mix(o.Seed, 5, uint64(p.index), uint64(p.at.Epoch)), shard, source.Shards())
	}
	for size := 0; len(p.window) < o.Window && size < o.WindowBytes; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if p.at.Shard == source.Shards() {
			p.at = place{Epoch: p.at.Epoch + 1}
			if len(p.window) > 0 {
				return nil
			}
			if start.Shard == 0 && start.Skip == 0 {
				return fmt.Errorf("dataset: %s has no examples", p.Name)
			}
			start = p.at
			continue
		}
		shard := order(p.at.Shard)
		if p.reader == nil {
			var err error
			if p.reader, err = source.Open(ctx, shard, p.at.Skip); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				if p.at.Skip > 0 {
					return err // what was read before cannot be read any more
				}
				p.window = append(p.window, result{err: &BadError{fmt.Sprintf("%s, shard %d", p.Name, shard), err}})
				p.at.Shard++
				continue
			}
		}
		e, err := p.reader.Next()
		if err == io.EOF {
			if err := p.closeReader(); err != nil {
				return err
			}
			p.at.Shard, p.at.Skip = p.at.Shard+1, 0
			continue
		}
		size += e.size()
		p.window = append(p.window, result{e, err})
		p.at.Skip++
		if err != nil && !errors.As(err, new(*BadError)) { // the rest of the shard is lost
			p.window[len(p.window)-1].err = &BadError{fmt.Sprintf("%s, shard %d", p.Name, shard), err}
			if err := p.closeReader(); err != nil {
				return err
			}
			p.at.Shard, p.at.Skip = p.at.Shard+1, 0
		}
	}
	return nil
}

func (p *part) closeReader() error {
	if p.reader == nil {
		return nil
	}
	err := p.reader.Close()
	p.reader = nil
	return err
}

// Cursor returns where the mixture is: before its next draw.
func (m *Mixture) Cursor() Cursor {
	c := Cursor{Seed: m.options.Seed, Draws: m.draws, Parts: make([]PartCursor, len(m.parts))}
	for i, p := range m.parts {
		c.Parts[i] = p.state
		if p.state.Window != nil {
			w := *p.state.Window
			c.Parts[i].Window = &w
		}
	}
	return c
}

// Seek goes to a cursor of the same mixture: the same seed, and the same parts in the same
// order.
func (m *Mixture) Seek(ctx context.Context, c Cursor) error {
	if c.Seed != m.options.Seed {
		return fmt.Errorf("dataset: the position is of a run with seed %d, and this one has %d", c.Seed, m.options.Seed)
	}
	if len(c.Parts) != len(m.parts) {
		return fmt.Errorf("dataset: the position is of a mixture of %d parts, and this one has %d", len(c.Parts), len(m.parts))
	}
	if c.Draws < 0 {
		return fmt.Errorf("dataset: a position after %d draws", c.Draws)
	}
	for i, s := range c.Parts {
		p := m.parts[i]
		if s.Name != p.Name || s.Len != p.state.Len {
			return fmt.Errorf("dataset: part %d was %q with %d examples when the position was saved, and is %q with %d; the data changed since", i, s.Name, s.Len, p.Name, p.state.Len)
		}
		if w := s.Window; s.Draws < 0 || s.Taken < 0 || w != nil && (w.Epoch < 0 || w.Shard < 0 || w.Skip < 0) {
			return fmt.Errorf("dataset: part %q: the position is damaged", s.Name)
		}
	}
	for i, s := range c.Parts {
		if err := m.parts[i].seek(ctx, s, &m.options); err != nil {
			return err
		}
	}
	m.draws = c.Draws
	return nil
}

func (p *part) seek(ctx context.Context, s PartCursor, o *MixtureOptions) error {
	if err := p.closeReader(); err != nil {
		return err
	}
	if source, ok := p.Source.(Sharded); ok && s.Window != nil {
		if s.Window.Shard > source.Shards() {
			return fmt.Errorf("dataset: %s has %d shards, and the position is in shard %d; the data changed since it was saved", p.Name, source.Shards(), s.Window.Shard)
		}
		p.at = *s.Window
		p.state.Taken, p.window = 0, nil
		if err := p.fill(ctx, o); err != nil {
			return err
		}
		if s.Taken > len(p.window) {
			return fmt.Errorf("dataset: %s: %d examples were drawn of a window that has %d now; the data changed since the position was saved", p.Name, s.Taken, len(p.window))
		}
	} else {
		p.at, p.window = place{}, nil
	}
	p.state = s
	if s.Window != nil {
		w := *s.Window
		p.state.Window = &w
	}
	return nil
}

// ParseCursor reads a cursor from JSON.
func ParseCursor(data []byte) (c Cursor, err error) {
	if err := json.Unmarshal(data, &c); err != nil {
		return c, fmt.Errorf("dataset: position: %w", err)
	}
	return c, nil
}
