package server

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// Key is a door: who holds it, and how much may pass. Limits of 0 are none.
type Key struct {
	Name       string // for logs and metrics
	SHA256     string // of the key, in hexadecimal: the key itself is kept nowhere
	Requests   int    // a minute
	Tokens     int    // a minute, of prompts and answers
	Images     int    // a minute
	Concurrent int    // requests at once
}

// HashKey returns what Key.SHA256 holds. Keys are random, so a hash without salt or work
// tells nothing about them.
func HashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// keyring finds a key's holder by its hash, so that the time it takes tells nothing about keys.
type keyring map[[sha256.Size]byte]*holder

// holder is a key in use.
type holder struct {
	Key
	requests, tokens, images *rate.Limiter
	running                  chan struct{}
}

// anyone is the holder where the server has no keys.
var anyone = &holder{Key: Key{Name: "anyone"}}

func newKeyring(keys []Key) (keyring, error) {
	ring := keyring{}
	names := map[string]bool{}
	for i, k := range keys {
		sum, err := hex.DecodeString(k.SHA256)
		switch {
		case k.Name == "":
			return nil, fmt.Errorf("server: key %d has no name", i+1)
		case names[k.Name]:
			return nil, fmt.Errorf("server: two keys are named %q", k.Name)
		case err != nil || len(sum) != sha256.Size:
			return nil, fmt.Errorf("server: key %q: its sha256 has not 64 hexadecimal digits", k.Name)
		case min(k.Requests, k.Tokens, k.Images, k.Concurrent) < 0:
			return nil, fmt.Errorf("server: key %q: a limit is negative; 0 is none", k.Name)
		}
		h := &holder{Key: k, requests: perMinute(k.Requests), tokens: perMinute(k.Tokens), images: perMinute(k.Images)}
		if k.Concurrent > 0 {
			h.running = make(chan struct{}, k.Concurrent)
		}
		if ring[[sha256.Size]byte(sum)] != nil {
			return nil, fmt.Errorf("server: key %q is that of %q", k.Name, ring[[sha256.Size]byte(sum)].Name)
		}
		names[k.Name], ring[[sha256.Size]byte(sum)] = true, h
	}
	return ring, nil
}

func perMinute(n int) *rate.Limiter {
	if n == 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(float64(n)/60), n)
}

// holder returns whose key a request brings.
func (k keyring) holder(r *http.Request) (*holder, error) {
	if len(k) == 0 {
		return anyone, nil
	}
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return nil, refusal{status: http.StatusUnauthorized, message: "this server wants a key: send the header Authorization: Bearer KEY", code: "missing_api_key"}
	}
	if h := k[sha256.Sum256([]byte(strings.TrimSpace(key)))]; h != nil {
		return h, nil
	}
	return nil, refusal{status: http.StatusUnauthorized, message: "this key is not known here", code: "invalid_api_key"}
}

// request takes a request off the minute's, and a place among those that run at once.
func (h *holder) request() (leave func(), err error) {
	if err := take(h.requests, 1, "requests", h.Requests); err != nil {
		return nil, err
	}
	if h.running == nil {
		return func() {}, nil
	}
	select {
	case h.running <- struct{}{}:
		return func() { <-h.running }, nil
	default:
		return nil, refusal{status: http.StatusTooManyRequests, code: "rate_limit_exceeded", retry: time.Second,
			message: fmt.Sprintf("%d requests of this key run already, as many as may at once", h.Concurrent)}
	}
}

// take takes n off what a minute allows, or says when it can be had.
func take(l *rate.Limiter, n int, what string, limit int) error {
	if l == nil || n == 0 {
		return nil
	}
	if n > limit {
		return refusal{status: http.StatusTooManyRequests, code: "rate_limit_exceeded",
			message: fmt.Sprintf("%d %s in one request, and this key has %d a minute", n, what, limit)}
	}
	now := time.Now()
	r := l.ReserveN(now, n)
	if wait := r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
		return refusal{status: http.StatusTooManyRequests, code: "rate_limit_exceeded", retry: wait,
			message: fmt.Sprintf("this key has %d %s a minute, and they are used up; come again in %s", limit, what, wait.Round(time.Millisecond))}
	}
	return nil
}
