package checkpoint

import (
	"path/filepath"
	"strings"
	"testing"

	"idefics2/internal/golden"
)

// Every recorded checkpoint opens, and the names and shapes that the configuration
// gives are exactly those that transformers wrote.
func TestGoldenCheckpoints(t *testing.T) {
	dir, ok := golden.Shared(t, "model") // all of them
	if !ok {
		dir = filepath.Join("..", "testdata", "golden") // those that are committed
	}
	cases, err := filepath.Glob(filepath.Join(dir, "*", "checkpoint"))
	if err != nil || len(cases) < 5 {
		t.Fatalf("%d cases in %s (%v)", len(cases), dir, err)
	}
	for _, dir := range cases {
		t.Run(filepath.Base(filepath.Dir(dir)), func(t *testing.T) {
			c, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for _, want := range c.Config.Tensors() {
				if _, err := c.Take(want.Name, want.Shape...); err != nil {
					t.Error(err)
				}
			}
			if err := c.Finish(); err != nil {
				t.Error(err)
			}
			checkGoldenFolder(t, c)
		})
	}
}

func checkGoldenFolder(t *testing.T, c *Checkpoint) {
	t.Helper()
	if c.ChatTemplate == "" || !strings.Contains(c.ChatTemplate, "add_generation_prompt") {
		t.Errorf("chat template %q from %q", c.ChatTemplate, c.ChatTemplateFile)
	}
	if len(c.Generation.EOS) == 0 || len(c.Generation.BadWords) != 2 || c.Generation.BOS != 1 || c.Generation.PAD != 0 {
		t.Errorf("generation: %+v", c.Generation)
	}
	if c.BOSToken != "<s>" || c.EOSToken != "</s>" || c.PadToken != "<unk>" {
		t.Errorf("special tokens %q %q %q", c.BOSToken, c.EOSToken, c.PadToken)
	}
	if c.Preprocessor.Mean != [3]float64{0.5, 0.5, 0.5} || c.Preprocessor.LongestEdge < c.Preprocessor.ShortestEdge {
		t.Errorf("preprocessor: %+v", c.Preprocessor)
	}
	if _, err := c.File("tokenizer.json"); err != nil {
		t.Error(err)
	}
}
