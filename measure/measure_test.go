package measure

import (
	"context"
	"errors"
	"strings"
	"testing"

	"idefics2/checkpoint"
	"idefics2/kernel"
)

// contract are the works that scripts rely on.
var contract = []string{
	"decode-bf16", "decode-q8_0", "decode-q4_0", "prefill512-bf16", "prefill2048-bf16", "prefill512-q4_0",
	"vision735x980", "split1280x960", "jpeg4000x3000", "resize4000x3000", "tokenize",
}

// pebble is a geometry that takes no time. Its rows are whole blocks.
func pebble() checkpoint.Config {
	c := checkpoint.Released()
	c.Vision.HiddenSize, c.Vision.IntermediateSize, c.Vision.Layers, c.Vision.Heads, c.Vision.PatchSize = 8, 16, 3, 1, 70
	c.Text.HiddenSize, c.Text.IntermediateSize, c.Text.Layers, c.Text.VocabSize = 32, 32, 3, 300
	c.Text.Heads, c.Text.KVHeads, c.Text.HeadDim = 1, 1, 8
	c.Perceiver.HiddenSize, c.Perceiver.Depth, c.Perceiver.Latents = 32, 3, 2
	c.Perceiver.Heads, c.Perceiver.KVHeads, c.Perceiver.HeadDim = 1, 1, 8
	return c
}

func TestEveryWorkOfTheContract(t *testing.T) {
	var said []string
	b, err := New(Options{Config: pebble(), Samples: 1, Quick: true, Layers: 2, Text: []byte("some words"), Progress: func(work string, done, all int) { said = append(said, work) }})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	r, err := b.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]Row{}
	for _, row := range r.Rows {
		rows[row.Work] = row
		if !(row.Seconds > 0 && row.Best > 0 && row.Rate > 0 && row.Limit > 0 && row.Share > 0 && row.Yields > 0) || row.Unit == "" || row.Bound == "" {
			t.Errorf("%+v", row)
		}
		layered := strings.HasPrefix(row.Work, "decode") || strings.HasPrefix(row.Work, "prefill") || row.Work == "vision735x980"
		if layered && row.Scaled != "from 2 of 3 layers" {
			t.Errorf("%s: scaled %q", row.Work, row.Scaled)
		}
	}
	for _, name := range contract {
		if rows[name].Work == "" {
			t.Errorf("no row %q", name)
		}
	}
	if r.Limits.Read <= 0 || len(r.Limits.Peaks) == 0 || r.Limits.Operations("int8") <= 0 {
		t.Errorf("limits %+v", r.Limits)
	}
	if len(said) != len(r.Rows)+2 {
		t.Errorf("%d reports of progress for %d rows", len(said), len(r.Rows))
	}
}

func TestTrainingWorks(t *testing.T) {
	config := pebble()
	config.ImageTokenID = config.Text.VocabSize - 1
	for _, recompute := range []bool{false, true} {
		b, err := New(Options{Config: config, Samples: 1, Quick: true, Train: true, Recompute: recompute, Memory: func() uint64 { return 7 }})
		if err != nil {
			t.Fatal(err)
		}
		r, err := b.Run(t.Context())
		b.Close()
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Rows) != 6 {
			t.Errorf("%d rows, want forward, gradients and step of words and of a picture", len(r.Rows))
		}
		for _, row := range r.Rows {
			if !(row.Seconds > 0 && row.Share > 0 && row.Operations > 0 && row.Memory == 7) || strings.HasSuffix(row.Work, "-recompute") != recompute {
				t.Errorf("%+v", row)
			}
		}
	}
}

func TestOnlyAndSample(t *testing.T) {
	b, err := New(Options{Config: pebble(), Samples: 1, Quick: true, Layers: 9, Only: []string{"decode-q4_0", "split*"}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	r, err := b.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Rows) != 2 || r.Rows[0].Work != "decode-q4_0" || r.Rows[1].Work != "split1280x960" || r.Rows[0].Scaled != "" {
		t.Errorf("rows %+v", r.Rows)
	}
	if s, err := b.Sample("decode-q4_0"); err != nil || s <= 0 {
		t.Errorf("Sample: %v, %v", s, err)
	}
	if _, err := b.Sample("tokenize"); err == nil {
		t.Error("a work that was not asked for was sampled")
	}
	for _, o := range []Options{{Only: []string{"decode-q5"}}, {Layers: -1}, {Only: []string{"["}}} {
		o.Config = pebble()
		if _, err := New(o); err == nil {
			t.Errorf("%v, %d layers: no error", o.Only, o.Layers)
		}
	}
}

func TestInterrupted(t *testing.T) {
	b, err := New(Options{Config: pebble(), Samples: 1_000_000, Only: []string{"tokenize", "decode-bf16"}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// The counts of spec/model.md for the released model: 7.11 G weights of the decoder are
// read for a token, and the tower and connector take 5.4 TFLOP for one picture.
func TestCosts(t *testing.T) {
	c := checkpoint.Released()
	layer, head := textWeights(c.Text)
	if got := 32*layer + head; got != 7_110_406_144 {
		t.Errorf("decoder: %.0f weights", got)
	}
	_, connector := connectorCost(c, 3640)
	if got := towerOperations(c.Vision, []int{3640}) + connector; got < 5.3e12 || got > 5.5e12 {
		t.Errorf("a picture takes %.4g operations", got)
	}
}

func TestCompare(t *testing.T) {
	before := &Report{Rows: []Row{{Work: "a", Seconds: 2, Share: .4}, {Work: "gone", Seconds: 1, Share: 1}}}
	if _, err := ParseReport([]byte(`{"rows":[{"work":"a","seconds":2,"share":0.4},{"work":"b","seconds":0,"share":1}]}`)); err == nil {
		t.Error("a report with a work that takes no time was read")
	}
	after := &Report{Rows: []Row{{Work: "a", Seconds: 1, Share: .6}, {Work: "new", Seconds: 1, Share: 1}}}
	got := Compare(before, after)
	if len(got) != 1 || got[0].Times != 2 || got[0].Corrected < 1.49 || got[0].Corrected > 1.51 {
		t.Errorf("%+v", got)
	}
}

func TestExpect(t *testing.T) {
	l := Limits{Read: 28e9, Peaks: []kernel.Peak{{Variant: "avx2", Type: "f32", Rate: 207e9}, {Variant: "avx2", Type: "int8", Rate: 400e9}}}
	got := Expect(checkpoint.Released(), l)
	if len(got) != 3 || got[0].Weights != 2*checkpoint.Released().Parameters() {
		t.Fatalf("%+v", got)
	}
	if got[0].Decode < 1.4 || got[0].Decode > 1.8 || got[2].Decode < 3.4*got[0].Decode || got[1].Prefill <= got[0].Prefill || got[0].Image < 30 || got[0].Image > 45 {
		t.Errorf("%+v", got)
	}
}

func FuzzParseReport(f *testing.F) {
	f.Add([]byte(`{"machine":{},"rows":[{"work":"a","seconds":2,"share":0.4}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseReport(data)
		if err != nil {
			return
		}
		for _, c := range Compare(r, r) {
			if c.Work == "" {
				t.Errorf("%+v", c)
			}
		}
	})
}
