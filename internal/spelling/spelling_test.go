package spelling

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	words := []string{"steps", "stages", "split", "learning_rate", "lr"}
	for word, want := range map[string]string{
		"stpes": "steps", "STEPS": "steps", "learning": "learning_rate", "learning-rate": "learning_rate", "l": "lr", "xylophone": "", "": "",
		strings.Repeat("x", 1000): "",
	} {
		if got := Nearest(word, words); got != want {
			t.Errorf("%.20q: %q, want %q", word, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	if d := distance("ca", "abc"); d != 3 {
		t.Errorf("distance(ca, abc) = %d, want 3: a letter that was swapped is not edited again", d)
	}
}
