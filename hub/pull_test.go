package hub

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"idefics2/internal/hubtest"
)

// weights is a content of several reads.
var weights = strings.Repeat("0123456789abcdef", 1<<16)

// newHub serves a model of the usual files, and some that the program has no need of.
func newHub(t *testing.T) *hubtest.Hub {
	t.Helper()
	h := hubtest.New(t)
	h.Files = map[string]*hubtest.File{
		"config.json":       {Content: "{}"},
		"tokenizer.json":    {Content: `{"model":{}}`},
		"README.md":         {Content: ""},
		"model.safetensors": {Content: weights, Large: true},
		"pytorch_model.bin": {Content: "pickle", Large: true},
		"onnx/config.json":  {Content: "{}"}, // the same content as another
	}
	return h
}

// newClient makes a client that does not sleep.
func newClient(t *testing.T, h *hubtest.Hub, o Options) *Client {
	t.Helper()
	if o.Endpoint == "" {
		o.Endpoint = h.URL
	}
	c, err := NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	c.wait = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	t.Cleanup(c.Close)
	return c
}

var ownerName = Name{"owner", "name", "main"}

// pull plans and fetches.
func pull(t *testing.T, c *Client, cache Cache, choice Choice, o FetchOptions) (*Plan, string, error) {
	t.Helper()
	p, err := c.Plan(t.Context(), cache, ownerName, choice)
	if err != nil {
		return nil, "", err
	}
	dir, err := p.Fetch(t.Context(), o)
	return p, dir, err
}

func blobOf(c Cache, f *hubtest.File) string {
	return filepath.Join(c.Dir, "models--owner--name", "blobs", f.Hash())
}

// holds wants files of a folder, and no others, to have the contents that the Hub has.
func holds(t *testing.T, h *hubtest.Hub, dir string, names ...string) {
	t.Helper()
	var got []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		got = append(got, filepath.ToSlash(name))
		return err
	})
	slices.Sort(got)
	slices.Sort(names)
	if err != nil || !slices.Equal(got, names) {
		t.Fatalf("%v, %v; want %v", got, err, names)
	}
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil || string(data) != h.Files[name].Content {
			t.Errorf("%s: %.40q, %v", name, data, err)
		}
	}
}

func TestPull(t *testing.T) {
	h := newHub(t)
	h.Token = "hf_secret"
	cache := Cache{t.TempDir()}
	c := newClient(t, h, Options{Token: "hf_secret"})
	var mu sync.Mutex
	last := map[string]Progress{}
	p, dir, err := pull(t, c, cache, Choice{}, FetchOptions{Progress: func(s Progress) {
		mu.Lock()
		defer mu.Unlock()
		last[s.File] = s
	}})
	if err != nil {
		t.Fatal(err)
	}
	holds(t, h, dir, "README.md", "config.json", "model.safetensors", "tokenizer.json")
	if s := last["model.safetensors"]; s.Done != int64(len(weights)) || s.Total != s.Done || s.All > p.Bytes {
		t.Errorf("the last progress is %+v", s)
	}
	if p.Bytes != int64(len(weights)+2+12) || p.Have != 0 {
		t.Errorf("%d bytes, of which %d are there", p.Bytes, p.Have)
	}
	if found, err := cache.Find("owner/name"); err != nil || found != dir {
		t.Errorf("Find gives %s, %v; want %s", found, err, dir)
	}
	if runtime.GOOS != "windows" {
		want := filepath.Join("..", "..", "blobs", h.Files["model.safetensors"].Hash())
		if target, err := os.Readlink(filepath.Join(dir, "model.safetensors")); err != nil || target != want {
			t.Errorf("link to %q, %v; want %q", target, err, want)
		}
	}
	for _, name := range []string{"refs/main", ".locks"} {
		root := filepath.Join(cache.Dir, "models--owner--name")
		if name == ".locks" {
			root = cache.Dir
		}
		if _, err := os.Stat(filepath.Join(root, name)); err != nil {
			t.Error(err)
		}
	}

	// All the rest, and nothing again.
	h.Requests()
	if _, dir, err = pull(t, c, cache, Choice{All: true}, FetchOptions{}); err != nil {
		t.Fatal(err)
	}
	holds(t, h, dir, "README.md", "config.json", "model.safetensors", "tokenizer.json", "pytorch_model.bin", "onnx/config.json")
	for _, r := range h.Asked("GET ") {
		if !strings.Contains(r, "/api/") && !strings.Contains(r, "pytorch_model.bin") {
			t.Errorf("asked again for %s", r)
		}
	}
}

// Of systems without links, the files themselves are in the snapshot; they are found there again.
func TestPullWithoutLinks(t *testing.T) {
	link := symlink
	symlink = func(string, string) error { return errors.New("not permitted") }
	defer func() { symlink = link }()
	h := newHub(t)
	cache := Cache{t.TempDir()}
	c := newClient(t, h, Options{})
	for range 2 {
		h.Requests()
		_, dir, err := pull(t, c, cache, Choice{All: true}, FetchOptions{Parallel: 1})
		if err != nil {
			t.Fatal(err)
		}
		holds(t, h, dir, "README.md", "config.json", "model.safetensors", "tokenizer.json", "pytorch_model.bin", "onnx/config.json")
	}
	if got := h.Asked("GET /owner"); len(got) > 0 {
		t.Errorf("asked again: %v", got)
	}
}

// However a connection ends and whatever is there already, what has come is not asked for again.
func TestResume(t *testing.T) {
	tests := []struct {
		name    string
		partial string // of an earlier process
		file    hubtest.File
		want    []string // ranges asked for
	}{
		{"cut twice", "", hubtest.File{Cut: []int{100_000, 300_000}}, []string{"", "bytes=100000-", "bytes=400000-"}},
		{"cut at once, twice", "", hubtest.File{Cut: []int{0, 0}}, []string{"", "", ""}},
		{"killed", weights[:1000], hubtest.File{}, []string{"bytes=1000-"}},
		{"killed before the name", weights, hubtest.File{}, nil},
		{"ranges are ignored", weights[:1000], hubtest.File{Whole: true}, []string{"bytes=1000-"}},
		{"ranges are ignored and the connection is cut", "", hubtest.File{Whole: true, Cut: []int{5000, 9000, 100}}, []string{"", "bytes=5000-", "bytes=9000-", "bytes=100-"}},
		{"the beginning is damaged", "X" + weights[1:1000], hubtest.File{}, []string{"bytes=1000-", ""}},
		{"the whole is damaged", "X" + weights[1:], hubtest.File{}, []string{""}},
		{"too long", weights + "X", hubtest.File{}, []string{""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHub(t)
			f := tt.file
			f.Content, f.Large = weights, true
			h.Files["model.safetensors"] = &f
			cache := Cache{t.TempDir()}
			if tt.partial != "" {
				write(t, blobOf(cache, &f)+".incomplete", tt.partial)
			}
			p, dir, err := pull(t, newClient(t, h, Options{}), cache, Choice{Include: []string{"model.*"}}, FetchOptions{})
			if err != nil {
				t.Fatal(err)
			}
			holds(t, h, dir, "model.safetensors")
			if p.now.Load() != p.Bytes {
				t.Errorf("%d bytes are counted as there, of %d", p.now.Load(), p.Bytes)
			}
			var got []string
			for _, r := range h.Asked("GET /model.safetensors") {
				got = append(got, strings.TrimSpace(strings.TrimPrefix(r, "GET /model.safetensors")))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("asked for the ranges %q, want %q", got, tt.want)
			}
			if _, err := os.Stat(blobOf(cache, &f) + ".incomplete"); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the partial file: %v", err)
			}
		})
	}
}

// A Fetch that ends in the middle leaves no snapshot and no ref, and what it has for the next.
func TestInterrupted(t *testing.T) {
	h := newHub(t)
	cache := Cache{t.TempDir()}
	c := newClient(t, h, Options{})
	p, err := c.Plan(t.Context(), cache, ownerName, Choice{})
	if err != nil {
		t.Fatal(err)
	}
	large := h.Files["model.safetensors"]
	large.Cut, large.Hold = []int{len(large.Content) / 2}, true
	ctx, cancel := context.WithCancel(t.Context())
	_, err = p.Fetch(ctx, FetchOptions{Parallel: 1, Progress: func(s Progress) {
		if s.File == "model.safetensors" && s.Done > 0 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if dir, err := cache.Find("owner/name"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Find gives %q, %v", dir, err)
	}
	h.Requests()
	p, dir, err := pull(t, c, cache, Choice{}, FetchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	holds(t, h, dir, "README.md", "config.json", "model.safetensors", "tokenizer.json")
	if got := h.Asked("GET /model.safetensors"); len(got) != 1 || !strings.Contains(got[0], "bytes=") || p.Have == 0 {
		t.Errorf("%d bytes are there, and asked was %q", p.Have, got)
	}
}

// Nothing gets its name but what the Hub's hash is of.
func TestDamaged(t *testing.T) {
	for _, name := range []string{"config.json", "model.safetensors"} {
		h := newHub(t)
		f := h.Files[name]
		f.Served = "X" + f.Content[1:]
		cache := Cache{t.TempDir()}
		_, _, err := pull(t, newClient(t, h, Options{}), cache, Choice{}, FetchOptions{})
		if !errors.Is(err, ErrChecksum) || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), f.Hash()) {
			t.Errorf("%s: %v", name, err)
		}
		for _, path := range []string{blobOf(cache, f), blobOf(cache, f) + ".incomplete", filepath.Join(cache.Dir, "models--owner--name", "snapshots")} {
			if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s is there: %v", path, err)
			}
		}
	}
}

// What was damaged in the cache is found by its size, or when a check is asked for.
func TestCheck(t *testing.T) {
	h := newHub(t)
	cache := Cache{t.TempDir()}
	c := newClient(t, h, Options{})
	if _, _, err := pull(t, c, cache, Choice{}, FetchOptions{}); err != nil {
		t.Fatal(err)
	}
	blob := blobOf(cache, h.Files["model.safetensors"])
	for _, tt := range []struct {
		content string
		check   bool
	}{{"X" + weights[1:], true}, {weights[1:], false}} {
		write(t, blob, tt.content)
		p, dir, err := pull(t, c, cache, Choice{}, FetchOptions{Check: tt.check})
		if err != nil {
			t.Fatal(err)
		}
		holds(t, h, dir, "README.md", "config.json", "model.safetensors", "tokenizer.json")
		if i := slices.IndexFunc(p.Files, func(f File) bool { return f.Fetched > 0 }); i < 0 || p.Files[i].Name != "model.safetensors" {
			t.Errorf("%+v", p.Files)
		}
	}
}

// Two at once fetch everything once.
func TestShared(t *testing.T) {
	h := newHub(t)
	cache := Cache{t.TempDir()}
	var both sync.WaitGroup
	for range 2 {
		c := newClient(t, h, Options{})
		both.Go(func() {
			p, err := c.Plan(t.Context(), cache, ownerName, Choice{})
			if err == nil {
				_, err = p.Fetch(t.Context(), FetchOptions{})
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	if got := h.Asked("GET /model.safetensors"); len(got) != 1 {
		t.Errorf("asked %q", got)
	}
}

func TestRetries(t *testing.T) {
	busy := func(times int, status int, after string) func(http.ResponseWriter, *http.Request, bool) bool {
		var mu sync.Mutex
		return func(w http.ResponseWriter, r *http.Request, content bool) bool {
			mu.Lock()
			defer mu.Unlock()
			if times--; times < 0 {
				return false
			}
			w.Header().Set("Retry-After", after)
			w.WriteHeader(status)
			return true
		}
	}
	for _, tt := range []struct {
		name   string
		fault  func(http.ResponseWriter, *http.Request, bool) bool
		longer time.Duration // the longest pause is at least this
		err    string
	}{
		{"busy", busy(3, 503, "7"), 7 * time.Second, ""},
		{"too many requests", busy(1, 429, "120"), 2 * time.Minute, ""},
		{"an hour", busy(1, 429, "3600"), 0, "asked again in 1h0m0s"},
		{"for ever", busy(100, 500, ""), 15 * time.Second, "500 Internal Server Error"},
		{"a date that is over", busy(1, 502, "Mon, 02 Jan 2006 15:04:05 GMT"), time.Second, ""},
		{"not implemented", busy(1, 501, ""), 0, "501 Not Implemented"},
		{"a key that has expired", func(w http.ResponseWriter, r *http.Request, content bool) bool {
			if content && r.Header.Get("Range") == "" {
				w.Header().Set("Content-Length", fmt.Sprint(len(weights)))
				_, _ = w.Write([]byte(weights[:10]))
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			}
			return false
		}, time.Second, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHub(t)
			h.Fault = tt.fault
			var mu sync.Mutex
			var notes []string
			c := newClient(t, h, Options{Note: func(line string) {
				mu.Lock()
				defer mu.Unlock()
				notes = append(notes, line)
			}})
			var longest time.Duration
			c.wait = func(_ context.Context, d time.Duration) error {
				mu.Lock()
				defer mu.Unlock()
				longest = max(longest, d)
				return nil
			}
			_, dir, err := pull(t, c, Cache{t.TempDir()}, Choice{}, FetchOptions{})
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("%v, want %q", err, tt.err)
				}
			} else if err != nil {
				t.Fatal(err)
			} else {
				holds(t, h, dir, "README.md", "config.json", "model.safetensors", "tokenizer.json")
			}
			if longest < tt.longer || tt.longer > 0 && len(notes) == 0 {
				t.Errorf("the longest pause is %v, want %v; notes %q", longest, tt.longer, notes)
			}
		})
	}
}

// A connection that gives nothing is given up, and what came over it is kept.
func TestStalled(t *testing.T) {
	h := newHub(t)
	h.Fault = func(w http.ResponseWriter, r *http.Request, content bool) bool {
		if !content || r.Header.Get("Range") != "" {
			return false
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(weights)))
		_, _ = w.Write([]byte(weights[:10]))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return true
	}
	c := newClient(t, h, Options{})
	c.stall = 50 * time.Millisecond
	_, dir, err := pull(t, c, Cache{t.TempDir()}, Choice{Include: []string{"model.safetensors"}}, FetchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	holds(t, h, dir, "model.safetensors")
}

// Without a network nobody waits long to hear of it.
func TestUnreached(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	c := newClient(t, nil, Options{Endpoint: gone.URL})
	waits := 0
	c.wait = func(context.Context, time.Duration) error { waits++; return nil }
	if _, err := c.List(t.Context(), ownerName); err == nil || waits != unreached-1 {
		t.Errorf("%v, after waiting %d times", err, waits)
	}
}

func TestRefused(t *testing.T) {
	answer := func(status int, code, message string) func(http.ResponseWriter, *http.Request, bool) bool {
		return func(w http.ResponseWriter, r *http.Request, content bool) bool {
			w.Header().Set("X-Error-Code", code)
			w.Header().Set("X-Error-Message", message)
			w.WriteHeader(status)
			return true
		}
	}
	for _, tt := range []struct {
		name  string
		fault func(http.ResponseWriter, *http.Request, bool) bool
		token string
		want  error
	}{
		{"gated, nobody asks", answer(401, "GatedRepo", "restricted"), "", ErrGated},
		{"gated, not accepted", answer(403, "GatedRepo", "restricted"), "hf_x", ErrGated},
		{"forbidden", answer(403, "", ""), "hf_x", ErrGated},
		{"unknown or private", answer(401, "RepoNotFound", "Repository not found"), "", ErrNoModel},
		{"unknown", answer(404, "RepoNotFound", "Repository not found"), "hf_x", ErrNoModel},
		{"a mirror without codes", answer(404, "", ""), "", ErrNoModel},
		{"an old token", answer(401, "", "Invalid credentials in Authorization header"), "hf_x", ErrToken},
		{"no such revision", answer(404, "RevisionNotFound", "Invalid rev id"), "", ErrNoRevision},
		{"no such file", answer(404, "EntryNotFound", ""), "", ErrNoFile},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHub(t)
			h.Fault = tt.fault
			_, _, err := pull(t, newClient(t, h, Options{Token: tt.token}), Cache{t.TempDir()}, Choice{}, FetchOptions{})
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), "owner/name") {
				t.Errorf("%v, want %v", err, tt.want)
			}
			if got := h.Requests(); len(got) != 1 {
				t.Errorf("asked %d times", len(got))
			}
		})
	}
}

func TestDiskFull(t *testing.T) {
	h := newHub(t)
	p, err := newClient(t, h, Options{}).Plan(t.Context(), Cache{t.TempDir()}, ownerName, Choice{})
	if err != nil {
		t.Fatal(err)
	}
	h.Requests()
	p.Free = p.Bytes
	if _, err := p.Fetch(t.Context(), FetchOptions{}); !errors.Is(err, ErrDiskFull) {
		t.Errorf("%v", err)
	}
	if got := h.Requests(); got != nil {
		t.Errorf("asked for %q", got)
	}
}

// A server's word is taken for nothing that it could do harm with.
func TestHostile(t *testing.T) {
	listing := func(names ...string) string {
		text := `{"sha":"` + hubtest.Commit + `","siblings":[{"rfilename":"model.safetensors"}`
		for _, n := range names {
			text += fmt.Sprintf(`,{"rfilename":%q}`, n)
		}
		return text + "]}"
	}
	head := func(set map[string]string) func(http.ResponseWriter, *http.Request, bool) bool {
		return func(w http.ResponseWriter, r *http.Request, content bool) bool {
			if r.Method != http.MethodHead {
				return false
			}
			w.Header().Set("X-Linked-Etag", strings.Repeat("a", 64))
			w.Header().Set("X-Linked-Size", "5")
			w.Header().Set("X-Repo-Commit", hubtest.Commit)
			for key, value := range set {
				w.Header().Set(key, value)
			}
			return true
		}
	}
	content := func(status int, header map[string]string, body string) func(http.ResponseWriter, *http.Request, bool) bool {
		return func(w http.ResponseWriter, r *http.Request, content bool) bool {
			if !content || r.Method != http.MethodGet {
				return false
			}
			for key, value := range header {
				w.Header().Set(key, value)
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
			return true
		}
	}
	redirect := func(to string) func(http.ResponseWriter, *http.Request, bool) bool {
		return func(w http.ResponseWriter, r *http.Request, content bool) bool {
			if r.Method != http.MethodGet || strings.HasPrefix(r.URL.Path, "/api") {
				return false
			}
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusFound)
			return true
		}
	}
	type fault = func(http.ResponseWriter, *http.Request, bool) bool
	tests := []struct {
		name    string
		listing string
		fault   fault
		want    string
	}{
		{"up", listing("../../x"), nil, "not a path below"},
		{"up from within", listing("a/../../x"), nil, "not a path below"},
		{"absolute", listing("/etc/passwd"), nil, "not a path below"},
		{"of Windows", listing(`..\x`), nil, `a \ or :`},
		{"a drive", listing(`C:x`), nil, `a \ or :`},
		{"a line", listing("a\nb"), nil, "control"},
		{"empty", listing(""), nil, "not a path below"},
		{"an empty part", listing("a//b"), nil, "not a path below"},
		{"long", listing(strings.Repeat("a", 300)), nil, "too long"},
		{"deep", listing(strings.Repeat("a/", 20) + "b"), nil, "folders deep"},
		{"no commit", `{"sha":"../../x","siblings":[]}`, nil, "40 hex digits"},
		{"no JSON", `<html>`, nil, "no JSON"},
		{"no files", `{"sha":"` + hubtest.Commit + `"}`, nil, "nothing to fetch"},
		{"endless", `{"a":"` + strings.Repeat("a", maxListing) + `"}`, nil, "more than 33554432 bytes"},
		{"a hash that is a path", "", head(map[string]string{"X-Linked-Etag": `"../../x"`}), "no hash to check it by"},
		{"no hash", "", head(map[string]string{"X-Linked-Etag": ""}), "no hash to check it by"},
		{"a negative size", "", head(map[string]string{"X-Linked-Size": "-1"}), "want one of at most"},
		{"a size beyond disks", "", head(map[string]string{"X-Linked-Size": "9223372036854775807"}), "want one of at most"},
		{"another commit", "", head(map[string]string{"X-Repo-Commit": strings.Repeat("0", 40)}), "answers for commit"},
		{"more than its size", "", content(200, map[string]string{"Content-Length": "99"}, strings.Repeat("a", 99)), "bytes, want"},
		{"more than its size, and not said", "", content(200, map[string]string{"Transfer-Encoding": "chunked"}, weights+"aaa"), "sends more than"},
		{"another range", "", content(206, map[string]string{"Content-Range": "bytes 5-9/10"}, ""), "range"},
		{"compressed", "", content(200, map[string]string{"Content-Encoding": "gzip"}, "x"), "encoding"},
		{"in a circle", "", redirect("?again"), "more than 10 redirects"},
		{"to a file", "", redirect("file:///etc/passwd"), "redirects to"},
		{"with a password", "", redirect("http://a:b@127.0.0.1/"), "name or password"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHub(t)
			h.Listing, h.Fault = tt.listing, tt.fault
			cache := Cache{filepath.Join(t.TempDir(), "cache")}
			_, dir, err := pull(t, newClient(t, h, Options{}), cache, Choice{All: true}, FetchOptions{})
			if err == nil || !strings.Contains(err.Error(), tt.want) || len(err.Error()) > 1000 {
				t.Fatalf("%q, %v; want %q", dir, err, tt.want)
			}
			if strings.Contains(err.Error(), "signature") {
				t.Errorf("%v tells the key of an address", err)
			}
			if _, err := os.Stat(filepath.Join(cache.Dir, "models--owner--name", "snapshots")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("there is a snapshot: %v", err)
			}
		})
	}
}

// A Hub that speaks https is not left for a host that does not.
func TestDowngrade(t *testing.T) {
	h := newHub(t)
	var plain int
	bad := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { plain++ }))
	defer bad.Close()
	secure := httptest.NewTLSServer(http.RedirectHandler(bad.URL, http.StatusTemporaryRedirect))
	defer secure.Close()
	c := newClient(t, h, Options{Endpoint: secure.URL, Token: "hf_secret"})
	c.http.Transport.(*http.Transport).TLSClientConfig = secure.Client().Transport.(*http.Transport).TLSClientConfig
	if _, err := c.List(t.Context(), ownerName); err == nil || !strings.Contains(err.Error(), "want https") || plain > 0 {
		t.Errorf("%v, and %d requests in plain", err, plain)
	}
	// A certificate that nobody vouches for is no passing trouble.
	c = newClient(t, h, Options{Endpoint: secure.URL})
	c.wait = func(context.Context, time.Duration) error { t.Error("tried again"); return nil }
	if _, err := c.List(t.Context(), ownerName); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("%v", err)
	}
}

// A model that was renamed is found under its old name, and redirects of the Hub keep the token.
func TestRenamed(t *testing.T) {
	h := newHub(t)
	h.Token = "hf_secret"
	h.Fault = func(w http.ResponseWriter, r *http.Request, content bool) bool {
		if content || strings.Contains(r.URL.RawQuery, "new") {
			return false
		}
		w.Header().Set("Location", r.URL.Path+"?new")
		w.WriteHeader(http.StatusTemporaryRedirect)
		return true
	}
	_, dir, err := pull(t, newClient(t, h, Options{Token: "hf_secret"}), Cache{t.TempDir()}, Choice{}, FetchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	holds(t, h, dir, "README.md", "config.json", "model.safetensors", "tokenizer.json")
}

func TestChoice(t *testing.T) {
	files := []string{
		".gitattributes", "LICENSE", "README.md", "chat_template.jinja", "config.json", "model-00001-of-00002.safetensors", "model.safetensors.index.json",
		"onnx/model.onnx", "onnx/model.safetensors", "preprocessor_config.json", "pytorch_model.bin", "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "x.gguf",
	}
	for _, tt := range []struct {
		choice Choice
		want   string
	}{
		{Choice{}, "LICENSE README.md chat_template.jinja config.json model-00001-of-00002.safetensors model.safetensors.index.json preprocessor_config.json tokenizer.json tokenizer.model tokenizer_config.json"},
		{Choice{All: true}, strings.Join(files, " ")},
		{Choice{Include: []string{"*.gguf", "onnx/*"}}, "onnx/model.onnx onnx/model.safetensors x.gguf"},
		{Choice{Include: []string{"model.*"}}, "model.safetensors.index.json onnx/model.onnx onnx/model.safetensors"},
	} {
		got, err := tt.choice.choose(&Listing{Files: files})
		if err != nil || strings.Join(got, " ") != tt.want {
			t.Errorf("%+v: %v, %v; want %s", tt.choice, got, err, tt.want)
		}
	}
	for _, tt := range []struct {
		choice Choice
		files  []string
		want   string
	}{
		{Choice{}, []string{"config.json", "x.gguf"}, `"x.gguf"`},
		{Choice{Include: []string{"*.bin"}}, []string{"config.json"}, "config.json"},
		{Choice{Include: []string{"["}}, []string{"config.json"}, "pattern"},
	} {
		if got, err := tt.choice.choose(&Listing{Files: tt.files}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v of %v: %v, %v; want %q", tt.choice, tt.files, got, err, tt.want)
		}
	}
}

func TestNewClientRefuses(t *testing.T) {
	for _, o := range []Options{
		{Endpoint: "huggingface.co"}, {Endpoint: "ftp://huggingface.co"}, {Endpoint: "https://"}, {Endpoint: "https://me:secret@x"}, {Endpoint: "https://x?secret"},
		{Endpoint: "http://[secret"}, {Token: "hf_secret\nX-Evil: 1"}, {Token: "hf_sécret"},
	} {
		if _, err := NewClient(o); err == nil || strings.Contains(err.Error(), "secret") && !strings.Contains(o.Endpoint, "?") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestEnvironment(t *testing.T) {
	home := t.TempDir()
	write(t, filepath.Join(home, "hf", "token"), "hf_file\n")
	write(t, filepath.Join(home, "other"), "hf_other")
	for _, tt := range []struct {
		env  map[string]string
		want Options
	}{
		{nil, Options{}},
		{map[string]string{"HF_ENDPOINT": "http://x", "HF_TOKEN": " hf_env\n", "HF_HOME": "~/hf"}, Options{Endpoint: "http://x", Token: "hf_env"}},
		{map[string]string{"HUGGING_FACE_HUB_TOKEN": "hf_old"}, Options{Token: "hf_old"}},
		{map[string]string{"HF_HOME": "~/hf"}, Options{Token: "hf_file"}},
		{map[string]string{"HF_HOME": "~/hf", "HF_TOKEN_PATH": "~/other"}, Options{Token: "hf_other"}},
		{map[string]string{"HF_HOME": "~/hf", "HF_TOKEN": "x", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}, Options{}},
	} {
		got, err := DefaultOptions(func(key string) string {
			if key == "HOME" {
				return home
			}
			return tt.env[key]
		})
		if err != nil || got.Token != tt.want.Token || got.Endpoint != tt.want.Endpoint {
			t.Errorf("%v: %q, %q, %v", tt.env, got.Endpoint, got.Token, err)
		}
	}
	for value, want := range map[string]bool{"": false, "0": false, "1": true, "true": true, "no": false} {
		if got := Offline(func(key string) string { return map[string]string{"HF_HUB_OFFLINE": value}[key] }); got != want {
			t.Errorf("HF_HUB_OFFLINE=%s: %v", value, got)
		}
	}
}

// Whatever the Hub lists, what is fetched of it stays inside the snapshot.
func FuzzListing(f *testing.F) {
	f.Add([]byte(`{"id":"owner/name","sha":"` + hubtest.Commit + `","siblings":[{"rfilename":"config.json"},{"rfilename":"a/../../b"},{"rfilename":"a/b"}]}`))
	f.Add([]byte(`{"sha":"` + hubtest.Commit + `","siblings":[{"rfilename":"C:\\x"},{"rfilename":"\u0000"},{}]}`))
	f.Add([]byte(`{"siblings":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := parseListing(data)
		if err != nil {
			return
		}
		if !commit.MatchString(l.Commit) {
			t.Errorf("commit %q", l.Commit)
		}
		seen := map[string]bool{}
		for _, name := range l.Files {
			if seen[name] {
				t.Errorf("%q is there twice", name)
			}
			seen[name] = true
			if checkName(name) != nil {
				continue
			}
			if path := filepath.FromSlash(name); !filepath.IsLocal(path) || filepath.Clean(path) != path || strings.Contains(name, `\`) {
				t.Errorf("%q leads out of its folder", name)
			}
		}
		if _, err := (Choice{All: true}).choose(l); err == nil {
			for _, name := range l.Files {
				if checkName(name) != nil {
					t.Errorf("%q was chosen", name)
				}
			}
		}
	})
}
