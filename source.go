package idefics2

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"idefics2/imageproc"
)

// maxSource bounds the bytes of one picture's file.
const maxSource = 256 << 20

// ReadSource reads a picture: a path, an http or https URL, or a data URL. A server that
// takes names from strangers gives Options.Read another one.
func ReadSource(ctx context.Context, name string) ([]byte, error) {
	if IsURL(name) && !strings.HasPrefix(name, "data:") {
		return fetch(ctx, name)
	}
	return imageproc.ReadSource(name, imageproc.Limits{})
}

// IsURL reports whether the name of a picture is an http, https or data URL, and no path.
func IsURL(name string) bool {
	return strings.HasPrefix(name, "http://") || strings.HasPrefix(name, "https://") || strings.HasPrefix(name, "data:")
}

func readBounded(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxSource+1))
	if err == nil && len(data) > maxSource {
		err = fmt.Errorf("more than %d MiB", maxSource>>20)
	}
	return data, err
}

// fetch gets a URL, within a minute and a few redirects.
func fetch(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "idefics2")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answered %s", res.Status)
	}
	return readBounded(res.Body)
}
