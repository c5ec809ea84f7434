package sample

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestStops(t *testing.T) {
	tests := []struct {
		name   string
		stops  []string
		pieces []string
		want   []string // emitted by each piece, and by Flush
	}{
		{"none", nil, []string{"a", "b"}, []string{"a", "b", ""}},
		{"inside a piece", []string{"stop"}, []string{"now stop it"}, []string{"now ", ""}},
		{"across pieces", []string{"stop"}, []string{"no", "w s", "to", "p it", "x"}, []string{"no", "w ", "", "", "", ""}},
		{"what only began is given back", []string{"stop"}, []string{"sto", "ne"}, []string{"", "stone", ""}},
		{"held at the end", []string{"stop"}, []string{"a st"}, []string{"a ", "st"}},
		{"a prefix inside a prefix", []string{"aab"}, []string{"a", "a", "a", "b"}, []string{"", "", "a", "", ""}},
		{"the first that is complete", []string{"abcd", "bc"}, []string{"xab", "cd"}, []string{"x", "a", ""}},
		{"the longest of those at once", []string{"bc", "abc"}, []string{"xabc"}, []string{"x", ""}},
		{"a newline", []string{"\n\n"}, []string{"one\n", "two\n", "\nthree"}, []string{"one", "\ntwo", "", ""}},
		{"whole characters", []string{"é!"}, []string{"aé", "è"}, []string{"a", "éè", ""}},
		{"at once", []string{"User:"}, []string{"User:"}, []string{"", ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := NewStops(tt.stops...)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // Flush begins afresh
				for i, piece := range tt.pieces {
					if emit, _ := s.Push(piece); emit != tt.want[i] {
						t.Errorf("Push(%q) = %q, want %q", piece, emit, tt.want[i])
					}
				}
				if got := s.Flush(); got != tt.want[len(tt.pieces)] {
					t.Errorf("Flush() = %q, want %q", got, tt.want[len(tt.pieces)])
				}
			}
		})
	}
}

func TestStopsRefusesEmpty(t *testing.T) {
	if _, err := NewStops("a", ""); err == nil || !strings.Contains(err.Error(), "stop string 1: 0 bytes") {
		t.Errorf("error %v, want one that names string 1", err)
	}
}

// slowStop returns the text before the first stop string to be complete, and whether there is one.
func slowStop(text string, stops []string) (string, bool) {
	for end := 1; end <= len(text); end++ {
		cut := -1
		for _, stop := range stops {
			if strings.HasSuffix(text[:end], stop) && (cut < 0 || end-len(stop) < cut) {
				cut = end - len(stop)
			}
		}
		if cut >= 0 {
			return text[:cut], true
		}
	}
	return text, false
}

// FuzzStops: however a text is cut into pieces, what is emitted is the text before the first stop
// string, and never more than that at any time.
func FuzzStops(f *testing.F) {
	f.Add("say stop now", "stop", "st", uint64(0x5555))
	f.Add("aaaaaaab", "aab", "ab", uint64(0xffff))
	f.Add("abcabcabd", "abcabd", "cab", uint64(0x1248))
	f.Add("grüße an alle\n\nUser:", "\nUser", "ße", uint64(0x3))
	f.Fuzz(func(t *testing.T, text, a, b string, cuts uint64) {
		if len(text) > 1000 {
			return // the slow way would take too long
		}
		s, err := NewStops(a, b)
		if (err != nil) != (a == "" || b == "" || len(a) > maxStop || len(b) > maxStop) {
			t.Fatalf("NewStops(%q, %q): %v", a, b, err)
		}
		if err != nil {
			return
		}
		want, stops := slowStop(text, []string{a, b})
		var got strings.Builder
		characters := utf8.ValidString(text) && utf8.ValidString(a) && utf8.ValidString(b)
		start := 0
		push := func(piece string) {
			foreseen := s.Stopped() || s.Completes(piece)
			emit, stopped := s.Push(piece)
			if foreseen != stopped {
				t.Fatalf("Completes(%q) = %v, and Push stopped: %v", piece, foreseen, stopped)
			}
			got.WriteString(emit)
			if !strings.HasPrefix(want, got.String()) {
				t.Fatalf("emitted %q, want a beginning of %q", got.String(), want)
			}
			if stopped != s.Stopped() || stopped && got.String() != want {
				t.Fatalf("stopped %v after %q, want %q", stopped, got.String(), want)
			}
			if characters && utf8.ValidString(piece) && !utf8.ValidString(emit) {
				t.Fatalf("Push(%q) = %q splits a character", piece, emit)
			}
		}
		for i := range text {
			if cuts>>(i%64)&1 != 0 {
				push(text[start:i])
				start = i
			}
		}
		push(text[start:])
		if s.Stopped() != stops {
			t.Fatalf("stopped %v, want %v", s.Stopped(), stops)
		}
		if got.WriteString(s.Flush()); got.String() != want {
			t.Fatalf("emitted %q in all, want %q", got.String(), want)
		}
	})
}

// TestStopsIsLinear: a text that keeps the longest prefix alive is the worst case. In quadratic
// time this would take minutes.
func TestStopsIsLinear(t *testing.T) {
	stop := strings.Repeat("a", maxStop-1) + "b"
	s, err := NewStops(stop, stop[1:])
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for range 1 << 18 {
		emit, _ := s.Push("a")
		n += len(emit)
	}
	emit, stopped := s.Push("b")
	if n += len(emit); !stopped || n != 1<<18+1-len(stop) {
		t.Errorf("%d bytes emitted, stopped %v; want %d", n, stopped, 1<<18+1-len(stop))
	}
}

func BenchmarkStops(b *testing.B) {
	text := strings.Repeat("The quick brown fox says stop\nUse it. ", 100)
	b.SetBytes(int64(len(text)))
	s, err := NewStops("\nUser:", "<end>", "stop it")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for at := 0; at < len(text); at += 4 {
			s.Push(text[at:min(at+4, len(text))])
		}
		s.Flush()
	}
}
