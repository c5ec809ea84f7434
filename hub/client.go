package hub

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// DefaultEndpoint is where the Hub is.
const DefaultEndpoint = "https://huggingface.co"

// Options of a Client; the zero value asks the Hub as nobody in particular.
type Options struct {
	Endpoint string // of the Hub or of a mirror; "" is DefaultEndpoint
	// Token says who asks. It goes to the endpoint and to no other host.
	Token string
	// Proxy is as that of http.Transport; nil is none.
	Proxy func(*http.Request) (*url.URL, error)
	// Note is told what happens that is worth a line, such as a server that is asked again. It may be nil,
	// and is called by several goroutines.
	Note func(line string)
}

// Client speaks to the Hub. It is safe for use by many goroutines.
type Client struct {
	endpoint *url.URL
	token    string
	note     func(string)
	http     http.Client
	reached  atomic.Bool // some server has answered
	// wait sleeps between attempts; tests do not.
	wait func(context.Context, time.Duration) error
	// stall is how long a connection may give nothing.
	stall time.Duration
}

// NewClient checks the options. Of endpoints, http is taken at its word: whoever names it wants it.
func NewClient(o Options) (*Client, error) {
	if o.Endpoint == "" {
		o.Endpoint = DefaultEndpoint
	}
	u, err := url.Parse(strings.TrimRight(o.Endpoint, "/"))
	switch {
	case err != nil:
		return nil, errors.New("hub: the endpoint is not an address; want one such as " + DefaultEndpoint)
	case u.User != nil:
		return nil, errors.New("hub: the endpoint holds a name or password; want one such as " + DefaultEndpoint)
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("hub: endpoint %.200q: want one such as %s", o.Endpoint, DefaultEndpoint)
	}
	for _, r := range o.Token {
		if r <= ' ' || r > '~' {
			return nil, errors.New("hub: the token holds a character that no token has; want one such as hf_…")
		}
	}
	c := &Client{endpoint: u, token: o.Token, note: o.Note, wait: sleep, stall: 60 * time.Second}
	if c.note == nil {
		c.note = func(string) {}
	}
	c.http = http.Client{
		Transport: &http.Transport{
			DialContext: (&net.Dialer{Timeout: 15 * time.Second}).DialContext,
			Proxy:       o.Proxy, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 15 * time.Second, ResponseHeaderTimeout: 60 * time.Second,
			MaxResponseHeaderBytes: 256 << 10, MaxIdleConnsPerHost: 16, IdleConnTimeout: 60 * time.Second,
			DisableCompression: true, // sizes and ranges are of the content
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // follow does it
	}
	return c, nil
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// address returns the URL of a path below the endpoint. Each part is escaped whole.
func (c *Client) address(parts ...string) *url.URL {
	u := *c.endpoint
	escaped := u.EscapedPath()
	for _, p := range parts {
		u.Path += "/" + p
		escaped += "/" + url.PathEscape(p)
	}
	u.RawPath = escaped
	return &u
}

// trusted reports whether u is where the token may go.
func (c *Client) trusted(u *url.URL) bool {
	return u.Scheme == c.endpoint.Scheme && strings.EqualFold(u.Host, c.endpoint.Host)
}

// maxHops is how many redirects are followed.
const maxHops = 10

// follow sends a request and follows its redirects, each with the token only where it may go, until
// done, which may be nil, says that the answer at hand is enough.
func (c *Client) follow(ctx context.Context, method string, u *url.URL, header http.Header, done func(*http.Response) bool) (*http.Response, error) {
	for range maxHops {
		r := (&http.Request{Method: method, URL: u, Host: u.Host, Header: header.Clone(), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).WithContext(ctx)
		if r.Header == nil {
			r.Header = http.Header{}
		}
		r.Header.Set("User-Agent", "idefics2")
		r.Header.Set("Accept-Encoding", "identity")
		if c.token != "" && c.trusted(u) {
			r.Header.Set("Authorization", "Bearer "+c.token)
		}
		res, err := c.http.Do(r)
		if err != nil {
			return nil, &netError{err: inner(err), where: place(u)}
		}
		c.reached.Store(true)
		location := res.Header.Get("Location")
		redirected := res.StatusCode >= 301 && res.StatusCode <= 308 && res.StatusCode != http.StatusNotModified && location != ""
		if !redirected || done != nil && done(res) {
			return res, nil
		}
		_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection can be used again
		res.Body.Close()
		next, err := u.Parse(location)
		switch {
		case err != nil || next.Host == "":
			return nil, fmt.Errorf("%s redirects to what is no address", place(u))
		case next.Scheme != "https" && (next.Scheme != "http" || c.endpoint.Scheme != "http"):
			return nil, fmt.Errorf("%s redirects to %s, want https", place(u), place(next))
		case next.User != nil:
			return nil, fmt.Errorf("%s redirects to an address with a name or password", place(u))
		}
		u = next
	}
	return nil, fmt.Errorf("%s: more than %d redirects", place(c.endpoint), maxHops)
}

// place names an address without its query, which for a content server is a key.
func place(u *url.URL) string { return fmt.Sprintf("%.300s", u.Scheme+"://"+u.Host+u.EscapedPath()) }

// inner takes off the wrapper that repeats the whole address.
func inner(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// netError is a connection that could not be made or broke: it is worth another attempt.
type netError struct {
	err   error
	where string
}

func (e *netError) Error() string { return e.where + ": " + e.err.Error() }
func (e *netError) Unwrap() error { return e.err }

// attempts is how often something is tried without any progress.
const attempts = 6

// unreached is how often, as long as no server has ever answered: there is likely no network.
const unreached = 2

// maxPause is the longest that a server may have a person wait.
const maxPause = 5 * time.Minute

// try calls f until it succeeds, fails for good, or fails too often without progress, which f reports.
func (c *Client) try(ctx context.Context, what string, f func() (progress bool, err error)) error {
	pause := time.Second
	for failed := 0; ; {
		progress, err := f()
		if err == nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		wanted, worth := again(err)
		if progress {
			failed, pause = 0, time.Second
		}
		most := attempts
		if !c.reached.Load() {
			most = unreached
		}
		if failed++; !worth || failed >= most {
			return err
		}
		if wanted > maxPause {
			return fmt.Errorf("%w; it wants to be asked again in %v", err, wanted.Round(time.Second))
		}
		// A little later than the others that met the same busy server.
		delay := max(wanted, pause+rand.N(pause/4))
		c.note(fmt.Sprintf("%s: %v; again in %v", what, err, delay.Round(time.Second)))
		if err := c.wait(ctx, delay); err != nil {
			return err
		}
		pause = min(2*pause, 30*time.Second)
	}
}

// again reports whether an error may pass with time, and when the server wants to be asked.
func again(err error) (after time.Duration, worth bool) {
	var broken *netError
	var status *statusError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &certificate):
		return 0, false
	case errors.As(err, &broken):
		return 0, true
	case errors.As(err, &status):
		return status.after, status.passing
	}
	return 0, false
}

// retryAfter reads a Retry-After header, seconds or a date.
func retryAfter(value string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
