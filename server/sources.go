package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"idefics2"
	"idefics2/imageproc"
)

// Sources says where the pictures of strangers may come from. The zero value takes data URLs
// alone.
type Sources struct {
	// Media is a folder below which "file:…" names pictures; nil is none. Links do not lead
	// out of it.
	Media  *os.Root
	Limits imageproc.Limits
}

// Read is an idefics2.Options.Read.
func (s Sources) Read(_ context.Context, name string) ([]byte, error) {
	switch {
	case strings.HasPrefix(strings.ToLower(name[:min(5, len(name))]), "data:"):
		return imageproc.ParseDataURL(name, s.Limits)
	case idefics2.IsURL(name):
		return nil, errors.New("this server fetches no addresses; send the picture as a data URL")
	case strings.HasPrefix(name, "file:"):
		return s.file(name)
	}
	return nil, errors.New("a picture is neither a data URL nor an address; send data:image/TYPE;base64,DATA")
}

// file reads a picture below Media.
func (s Sources) file(name string) ([]byte, error) {
	if s.Media == nil {
		return nil, errors.New("this server reads no files of its own; send the picture as a data URL")
	}
	path := strings.TrimPrefix(strings.TrimPrefix(name, "file:"), "//")
	path = strings.TrimPrefix(path, "/")
	path = filepath.FromSlash(path)
	none := fmt.Errorf("%s is no file that this server may read", name) // no more: it would tell what lies there
	if info, err := s.Media.Stat(path); err != nil || !info.Mode().IsRegular() {
		return nil, none
	}
	f, err := s.Media.Open(path)
	if err != nil {
		return nil, none
	}
	defer f.Close()
	limit := int64(s.Limits.Bytes)
	if limit == 0 {
		limit = 64 << 20
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s has more than the %d bytes that this server reads", name, limit)
	}
	return data, err
}
