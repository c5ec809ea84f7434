package synth

import (
	"regexp"
	"slices"
	"testing"
)

// A display is drawn only where it is asked for, and its answer is its number.
func TestDisplay(t *testing.T) {
	if slices.Contains(Categories(), "display") || Weights()["display"] != 0 {
		t.Error("displays are among what is drawn by default")
	}
	g, err := New(Options{Categories: []string{"display"}, MaxSide: 192})
	if err != nil {
		t.Fatal(err)
	}
	number := regexp.MustCompile(`^[0-9]{2,4}$`)
	seen := map[string]bool{}
	for i := range uint64(40) {
		e := g.Example(i)
		answer := e.Turns[0].Answers[0]
		if m := e.Images[0]; !number.MatchString(answer) || max(m.Width, m.Height) > 192 {
			t.Errorf("%d: %q in %d×%d", i, answer, m.Width, m.Height)
		}
		seen[answer] = true
	}
	if len(seen) < 30 {
		t.Errorf("%d numbers in 40 pictures", len(seen))
	}
	if _, err := New(Options{Categories: []string{"line", "display"}}); err != nil {
		t.Error(err)
	}
}

// No two digits light the same bars.
func TestSegments(t *testing.T) {
	lit := map[[7]bool]int{}
	for digit, bars := range segments {
		var on [7]bool
		for _, b := range bars {
			on[b-'a'] = true
		}
		if other, twice := lit[on]; twice {
			t.Errorf("%d looks like %d", digit, other)
		}
		lit[on] = digit
	}
}
