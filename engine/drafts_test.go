package engine

import (
	"testing"
	"time"
)

func TestDraftsPayOrNot(t *testing.T) {
	for _, c := range []struct {
		name  string
		pass  [5]time.Duration // of one row to five
		right int              // of each draft of four
		made  int              // of 330 drafts
	}{
		{"a large model that copies", [5]time.Duration{100, 102, 105, 110, 115}, 4, 330},
		{"a large model that does not", [5]time.Duration{100, 102, 105, 110, 115}, 0, 10},
		{"half right pays where rows are cheap", [5]time.Duration{100, 102, 105, 110, 180}, 2, 330},
		{"a small model, whose rows cost alike", [5]time.Duration{100, 200, 300, 400, 500}, 4, 1},
	} {
		var d drafts
		var g guesses
		d.took(1, c.pass[0])
		made := 0
		for range 330 {
			if g.pay(&d, adaptiveDraft) {
				made++
				d.took(5, c.pass[4])
				g.verified(c.right)
			}
		}
		if made != c.made {
			t.Errorf("%s: %d of 330 drafts were made, want %d", c.name, made, c.made)
		}
	}
	var d drafts
	d.took(1000, time.Second) // of no draft
	if _, known := d.cost(1); known {
		t.Error("a cost that was not measured")
	}
}
