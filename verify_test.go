package idefics2

import (
	"os"
	"path/filepath"
	"testing"

	"idefics2/internal/golden"
)

// verify holds a recorded case against the model and returns how many comparisons were made.
func verify(t *testing.T, dir string) (checks int) {
	t.Helper()
	worst := Check{}
	err := Verify(t.Context(), dir, "", Options{}, func(c Check) {
		checks++
		if !c.OK {
			t.Errorf("%s %s: difference %g, allowed %g. %s", c.Request, c.Stage, c.Difference, c.Allowed, c.Note)
		}
		if c.Allowed > 0 && c.Difference/c.Allowed > worst.Difference/max(worst.Allowed, 1e-30) {
			worst = c
		}
	})
	if err != nil {
		t.Error(err)
	}
	t.Logf("%d comparisons; the nearest to its tolerance is %s %s: %.2g of %.2g", checks, worst.Request, worst.Stage, worst.Difference, worst.Allowed)
	return checks
}

// Every stage of the committed recordings.
func TestCommittedRecordings(t *testing.T) {
	cases, err := os.ReadDir("testdata/golden")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Name(), func(t *testing.T) {
			if n := verify(t, filepath.Join("testdata", "golden", c.Name())); n < 12 {
				t.Errorf("only %d comparisons were made", n)
			}
		})
	}
}

// The case that the binary carries.
func TestVerifyWithoutArguments(t *testing.T) {
	if n := verify(t, ""); n < 100 {
		t.Errorf("only %d comparisons were made", n)
	}
}

// The recordings that are too large to commit, where they lie beside the checkout.
func TestSharedRecordings(t *testing.T) {
	for _, name := range []string{"tiny", "split", "window", "sharded", "sharded_f16", "variant_mha", "variant_mqa", "variant_tied", "variant_activations", "positions", "mid", "quant"} {
		if dir, ok := golden.Shared(t, "model/"+name); ok {
			t.Run(name, func(t *testing.T) { verify(t, dir) })
		}
	}
}
