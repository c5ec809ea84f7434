package hub

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// DefaultDir returns the cache folder that the Hub's tools use, given the environment:
// HF_HUB_CACHE, else hub in HF_HOME, else huggingface/hub in XDG_CACHE_HOME or ~/.cache.
// A leading ~ is the home folder.
func DefaultDir(getenv func(string) string) string {
	if dir := getenv("HF_HUB_CACHE"); dir != "" {
		return expand(getenv, dir)
	}
	return filepath.Join(homeOf(getenv), "hub")
}

// homeOf returns the folder of all that the Hub's tools keep.
func homeOf(getenv func(string) string) string {
	if dir := getenv("HF_HOME"); dir != "" {
		return expand(getenv, dir)
	}
	if dir := getenv("XDG_CACHE_HOME"); dir != "" {
		return filepath.Join(expand(getenv, dir), "huggingface")
	}
	return filepath.Join(expand(getenv, "~"), ".cache", "huggingface")
}

// expand replaces a leading ~ by the user's folder.
func expand(getenv func(string) string, path string) string {
	if path == "~" || strings.HasPrefix(path, "~/") {
		return filepath.Join(cmp.Or(getenv("HOME"), getenv("USERPROFILE")), path[1:])
	}
	return path
}

// DefaultOptions returns the endpoint and the token that the Hub's tools would use, given the environment:
// HF_ENDPOINT; HF_TOKEN, HUGGING_FACE_HUB_TOKEN, or the file that logging in has left (HF_TOKEN_PATH, else
// token in HF_HOME), unless HF_HUB_DISABLE_IMPLICIT_TOKEN says that no token is sent unasked.
func DefaultOptions(getenv func(string) string) (Options, error) {
	o := Options{Endpoint: getenv("HF_ENDPOINT")}
	if isTrue(getenv("HF_HUB_DISABLE_IMPLICIT_TOKEN")) {
		return o, nil
	}
	o.Token = strings.TrimSpace(cmp.Or(getenv("HF_TOKEN"), getenv("HUGGING_FACE_HUB_TOKEN")))
	if o.Token != "" {
		return o, nil
	}
	path := filepath.Join(homeOf(getenv), "token")
	if named := getenv("HF_TOKEN_PATH"); named != "" {
		path = expand(getenv, named)
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return o, nil
	}
	if err != nil {
		return o, fmt.Errorf("hub: the token: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return o, fmt.Errorf("hub: the token: %w", err)
	}
	o.Token = strings.TrimSpace(string(data))
	return o, nil
}

// Offline reports whether the environment forbids the Hub's tools the network: HF_HUB_OFFLINE or
// TRANSFORMERS_OFFLINE.
func Offline(getenv func(string) string) bool {
	return isTrue(cmp.Or(getenv("HF_HUB_OFFLINE"), getenv("TRANSFORMERS_OFFLINE")))
}

func isTrue(value string) bool {
	return slices.Contains([]string{"1", "ON", "YES", "TRUE"}, strings.ToUpper(value))
}
