package kvcache

import (
	"fmt"

	"idefics2/tensor"
)

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
			copy(own.floats, (*last).floats)
			copy(own.bytes, (*last).bytes)
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
	for h := range shape.Heads {
		p.put(shape, (2*layer*shape.Heads+h)*PageLen+row, k[h*shape.Dim:(h+1)*shape.Dim])
		p.put(shape, ((2*layer+1)*shape.Heads+h)*PageLen+row, v[h*shape.Dim:(h+1)*shape.Dim])
	}
}

// put stores the values of one row of a page.
func (p *page) put(shape Shape, row int, x []float32) {
	switch size := shape.RowBytes(); shape.Type {
	case tensor.BF16:
		encodeBF16(p.bytes[row*size:][:size], x)
	case tensor.Q8_0:
		encodeQ8_0(p.bytes[row*size:][:size], x)
	default:
		copy(p.floats[row*shape.Dim:][:shape.Dim], x)
	}
}

// Shape returns that of the sequence's cache.
func (s *Sequence) Shape() Shape { return s.cache.shape }

// AppendPages appends, page by page, the keys and the values of one head of one
// layer, each [PageLen, Dim]. Pages that were forgotten are nil.
func (s *Sequence) AppendPages(k, v [][]float32, layer, head int) (keys, values [][]float32) {
	for _, p := range s.pages {
		var data []float32
		if p != nil {
			data = p.floats
		}
		k, v = appendPage(k, v, data, s.cache.shape, layer, head, s.cache.shape.Dim)
	}
	return k, v
}

// AppendPacked is AppendPages for a shape that is packed: pages are [PageLen, RowBytes].
func (s *Sequence) AppendPacked(k, v [][]byte, layer, head int) (keys, values [][]byte) {
	for _, p := range s.pages {
		var data []byte
		if p != nil {
			data = p.bytes
		}
		k, v = appendPage(k, v, data, s.cache.shape, layer, head, s.cache.shape.RowBytes())
	}
	return k, v
}

// appendPage appends one head's share of a page, or nil where there is no page.
func appendPage[T any](k, v [][]T, data []T, shape Shape, layer, head, row int) (keys, values [][]T) {
	if data == nil {
		return append(k, nil), append(v, nil)
	}
	size := PageLen * row
	half := shape.Heads * size
	at := layer*2*half + head*size
	return append(k, data[at:at+size:at+size]), append(v, data[at+half:at+half+size:at+half+size])
}

func pagesFor(positions int) int { return (positions + PageLen - 1) / PageLen }
