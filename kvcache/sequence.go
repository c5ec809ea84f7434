package kvcache

import "fmt"

// Sequence is the cached past of one sequence: positions 0 to Len()-1. It belongs
// to the goroutine of its cache.
type Sequence struct {
	cache *Cache
	pages []*page // nil where a page left the attention window
	len   int
}

// NewSequence returns an empty sequence.
func (c *Cache) NewSequence() *Sequence { return &Sequence{cache: c} }

// Len returns the number of positions that are cached.
func (s *Sequence) Len() int { return s.len }

// Need returns how many pages Grow(n) would take from the cache.
func (s *Sequence) Need(n int) int {
	need := pagesFor(s.len+n) - len(s.pages)
	if n > 0 && s.len%PageLen != 0 && s.pages[len(s.pages)-1].refs > 1 {
		need++
	}
	return need
}

// Grow makes room for n more positions, which Store then fills, and counts them as
// cached. A last page that is shared with a fork is copied first. If the cache is
// full nothing changes and the error wraps ErrFull.
func (s *Sequence) Grow(n int) error {
	if free := s.cache.Available(); free >= 0 && s.Need(n) > free {
		return fmt.Errorf("kvcache: %w: %d more positions need %d pages, %d are free", ErrFull, n, s.Need(n), free)
	}
	if n > 0 && s.len%PageLen != 0 {
		last := &s.pages[len(s.pages)-1]
		if (*last).refs > 1 {
			own, err := s.cache.take()
			if err != nil {
				return err
			}
			copy(own.data, (*last).data)
			s.cache.drop(*last)
			*last = own
		}
	}
	for len(s.pages) < pagesFor(s.len+n) {
		p, err := s.cache.take()
		if err != nil {
			return err
		}
		s.pages = append(s.pages, p)
	}
	s.len += n
	return nil
}

// Fork returns a second sequence with the same past. The two share pages until one
// of them grows.
func (s *Sequence) Fork() *Sequence {
	f := &Sequence{cache: s.cache, pages: append([]*page(nil), s.pages...), len: s.len}
	for _, p := range f.pages {
		if p != nil {
			p.refs++
		}
	}
	return f
}

// Truncate forgets the positions from n on. What left the window before stays forgotten.
func (s *Sequence) Truncate(n int) {
	if n < 0 || n > s.len {
		panic(fmt.Sprintf("kvcache: Truncate(%d) of %d positions", n, s.len))
	}
	keep := pagesFor(n)
	for _, p := range s.pages[keep:] {
		s.cache.drop(p)
	}
	s.pages, s.len = s.pages[:keep], n
}

// Forget gives back the pages that hold only positions before first: those that no
// window reaches any more.
func (s *Sequence) Forget(first int) {
	for i := range min(first/PageLen, len(s.pages)) {
		s.cache.drop(s.pages[i])
		s.pages[i] = nil
	}
}

// Free gives all pages back. The sequence is empty afterwards and may be used again.
func (s *Sequence) Free() {
	s.Truncate(0)
}

// Store writes the keys and values of one position of one layer: k and v are
// [Heads · Dim], head by head, keys already rotated.
func (s *Sequence) Store(layer, position int, k, v []float32) {
	shape := s.cache.shape
	p := s.pages[position/PageLen]
	row := position % PageLen
	half := shape.Heads * PageLen * shape.Dim
	at := layer*2*half + row*shape.Dim
	for h := range shape.Heads {
		to := at + h*PageLen*shape.Dim
		copy(p.data[to:to+shape.Dim], k[h*shape.Dim:(h+1)*shape.Dim])
		copy(p.data[to+half:to+half+shape.Dim], v[h*shape.Dim:(h+1)*shape.Dim])
	}
}

// AppendPages appends, page by page, the keys and the values of one head of one
// layer, each [PageLen, Dim]. Pages that were forgotten are nil.
func (s *Sequence) AppendPages(k, v [][]float32, layer, head int) (keys, values [][]float32) {
	shape := s.cache.shape
	size := PageLen * shape.Dim
	half := shape.Heads * size
	at := layer*2*half + head*size
	for _, p := range s.pages {
		if p == nil {
			k, v = append(k, nil), append(v, nil)
			continue
		}
		k = append(k, p.data[at:at+size:at+size])
		v = append(v, p.data[at+half:at+half+size:at+half+size])
	}
	return k, v
}

func pagesFor(positions int) int { return (positions + PageLen - 1) / PageLen }
