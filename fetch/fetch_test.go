package fetch

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// What is not public is not dialled, however it is written.
func TestRefused(t *testing.T) {
	c := New(Options{Timeout: 2 * time.Second})
	defer c.Close()
	for _, host := range []string{
		"127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "[::1]", "[::]",
		"[fe80::1]", "[fd00:ec2::254]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]", "[2002:7f00:1::]", "localhost",
		"224.0.0.1", "255.255.255.255",
	} {
		if _, err := c.Get(t.Context(), "http://"+host+":9/x.png"); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", host, err)
		}
	}
	for _, address := range []string{"file:///etc/passwd", "ftp://example.com/x", "http://", "https://user:secret@example.com/x.png", "x.png", "http://a b/"} {
		if _, err := c.Get(t.Context(), address); err == nil || strings.Contains(err.Error(), ":secret@") && !strings.Contains(err.Error(), address) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestBounds(t *testing.T) {
	const data = "a picture"
	mux := http.NewServeMux()
	mux.HandleFunc("/x.png", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, data) })
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("x", 4096)) })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, _ *http.Request) {
		for range 10 {
			fmt.Fprint(w, strings.Repeat("x", 1000))
			w.(http.Flusher).Flush()
		}
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "a")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://169.254.169.254/latest/meta-data/", http.StatusFound)
	})
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
	})
	mux.HandleFunc("/round", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/round", http.StatusFound) })
	mux.HandleFunc("/here", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x.png", http.StatusFound) })
	server := httptest.NewServer(mux)
	defer server.Close()
	c := New(Options{MaxBytes: 4000, Timeout: 300 * time.Millisecond, Allow: loopback})
	defer c.Close()
	for _, tt := range []struct{ path, want string }{
		{"/x.png", ""}, {"/here", ""}, {"/nothing", "404"}, {"/large", "than 4000"}, {"/endless", "more than 4000"},
		{"/slow", "within 300ms"}, {"/away", "not a public one"}, {"/file", "want http or https"}, {"/round", "more than 5 redirects"},
	} {
		got, err := c.Get(t.Context(), server.URL+tt.path)
		switch {
		case tt.want == "" && (err != nil || string(got) != data):
			t.Errorf("%s: %q, %v", tt.path, got, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: %v, want %q", tt.path, err, tt.want)
		}
	}
	if _, err := New(Options{}).Get(t.Context(), server.URL+"/x.png"); !errors.Is(err, ErrRefused) {
		t.Errorf("loopback, which is not allowed: %v", err)
	}
}

func FuzzGet(f *testing.F) {
	for _, s := range []string{"http://127.0.0.1/x", "https://[::ffff:10.0.0.1]:1/", "file:///x", "http://0x7f.1/", "://"} {
		f.Add(s)
	}
	c := New(Options{Timeout: time.Nanosecond}) // nothing is dialled in that time
	f.Fuzz(func(t *testing.T, address string) {
		if _, err := c.Get(t.Context(), address); err == nil {
			t.Errorf("%q was fetched", address)
		}
	})
}
