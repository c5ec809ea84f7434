// Package parallel runs many small pieces of work on a fixed set of goroutines, for
// layers that fork and join some hundred times a token: nothing is allocated and no
// goroutine is made per join.
//
// Workers that run out of work spin for some tens of microseconds, because the next layer
// usually follows at once and waking a sleeper costs more than many a layer; then they
// park, so that an idle program is idle. The caller never waits for a worker that has not
// begun: on a busy machine, or with GOMAXPROCS=1, it simply does the work itself.
package parallel

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// Task is work that splits into independent pieces. Do performs piece i; worker, from 0
// to Workers()-1, tells which scratch memory is free to use: no two pieces run at once
// with one worker number.
type Task interface{ Do(i, worker int) }

// Pool owns its workers until Close. It belongs to one owner: Run is for one goroutine
// at a time, and a piece of work must not call Run of its own pool.
type Pool struct {
	task Task // the running job; written only while nobody is inside
	n    int64

	_     [64]byte // each word that workers fight over has a cache line to itself
	next  atomic.Int64
	_     [64]byte
	state atomic.Int64 // see the constants
	_     [64]byte
	epoch atomic.Uint32 // counts jobs: a worker waits for it to change
	_     [64]byte

	helpers []*helper // worker w is helpers[w-1]; worker 0 is the caller
	left    chan struct{}
	busy    atomic.Bool
	skip    atomic.Bool
	closing atomic.Bool
	failed  atomic.Pointer[Panic]
	exited  sync.WaitGroup
}

// The state of a job: the number of helpers inside in the low half, and two flags.
const (
	closed  = 1 << 32 // no helper may enter any more
	waiting = 1 << 33 // the caller sleeps: the last helper to leave wakes it
)

// helper is what the caller needs to wake one parked worker.
type helper struct {
	parked atomic.Bool
	wake   chan struct{}
}

// Panic is what Run panics with when a piece of work panicked on another goroutine.
type Panic struct {
	Value any    // what the work panicked with
	Stack []byte // of the goroutine that did
}

// Error tells the value and the stack, which would otherwise be lost.
func (p *Panic) Error() string {
	return fmt.Sprintf("parallel: a worker panicked: %v\n\n%s", p.Value, p.Stack)
}

// Unwrap returns the value if it is an error.
func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// New starts a pool of the given number of workers, the caller of Run among them.
// Zero or fewer means one per processor that Go may use.
func New(threads int) *Pool {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	p := &Pool{left: make(chan struct{}, 1)}
	p.state.Store(closed)
	for range threads - 1 {
		p.helpers = append(p.helpers, &helper{wake: make(chan struct{}, 1)})
	}
	p.exited.Add(len(p.helpers))
	for i, h := range p.helpers { // which the helpers read: it is complete before they start
		go p.serve(h, i+1)
	}
	return p
}

// Workers returns the number of workers, the caller of Run included.
func (p *Pool) Workers() int { return len(p.helpers) + 1 }

// Close ends the workers and waits for them. A closed pool cannot run.
func (p *Pool) Close() {
	if p.closing.Swap(true) {
		return
	}
	p.epoch.Add(1)
	p.wake(len(p.helpers))
	p.exited.Wait()
}

// Run calls t.Do(i, worker) once for every i from 0 to n-1, in no particular order, and
// returns when all have returned. If one panics, no further piece is begun and Run
// panics: with the value itself if it happened on the caller's goroutine, else with a
// *Panic.
func (p *Pool) Run(n int, t Task) {
	if p.closing.Load() {
		panic("parallel: Run of a closed pool")
	}
	if p.busy.Swap(true) {
		panic("parallel: Run while the pool is running: a pool has one owner")
	}
	p.task, p.n = t, int64(n)
	p.next.Store(0)
	defer p.finish()
	if n > 1 && len(p.helpers) > 0 {
		p.state.Store(0) // open: from here on helpers may enter
		p.epoch.Add(1)
		p.wake(min(n-1, len(p.helpers)))
	}
	p.work(0)
}

// Abandon makes Run return without its remaining pieces, the running one too, until it is
// called with false: what jobs write is then undefined. Any goroutine may call it.
func (p *Pool) Abandon(on bool) { p.skip.Store(on) }

// finish runs even when the caller's own piece panicked: pieces on other goroutines
// still use the caller's memory.
func (p *Pool) finish() {
	p.next.Store(p.n) // after a panic, hand out nothing more
	if p.state.Or(closed)&^closed != 0 && !p.spin(p.empty) {
		if p.state.Or(waiting) != closed {
			<-p.left
		}
	}
	p.state.Store(closed)
	p.task = nil
	failed := p.failed.Swap(nil)
	p.busy.Store(false)
	if failed != nil {
		panic(failed)
	}
}

// empty reports whether every helper has left a closed job.
func (p *Pool) empty() bool { return p.state.Load() == closed }

// work takes pieces until none is left.
func (p *Pool) work(worker int) {
	for {
		i := p.next.Add(1) - 1
		if i >= p.n || p.skip.Load() {
			return
		}
		p.task.Do(int(i), worker)
	}
}

// serve is the life of a helper.
func (p *Pool) serve(h *helper, worker int) {
	defer p.exited.Done()
	var seen uint32
	changed := func() bool { return p.epoch.Load() != seen }
	for !p.closing.Load() {
		if p.enter() {
			p.help(worker)
		}
		if !changed() && !p.spin(changed) {
			p.park(h, changed)
		}
		seen = p.epoch.Load()
	}
}

// enter joins the running job if there is one that is open.
func (p *Pool) enter() bool {
	for {
		s := p.state.Load()
		if s&closed != 0 {
			return false
		}
		if p.state.CompareAndSwap(s, s+1) {
			return true
		}
	}
}

// help works on the job that was entered, and leaves it whatever happens.
func (p *Pool) help(worker int) {
	defer func() {
		if v := recover(); v != nil {
			p.failed.CompareAndSwap(nil, &Panic{v, debug.Stack()})
			p.next.Store(p.n)
		}
		if p.state.Add(-1) == closed|waiting {
			p.left <- struct{}{}
		}
	}()
	p.work(worker)
}

// park sleeps until the epoch changes. Whoever clears the flag owns the wake-up: the
// caller, who then sends, or the helper itself when it notices the change in time.
func (p *Pool) park(h *helper, changed func() bool) {
	h.parked.Store(true)
	if changed() && h.parked.CompareAndSwap(true, false) {
		return
	}
	<-h.wake
}

// wake rouses up to n parked helpers.
func (p *Pool) wake(n int) {
	for _, h := range p.helpers[:n] {
		if h.parked.Load() && h.parked.CompareAndSwap(true, false) {
			h.wake <- struct{}{}
		}
	}
}

// The time to spin: some 20 to 50 µs, about what waking a sleeping thread costs.
const (
	spinRounds = 40
	spinPolls  = 400
)

// spin polls done for a while and reports whether it came true. It yields now and then,
// and does not spin at all where there are fewer processors than workers: the one who
// is waited for may need this very processor.
func (p *Pool) spin(done func() bool) bool {
	if runtime.GOMAXPROCS(0) < p.Workers() {
		return done()
	}
	for range spinRounds {
		for range spinPolls {
			if done() {
				return true
			}
		}
		runtime.Gosched()
	}
	return done()
}
