package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"idefics2/internal/teardown"
)

// grace is how long after Ctrl-C a command may take to put its things in order. A pass
// of a large model runs longer than anyone waits for a prompt to come back, so the process
// then ends under it: nothing it holds outlives it.
const grace = 30 * time.Millisecond

// interrupts turns Ctrl-C into the end of whatever runs at the moment: the answer of a
// chat where one is being given, else the program. A second one ends the program at
// once.
type interrupts struct {
	mu      sync.Mutex
	cancel  context.CancelFunc // of the program
	stop    context.CancelFunc // of what runs inside it, or nil
	running bool               // something runs inside it
	prompts bool               // what else there is, is a prompt
	restore func()             // gives the terminal back
	grace   time.Duration
	once    sync.Once // of leave
}

func newInterrupts() *interrupts { return &interrupts{grace: grace} }

// context returns the context of the program, and begins to listen.
func (i *interrupts) context() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	i.cancel = cancel
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() { // for as long as the process lives
		for s := range signals {
			i.handle(ctx, s)
		}
	}()
	return ctx
}

func (i *interrupts) handle(ctx context.Context, s os.Signal) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case s == os.Interrupt && i.stop != nil:
		i.stop()
		i.stop = nil // so that the next one, if the answer does not end, ends the program
	case s == os.Interrupt && i.prompts && !i.running:
		// The line is emptied by the editor; the signal can only come between two lines.
	case ctx.Err() != nil:
		i.exit()
	default:
		i.cancel()
		go i.endAfter(i.grace)
	}
}

// endAfter ends the process if its command has not done so itself.
func (i *interrupts) endAfter(grace time.Duration) {
	time.Sleep(grace)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.exit()
}

// exit ends the process without waiting for anything. The caller holds the lock.
func (i *interrupts) exit() {
	if i.restore != nil {
		i.restore()
	}
	i.leave(exitInterrupted)
}

// leave ends the process at once, however much memory it has mapped.
func (i *interrupts) leave(code int) {
	i.once.Do(func() { _, _ = teardown.Delegate() }) // without it the end takes longer
	os.Exit(code)
}

// within returns a context that the next Ctrl-C ends instead of the program. The
// caller calls done when what runs in it is over.
func (i *interrupts) within(parent context.Context) (ctx context.Context, done func()) {
	ctx, cancel := context.WithCancel(parent)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.stop, i.running = cancel, true
	return ctx, func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.stop, i.running = nil, false
		cancel()
	}
}

// prompt says that Ctrl-C means nothing where nothing runs: a person leaves in another way.
func (i *interrupts) prompt() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.prompts = true
}

// onExit sets what must be undone should the process end at once; nil when nothing.
func (i *interrupts) onExit(restore func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.restore = restore
}

// patience sets another grace, for a command that has something large to clean up.
func (i *interrupts) patience(d time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.grace = d
}
