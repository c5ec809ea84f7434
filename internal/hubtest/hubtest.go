// Package hubtest is a small Hub for tests: models over HTTP as huggingface.co serves them, with the
// contents of large files on another host, and with the faults that a test asks for.
package hubtest

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Commit is that of all revisions, but of "gone", which is none.
const Commit = "2c42686c57fe21cf0348c9ce1077d094b72e7698"

// Hub serves the model owner/name. Its fields are set before it is asked.
type Hub struct {
	URL string
	// Token is what requests must bear; "" is none.
	Token string
	Files map[string]*File
	// Listing takes the place of the list of Files, where it is not "".
	Listing string
	// Fault may answer a request in the Hub's place: it returns true if it did. Content is whether the host of
	// contents was asked.
	Fault func(w http.ResponseWriter, r *http.Request, content bool) bool

	mu       sync.Mutex
	requests []string
	content  *httptest.Server
}

// File is a file of the model.
type File struct {
	Content string
	Large   bool // stored by SHA-256 on the host of contents
	// Cut ends connections after so many bytes of an answer, as often as it has numbers.
	Cut []int
	// Hold keeps a connection that Cut would end until the client leaves.
	Hold bool
	// Whole has ranges ignored.
	Whole bool
	// Served is what is sent in place of Content, where it is not "".
	Served string
}

// New starts a Hub that ends with the test.
func New(t testing.TB) *Hub {
	h := &Hub{Files: map[string]*File{}}
	hub := httptest.NewServer(http.HandlerFunc(h.serve))
	h.content = httptest.NewServer(http.HandlerFunc(h.serveContent))
	h.URL = hub.URL
	t.Cleanup(hub.Close)
	t.Cleanup(h.content.Close)
	return h
}

// Requests returns what was asked since the last call: method, path and range, in the order of arrival.
func (h *Hub) Requests() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.requests
	h.requests = nil
	return r
}

// Asked returns the requests of Requests that begin with a prefix.
func (h *Hub) Asked(prefix string) []string {
	return slices.DeleteFunc(h.Requests(), func(r string) bool { return !strings.HasPrefix(r, prefix) })
}

// Hash is what the Hub says of the file's content.
func (f *File) Hash() string {
	if f.Large {
		return fmt.Sprintf("%x", sha256.Sum256([]byte(f.Content)))
	}
	return fmt.Sprintf("%x", sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(f.Content), f.Content)))
}

func (h *Hub) log(r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.requests = append(h.requests, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+r.Header.Get("Range")))
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("X-Error-Code", code)
	w.Header().Set("X-Error-Message", message)
	w.WriteHeader(status)
}

func (h *Hub) serve(w http.ResponseWriter, r *http.Request) {
	h.log(r)
	if h.Fault != nil && h.Fault(w, r, false) {
		return
	}
	if h.Token != "" && r.Header.Get("Authorization") != "Bearer "+h.Token {
		refuse(w, http.StatusUnauthorized, "GatedRepo", "Access to model owner/name is restricted.")
		return
	}
	if revision, ok := strings.CutPrefix(r.URL.Path, "/api/models/owner/name/revision/"); ok {
		if revision == "gone" {
			refuse(w, http.StatusNotFound, "RevisionNotFound", "Invalid rev id: gone")
			return
		}
		h.list(w)
		return
	}
	name, ok := strings.CutPrefix(r.URL.Path, "/owner/name/resolve/"+Commit+"/")
	f := h.Files[name]
	switch {
	case !strings.Contains(r.URL.Path, "/owner/name/"):
		refuse(w, http.StatusUnauthorized, "RepoNotFound", "Repository not found")
	case !ok || f == nil:
		refuse(w, http.StatusNotFound, "EntryNotFound", "Entry not found")
	case f.Large:
		w.Header().Set("X-Repo-Commit", Commit)
		w.Header().Set("X-Linked-Etag", strconv.Quote(f.Hash()))
		w.Header().Set("X-Linked-Size", strconv.Itoa(len(f.Content)))
		w.Header().Set("Location", h.content.URL+"/"+name+"?signature=secret")
		w.WriteHeader(http.StatusFound)
	default:
		w.Header().Set("X-Repo-Commit", Commit)
		w.Header().Set("ETag", strconv.Quote(f.Hash()))
		h.send(w, r, f)
	}
}

func (h *Hub) list(w http.ResponseWriter) {
	if h.Listing != "" {
		fmt.Fprint(w, h.Listing)
		return
	}
	type sibling struct {
		Name string `json:"rfilename"`
	}
	answer := struct {
		ID       string    `json:"id"`
		SHA      string    `json:"sha"`
		Siblings []sibling `json:"siblings"`
	}{"owner/name", Commit, nil}
	for name := range h.Files {
		answer.Siblings = append(answer.Siblings, sibling{name})
	}
	slices.SortFunc(answer.Siblings, func(a, b sibling) int { return strings.Compare(a.Name, b.Name) })
	_ = json.NewEncoder(w).Encode(answer)
}

func (h *Hub) serveContent(w http.ResponseWriter, r *http.Request) {
	h.log(r)
	if h.Fault != nil && h.Fault(w, r, true) {
		return
	}
	f := h.Files[strings.TrimPrefix(r.URL.Path, "/")]
	switch {
	case r.Header.Get("Authorization") != "":
		http.Error(w, "the token went to another host", http.StatusTeapot)
	case f == nil || r.URL.RawQuery != "signature=secret":
		http.Error(w, "no such content", http.StatusForbidden)
	default:
		h.send(w, r, f)
	}
}

// send writes a file or the range of it that is asked for.
func (h *Hub) send(w http.ResponseWriter, r *http.Request, f *File) {
	content := f.Content
	if f.Served != "" {
		content = f.Served
	}
	from := 0
	if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); err == nil && !f.Whole {
		if from >= len(content) {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(content)-1, len(content)))
	} else {
		from = 0
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(content)-from))
	if w.Header().Get("Content-Range") != "" {
		w.WriteHeader(http.StatusPartialContent)
	}
	if r.Method == http.MethodHead {
		return
	}
	h.mu.Lock()
	cut := -1
	if len(f.Cut) > 0 {
		cut, f.Cut = f.Cut[0], f.Cut[1:]
	}
	h.mu.Unlock()
	if cut < 0 || from+cut >= len(content) {
		_, _ = w.Write([]byte(content[from:]))
		return
	}
	_, _ = w.Write([]byte(content[from : from+cut]))
	_ = http.NewResponseController(w).Flush()
	if f.Hold {
		<-r.Context().Done()
	}
	panic(http.ErrAbortHandler) // the connection breaks
}
