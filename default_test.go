package idefics2

import (
	"strings"
	"testing"

	"idefics2/chat"
)

// Without a name the model inside the program answers, and says what it is.
func TestDefaultModel(t *testing.T) {
	var notes []string
	m, err := Open(t.Context(), "", Options{Note: func(line string) { notes = append(notes, line) }})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if m.Name() != "default" {
		t.Errorf("it is called %q", m.Name())
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "idefics2 pull HuggingFaceM4/idefics2-8b") || strings.Contains(notes[0], "\n") {
		t.Errorf("notes %q, want one line that names the released model", notes)
	}
	r := Request{
		Messages: []Message{{Role: "user", Content: []Part{chat.Image("defaultmodel/recorded/images/shape.png"), chat.Text("What is the color of the pentagon?")}}},
	}
	for _, split := range []bool{false, true} {
		r.Split = &split
		answer, err := m.Chat(t.Context(), r).Answer()
		if err != nil {
			t.Fatal(err)
		}
		if answer.Finish != "stop" || answer.Text == "" {
			t.Errorf("split %v: %q, which ended by %q", split, answer.Text, answer.Finish)
		}
	}
	if _, err := OpenProcessor("", Options{}); err != nil {
		t.Error(err)
	}
}
