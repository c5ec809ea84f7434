package terminal

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// Delay is how long a stage must be under way before it gets a bar: what is over
// sooner is not worth a flicker.
const Delay = 500 * time.Millisecond

// Progress draws a bar for each stage of work that takes longer than Delay, and
// nothing at all where there is no terminal. Its methods may be called from several
// goroutines at once.
type Progress struct {
	out  io.Writer // the terminal, or nil
	tty  bool
	mu   sync.Mutex
	bars *mpb.Progress // open while a bar is drawn
	live map[string]*stage
}

type stage struct {
	name        string
	done, total int64
	first       int64 // what was done when it began: of a file that is gone on with
	bytes       bool
	start       time.Time
	timer       *time.Timer // shows the bar
	bar         *mpb.Bar    // nil until then
}

// NewProgress returns bars on out, which stay silent unless out is a terminal.
func NewProgress(out io.Writer) *Progress {
	return newProgress(out, Is(out))
}

func newProgress(out io.Writer, tty bool) *Progress {
	return &Progress{out: out, tty: tty, live: map[string]*stage{}}
}

// Count says that done of total parts of a stage are finished. The stage begins
// with its first report and ends with done ≥ total; it may begin again.
func (p *Progress) Count(name string, done, total int64) { p.report(name, done, total, false) }

// Bytes is Count for a stage that is measured in bytes.
func (p *Progress) Bytes(name string, done, total int64) { p.report(name, done, total, true) }

func (p *Progress) report(name string, done, total int64, bytes bool) {
	if !p.tty {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.live[name]
	if s == nil {
		if done >= total {
			return
		}
		s = &stage{name: name, first: done, bytes: bytes, start: time.Now()}
		s.timer = time.AfterFunc(Delay, func() { p.show(s) })
		p.live[name] = s
	}
	s.done, s.total = done, total
	if done >= total {
		p.end(s)
		return
	}
	if s.bar != nil {
		s.bar.SetTotal(total, false)
		s.bar.SetCurrent(done)
	}
}

// Close takes all bars off the screen, so that something else can be written there.
// A later report opens a new one.
func (p *Progress) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.live {
		p.end(s)
	}
	if p.bars != nil {
		p.bars.Wait() // until the last line is cleared
		p.bars = nil
	}
}

// show is what the timer of a stage calls.
func (p *Progress) show(s *stage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.live[s.name] != s {
		return // it ended while the timer fired
	}
	if p.bars == nil {
		p.bars = mpb.New(mpb.WithOutput(p.out), mpb.WithAutoRefresh(), mpb.WithWidth(60))
	}
	counter := decor.CountersNoUnit("%d / %d")
	if s.bytes {
		counter = decor.CountersKibiByte("% .1f / % .1f")
	}
	s.bar = p.bars.New(s.total, mpb.BarStyle().Rbound("]").Lbound("["),
		mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(Clean(s.name)+" ", decor.WCSyncWidthR)),
		mpb.AppendDecorators(counter, decor.Any(s.left)))
	s.bar.SetCurrent(s.done)
}

// left says how fast a stage is, if it counts bytes, and estimates the time that remains, both
// from the pace since it began.
func (s *stage) left(at decor.Statistics) string {
	done, passed := at.Current-s.first, time.Since(s.start)
	if done <= 0 || passed <= 0 || at.Total <= at.Current {
		return ""
	}
	text := ""
	if s.bytes {
		text = fmt.Sprintf("  % .1f/s", decor.SizeB1024(float64(done)/passed.Seconds()))
	}
	left := time.Duration(float64(passed) / float64(done) * float64(at.Total-at.Current))
	return text + "  " + left.Round(time.Second).String() + " left"
}

// end forgets a stage. The caller holds the lock.
func (p *Progress) end(s *stage) {
	s.timer.Stop()
	if s.bar != nil {
		s.bar.Abort(true) // a finished bar is dropped as an unfinished one is: the answer is what matters
	}
	delete(p.live, s.name)
}
