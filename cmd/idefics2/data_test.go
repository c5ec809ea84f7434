package main

import (
	"bytes"
	"path/filepath"
	"testing"

	"idefics2/eval"
	"idefics2/tokenizer"
)

// TestVocabulary learns a vocabulary from drawn texts; accepted answers of the reading
// evaluation, where its public examples lie beside the repository, come back from its ids.
func TestVocabulary(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokenizer.json")
	var said bytes.Buffer
	std := stdio{in: new(bytes.Buffer), out: new(bytes.Buffer), err: &said, getenv: func(string) string { return "" }}
	args := []string{"data", "vocabulary", "-n", "40", "-max-side", "224", "-size", "700", "-o", file}
	if code := execute(t.Context(), std, args); code != exitDone {
		t.Fatalf("status %d\n%s", code, said.String())
	}
	tok, err := tokenizer.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	answers := []string{"<h1>Order summary</h1><ul><li>No hidden costs</li></ul>", "€10.28", "Zoë Müller", "INVITED SUITABLY", "26.10.1993 05:10"}
	if cases, err := eval.ReadCases("../../../shared/golden/reading"); err == nil {
		for _, c := range cases {
			answers = append(answers, c.Answers...)
		}
	}
	for _, a := range answers {
		if got := tok.Decode(tok.Encode(a), true); got != "<s> "+a {
			t.Errorf("%q comes back as %q", a, got)
		}
	}
}
