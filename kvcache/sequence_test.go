package kvcache

import (
	"errors"
	"fmt"
	"testing"
)

var shape = Shape{Layers: 2, Heads: 2, Dim: 3}

// store fills position p of every layer with values that name their place.
func store(s *Sequence, p int, mark float32) {
	k, v := make([]float32, 6), make([]float32, 6)
	for layer := range shape.Layers {
		for i := range k {
			k[i] = mark + float32(p*100+layer*10+i)
			v[i] = -k[i]
		}
		s.Store(layer, p, k, v)
	}
}

// check reads position p back.
func check(t *testing.T, s *Sequence, p int, mark float32) {
	t.Helper()
	for layer := range shape.Layers {
		for head := range shape.Heads {
			k, v := s.AppendPages(nil, nil, layer, head)
			for d := range shape.Dim {
				want := mark + float32(p*100+layer*10+head*shape.Dim+d)
				at := p%PageLen*shape.Dim + d
				if got := k[p/PageLen][at]; got != want {
					t.Fatalf("key of layer %d head %d position %d: %v, want %v", layer, head, p, got, want)
				}
				if got := v[p/PageLen][at]; got != -want {
					t.Fatalf("value of layer %d head %d position %d: %v, want %v", layer, head, p, got, -want)
				}
			}
		}
	}
}

func grow(t *testing.T, s *Sequence, n int, mark float32) {
	t.Helper()
	from := s.Len()
	if err := s.Grow(n); err != nil {
		t.Fatal(err)
	}
	for p := from; p < s.Len(); p++ {
		store(s, p, mark)
	}
}

func TestForkSharesUntilOneWrites(t *testing.T) {
	c := New(shape, 0)
	a := c.NewSequence()
	grow(t, a, PageLen+5, 0)
	b := a.Fork()
	if c.Used() != 2 {
		t.Fatalf("a fork took pages: %d in use, want 2", c.Used())
	}
	if need := b.Need(1); need != 1 {
		t.Fatalf("growing into a shared page needs %d pages, want 1", need)
	}
	grow(t, b, 3, 1000)
	if c.Used() != 3 {
		t.Fatalf("%d pages in use after the fork wrote, want 3", c.Used())
	}
	grow(t, a, 3, 5000)
	for p := range PageLen + 5 {
		check(t, a, p, 0)
		check(t, b, p, 0)
	}
	for p := PageLen + 5; p < PageLen+8; p++ {
		check(t, a, p, 5000)
		check(t, b, p, 1000)
	}
	a.Free()
	b.Free()
	if c.Used() != 0 {
		t.Fatalf("%d pages leaked", c.Used())
	}
}

func TestTruncateThenGrowAgain(t *testing.T) {
	c := New(shape, 0)
	s := c.NewSequence()
	grow(t, s, 3*PageLen, 0)
	s.Truncate(PageLen + 1)
	if c.Used() != 2 || s.Len() != PageLen+1 {
		t.Fatalf("%d pages, %d positions", c.Used(), s.Len())
	}
	grow(t, s, 10, 7)
	check(t, s, PageLen, 0)
	check(t, s, PageLen+1, 7)
}

func TestForgetKeepsWhatAWindowStillSees(t *testing.T) {
	c := New(shape, 0)
	s := c.NewSequence()
	grow(t, s, 3*PageLen, 0)
	s.Forget(2*PageLen - 1)
	k, _ := s.AppendPages(nil, nil, 0, 0)
	if k[0] != nil || k[1] == nil {
		t.Fatal("Forget must drop page 0 and keep page 1, which holds the first position still seen")
	}
	check(t, s, PageLen, 0)
	s.Free()
	if c.Used() != 0 {
		t.Fatalf("%d pages leaked", c.Used())
	}
}

func TestLimitRefusesWithoutChange(t *testing.T) {
	c := New(shape, 2)
	s := c.NewSequence()
	grow(t, s, PageLen+1, 0)
	err := s.Grow(PageLen)
	if !errors.Is(err, ErrFull) {
		t.Fatalf("error %v, want ErrFull", err)
	}
	if s.Len() != PageLen+1 || c.Used() != 2 {
		t.Fatal("a refused Grow changed something")
	}
	s.Truncate(PageLen)
	if c.Available() != 1 {
		t.Fatalf("%d pages available, want 1", c.Available())
	}
}

func ExampleSequence_Fork() {
	c := New(Shape{Layers: 32, Heads: 8, Dim: 128}, 0)
	prompt := c.NewSequence()
	if err := prompt.Grow(100); err != nil { // then Store each layer's keys and values
		panic(err)
	}
	answer := prompt.Fork() // a second answer to the same prompt
	fmt.Println(answer.Len(), "positions,", c.Used(), "pages of", c.Shape().PageBytes()>>20, "MiB for both")
	// Output: 100 positions, 4 pages of 8 MiB for both
}
