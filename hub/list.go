package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Entry is one revision of a model in the cache.
type Entry struct {
	Name   string   `json:"name"` // owner/name
	Commit string   `json:"commit"`
	Refs   []string `json:"refs,omitempty"` // branches and tags that name it
	Dir    string   `json:"dir"`
	Bytes  int64    `json:"bytes"` // of its files; revisions share those that are the same
	// Err is why Find would refuse it, nil where it is whole.
	Err error `json:"-"`
}

// List returns every revision of every model that is in the cache, by name and commit. A
// cache that does not exist is empty.
func (c Cache) List() (list []Entry, err error) {
	models, err := os.ReadDir(c.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	for _, m := range models {
		rest, ok := strings.CutPrefix(m.Name(), "models--")
		owner, name, two := strings.Cut(rest, "--")
		if !ok || !two || !isPart(owner) || !isPart(name) {
			continue
		}
		root := filepath.Join(c.Dir, m.Name())
		refs := refsOf(root)
		snapshots, err := os.ReadDir(filepath.Join(root, "snapshots"))
		if err != nil {
			continue // a model of which nothing was fetched
		}
		for _, s := range snapshots {
			if !commit.MatchString(s.Name()) {
				continue
			}
			dir := filepath.Join(root, "snapshots", s.Name())
			list = append(list, Entry{
				Name: owner + "/" + name, Commit: s.Name(), Refs: refs[s.Name()],
				Dir: dir, Bytes: bytesOf(dir), Err: complete(dir),
			})
		}
	}
	return list, nil
}

// refsOf returns the branches and tags of each commit.
func refsOf(root string) map[string][]string {
	refs := map[string][]string{}
	for _, name := range revisions(root) {
		ref := strings.TrimPrefix(name, "@")
		if hash, err := resolve(root, ref); err == nil && hash != "" && hash != ref {
			refs[hash] = append(refs[hash], ref)
			slices.Sort(refs[hash])
		}
	}
	return refs
}

// bytesOf adds up the files of a snapshot, through its links.
func bytesOf(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := os.Stat(path); err == nil {
			bytes += info.Size()
		}
		return nil
	})
	return bytes
}
