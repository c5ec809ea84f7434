package server

import (
	"embed"
	"mime"
	"net/http"
	"path"
)

// The page is three files, served as they are: nothing is built, nothing comes from elsewhere.
//
//go:embed web openapi.yaml
var files embed.FS

// policy lets the page load what this server has, pictures of its own making, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func page(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	if name == "" {
		name = "index.html"
	}
	data, err := files.ReadFile("web/" + name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	h.Set("Cache-Control", "no-cache")
	_, _ = w.Write(data) // who has left reads no error
}

func openAPI(w http.ResponseWriter, _ *http.Request) {
	data, err := files.ReadFile("openapi.yaml")
	if err != nil {
		panic(err) // it is embedded
	}
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = w.Write(data) // who has left reads no error
}
