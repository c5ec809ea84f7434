package convert

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"idefics2/checkpoint"
	"idefics2/gguf"
	"idefics2/internal/sections"
	"idefics2/quant"
	"idefics2/tensor"
)

// A packed file is a copy of a folder's weights in half the bytes that stands in for them: a
// GGUF file as GGUF makes it, which also says what it was made of. It lies in the folder
// itself, or, where nothing can be written there, in the user's cache.
const (
	packFolder  = ".idefics2"
	packName    = "packed-bf16-v1.gguf" // another version is never looked at
	packFromKey = "idefics2.packed_from"
	packPathKey = "idefics2.packed_path"
)

// PackFrom is how many bytes of float32 a folder must have to be packed when it is opened: a
// model as large as the released one, which has 33.6 GB, and none that anybody computes with
// exactly for a test.
const PackFrom = 2 << 30

// WantsPacking reports whether a folder has more bytes of float32 matrices than from.
func WantsPacking(c *checkpoint.Checkpoint, from int64) bool {
	if checkpoint.IsFile(c.Path) {
		return false
	}
	bytes := int64(0)
	for _, t := range c.Config.Tensors() {
		if v, ok := c.View(t.Name); ok && v.DType == tensor.F32 {
			bytes += int64(len(v.Data))
		}
	}
	return bytes > from
}

// packPaths are the places of a folder's packed file, best first.
func packPaths(folder, cacheDir string) []string {
	whole, err := filepath.Abs(folder)
	if err != nil {
		whole = folder
	}
	paths := []string{filepath.Join(folder, packFolder, packName)}
	if cacheDir != "" {
		sum := sha256.Sum256([]byte(whole))
		paths = append(paths, filepath.Join(cacheDir, fmt.Sprintf("%x-%s", sum[:8], packName)))
	}
	return paths
}

// FindPacked returns the packed file of a folder, if there is one that was made of what is
// in the folder now.
func FindPacked(c *checkpoint.Checkpoint, cacheDir string) (path string, ok bool) {
	now, err := identity(c)
	if err != nil {
		return "", false
	}
	for _, path := range packPaths(c.Path, cacheDir) {
		if p, err := readPacked(path); err == nil && p.from == now {
			return path, true
		}
	}
	return "", false
}

// Pack writes the packed file of a folder and returns where.
func Pack(ctx context.Context, c *checkpoint.Checkpoint, cacheDir string, o Options) (path string, err error) {
	from, err := identity(c)
	if err != nil {
		return "", fmt.Errorf("convert: %w", err)
	}
	whole, err := filepath.Abs(c.Path)
	if err != nil {
		return "", fmt.Errorf("convert: %w", err)
	}
	o.Type, o.Force = Matrices(quant.BF16), true
	o.extra = []gguf.Pair{
		{Key: packFromKey, Value: gguf.Of(from)},
		{Key: packPathKey, Value: gguf.Of(strings.ToValidUTF8(whole, "?"))},
	}
	var errs []error
	for _, path := range packPaths(c.Path, cacheDir) {
		err := os.MkdirAll(filepath.Dir(path), 0o777)
		if err == nil {
			err = GGUF(ctx, path, c, o)
		}
		if err == nil {
			return path, nil
		}
		if ctx.Err() != nil {
			return "", err
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

// identity tells of the files of a model what changes when they do.
func identity(c *checkpoint.Checkpoint) (text string, err error) {
	paths := c.Paths()
	for _, name := range checkpoint.FileNames() {
		path := filepath.Join(c.Path, name)
		if _, err := os.Stat(path); err == nil {
			paths = append(paths, path)
		}
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return "", err
		}
		text += fmt.Sprintf("%q %d %d\n", filepath.Base(path), info.Size(), info.ModTime().UnixNano())
	}
	return text, nil
}

// Packed is a packed file, or what is left of one.
type Packed struct {
	Path  string `json:"path"`
	Of    string `json:"of"` // the folder
	Bytes int64  `json:"bytes"`
	State string `json:"state"` // "current", "stale" where the folder is another or gone, "unfinished"

	from string
}

func readPacked(path string) (p Packed, err error) {
	g, err := gguf.Open(path)
	if err != nil {
		return p, err
	}
	defer g.Close()
	p.Path = path
	if p.from, err = g.Text(packFromKey); err != nil {
		return p, err
	}
	if p.Of, err = g.Text(packPathKey); err != nil {
		return p, err
	}
	info, err := os.Stat(path)
	p.Bytes = sizeOf(info)
	return p, err
}

func sizeOf(info fs.FileInfo) int64 {
	if info == nil {
		return 0
	}
	return info.Size()
}

// ListPacked returns the packed files of the given folders, and those in the user's cache.
func ListPacked(folders []string, cacheDir string) (list []Packed, err error) {
	dirs := make([]string, 0, len(folders)+1)
	for _, f := range folders {
		dirs = append(dirs, filepath.Join(f, packFolder))
	}
	if cacheDir != "" {
		dirs = append(dirs, cacheDir)
	}
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("convert: %w", err)
		}
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			if unfinished, ok := sections.TargetOf(path); ok {
				list = append(list, Packed{Path: unfinished, Bytes: sections.Taken(unfinished), State: "unfinished"})
			} else if checkpoint.IsFile(path) {
				list = append(list, stateOf(path))
			}
		}
	}
	return list, nil
}

func stateOf(path string) Packed {
	p, err := readPacked(path)
	if err != nil {
		info, _ := os.Stat(path)
		return Packed{Path: path, Bytes: sizeOf(info), State: "stale"}
	}
	p.State = "stale"
	c, err := checkpoint.Open(p.Of)
	if err != nil {
		return p
	}
	defer c.Close()
	if now, err := identity(c); err == nil && now == p.from {
		p.State = "current"
	}
	return p
}

// Remove deletes a packed file, or what is left of one.
func (p Packed) Remove() error {
	if p.State == "unfinished" {
		return sections.Discard(p.Path)
	}
	return os.Remove(p.Path)
}
