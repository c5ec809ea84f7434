package constrain

import (
	"encoding/json"
	"testing"

	"idefics2/internal/golden"
	"idefics2/tokenizer"
)

// released is the tokenizer of the released model, where the recordings hold it: 32,003 ids.
func released(b *testing.B) (*Vocabulary, *tokenizer.Tokenizer) {
	dir, ok := golden.Shared(b, "tokenizer")
	if !ok {
		return vocabulary(b)
	}
	tok, err := tokenizer.Load(dir + "/tokenizer.json")
	if err != nil {
		b.Fatal(err)
	}
	return NewVocabulary(tok, tok.Size()), tok
}

// A token of an answer: the text of an invoice, over and over, by requests that share a grammar.
func BenchmarkMask(b *testing.B) {
	v, tok := released(b)
	g, err := New(Format{Schema: json.RawMessage(invoice)}, v)
	if err != nil {
		b.Fatal(err)
	}
	ids := tok.Encode(`{"number": "a 17/b", "total": 12.5, "paid": true, "lines": [{"what": "a line with some words", "n": 5}, {"what": "and another"}]}`)[1:]
	for _, warm := range []bool{true, false} {
		name := "cold"
		if warm {
			name = "warm"
		}
		b.Run(name, func(b *testing.B) {
			var c *Constraint
			n := len(ids)
			for b.Loop() {
				if n++; n > len(ids) {
					n = 0
					if !warm {
						g.reset()
					}
					c, _ = g.Constraint(end)
				}
				if _, err := c.Mask(ids[:n]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	v, _ := released(b)
	for b.Loop() {
		if _, err := New(Format{Schema: json.RawMessage(invoice)}, v); err != nil {
			b.Fatal(err)
		}
	}
}
