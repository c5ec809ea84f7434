// Package kvcache keeps the keys and values of every sequence in pages that
// sequences share: a fork costs nothing until one of the two writes.
//
// A page holds PageLen positions of all layers. Pages start at multiples of
// PageLen, so a key's place in its page depends on its position alone.
package kvcache

import (
	"errors"
	"fmt"
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
}

// PageBytes returns the size of one page.
func (s Shape) PageBytes() int { return s.pageFloats() * 4 }

func (s Shape) pageFloats() int { return s.Layers * 2 * s.Heads * PageLen * s.Dim }

// Cache hands out pages and takes them back. It belongs to one goroutine.
type Cache struct {
	shape Shape
	limit int // pages; 0: no limit
	made  int
	free  []*page
}

// page is [Layers][keys, values][Heads][PageLen][Dim] float32.
type page struct {
	data []float32
	refs int
}

// New returns an empty cache that will hold at most limit pages, or any number if
// limit is 0. Memory is taken page by page.
func New(shape Shape, limit int) *Cache {
	if shape.Layers <= 0 || shape.Heads <= 0 || shape.Dim <= 0 {
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
	return &page{data: make([]float32, c.shape.pageFloats()), refs: 1}, nil
}

func (c *Cache) drop(p *page) {
	if p == nil {
		return
	}
	if p.refs--; p.refs == 0 {
		c.free = append(c.free, p)
	}
}
