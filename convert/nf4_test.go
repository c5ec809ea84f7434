package convert

import (
	"path/filepath"
	"slices"
	"testing"

	"idefics2/checkpoint"
)

// A folder in NF4 opens, with the linear layers but the head's in 4 bits and everything else as it was.
func TestNF4Folder(t *testing.T) {
	from, err := checkpoint.Open(filepath.Join("..", "testdata", "golden", "tiny", "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	out := filepath.Join(t.TempDir(), "nf4")
	if err := NF4Folder(t.Context(), out, from, Options{}); err != nil {
		t.Fatal(err)
	}
	c, err := checkpoint.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if !slices.Equal(c.Names(), from.Names()) {
		t.Fatalf("%d tensors, want %d", len(c.Names()), len(from.Names()))
	}
	for _, want := range from.Config.Tensors() {
		s, _ := c.Stored(want.Name)
		if NF4(want) != (s.Format == "NF4") || !slices.Equal(s.Shape, want.Shape) {
			t.Errorf("%s is %s %v", want.Name, s.Format, s.Shape)
		}
	}
	if err := NF4Folder(t.Context(), filepath.Join(t.TempDir(), "again"), c, Options{}); err == nil {
		t.Error("quantized what was quantized")
	}
}
