package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"idefics2/internal/sections"
)

// Plan is what is to be fetched of a model.
type Plan struct {
	Name   Name
	Commit string
	Files  []File
	Bytes  int64 // of all files; those of the same content count once
	Have   int64 // of those, what is in the cache already, parts of files included
	Free   int64 // on the disk; -1 where that is not known

	client *Client
	cache  Cache
	blobs  []*blob      // each content once
	now    atomic.Int64 // bytes that are in the cache
}

// File is one file of a plan.
type File struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
	// Hash is SHA-256 in 64 hex digits of a large file, and git's SHA-1 of a blob in 40 of any other.
	Hash    string `json:"hash"`
	Fetched int64  `json:"fetched"` // bytes that came over the network; Fetch sets it

	blob    *blob
	pointer string // its place in the snapshot
}

// hashes are what the Hub's tag of a file must be for its content to be checked.
var hashes = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// DefaultParallel is how many files are fetched at a time, and MaxParallel the most.
const (
	DefaultParallel = 4
	MaxParallel     = 32
)

// Plan asks the Hub what a model's files are, and looks at what the cache has of them. Nothing is written.
func (c *Client) Plan(ctx context.Context, cache Cache, n Name, choice Choice) (*Plan, error) {
	l, err := c.List(ctx, n)
	if err != nil {
		return nil, err
	}
	names, err := choice.choose(l)
	if err != nil {
		return nil, fmt.Errorf("hub: %v: %w", n, err)
	}
	p := &Plan{Name: n, Commit: l.Commit, Files: make([]File, len(names)), client: c, cache: cache}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(DefaultParallel)
	for i, name := range names {
		group.Go(func() (err error) {
			p.Files[i], err = c.look(inner, n, l.Commit, name)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("hub: %v: %w", n, err)
	}
	if err := p.gather(); err != nil {
		return nil, fmt.Errorf("hub: %v: %w", n, err)
	}
	p.Free = free(cache.Dir)
	return p, nil
}

// gather makes a blob of every content, and counts each once.
func (p *Plan) gather() error {
	root := filepath.Join(p.cache.Dir, p.Name.folder())
	locks := filepath.Join(p.cache.Dir, ".locks", p.Name.folder())
	blobs := map[string]*blob{}
	for i := range p.Files {
		f := &p.Files[i]
		b := blobs[f.Hash]
		if b == nil {
			b = &blob{
				client: p.client, now: &p.now, address: p.client.file(p.Name, p.Commit, f.Name), file: f,
				path: filepath.Join(root, "blobs", f.Hash), lock: filepath.Join(locks, f.Hash+".lock"),
			}
			blobs[f.Hash] = b
			p.blobs = append(p.blobs, b)
			p.Bytes += f.Bytes // cannot overflow: maxFiles·maxFile < 2^63
		}
		if b.file.Bytes != f.Bytes {
			return fmt.Errorf("%q and %q have one hash, and %d and %d bytes", b.file.Name, f.Name, b.file.Bytes, f.Bytes)
		}
		f.blob, f.pointer = b, filepath.Join(root, "snapshots", p.Commit, filepath.FromSlash(f.Name))
		b.places = append(b.places, f.pointer)
	}
	for _, b := range p.blobs {
		p.Have += b.have()
	}
	p.now.Store(p.Have)
	return nil
}

// look asks for the size and the hash of a file.
func (c *Client) look(ctx context.Context, n Name, at, name string) (f File, err error) {
	err = c.try(ctx, name, func() (bool, error) {
		f, err = c.head(ctx, n, at, name)
		return false, err
	})
	return f, err
}

// head reads what the Hub says of a file, before it redirects to where the content is. Redirects within
// the Hub, of models that were renamed, are followed.
func (c *Client) head(ctx context.Context, n Name, at, name string) (File, error) {
	var tag, size string
	enough := func(res *http.Response) bool {
		h := res.Header
		tag, size = cmp.Or(tag, h.Get("X-Linked-Etag")), cmp.Or(size, h.Get("X-Linked-Size"))
		return tag != "" && size != "" || !c.stays(res)
	}
	res, err := c.follow(ctx, http.MethodHead, c.file(n, at, name), nil, enough)
	if err != nil {
		return File{}, err
	}
	if res.StatusCode >= 400 {
		return File{}, c.refused(res)
	}
	defer res.Body.Close()
	enough(res)
	if other := res.Header.Get("X-Repo-Commit"); other != "" && other != at {
		return File{}, fmt.Errorf("%q: the Hub answers for commit %.60q, want %s", name, other, at)
	}
	tag = cmp.Or(tag, res.Header.Get("ETag"))
	tag = strings.Trim(strings.TrimPrefix(tag, "W/"), `"`)
	if !hashes.MatchString(tag) {
		return File{}, fmt.Errorf("%q: the Hub gives no hash to check it by: found the tag %.80q, want 40 or 64 hex digits", name, tag)
	}
	if size == "" && res.StatusCode == http.StatusOK {
		size = strconv.FormatInt(res.ContentLength, 10)
	}
	bytes, err := strconv.ParseUint(size, 10, 63)
	if err != nil || bytes > maxFile {
		return File{}, fmt.Errorf("%q: size %.40q, want one of at most %d bytes", name, size, int64(maxFile))
	}
	return File{Name: name, Bytes: int64(bytes), Hash: tag}, nil
}

// stays reports whether a redirect leads to the Hub itself.
func (c *Client) stays(res *http.Response) bool {
	u, err := res.Location()
	return err == nil && c.trusted(u)
}

// file returns the address of a file's content.
func (c *Client) file(n Name, at, name string) *url.URL {
	return c.address(append([]string{n.Owner, n.Model, "resolve", at}, strings.Split(name, "/")...)...)
}

// free returns the bytes that can be written below dir, which need not be there yet; -1 if not known.
func free(dir string) int64 {
	for {
		if _, err := os.Stat(dir); err == nil || filepath.Dir(dir) == dir {
			break
		}
		dir = filepath.Dir(dir)
	}
	n, ok := sections.FreeSpace(dir)
	if !ok || n > 1<<62 {
		return -1
	}
	return int64(n)
}

// Progress is how far a file of a plan is. Of a file that was begun earlier, what is there is read first.
type Progress struct {
	File        string
	Check       bool // reading what is there, not fetching
	Done, Total int64
	All         int64 // bytes of the plan that are in the cache, of Plan.Bytes
}

// FetchOptions are a caller's choices; the zero value works.
type FetchOptions struct {
	Parallel int // files at a time; 0 is DefaultParallel
	// Check has files that are in the cache read and checked like those that come.
	Check    bool
	Progress func(Progress) // may be nil; called by several goroutines
}

// ErrDiskFull is wrapped by the error about a model that does not fit on the disk.
var ErrDiskFull = errors.New("the disk has not enough space")

// spare is left on the disk.
const spare = 64 << 20

// Fetch brings a plan's files into the cache and returns their folder. The snapshot appears when every
// file is there and checked, and the branch or tag leads to it after that: who opens the model meanwhile
// finds the one before. What a Fetch that was killed leaves, the next one goes on with.
func (p *Plan) Fetch(ctx context.Context, o FetchOptions) (dir string, err error) {
	switch {
	case o.Parallel < 0 || o.Parallel > MaxParallel:
		return "", fmt.Errorf("hub: %d files at a time, want 1 to %d", o.Parallel, MaxParallel)
	case o.Parallel == 0:
		o.Parallel = DefaultParallel
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	if missing := p.Bytes - p.Have; missing > 0 && p.Free >= 0 && missing+spare > p.Free {
		return "", fmt.Errorf("hub: %v: %w: %d bytes are to come, %s has %d free", p.Name, ErrDiskFull, missing, p.cache.Dir, p.Free)
	}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(o.Parallel)
	var stopped atomic.Bool // after an error nothing new is begun
	for _, b := range p.blobs {
		group.Go(func() error {
			if stopped.Load() || inner.Err() != nil {
				return inner.Err()
			}
			err := b.fetch(inner, o)
			if err != nil {
				stopped.Store(true)
				return fmt.Errorf("%q: %w", b.file.Name, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return "", fmt.Errorf("hub: %v: %w", p.Name, err)
	}
	if dir, err = p.link(); err != nil {
		return "", fmt.Errorf("hub: %v: %w", p.Name, err)
	}
	return dir, nil
}
