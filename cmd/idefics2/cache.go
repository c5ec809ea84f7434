package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"idefics2"
	"idefics2/convert"
	"idefics2/hub"
	"idefics2/internal/terminal"
)

var cacheCmd = command{
	name: "cache",
	args: "[list|verify|prune] [-all] [-json] [MODEL]…",
	help: "list, check and clean what is kept on this machine",
	more: `Kept are models of the Hugging Face cache, which are listed, and packed copies in bfloat16 of large
models in float32, which are made when such a model is first opened: in the model's folder, or in
the user's cache folder if nothing can be written there. Copies in folders outside the caches are
found where MODEL names them. Verify reads every copy and compares its tensors with their
checksums. Prune removes copies of models that have changed or are gone, and what an interrupted
packing left; with -all, every copy. It never touches a model.`,
	examples: []example{
		{"what is there", "idefics2 cache"},
		{"that no copy was damaged", "idefics2 cache verify DIR"},
		{"the space of every copy", "idefics2 cache prune -all DIR"},
	},
	words: []string{"list", "verify", "prune"},
	files: true,
	new: func(f *flags) runFunc {
		var all, asJSON bool
		f.group("Cache", func() {
			f.BoolVar(&all, "all", false, "prune: copies that are of use, too")
		})
		f.group("Output", func() {
			f.BoolVar(&asJSON, "json", false, "print one JSON object")
		})
		return func(ctx context.Context, std stdio, args []string) error {
			action := "list"
			if len(args) > 0 {
				action, args = args[0], args[1:]
			}
			c, err := lookAtCache(std, args)
			if err != nil {
				return err
			}
			switch action {
			case "list":
			case "verify":
				err = c.verify(ctx, std)
			case "prune":
				err = c.prune(all)
			default:
				return misused(fmt.Sprintf("cache does not know %q", action), "list, verify or prune, and models after it")
			}
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(std.out, c)
			}
			w := &printer{w: std.out}
			if terminal.Is(std.out) {
				w.w = terminal.NewCleaner(std.out)
			}
			c.print(w, action)
			return w.err
		}
	},
}

// cache is what is kept on this machine.
type cache struct {
	Models []hub.Entry      `json:"models"`
	Packed []convert.Packed `json:"packed"`
}

func lookAtCache(std stdio, models []string) (*cache, error) {
	c := &cache{Models: []hub.Entry{}, Packed: []convert.Packed{}}
	list, err := hub.Cache{Dir: hub.DefaultDir(std.getenv)}.List()
	if err != nil {
		return nil, err
	}
	var folders []string
	for _, e := range list {
		c.Models = append(c.Models, e)
		folders = append(folders, e.Dir)
	}
	for _, name := range models {
		path, err := resolve(std, name)
		if err != nil {
			return nil, err
		}
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			folders = append(folders, path)
		}
	}
	packed, err := convert.ListPacked(folders, idefics2.DefaultCacheDir())
	c.Packed = append(c.Packed, packed...)
	return c, err
}

// verify reads every copy. All are read, whatever is wrong with one.
func (c *cache) verify(ctx context.Context, std stdio) error {
	bars := terminal.NewProgress(std.err)
	defer bars.Close()
	var errs []error
	for _, p := range c.Packed {
		if p.State == "unfinished" {
			continue
		}
		_, err := convert.Check(ctx, p.Path, func(done, total int64) { bars.Bytes("check", done, total) })
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return withRemedy(err, "idefics2 cache prune -all removes copies; the next use makes them again")
	}
	return nil
}

// prune removes copies, and keeps in c those that were.
func (c *cache) prune(all bool) error {
	removed := []convert.Packed{}
	var errs []error
	for _, p := range c.Packed {
		if p.State == "current" && !all {
			continue
		}
		if err := p.Remove(); err != nil {
			errs = append(errs, err)
			continue
		}
		removed = append(removed, p)
	}
	c.Packed = removed
	return errors.Join(errs...)
}

func (c *cache) print(w *printer, action string) {
	if action == "list" {
		for _, e := range c.Models {
			name, state := e.Name, "whole"
			if len(e.Refs) > 0 {
				name += "@" + e.Refs[0]
			} else {
				name += "@" + e.Commit
			}
			if e.Err != nil {
				state = e.Err.Error()
			}
			w.printf("model   %10s  %-11s %s\n", size(e.Bytes), state, name)
		}
	}
	for _, p := range c.Packed {
		state := p.State
		switch {
		case action == "prune":
			state = "removed"
		case action == "verify" && p.State != "unfinished":
			state += ", its checksums hold"
		}
		w.printf("packed  %10s  %-11s %s\n", size(p.Bytes), state, p.Path)
	}
	if len(c.Models)+len(c.Packed) == 0 || action != "list" && len(c.Packed) == 0 {
		w.printf("nothing\n")
	}
}
