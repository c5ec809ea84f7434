package tokenizer

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

var trainTexts = []string{
	"the cat sat on the mat", "the cats sit on the mats", "a hat, a bat and the cat",
	"<h1>The cat</h1><p>It sat.</p><ul><li>mat</li><li>hat</li></ul>", "12.50 EUR on 03.04.2021", "Zoë's café",
}

// TestTrain learns from a few lines and reads the result back.
func TestTrain(t *testing.T) {
	data, err := Train(slices.Values(trainTexts), TrainOptions{Size: 400})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range append(trainTexts, "", " ", "  two  blanks ", "new words: 東京 \x00\n\t", "1234567890", "<image>", "é") {
		if got := tok.Decode(tok.Encode(text), false); got != text {
			t.Errorf("%q comes back as %q", text, got)
		}
	}
	for _, piece := range []string{"▁the", "▁cat", "at"} {
		if _, ok := tok.ID(piece); !ok {
			t.Errorf("no piece %q", piece)
		}
	}
	for id := range int32(tok.Size()) {
		piece, _ := tok.Token(id)
		if len(piece) > 1 && !strings.HasPrefix(piece, "<") && strings.ContainsAny(piece, "0123456789") {
			t.Errorf("piece %q has a digit", piece)
		}
	}
	for i, added := range idefics2Added {
		if id, ok := tok.ID(added); !ok || int(id) != tok.Size()-3+i || !tok.IsSpecial(id) {
			t.Errorf("%s has id %d of %d", added, id, tok.Size())
		}
	}
	if id, ok := tok.ID("<0x0A>"); !ok || id != 13 {
		t.Errorf("<0x0A> has id %d, want 13", id)
	}
	if got := tok.EncodeRaw("<image>a"); len(got) != 3 {
		t.Errorf("<image>a is %v", got)
	}
}

// TestTrainOrder: the order of the texts does not matter.
func TestTrainOrder(t *testing.T) {
	a, err := Train(slices.Values(trainTexts), TrainOptions{Size: 350})
	if err != nil {
		t.Fatal(err)
	}
	turned := slices.Clone(trainTexts)
	slices.Reverse(turned)
	b, err := Train(slices.Values(turned), TrainOptions{Size: 350})
	if err != nil || !bytes.Equal(a, b) {
		t.Errorf("another order gives another file (%v)", err)
	}
}

// TestTrainMerges follows the first merges by hand: "aab" three times and "ab" twice have
// the pairs ▁a 5, aa 3, ab 5; ▁a and ab tie, and ab comes before ▁a.
func TestTrainMerges(t *testing.T) {
	data, err := Train(slices.Values([]string{"aab aab aab ab ab"}), TrainOptions{Size: 3 + 256 + 3 + 3, Added: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	// After ab: ▁a ab has ▁a 3 and a+ab 3, ▁ab 2. "a ab" comes before "▁ a".
	for id, want := range []string{"ab", "aab", "▁aab"} {
		if got, _ := tok.Token(int32(3 + 256 + id)); got != want {
			t.Errorf("piece %d is %q, want %q", id, got, want)
		}
	}
}

func TestTrainRefuses(t *testing.T) {
	for _, o := range []TrainOptions{{Size: 259}, {Size: 1 << 30}, {Characters: -1}} {
		if _, err := Train(slices.Values(trainTexts), o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
	if _, err := Train(slices.Values([]string(nil)), TrainOptions{}); err == nil {
		t.Error("no text is taken")
	}
}

func TestUnits(t *testing.T) {
	got := slices.Collect(units("▁The▁p.▁12<p>Ab</p><ul><li>c▁▁d<"))
	want := []string{"▁The", "▁p", ".", "▁", "1", "2", "<p>", "Ab", "</p><ul><li>", "c", "▁", "▁d", "<"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func FuzzTrain(f *testing.F) {
	f.Add("the cat <li>sat</li> 12 ▁ \xff")
	f.Fuzz(func(t *testing.T, text string) {
		data, err := Train(slices.Values([]string{text, "abc abc"}), TrainOptions{Size: 300})
		if err != nil {
			t.Fatal(err)
		}
		tok, err := Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		// The pipeline itself takes ▁ for a blank.
		if want := strings.ReplaceAll(toValid(text), "▁", " "); tok.Decode(tok.Encode(text), false) != want {
			t.Errorf("%q comes back as %q", text, tok.Decode(tok.Encode(text), false))
		}
	})
}
