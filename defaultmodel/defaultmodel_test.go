package defaultmodel

import (
	"io/fs"
	"os"
	"testing"
)

// What every program carries is small.
func TestSize(t *testing.T) {
	const most = 12 << 20
	total := int64(0)
	err := fs.WalkDir(Files(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if total > most {
		t.Errorf("%d bytes, want at most %d", total, most)
	}
}

func TestMeans(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, want := range map[string]bool{"": true, "default": true, "Default": false, "owner/name": false} {
		if Means(name) != want {
			t.Errorf("Means(%q) is %v", name, !want)
		}
	}
	if err := os.Mkdir(Name, 0o777); err != nil {
		t.Fatal(err)
	}
	if Means(Name) || !Means("") {
		t.Error("a folder of that name is not preferred")
	}
}
