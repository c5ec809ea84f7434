package watch

import (
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"time"

	"idefics2/internal/terminal"
)

// View shows a training live: numbers, time left and the curve of the loss, redrawn in
// place. Where there is no terminal it writes a plain line now and then. Its methods may be
// called from several goroutines at once.
type View struct {
	mu    sync.Mutex
	out   io.Writer
	live  bool
	size  func() int // columns
	now   func() time.Time
	total int64

	losses []float64 // of the whole run, thinned out
	stride int       // steps a loss of losses stands for
	held   []float64 // not yet enough for one
	recent []Step    // for rates
	drawn  int       // lines on the screen
	last   time.Time // of the last drawing or line
}

const (
	curveRows  = 6
	maxLosses  = 4096
	rateWindow = 30               // steps that rates are over
	redraw     = time.Second / 8  // at most this often
	plainEvery = 10 * time.Second // lines where there is no terminal
)

// NewView returns a view on out of a run of total steps; 0 where that is not known. Past
// are the steps before, of a run that goes on.
func NewView(out io.Writer, total int64, past []Step) *View {
	return newView(out, total, past, terminal.Is(out), func() int { return terminal.Columns(out) }, time.Now)
}

func newView(out io.Writer, total int64, past []Step, live bool, size func() int, now func() time.Time) *View {
	v := &View{out: out, live: live, size: size, now: now, total: total, stride: 1}
	for _, s := range past {
		v.take(s.Loss)
	}
	return v
}

// Update shows a step.
func (v *View) Update(s Step) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.take(s.Loss)
	if v.recent = append(v.recent, s); len(v.recent) > rateWindow {
		v.recent = v.recent[1:]
	}
	due := redraw
	if !v.live {
		due = plainEvery
	}
	done := v.total > 0 && s.Step >= v.total
	if now := v.now(); done || v.last.IsZero() || now.Sub(v.last) >= due || s.Eval != nil || s.Marks != nil {
		v.last = now
		v.draw()
	}
}

// Print writes a line above the view.
func (v *View) Print(line string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.clear()
	fmt.Fprintln(v.out, terminal.Clean(line))
	if v.live && len(v.recent) > 0 {
		v.draw()
	}
}

// Close leaves the last state on the screen.
func (v *View) Close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.live && len(v.recent) > 0 {
		v.draw()
	}
	v.drawn = 0
}

// take keeps a loss for the curve. When there are too many, two become one.
func (v *View) take(loss float64) {
	if v.held = append(v.held, loss); len(v.held) < v.stride {
		return
	}
	v.losses = append(v.losses, resample(v.held, 1)[0])
	v.held = v.held[:0]
	if len(v.losses) == maxLosses {
		v.losses = resample(v.losses, maxLosses/2)
		v.stride *= 2
	}
}

// clear takes the view off the screen.
func (v *View) clear() {
	if v.drawn > 0 {
		fmt.Fprintf(v.out, "\x1b[%dA\r\x1b[J", v.drawn)
		v.drawn = 0
	}
}

func (v *View) draw() {
	last := v.recent[len(v.recent)-1]
	if !v.live {
		fmt.Fprintln(v.out, v.line(last))
		return
	}
	columns := min(max(v.size()-1, 20), 160)
	var lines []string
	head := v.progress(last, columns)
	if last.Stage != "" {
		head = terminal.Clean(last.Stage) + "  " + head
	}
	lines = append(lines, head, strings.Join(v.numbers(last), "  "))
	rows, low, high := curve(append(v.losses[:len(v.losses):len(v.losses)], v.held...), columns-10, curveRows)
	for i, row := range rows {
		label := ""
		switch i {
		case 0:
			label = short(high)
		case curveRows - 1:
			label = short(low)
		}
		lines = append(lines, fmt.Sprintf("%8s %s", label, row))
	}
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(cut(l, columns))
		b.WriteByte('\n')
	}
	v.clear()
	io.WriteString(v.out, b.String())
	v.drawn = len(lines)
}

// line is the view in one line.
func (v *View) line(s Step) string {
	at := fmt.Sprintf("step %d", s.Step)
	if v.total > 0 {
		at += fmt.Sprintf("/%d", v.total)
	}
	return strings.Join(append([]string{at}, append(v.numbers(s), v.left(s))...), "  ")
}

// progress is a bar with the time left.
func (v *View) progress(s Step, columns int) string {
	if v.total <= 0 {
		return fmt.Sprintf("step %d", s.Step)
	}
	text := fmt.Sprintf("step %d/%d  %s", s.Step, v.total, v.left(s))
	width := max(columns-len(text)-2-len(s.Stage)-2, 0)
	if width < 10 {
		return text
	}
	full := int(min(s.Step, v.total) * int64(width) / v.total)
	return strings.Repeat("█", full) + strings.Repeat("░", width-full) + "  " + text
}

// numbers are the step's numbers, and rates over the last steps.
func (v *View) numbers(s Step) []string {
	var seconds float64
	var tokens, images int64
	for _, r := range v.recent {
		seconds += r.Seconds
		tokens += r.Tokens
		images += r.Images
	}
	out := []string{"loss " + short(s.Loss), fmt.Sprintf("lr %.2e", s.LearningRate)}
	if s.GradNorm != 0 {
		out = append(out, "norm "+short(s.GradNorm))
	}
	if seconds > 0 {
		out = append(out, fmt.Sprintf("%.0f tokens/s", float64(tokens)/seconds), fmt.Sprintf("%.1f images/s", float64(images)/seconds))
	}
	if s.Memory > 0 {
		out = append(out, fmt.Sprintf("%.1f GiB", float64(s.Memory)/(1<<30)))
	}
	if s.Skipped > 0 {
		out = append(out, fmt.Sprintf("%d skipped", s.Skipped))
	}
	return out
}

// left estimates the time left from the last steps.
func (v *View) left(s Step) string {
	seconds := 0.0
	for _, r := range v.recent {
		seconds += r.Seconds
	}
	if v.total <= s.Step || seconds <= 0 {
		return ""
	}
	left := seconds / float64(len(v.recent)) * float64(v.total-s.Step)
	if left > 1e9 {
		return "" // more than thirty years is no estimate
	}
	d := time.Duration(left * float64(time.Second)).Round(time.Second)
	if d >= 48*time.Hour {
		return fmt.Sprintf("%.1f days left", d.Hours()/24)
	}
	return d.String() + " left"
}

// short writes a number in about four digits.
func short(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return fmt.Sprint(v)
	case a >= 1e6:
		return fmt.Sprintf("%.3gM", v/1e6)
	case a >= 1000:
		return fmt.Sprintf("%.0f", v)
	case a >= 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

// cut shortens a line to a number of characters, each of which takes one column here.
func cut(s string, columns int) string {
	if r := []rune(s); len(r) > columns {
		return string(r[:columns])
	}
	return s
}
