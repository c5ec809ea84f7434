// Package golden gives tests what they are held against. Small recordings of the reference are
// committed under testdata; larger ones live in a folder named shared beside the
// checkout and are used where it is there.
package golden

import (
	"os"
	"path/filepath"
	"testing"
)

// Shared returns the folder shared/golden/name beside the checkout, and false where
// it is not there: the caller then tests with what is committed.
func Shared(t testing.TB, name string) (dir string, ok bool) {
	t.Helper()
	at, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		dir := filepath.Join(at, "shared", "golden", filepath.FromSlash(name))
		if _, err := os.Stat(dir); err == nil {
			return dir, true
		}
		up := filepath.Dir(at)
		if up == at {
			return "", false
		}
		at = up
	}
}
