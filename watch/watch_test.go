package watch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// run makes the steps of a run that goes well.
func run(n int) (steps []Step) {
	for i := 1; i <= n; i++ {
		noise := math.Sin(float64(i) * 12.9898)
		steps = append(steps, Step{Step: int64(i), Loss: 3*math.Exp(-float64(i)/100) + 0.3 + 0.1*noise, LearningRate: 1e-4 * float64(n-i) / float64(n),
			GradNorm: 1 + 0.2*noise, Tokens: 2000, Targets: 400, Images: 6, Seconds: 0.5, Memory: 3 << 30,
			Parts: map[string]float64{"shapes": 1 / float64(i), "forms": 2 / float64(i)}})
	}
	return steps
}

func TestCurveOfBraille(t *testing.T) {
	lines, low, high := curve([]float64{0, 1, 2, 3, 4, 5, 6, 7}, 4, 2)
	if want := []string{"⠀⠀⡠⠊", "⡠⠊⠀⠀"}; fmt.Sprint(lines) != fmt.Sprint(want) || low != 0 || high != 7 {
		t.Errorf("%q from %v to %v, want %q", lines, low, high, want)
	}
	for _, values := range [][]float64{nil, {math.NaN()}, {1}, {1, math.Inf(1), 1}, {5, 5, 5}} {
		if lines, _, _ := curve(values, 3, 2); len(lines) != 2 || len([]rune(lines[0])) != 3 {
			t.Errorf("%v: %q", values, lines)
		}
	}
}

// A view redraws in place, never wider than the screen.
func TestLiveView(t *testing.T) {
	var out bytes.Buffer
	clock := time.Unix(0, 0)
	v := newView(&out, 1000, run(100), true, func() int { return 90 }, func() time.Time { return clock })
	for _, s := range run(1000)[100:300] {
		clock = clock.Add(time.Second)
		v.Update(s)
	}
	v.Print("saved step\x1b[2J 300")
	v.Close()
	frames := strings.Split(out.String(), "\x1b[J")
	last := frames[len(frames)-1]
	for _, want := range []string{"step 300/1000", "5m50s left", "loss 0.", "lr 7.00e-05", "4000 tokens/s", "12.0 images/s", "3.0 GiB"} {
		if !strings.Contains(last, want) {
			t.Errorf("the last frame has no %q:\n%s", want, last)
		}
	}
	for line := range strings.Lines(last) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > 90 && !strings.HasPrefix(line, "\x1b") {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if !strings.Contains(out.String(), "saved step 300\n") {
		t.Error("what was printed is not there, or not cleaned")
	}
	if len(frames) < 190 {
		t.Errorf("%d frames", len(frames))
	}
}

// Without a terminal there are plain lines, few of them.
func TestPlainView(t *testing.T) {
	var out bytes.Buffer
	clock := time.Unix(0, 0)
	v := newView(&out, 300, nil, false, nil, func() time.Time { return clock })
	for _, s := range run(300) {
		clock = clock.Add(500 * time.Millisecond)
		v.Update(s)
	}
	v.Close()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) < 14 || len(lines) > 17 || strings.Contains(out.String(), "\x1b") || !strings.HasPrefix(lines[len(lines)-1], "step 300/300  loss 0.") {
		t.Errorf("%d lines: %s", len(lines), out.String())
	}
}

// However long a run, the view keeps little of it.
func TestLongRun(t *testing.T) {
	v := newView(&bytes.Buffer{}, 0, nil, false, nil, time.Now)
	for i := range 100_000 {
		v.take(float64(i))
	}
	if len(v.losses) > maxLosses || v.stride < 32 || v.losses[0] > 64 {
		t.Errorf("%d losses, %d steps each, the first %v", len(v.losses), v.stride, v.losses[0])
	}
}

func TestCurves(t *testing.T) {
	dir := t.TempDir()
	steps := run(200)
	steps[5].Loss = math.NaN()
	if err := Curves(dir, steps); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"loss", "learning_rate", "grad_norm", "throughput", "parts"} {
		f, err := os.Open(filepath.Join(dir, name+".png"))
		if err != nil {
			t.Error(err)
			continue
		}
		if c, err := png.DecodeConfig(f); err != nil || c.Width < 500 {
			t.Errorf("%s: %v, %v", name, c, err)
		}
		f.Close()
	}
	if _, err := os.Stat(filepath.Join(dir, "eval.png")); err == nil {
		t.Error("a picture of evaluations that there were not")
	}
}

func TestReadSteps(t *testing.T) {
	var b bytes.Buffer
	for _, s := range run(5) {
		if err := json.NewEncoder(&b).Encode(s); err != nil {
			t.Fatal(err)
		}
	}
	steps, err := ReadSteps(&b)
	if err != nil || len(steps) != 5 || steps[4].Step != 5 {
		t.Errorf("%v, %v", steps, err)
	}
	if _, err := ReadSteps(strings.NewReader("{}\nno\n")); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("%v", err)
	}
}

func FuzzReadSteps(f *testing.F) {
	f.Add([]byte(`{"step":1,"loss":2}`))
	f.Fuzz(func(t *testing.T, data []byte) { ReadSteps(bytes.NewReader(data)) })
}

func ExampleView() {
	v := NewView(os.Stdout, 2, nil) // no terminal in a test: plain lines
	v.Update(Step{Step: 1, Loss: 2.5, LearningRate: 1e-4, Tokens: 100, Images: 2, Seconds: 2})
	v.Update(Step{Step: 2, Loss: 2.25, LearningRate: 5e-5, Tokens: 100, Images: 2, Seconds: 2})
	v.Close()
	// Output:
	// step 1/2  loss 2.500  lr 1.00e-04  50 tokens/s  1.0 images/s  2s left
	// step 2/2  loss 2.250  lr 5.00e-05  50 tokens/s  1.0 images/s
}
