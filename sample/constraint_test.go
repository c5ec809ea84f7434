package sample

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

// alternate allows the ids below or above the middle of 100 ids in turn, and then the end id 7.
type alternate struct{ fail bool }

func (a alternate) Mask(generated []int32) ([]uint64, error) {
	switch {
	case a.fail:
		return nil, errors.New("no mask")
	case len(generated) > 4:
		return []uint64{1 << 7}, nil // the second word is missing: none of its ids
	case len(generated)%2 == 1:
		return []uint64{0, math.MaxUint64}, nil
	}
	return []uint64{math.MaxUint64 &^ (1 << 7), 0}, nil
}

func TestConstraint(t *testing.T) {
	const vocab = 100
	logits := make([]float32, vocab)
	for i := range logits {
		logits[i] = float32(i * 37 % 100)
	}
	for _, o := range []Options{
		{}, {ReplaceInvalid: true}, {Temperature: 1, TopK: 5}, {Temperature: 2, TopP: 0.5, RenormalizeLogits: true}, {NoRepeatNgram: 2},
	} {
		o.Constraint, o.StopIDs = alternate{}, []int32{7}
		s, err := New(o, vocab, 0)
		if err != nil {
			t.Fatal(err)
		}
		ids := []int32{50, 60}
		for n := range 6 {
			id, err := s.Next(logits, ids, 2)
			if err != nil {
				t.Fatal(err)
			}
			if mask, _ := (alternate{}).Mask(ids[2:]); n == 5 && id != 7 || n < 5 && mask[id/64]>>(id%64)&1 == 0 {
				t.Errorf("%+v: token %d is %d", o, n, id)
			}
			ids = append(ids, id)
		}
	}
	s, err := New(Options{Constraint: alternate{fail: true}}, vocab, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Next(logits, []int32{1}, 1); err == nil || !strings.Contains(err.Error(), "position 1: no mask") {
		t.Errorf("%v", err)
	}
}

// Beams keep to a constraint, and so do drafts, whatever is proposed.
func TestConstraintOfBeamsAndDrafts(t *testing.T) {
	const vocab = 100
	row := func(ids []int32) []float32 {
		logits := make([]float32, vocab)
		for i := range logits {
			logits[i] = float32((i*31+int(ids[len(ids)-1])*17)%97) / 10
		}
		return logits
	}
	o := Options{Constraint: alternate{}, StopIDs: []int32{7}, Beams: 4, Returned: 3, MaxNewTokens: 9}
	b, err := NewBeams(o, vocab, 0, []int32{5}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for logits := row([]int32{5}); !b.Done(); {
		if _, _, err := b.Step(logits); err != nil {
			t.Fatal(err)
		}
		logits = nil
		for i := range o.Beams {
			logits = append(logits, row(b.Running(i))...)
		}
	}
	answers := b.Result()
	if len(answers) != 3 {
		t.Fatalf("%d answers", len(answers))
	}
	for _, a := range answers {
		if len(a.IDs) != 6 || a.IDs[5] != 7 || a.Finish != FinishStop {
			t.Errorf("%+v", a)
		}
		for n, id := range a.IDs[:5] {
			if (id >= 64) != (n%2 == 1) {
				t.Errorf("%v: id %d", a.IDs, n)
			}
		}
	}

	s, err := New(Options{Constraint: alternate{}, StopIDs: []int32{7}, MaxNewTokens: 9}, vocab, 0)
	if err != nil {
		t.Fatal(err)
	}
	ids := []int32{5}
	for range 6 {
		id, err := s.Next(row(ids), ids, 1)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	for _, draft := range [][]int32{ids[2:5], {ids[2], 3, 3}, {80, 80, 80}} {
		history := append(slices.Clone(ids[:2]), draft...)
		var logits []float32
		for n := 2; n <= len(history); n++ {
			logits = append(logits, row(history[:n])...)
		}
		got, err := s.Verify(nil, logits, history, 1, len(draft))
		if err != nil || !slices.Equal(got, ids[2:2+len(got)]) || len(got) == 0 {
			t.Errorf("draft %v: %v %v, want the beginning of %v", draft, got, err, ids[2:])
		}
	}
}

// masks are those that it holds, in turn.
type masks [][]uint64

func (m masks) Mask(generated []int32) ([]uint64, error) { return m[len(generated)%len(m)], nil }

// What a mask adds to a token of a vocabulary of 32,003: against "none".
func BenchmarkConstraint(b *testing.B) {
	const vocab = 32003
	words := (vocab + 63) / 64
	narrow, wide, half := make([]uint64, words), make([]uint64, words), make([]uint64, words)
	for i := range words {
		wide[i], half[i] = math.MaxUint64, 0x9249249249249249
	}
	narrow[200], wide[3] = 1<<9, 7
	logits := make([]float32, vocab)
	for i := range logits {
		logits[i] = float32(i * 37 % 1009)
	}
	for name, c := range map[string]Constraint{"none": nil, "narrow": masks{narrow}, "half": masks{half}, "wide": masks{wide}} {
		b.Run(name, func(b *testing.B) {
			s, err := New(Options{Constraint: c}, vocab, 0)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := s.Next(logits, []int32{5}, 1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
