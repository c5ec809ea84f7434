// Package fetch gets pictures by http and https for those who do not trust who named them. Every address
// is looked at when it is dialled, behind name resolution and redirects: private, loopback, link-local and
// metadata addresses, also as IPv4 in IPv6 and behind NAT64, are refused (code.dny.dev/ssrf). Time, size
// and redirects are bounded.
package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"code.dny.dev/ssrf"
)

// Options are the caller's choices; the zero value works.
type Options struct {
	MaxBytes  int64         // of a body; 0 is 64 MiB
	Timeout   time.Duration // of a request with its redirects; 0 is 30 seconds
	Redirects int           // at most; 0 is 5
	// Allow are addresses that may be dialled though the guard refuses them: of an own picture server.
	Allow []netip.Prefix
}

// Client gets pictures. It is safe for use by many goroutines.
type Client struct {
	options Options
	http    http.Client
}

// ErrRefused is wrapped by errors about an address that must not be dialled.
var ErrRefused = errors.New("the address is not a public one")

// New makes a client.
func New(o Options) *Client {
	if o.MaxBytes == 0 {
		o.MaxBytes = 64 << 20
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Redirects == 0 {
		o.Redirects = 5
	}
	var v4, v6 []netip.Prefix
	for _, p := range o.Allow {
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	guard := ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
	dialer := &net.Dialer{Timeout: 10 * time.Second, Control: guard.Safe}
	c := &Client{options: o}
	c.http = http.Client{
		Transport: &http.Transport{ // no proxy: it would dial in the guard's place
			DialContext: dialer.DialContext, TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: o.Timeout,
			MaxResponseHeaderBytes: 64 << 10, MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second, ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > o.Redirects {
				return fmt.Errorf("more than %d redirects", o.Redirects)
			}
			return check(r.URL)
		},
	}
	return c
}

// check refuses what is no plain address of a file.
func check(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("scheme %q, want http or https", u.Scheme)
	case u.Host == "":
		return errors.New("no host")
	case u.User != nil:
		return errors.New("it holds a name or password")
	}
	return nil
}

// Get returns the body of a URL.
func (c *Client) Get(ctx context.Context, address string) ([]byte, error) {
	u, err := url.Parse(address)
	if err == nil {
		err = check(u)
	}
	if err != nil {
		return nil, fmt.Errorf("fetch: %.200q: %w", address, err)
	}
	data, err := c.get(ctx, u)
	if err != nil {
		var inner *url.Error
		if errors.As(err, &inner) { // which repeats method and address
			err = inner.Err
		}
		if errors.Is(err, ssrf.ErrProhibitedIP) {
			err = fmt.Errorf("%w: %w", ErrRefused, err)
		}
		return nil, fmt.Errorf("fetch: %.200s: %w", u.Redacted(), err)
	}
	return data, nil
}

func (c *Client) get(ctx context.Context, u *url.URL) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.options.Timeout, fmt.Errorf("no answer within %v", c.options.Timeout))
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", "idefics2")
	r.Header.Set("Accept", "image/*")
	res, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answered %s", res.Status)
	}
	if n := res.ContentLength; n > c.options.MaxBytes {
		return nil, fmt.Errorf("%d bytes, at most %d", n, c.options.MaxBytes)
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, c.options.MaxBytes+1))
	if err == nil && int64(len(data)) > c.options.MaxBytes {
		err = fmt.Errorf("more than %d bytes", c.options.MaxBytes)
	}
	return data, err
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }
