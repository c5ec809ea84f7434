// Package server answers HTTP: OpenAI's API over the models of package idefics2.
//
// It adds nothing to an answer. A request becomes an idefics2.Request (request.go), its reply
// becomes JSON or an event stream (chat.go), and what stands before both are doors: keys and
// their limits (keys.go), where pictures may come from (sources.go), and the sizes of bodies, the
// origins of pages and how many requests may wait (doors.go).
package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"idefics2"
)

// Config is what a server has and allows; see Config.complete for what zeros mean.
type Config struct {
	// Models answer, by the names that requests give. The first of Order is also meant where
	// a request names none.
	Models map[string]*idefics2.Model
	Order  []string
	// Keys may ask. Without any, everybody may.
	Keys []Key
	// Defaults are generation settings where a request says nothing.
	Defaults idefics2.Generation

	MaxBody     int64         // bytes of a request
	MaxImages   int           // pictures of a request
	MaxWaiting  int           // requests that are being answered or wait for it; more get 503
	Timeout     time.Duration // for an answer, waiting included
	Origins     []string      // whose pages may ask from a browser besides our own; "*" is everybody's
	Hosts       []string      // names under which this server is reached, besides loopback addresses; empty: any
	Log         *slog.Logger
	Fingerprint string // of the binary: system_fingerprint
}

func (c Config) complete() Config {
	if c.MaxBody == 0 {
		c.MaxBody = 64 << 20
	}
	if c.MaxImages == 0 {
		c.MaxImages = 64
	}
	if c.MaxWaiting == 0 {
		c.MaxWaiting = 256
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Minute
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Server is an http.Handler. It is safe for use by many goroutines.
type Server struct {
	config  Config
	keys    keyring
	metrics *metrics
	handler http.Handler
	started time.Time

	places   chan struct{} // one of MaxWaiting each
	draining atomic.Bool
	running  sync.WaitGroup
	mu       sync.Mutex // orders running.Add before Drain's Wait
}

// New returns a server over models that stay the caller's to close, after Drain.
func New(c Config) (*Server, error) {
	c = c.complete()
	if len(c.Order) == 0 {
		return nil, errors.New("server: no model to serve")
	}
	for _, name := range c.Order {
		if c.Models[name] == nil {
			return nil, fmt.Errorf("server: model %q is named and not there", name)
		}
	}
	keys, err := newKeyring(c.Keys)
	if err != nil {
		return nil, err
	}
	s := &Server{config: c, keys: keys, started: time.Now(), places: make(chan struct{}, c.MaxWaiting)}
	s.metrics = newMetrics(s)
	s.handler = s.routes()
	return s, nil
}

// routes says who answers what. What costs the model goes through s.work, what tells about
// requests through s.known, and the rest is for everybody.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /v1/chat/completions", s.work(s.chat))
	mux.Handle("POST /v1/images/estimate", s.known(s.estimate))
	mux.Handle("POST /tokenize", s.known(s.tokenize))
	mux.Handle("POST /detokenize", s.known(s.detokenize))
	mux.Handle("GET /v1/models", s.known(s.models))
	mux.Handle("GET /v1/models/{id...}", s.known(s.model))
	mux.Handle("GET /metrics", s.known(s.metrics.serve))
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.HandleFunc("GET /openapi.yaml", openAPI)
	mux.HandleFunc("GET /{$}", page)
	mux.HandleFunc("GET /web/{file}", page)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, r, refusal{status: http.StatusNotFound, message: fmt.Sprintf("there is no %s %s here; see /openapi.yaml", r.Method, r.URL.Path)})
	})
	return s.outside(mux)
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Drain refuses new requests with 503 and waits for those that run, as long as ctx does.
func (s *Server) Drain(ctx context.Context) error {
	s.mu.Lock()
	s.draining.Store(true)
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("server: requests still run: %w", context.Cause(ctx))
	}
}

// enter counts a request that runs, unless the server drains.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
		return false
	}
	s.running.Add(1)
	return true
}

// newID makes the name of a request.
func newID(prefix string) string {
	var b [12]byte
	rand.Read(b[:]) // never fails
	return prefix + hex.EncodeToString(b[:])
}

func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) { writeText(w, "ok\n") }

// readyz fails while the server drains, so that a balancer sends requests elsewhere.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	if s.draining.Load() {
		s.refuse(w, r, refusal{status: http.StatusServiceUnavailable, message: "the server is ending", retry: time.Second})
		return
	}
	writeText(w, "ready\n")
}

func writeText(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(text)) // who has left reads no error
}
