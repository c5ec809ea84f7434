package parallel

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// count records how often each piece ran, and that no worker number ran two at once.
type count struct {
	ran    []atomic.Int32
	inside []atomic.Int32
	work   func(i int)
	clash  atomic.Bool
}

func newCount(n, workers int, work func(int)) *count {
	return &count{ran: make([]atomic.Int32, n), inside: make([]atomic.Int32, workers), work: work}
}

func (c *count) Do(i, worker int) {
	if c.inside[worker].Add(1) != 1 {
		c.clash.Store(true)
	}
	if c.work != nil {
		c.work(i)
	}
	c.ran[i].Add(1)
	c.inside[worker].Add(-1)
}

func (c *count) check(t *testing.T) {
	t.Helper()
	for i := range c.ran {
		if got := c.ran[i].Load(); got != 1 {
			t.Fatalf("piece %d ran %d times", i, got)
		}
	}
	if c.clash.Load() {
		t.Fatal("two pieces ran at once under one worker number")
	}
}

func TestRunDoesEachPieceOnce(t *testing.T) {
	for _, procs := range []int{1, 2, 4} {
		for _, threads := range []int{1, 2, 5} {
			t.Run(fmt.Sprintf("GOMAXPROCS=%d,threads=%d", procs, threads), func(t *testing.T) {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
				p := New(threads)
				defer p.Close()
				for round := range 300 {
					c := newCount(round%37, p.Workers(), nil)
					p.Run(len(c.ran), c)
					c.check(t)
				}
			})
		}
	}
}

// Workers that sleep between jobs, and pieces long enough that the caller sleeps too.
func TestRunAfterParking(t *testing.T) {
	p := New(3)
	defer p.Close()
	for range 10 {
		time.Sleep(2 * time.Millisecond)
		c := newCount(6, 3, func(int) { time.Sleep(time.Millisecond) })
		p.Run(6, c)
		c.check(t)
	}
}

// Every job must see the writes that precede it and publish its own: run with -race.
func TestRunOrdersMemory(t *testing.T) {
	p := New(4)
	defer p.Close()
	s := &sum{in: make([]int, 100), out: make([]int, 100)}
	for round := range 500 {
		for i := range s.in {
			s.in[i] = round + i
		}
		p.Run(len(s.in), s)
		for i, got := range s.out {
			if got != 2*(round+i) {
				t.Fatalf("round %d: piece %d wrote %d", round, i, got)
			}
		}
	}
}

type sum struct{ in, out []int }

func (s *sum) Do(i, _ int) { s.out[i] = 2 * s.in[i] }

// only runs f on one chosen side and holds the other until f has begun, so that the
// test decides which goroutine panics.
type only struct {
	caller bool
	f      func()
	begun  chan struct{}
}

func (o *only) Do(_, worker int) {
	if (worker == 0) == o.caller {
		close(o.begun)
		o.f()
	}
	<-o.begun
}

func TestPanicSurfacesInTheCaller(t *testing.T) {
	boom := errors.New("boom")
	for _, caller := range []bool{true, false} {
		p := New(2)
		got := catch(func() {
			p.Run(2, &only{caller, func() { panic(boom) }, make(chan struct{})})
		})
		if err, ok := got.(error); !ok || !errors.Is(err, boom) {
			t.Errorf("caller=%v: Run panicked with %v, want boom", caller, got)
		}
		if wrapped, ok := got.(*Panic); ok == caller {
			t.Errorf("caller=%v: panic value is a %T", caller, got)
		} else if ok && !strings.Contains(wrapped.Error(), "Do") {
			t.Errorf("the stack does not name Do:\n%s", wrapped.Error())
		}
		c := newCount(20, 2, nil) // and the pool still works
		p.Run(20, c)
		c.check(t)
		p.Close()
	}
}

func catch(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}

func TestMisuse(t *testing.T) {
	p := New(2)
	if catch(func() { p.Run(1, nested{p}) }) == nil {
		t.Error("Run inside Run did not panic")
	}
	p.Close()
	p.Close()
	if catch(func() { p.Run(1, nested{p}) }) == nil {
		t.Error("Run after Close did not panic")
	}
}

type nested struct{ p *Pool }

func (n nested) Do(int, int) { n.p.Run(1, n) }

func TestCloseEndsTheWorkers(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 50 {
		p := New(4)
		p.Run(8, newCount(8, 4, nil))
		p.Close()
	}
	after := runtime.NumGoroutine()
	for range 1000 { // one that has said that it ends may still be counted for a moment
		if after <= before {
			return
		}
		time.Sleep(time.Millisecond)
		after = runtime.NumGoroutine()
	}
	t.Errorf("%d goroutines before, %d after", before, after)
}

func TestRunAllocatesNothing(t *testing.T) {
	p := New(3)
	defer p.Close()
	s := &sum{in: make([]int, 64), out: make([]int, 64)}
	if n := testing.AllocsPerRun(200, func() { p.Run(64, s) }); n != 0 {
		t.Errorf("%v allocations a Run", n)
	}
}

func ExamplePool() {
	p := New(2)
	defer p.Close()
	s := &sum{in: []int{1, 2, 3}, out: make([]int, 3)}
	p.Run(3, s) // calls s.Do(0, w), s.Do(1, w), s.Do(2, w)
	fmt.Println(s.out)
	// Output: [2 4 6]
}

func BenchmarkRun(b *testing.B) {
	for _, threads := range []int{1, 2, 5} {
		b.Run(fmt.Sprintf("threads=%d", threads), func(b *testing.B) {
			p := New(threads)
			defer p.Close()
			s := &sum{in: make([]int, 8), out: make([]int, 8)}
			for b.Loop() {
				p.Run(8, s)
			}
		})
	}
}

// abandoner ends its own job from its tenth piece.
type abandoner struct {
	pool *Pool
	done atomic.Int64
}

func (a *abandoner) Do(i, _ int) {
	if a.done.Add(1) == 10 {
		a.pool.Abandon(true)
	}
}

func TestAbandon(t *testing.T) {
	p := New(3)
	defer p.Close()
	a := &abandoner{pool: p}
	p.Run(1_000_000, a)
	if n := a.done.Load(); n < 10 || n > 100 {
		t.Errorf("%d pieces were done, want the tenth and few after it", n)
	}
	p.Run(50, a)
	before := a.done.Load()
	p.Abandon(false)
	p.Run(50, a)
	if n := a.done.Load(); n != before+50 {
		t.Errorf("%d pieces after Abandon(false), want 50", n-before)
	}
}
