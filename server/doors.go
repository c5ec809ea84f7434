package server

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// requestID is the header that names a request in logs.
const requestID = "X-Request-Id"

// outside is what every request passes: a name, headers that browsers heed, the origins that
// may ask, and a catch for what is a bug of ours.
func (s *Server) outside(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set(requestID, newID("req_"))
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler {
				s.config.Log.ErrorContext(r.Context(), "panic", "request", h.Get(requestID), "path", r.URL.Path, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				s.refuse(w, r, refusal{status: http.StatusInternalServerError, message: "an error of the server, which its log tells by the request's id"})
			}
		}()
		if !s.hostAllowed(r.Host) {
			s.refuse(w, r, refusal{status: http.StatusMisdirectedRequest, message: fmt.Sprintf("this server is not reached as %q; its owner can allow that with -host", r.Host)})
			return
		}
		if !s.originAllowed(w, r) {
			s.refuse(w, r, refusal{status: http.StatusForbidden, message: fmt.Sprintf("pages of %s may not ask this server; its owner can allow that with -origin", r.Header.Get("Origin")), code: "origin_not_allowed"})
			return
		}
		if r.Method == http.MethodOptions && r.Header.Get("Origin") != "" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostAllowed holds off pages whose name was made to mean this machine (DNS rebinding): an
// address is no name that could be, and names are those of the owner.
func (s *Server) hostAllowed(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil || host == "localhost" || len(s.config.Hosts) == 0 {
		return true
	}
	return slices.ContainsFunc(s.config.Hosts, func(h string) bool { return strings.EqualFold(h, host) })
}

// originAllowed reports whether a page may ask, and tells its browser so.
func (s *Server) originAllowed(w http.ResponseWriter, r *http.Request) bool {
	w.Header().Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" { // no page of another site, or one that only looks
		return r.Header.Get("Sec-Fetch-Site") != "cross-site" || r.Method == http.MethodGet || r.Method == http.MethodHead
	}
	if u, err := url.Parse(origin); err == nil && u.Host == r.Host {
		return true
	}
	if !slices.Contains(s.config.Origins, origin) && !slices.Contains(s.config.Origins, "*") {
		return false
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
	h.Set("Access-Control-Max-Age", "600")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	return true
}

// handler answers a request whose sender is known, or says why not.
type handler func(w http.ResponseWriter, r *http.Request, from *holder) error

// known lets in who has a key.
func (s *Server) known(next handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, err := s.keys.holder(r)
		if err == nil {
			r.Body = http.MaxBytesReader(w, r.Body, s.config.MaxBody)
			err = next(w, r, from)
		}
		if err != nil {
			s.refuse(w, r, asRefusal(err))
		}
	})
}

// work lets in what will keep the model busy, as long as there is room.
func (s *Server) work(next handler) http.Handler {
	return s.known(func(w http.ResponseWriter, r *http.Request, from *holder) error {
		leave, err := from.request()
		if err != nil {
			return err
		}
		defer leave()
		select {
		case s.places <- struct{}{}:
			defer func() { <-s.places }()
		default:
			return refusal{status: http.StatusServiceUnavailable, message: fmt.Sprintf("%d requests wait already", s.config.MaxWaiting), code: "overloaded", retry: 5 * time.Second}
		}
		if !s.enter() {
			return refusal{status: http.StatusServiceUnavailable, message: "the server is ending", retry: 5 * time.Second}
		}
		defer s.running.Done()
		ctx, cancel := context.WithTimeoutCause(r.Context(), s.config.Timeout, refusal{
			status: http.StatusGatewayTimeout, message: fmt.Sprintf("no answer within the %s that this server gives one", s.config.Timeout), code: "timeout"})
		defer cancel()
		s.metrics.requests.WithLabelValues(from.Name).Inc()
		return next(w, r.WithContext(ctx), from)
	})
}
