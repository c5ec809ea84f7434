package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Listing is what the Hub has of a model at a revision.
type Listing struct {
	Commit string // 40 hex digits
	Files  []string
}

// Bounds of what a server may say.
const (
	maxListing = 32 << 20 // bytes of JSON
	maxFiles   = 100_000
	maxName    = 1024    // bytes of a file's path
	maxPart    = 255     // bytes of a part of it
	maxDepth   = 16      // parts
	maxFile    = 1 << 42 // bytes of a file: 4 TiB
)

// List asks the Hub for the files of a model.
func (c *Client) List(ctx context.Context, n Name) (*Listing, error) {
	var l *Listing
	err := c.try(ctx, n.String(), func() (bool, error) {
		res, err := c.follow(ctx, http.MethodGet, c.address("api", "models", n.Owner, n.Model, "revision", n.Revision), nil, nil)
		if err != nil {
			return false, err
		}
		if res.StatusCode != http.StatusOK {
			return false, c.refused(res)
		}
		defer res.Body.Close()
		data, err := io.ReadAll(io.LimitReader(res.Body, maxListing+1))
		if err != nil {
			return false, &netError{err: inner(err), where: place(res.Request.URL)}
		}
		l, err = parseListing(data)
		return false, err
	})
	if err != nil {
		return nil, fmt.Errorf("hub: %v: %w", n, err)
	}
	return l, nil
}

// parseListing reads the answer of /api/models/…/revision/…. Only the number of files is bounded here:
// a name that cannot be a file's is refused where it is asked for.
func parseListing(data []byte) (*Listing, error) {
	if len(data) > maxListing {
		return nil, fmt.Errorf("the list of files has more than %d bytes", maxListing)
	}
	var answer struct {
		SHA      string `json:"sha"`
		Siblings []struct {
			Name string `json:"rfilename"`
		} `json:"siblings"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, fmt.Errorf("the list of files is no JSON of the Hub: %w", err)
	}
	if !commit.MatchString(answer.SHA) {
		return nil, fmt.Errorf("the list of files is of commit %.60q, want 40 hex digits", answer.SHA)
	}
	if len(answer.Siblings) > maxFiles {
		return nil, fmt.Errorf("%d files, at most %d", len(answer.Siblings), maxFiles)
	}
	l := &Listing{Commit: answer.SHA}
	seen := map[string]bool{}
	for _, s := range answer.Siblings {
		if !seen[s.Name] {
			seen[s.Name] = true
			l.Files = append(l.Files, s.Name)
		}
	}
	return l, nil
}

// checkName refuses a name that may lead out of a snapshot, or that some system cannot store.
func checkName(name string) error {
	wrong := func(why string) error { return fmt.Errorf("the Hub names a file %.200q: %s", name, why) }
	switch {
	case len(name) > maxName:
		return wrong(fmt.Sprintf("%d bytes, at most %d", len(name), maxName))
	case !utf8.ValidString(name):
		return wrong("no UTF-8")
	case strings.ContainsFunc(name, unicode.IsControl):
		return wrong("a control character")
	case strings.ContainsAny(name, `\:`):
		return wrong(`a \ or :`)
	case path.IsAbs(name) || !filepath.IsLocal(filepath.FromSlash(name)) || path.Clean(name) != name:
		return wrong("not a path below the model's folder")
	}
	parts := strings.Split(name, "/")
	if len(parts) > maxDepth {
		return wrong(fmt.Sprintf("%d folders deep, at most %d", len(parts)-1, maxDepth-1))
	}
	for _, p := range parts {
		if len(p) > maxPart || p == "." || p == ".." || p == "" {
			return wrong("a part of it is empty, dots or too long")
		}
	}
	return nil
}

// needed are the files that the program reads of a model, and what tells a person about it.
var needed = []string{
	"config.json", "generation_config.json", "preprocessor_config.json", "processor_config.json",
	"tokenizer*", "special_tokens_map.json", "added_tokens.json", "chat_template*", "adapter_config.json",
	"*.safetensors", "*.safetensors.index.json", "README.md", "LICENSE*",
}

// Choice says which files of a model are wanted; the zero value is those that the program needs.
type Choice struct {
	All bool
	// Include are patterns of path.Match, of the whole path or, without a slash, of the file's name. They take
	// the place of those that the program needs.
	Include []string
}

// choose returns the wanted files of a listing. Their names can be files of a snapshot.
func (c Choice) choose(l *Listing) (files []string, err error) {
	for _, p := range c.Include {
		if _, err := path.Match(p, ""); err != nil {
			return nil, fmt.Errorf("pattern %.100q: %w", p, err)
		}
	}
	weights := false
	for _, name := range l.Files {
		if !c.wants(name) {
			continue
		}
		if err := checkName(name); err != nil {
			return nil, err
		}
		weights = weights || strings.HasSuffix(name, ".safetensors")
		files = append(files, name)
	}
	switch {
	case len(files) == 0:
		return nil, fmt.Errorf("%w: none of its %d files is wanted%s", ErrNothing, len(l.Files), some(l.Files))
	case !weights && !c.All && len(c.Include) == 0:
		return nil, fmt.Errorf("%w: none of its %d files is a .safetensors of weights%s", ErrNothing, len(l.Files), some(l.Files))
	}
	return files, nil
}

// ErrNothing is wrapped by the error about a model none of whose files was chosen.
var ErrNothing = errors.New("nothing to fetch")

func (c Choice) wants(name string) bool {
	patterns := needed // of the top folder alone: * stops at a slash
	if len(c.Include) > 0 {
		patterns = c.Include
	}
	return c.All || slices.ContainsFunc(patterns, func(p string) bool {
		text := name
		if len(c.Include) > 0 && !strings.Contains(p, "/") {
			text = path.Base(name)
		}
		ok, _ := path.Match(p, text)
		return ok
	})
}

// some names the first files of a list.
func some(files []string) string {
	const most = 8
	if len(files) == 0 {
		return ""
	}
	text := ""
	for i, f := range files {
		if i == most {
			return text + ", …"
		}
		text += fmt.Sprintf(", %.80q", f)
	}
	return "; there are" + text[1:]
}
