package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"idefics2"
	"idefics2/imageproc"
	"idefics2/internal/terminal"
	"idefics2/server"
)

var serveCmd = command{
	name: "serve",
	args: "[-model M] [-addr HOST:PORT] [-keys FILE] [FLAGS]",
	help: "answer over HTTP as OpenAI's API does, and on a web page",
	more: `Open the address that it prints in a browser, or point a client of OpenAI's API at
http://HOST:PORT/v1. /openapi.yaml says what there is. Pictures come as data URLs.

Without -keys everybody who reaches the address may ask, so it listens on this machine alone unless
there are keys or -insecure says that it is meant. A file of keys is JSON:
[{"name": "ann", "sha256": "…", "requests": 60, "tokens": 100000, "images": 100, "concurrent": 4}]:
limits a minute, 0 or left out for none. "idefics2 serve -hash-key" prints the sha256 of a key.

On SIGTERM and Ctrl-C it refuses new requests and finishes those that run; a second Ctrl-C ends it at once.`,
	examples: []example{
		{"for this machine, with the small default model", "idefics2 serve"},
		{"for others, with keys", "idefics2 serve -model DIR -addr 0.0.0.0:8090 -keys keys.json"},
		{"ask it", `curl localhost:8090/v1/chat/completions -d '{"messages":[{"role":"user","content":"Hello"}]}'`},
	},
	new: func(f *flags) runFunc {
		var o struct {
			addr, keys, media, log string
			origins, hosts         list
			insecure, hash         bool
			body                   int
			waiting, images        int
			timeout, drain         time.Duration
		}
		m := newModelFlags(f)
		f.group("Server", func() {
			f.StringVar(&o.addr, "addr", "127.0.0.1:8090", "`HOST:PORT` to listen on")
			f.StringVar(&o.keys, "keys", "", "`FILE` of the keys that may ask")
			f.BoolVar(&o.hash, "hash-key", false, "print the sha256 of the key on standard input, and end")
			f.BoolVar(&o.insecure, "insecure", false, "listen beyond this machine without keys")
			f.Var(&o.origins, "origin", "`URL` of a site whose pages may ask; may be given several times")
			f.Var(&o.hosts, "host", "`NAME` under which browsers may reach this server; may be given several times")
			f.StringVar(&o.media, "media-path", "", "`DIR` below which requests may name pictures as file:NAME")
			f.StringVar(&o.log, "log", "", "`FILE` for a line of JSON about each refusal and error; - is standard error")
		})
		f.group("Limits", func() {
			f.IntVar(&o.body, "max-body", 64, "`MIB` of a request")
			f.IntVar(&o.images, "max-images", 64, "`N` pictures in a request")
			f.IntVar(&o.waiting, "max-waiting", 256, "`N` requests at once; more are told to come again")
			f.DurationVar(&o.timeout, "timeout", 30*time.Minute, "`TIME` for an answer")
			f.DurationVar(&o.drain, "drain", 30*time.Second, "`TIME` for the answers that run when the server ends")
		})
		return func(ctx context.Context, std stdio, args []string) error {
			if o.hash {
				return hashKey(std)
			}
			if len(args) > 0 {
				return misused(fmt.Sprintf("serve takes no arguments, found %q", args[0]), f.hint())
			}
			if err := m.check(f); err != nil {
				return err
			}
			config := server.Config{
				MaxBody: int64(o.body) << 20, MaxImages: o.images, MaxWaiting: o.waiting, Timeout: o.timeout,
				Origins: o.origins, Hosts: append([]string{hostOf(o.addr)}, o.hosts...), Fingerprint: fingerprint(),
			}
			var err error
			if o.keys != "" {
				if config.Keys, err = readKeys(o.keys); err != nil {
					return err
				}
			} else if !o.insecure && !loopback(o.addr) {
				return &remedied{fmt.Errorf("%s is reached from other machines, and there are no keys", o.addr), "give -keys FILE, or -insecure if everybody may ask"}
			}
			if o.log != "" {
				w := std.err
				if o.log != "-" {
					file, err := os.OpenFile(o.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
					if err != nil {
						return err
					}
					defer file.Close()
					w = file
				}
				config.Log = slog.New(slog.NewJSONHandler(w, nil))
			}
			sources := server.Sources{Limits: imageproc.Limits{Bytes: o.body << 20, Pixels: 50_000_000}}
			if o.media != "" {
				if sources.Media, err = os.OpenRoot(o.media); err != nil {
					return err
				}
				defer sources.Media.Close()
			}
			m.options.Read, m.options.Images = sources.Read, sources.Limits
			listener, err := net.Listen("tcp", o.addr) // before the model, so that a taken port is told at once
			if err != nil {
				return &remedied{err, "-addr HOST:PORT names another, port 0 any that is free"}
			}
			defer listener.Close()
			bars := terminal.NewProgress(std.err)
			defer bars.Close()
			model, err := m.open(ctx, std, bars)
			if err != nil {
				return err
			}
			defer closeModel(ctx, model)
			bars.Close()
			name := model.Name()
			config.Models, config.Order = map[string]*idefics2.Model{name: model}, []string{name}
			s, err := server.New(config)
			if err != nil {
				return err
			}
			fmt.Fprintf(std.err, "idefics2: answering on http://%s\n", listener.Addr())
			std.signal.patience(o.drain + time.Second)
			return serveHTTP(ctx, s, listener, o.drain)
		}
	},
}

// serveHTTP answers until ctx ends, and then finishes what runs.
func serveHTTP(ctx context.Context, s *server.Server, listener net.Listener, drain time.Duration) error {
	h := &http.Server{
		Handler: s, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 2 * time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	failed := make(chan error, 1)
	go func() { failed <- h.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	err := s.Drain(end)
	if shut := h.Shutdown(end); err == nil {
		err = shut
	}
	if err != nil {
		err = errors.Join(err, h.Close())
	}
	<-failed
	return err
}

// fingerprint says which build answers: its revision.
func fingerprint() string {
	b := readBuild()
	if b.Revision == "" {
		return "fp_" + b.Version
	}
	return "fp_" + b.Revision[:min(12, len(b.Revision))]
}

func readKeys(path string) ([]server.Key, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var keys []server.Key
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.DisallowUnknownFields()
	if err := d.Decode(&keys); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s: no key in it", path)
	}
	return keys, nil
}

func hashKey(std stdio) error {
	data := make([]byte, 4096)
	n, _ := std.in.Read(data) // an empty key is refused below
	key := strings.TrimSpace(string(data[:n]))
	if len(key) < 16 {
		return misused("a key wants at least 16 characters", "head -c 24 /dev/urandom | base64 makes one")
	}
	_, err := fmt.Fprintln(std.out, server.HashKey(key))
	return err
}

// loopback reports whether an address is reached from this machine alone.
func loopback(addr string) bool {
	host := hostOf(addr)
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func hostOf(addr string) string {
	host, _, _ := net.SplitHostPort(addr)
	return host
}
