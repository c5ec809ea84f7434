package hub

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

const (
	first  = "2c42686c57fe21cf0348c9ce1077d094b72e7698"
	second = "37b15a5fa1d5ef2d3d1e5b4d4c3a2b1c0d9e8f7a"
	third  = "e37a0b37e37a0b37e37a0b37e37a0b37e37a0b37"
)

// newCache makes a cache as the Hub's tools leave it: a complete snapshot that main and
// the tag v1 name, one that nothing names, and one whose weights were never fetched.
func newCache(t *testing.T) (Cache, string) {
	t.Helper()
	c := Cache{t.TempDir()}
	root := filepath.Join(c.Dir, "models--HuggingFaceM4--idefics2-8b")
	write(t, filepath.Join(root, "refs", "main"), first)
	write(t, filepath.Join(root, "refs", "v1"), first+"\n")
	write(t, filepath.Join(root, "refs", "refs", "pr", "7"), third)
	write(t, filepath.Join(root, "refs", "gone"), strings.Repeat("0", 40))
	write(t, filepath.Join(root, "refs", "bad"), "<html>")
	write(t, filepath.Join(root, "blobs", "abc"), "{}")
	for _, hash := range []string{first, second, third} {
		link(t, "../../blobs/abc", filepath.Join(root, "snapshots", hash, "config.json"))
	}
	link(t, "../../blobs/def", filepath.Join(root, "snapshots", third, "model.safetensors"))
	if err := os.MkdirAll(filepath.Join(c.Dir, "models--empty--model", "snapshots", first), 0o777); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(c.Dir, "models--empty--model", "refs", "main"), first)
	return c, root
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
}

// link makes a symbolic link, or what the Hub's tools make where there are none: a copy.
func link(t *testing.T, target, path string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		if !strings.HasSuffix(target, "def") {
			write(t, path, "{}")
		}
		return
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

func TestFind(t *testing.T) {
	c, root := newCache(t)
	for name, want := range map[string]string{
		"HuggingFaceM4/idefics2-8b":           first,
		"HuggingFaceM4/idefics2-8b@main":      first,
		"HuggingFaceM4/idefics2-8b@v1":        first,
		"HuggingFaceM4/idefics2-8b@" + second: second,
	} {
		dir, err := c.Find(name)
		if err != nil || dir != filepath.Join(root, "snapshots", want) {
			t.Errorf("Find(%q) = %q, %v, want snapshot %s", name, dir, err, want)
		}
	}
}

func TestFindRefuses(t *testing.T) {
	c, root := newCache(t)
	tests := []struct {
		name     string
		notFound bool
		want     []string // in the error
	}{
		{"nobody/nothing", true, []string{"not in the cache", c.Dir, "idefics2 pull nobody/nothing`", "models--nobody--nothing"}},
		{"HuggingFaceM4/idefics2-8b@v2", true, []string{root, "@main", "@v1", "@" + second, "idefics2 pull HuggingFaceM4/idefics2-8b@v2`"}},
		{"HuggingFaceM4/idefics2-8b@gone", true, []string{"not in the cache", "@main"}},
		{"HuggingFaceM4/idefics2-8b@" + first[:8], true, []string{"@main"}},
		{"HuggingFaceM4/idefics2-8b@bad", false, []string{"<html>", "40 hex digits"}},
		{"empty/model", false, []string{"incomplete"}},
	}
	if runtime.GOOS != "windows" {
		tests = append(tests, struct {
			name     string
			notFound bool
			want     []string
		}{"HuggingFaceM4/idefics2-8b@refs/pr/7", false, []string{"incomplete", "1 of 2 files", "model.safetensors"}})
	}
	for _, tt := range tests {
		dir, err := c.Find(tt.name)
		if err == nil {
			t.Errorf("Find(%q) = %q, want an error", tt.name, dir)
			continue
		}
		if errors.Is(err, ErrNotFound) != tt.notFound {
			t.Errorf("Find(%q): ErrNotFound is %v: %v", tt.name, !tt.notFound, err)
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("Find(%q): %v, want it to say %q", tt.name, err, want)
			}
		}
	}
}

func TestParseName(t *testing.T) {
	good := map[string]Name{
		"a/b":                  {"a", "b", "main"},
		"Owner-1/Model_2.3@v1": {"Owner-1", "Model_2.3", "v1"},
		"a/b@refs/pr/1":        {"a", "b", "refs/pr/1"},
		"a/b@release-1.0+x":    {"a", "b", "release-1.0+x"},
	}
	for text, want := range good {
		if got, err := ParseName(text); got != want || err != nil {
			t.Errorf("ParseName(%q) = %v, %v, want %v", text, got, err, want)
		}
		if again, err := ParseName(want.String()); again != want || err != nil {
			t.Errorf("ParseName(%q) = %v, %v, want %v", want, again, err, want)
		}
	}
	for _, text := range []string{
		"", "a", "/", "a/", "/b", "a/b/c", "../b", "a/..", "a/.b", "./a", "a/b--c", "a/b.", "a/b@", "a/b@..", "a/b@../../x",
		"a/b@x/../../..", "a/b@/etc", "a/b@x//y", "a/b@x/", "a/b@x@y", `a\b/c`, `a/b@x\y`, "a/b@x\n", "a /b", "a/b\x00", "é/b",
		"a/" + strings.Repeat("b", 97), "a/b@" + strings.Repeat("c", 256),
	} {
		if got, err := ParseName(text); err == nil {
			t.Errorf("ParseName(%q) = %v, want an error", text, got)
		}
	}
}

func TestDefaultDir(t *testing.T) {
	home := map[string]string{"HOME": "/home/me"}
	with := func(more ...string) map[string]string {
		env := map[string]string{"HOME": home["HOME"]}
		for i := 0; i < len(more); i += 2 {
			env[more[i]] = more[i+1]
		}
		return env
	}
	tests := []struct {
		env  map[string]string
		want string
	}{
		{home, "/home/me/.cache/huggingface/hub"},
		{map[string]string{"USERPROFILE": "/Users/me"}, "/Users/me/.cache/huggingface/hub"},
		{with("XDG_CACHE_HOME", "/x"), "/x/huggingface/hub"},
		{with("XDG_CACHE_HOME", "/x", "HF_HOME", "/hf"), "/hf/hub"},
		{with("HF_HOME", "~/hf"), "/home/me/hf/hub"},
		{with("HF_HOME", "/hf", "HF_HUB_CACHE", "/cache"), "/cache"},
	}
	for _, tt := range tests {
		got := DefaultDir(func(key string) string { return tt.env[key] })
		if got != filepath.FromSlash(tt.want) {
			t.Errorf("DefaultDir(%v) = %q, want %q", tt.env, got, tt.want)
		}
	}
}

// Whatever the name, what is looked at stays inside the cache.
func FuzzParseName(f *testing.F) {
	for _, seed := range []string{"HuggingFaceM4/idefics2-8b", "a/b@v1", "a/b@refs/pr/1", "../x", "a/b@../..", "a/b@" + first} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := ParseName(text)
		if err != nil {
			return
		}
		for _, path := range []string{n.folder(), filepath.Join("refs", filepath.FromSlash(n.Revision))} {
			if !filepath.IsLocal(path) || strings.Contains(path, "..") {
				t.Errorf("%q leads to %q", text, path)
			}
		}
		if again, err := ParseName(n.String()); again != n || err != nil {
			t.Errorf("%q does not parse again: %v, %v", n, again, err)
		}
	})
}
