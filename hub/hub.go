// Package hub finds models by their Hugging Face name in the cache that it shares with the
// Hub's own tools, and fetches them into it. A Cache never uses the network, a Client does.
//
//	<cache>/models--owner--name/
//	  refs/<branch or tag>         40 hex digits: a commit
//	  snapshots/<commit>/<file>    links to ../../blobs/…, or the files themselves
//	  blobs/<hash>                 contents; with .incomplete after it, the beginning of one
//	<cache>/.locks/models--owner--name/<hash>.lock
//
// Source: spec/checkpoint.md §9.1, huggingface_hub file_download.py.
package hub

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Cache is a cache folder of the Hub.
type Cache struct{ Dir string }

// Name is a model on the Hub: owner/name, and the revision wanted of it: a branch, a
// tag or a whole commit.
type Name struct {
	Owner, Model string
	Revision     string // "main" where none was said
}

var (
	part   = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?$`)
	commit = regexp.MustCompile(`^[0-9a-f]{40}$`)
	refs   = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+/-]{0,254}$`)
)

// ParseName reads "owner/name" or "owner/name@revision".
func ParseName(text string) (Name, error) {
	repo, revision, at := strings.Cut(text, "@")
	owner, model, _ := strings.Cut(repo, "/")
	if !isPart(owner) || !isPart(model) {
		return Name{}, fmt.Errorf("hub: %.200q: want owner/name or owner/name@revision, of letters, digits and . _ -", text)
	}
	if !at {
		revision = "main"
	}
	if !refs.MatchString(revision) || !filepath.IsLocal(filepath.FromSlash(revision)) ||
		strings.Contains(revision, "..") || strings.Contains(revision, "//") || strings.HasSuffix(revision, "/") {
		return Name{}, fmt.Errorf("hub: %.200q: revision %.100q: want a branch, a tag or a commit of 40 hex digits", text, revision)
	}
	return Name{owner, model, revision}, nil
}

// isPart keeps the rules that the Hub has for names, which also keep them inside the cache.
func isPart(s string) bool {
	return part.MatchString(s) && !strings.Contains(s, "--") && !strings.Contains(s, "..")
}

// String returns the name as ParseName reads it.
func (n Name) String() string { return n.Owner + "/" + n.Model + "@" + n.Revision }

// folder returns the name of the model's folder in a cache.
func (n Name) folder() string { return "models--" + n.Owner + "--" + n.Model }

// remedy says how to fill the cache.
func (n Name) remedy() string {
	command := "idefics2 pull " + n.Owner + "/" + n.Model
	if n.Revision != "main" {
		command += "@" + n.Revision
	}
	return "get it with `" + command + "` on a machine with a network, or copy the folder " + n.folder() + " from one that has it"
}

// ErrNotFound is wrapped by errors about a model or a revision that is not in the cache.
var ErrNotFound = errors.New("not in the cache")

// Find returns the folder of a model's files, given its name as ParseName reads it.
// All files of the snapshot are there: a link whose target was not fetched is an error.
func (c Cache) Find(text string) (dir string, err error) {
	n, err := ParseName(text)
	if err != nil {
		return "", err
	}
	root := filepath.Join(c.Dir, n.folder())
	if info, err := os.Stat(root); err != nil || !info.IsDir() {
		return "", fmt.Errorf("hub: %v: %w: no %s; %s", n, ErrNotFound, root, n.remedy())
	}
	hash, err := resolve(root, n.Revision)
	if err != nil {
		return "", fmt.Errorf("hub: %v: %w", n, err)
	}
	dir = filepath.Join(root, "snapshots", hash)
	if info, err := os.Stat(dir); hash == "" || err != nil || !info.IsDir() {
		there := "no other"
		if list := revisions(root); len(list) > 0 {
			there = strings.Join(list, ", ")
		}
		return "", fmt.Errorf("hub: %v: revision %w: %s has %s; %s", n, ErrNotFound, root, there, n.remedy())
	}
	if err := complete(dir); err != nil {
		return "", fmt.Errorf("hub: %v: %s: %w; %s", n, dir, err, n.remedy())
	}
	return dir, nil
}

// resolve turns a branch or tag into its commit; "" if there is none of that name.
func resolve(root, revision string) (string, error) {
	if commit.MatchString(revision) {
		return revision, nil
	}
	path := filepath.Join(root, "refs", filepath.FromSlash(revision))
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return "", nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, 100))
	if err != nil {
		return "", err
	}
	hash := strings.TrimSpace(string(data))
	if !commit.MatchString(hash) {
		return "", fmt.Errorf("%s: found %.60q, want a commit of 40 hex digits", path, hash)
	}
	return hash, nil
}

// revisions lists what Find would find: branches and tags, then commits without one.
func revisions(root string) (list []string) {
	const most = 20
	named := map[string]bool{}
	top := filepath.Join(root, "refs")
	_ = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // what cannot be read cannot be found either
		}
		name, err := filepath.Rel(top, path)
		if err != nil {
			return nil
		}
		name = filepath.ToSlash(name)
		if hash, err := resolve(root, name); err == nil && hasSnapshot(root, hash) {
			named[hash] = true
			list = append(list, "@"+name)
		}
		return nil
	})
	entries, err := os.ReadDir(filepath.Join(root, "snapshots"))
	if err == nil {
		for _, e := range entries {
			if commit.MatchString(e.Name()) && !named[e.Name()] {
				list = append(list, "@"+e.Name())
			}
		}
	}
	if len(list) > most {
		list = append(slices.Clone(list[:most]), fmt.Sprintf("and %d more", len(list)-most))
	}
	return list
}

func hasSnapshot(root, hash string) bool {
	info, err := os.Stat(filepath.Join(root, "snapshots", hash))
	return hash != "" && err == nil && info.IsDir()
}

// complete follows every link of a snapshot.
func complete(dir string) error {
	files := 0
	var missing []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		if _, err := os.Stat(path); err != nil {
			name, _ := filepath.Rel(dir, path)
			missing = append(missing, name)
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case files == 0:
		return errors.New("incomplete: no file was fetched")
	case len(missing) > 0:
		return fmt.Errorf("incomplete: the content of %d of %d files is missing, %s first", len(missing), files, missing[0])
	}
	return nil
}
