// Package kvcache keeps the keys and values of every sequence in pages that
// sequences share: a fork costs nothing until one of the two writes.
//
// A page holds PageLen positions of all layers. Pages start at multiples of
// PageLen, so a key's place in its page depends on its position alone.
package kvcache

import (
	"errors"
	"fmt"

	"idefics2/tensor"
)

// PageLen is the number of positions in a page. It is a multiple of the block in
// which kernel.Attend sums, so that a sum never depends on where a pass began.
const PageLen = 32

// ErrFull is wrapped by the error of Grow when the cache may hold no more pages.
var ErrFull = errors.New("no free page")

// Shape says what one position needs.
type Shape struct {
	Layers int
	Heads  int // key/value heads
	Dim    int // of one head

	// Type is what a head's keys and values are stored as: F32, which is also what zero stands
	// for, BF16, or Q8_0: blocks of 32, the last of a row filled up with zeros.
	Type tensor.DType
}

// Packed reports whether keys and values are bytes, not float32.
func (s Shape) Packed() bool { return s.Type != tensor.F32 && s.Type != tensor.Invalid }

// PageBytes returns the size of one page.
func (s Shape) PageBytes() int { return s.Layers * 2 * s.Heads * PageLen * s.RowBytes() }

// RowBytes returns the size of one head's key, or value.
func (s Shape) RowBytes() int {
	switch s.Type {
	case tensor.BF16:
		return 2 * s.Dim
	case tensor.Q8_0:
		values, bytes := s.Type.Block()
		return (s.Dim + values - 1) / values * bytes
	}
	return 4 * s.Dim
}

// Cache hands out pages and takes them back. It belongs to one goroutine.
type Cache struct {
	shape Shape
	limit int // pages; 0: no limit
	made  int
	free  []*page
}

// page is [Layers][keys, values][Heads][PageLen][Dim], in float32 or in bytes.
type page struct {
	floats []float32
	bytes  []byte
	refs   int
}

// New returns an empty cache that will hold at most limit pages, or any number if
// limit is 0. Memory is taken page by page.
func New(shape Shape, limit int) *Cache {
	known := !shape.Packed() || shape.Type == tensor.BF16 || shape.Type == tensor.Q8_0
	if shape.Layers <= 0 || shape.Heads <= 0 || shape.Dim <= 0 || !known {
		panic(fmt.Sprintf("kvcache: shape %+v", shape))
	}
	return &Cache{shape: shape, limit: limit}
}

// Shape returns what New was given.
func (c *Cache) Shape() Shape { return c.shape }

// Used returns the number of pages that sequences hold.
func (c *Cache) Used() int { return c.made - len(c.free) }

// Available returns how many pages Grow can still take, or -1 without a limit.
func (c *Cache) Available() int {
	if c.limit == 0 {
		return -1
	}
	return c.limit - c.Used()
}

func (c *Cache) take() (*page, error) {
	if n := len(c.free); n > 0 {
		p := c.free[n-1]
		c.free = c.free[:n-1]
		p.refs = 1
		return p, nil
	}
	if c.limit > 0 && c.made >= c.limit {
		return nil, fmt.Errorf("kvcache: %w: all %d pages of %d positions are in use", ErrFull, c.limit, PageLen)
	}
	c.made++
	p := &page{refs: 1}
	if size := c.shape.PageBytes(); c.shape.Packed() {
		p.bytes = make([]byte, size)
	} else {
		p.floats = make([]float32, size/4)
	}
	return p, nil
}

func (c *Cache) drop(p *page) {
	if p == nil {
		return
	}
	if p.refs--; p.refs == 0 {
		c.free = append(c.free, p)
	}
}
