package imageproc

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// ReadSource returns the bytes of a picture that a person named: the path of a file, a
// data URL, or its bytes in base64. A string counts as base64 only where it decodes to
// a picture of a known kind, so that a mistyped path is reported as a missing file.
//
// It opens any file that the process may read and is therefore not for strings that
// come over a network: those go to ParseDataURL. Addresses that start with http:// or
// https:// are refused; who may fetch what is the caller's to decide.
func ReadSource(s string, lim Limits) ([]byte, error) {
	switch lower := strings.ToLower(s[:min(len(s), 8)]); {
	case strings.HasPrefix(lower, "http://"), strings.HasPrefix(lower, "https://"):
		return nil, fmt.Errorf("imageproc: %s is an address; fetch it first and give its bytes", short(s))
	case strings.HasPrefix(lower, "data:"):
		return ParseDataURL(s, lim)
	}
	data, err := ReadFile(s, lim)
	if errors.Is(err, os.ErrNotExist) || err != nil && len(s) > 255 { // base64 is too long for a name
		if picture, ok := bareBase64(s, lim); ok {
			return picture, nil
		}
	}
	return data, err
}

// ReadFile reads a file of at most lim.Bytes bytes.
func ReadFile(path string, lim Limits) ([]byte, error) {
	limit := int64(lim.complete().Bytes)
	f, err := os.Open(path)
	if err != nil {
		var e *os.PathError
		if errors.As(err, &e) {
			err = fmt.Errorf("imageproc: %s: %w; give the path of a picture, a data URL, or its bytes in base64", short(path), e.Err)
		}
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("imageproc: %w", err)
	}
	if info.IsDir() {
		return nil, fmt.Errorf("imageproc: %s is a folder; give the path of one picture", short(path))
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("imageproc: %s has %d bytes, more than the limit of %d; make the picture smaller first, or raise the limit", short(path), info.Size(), limit)
	}
	// A pipe or a growing file has no size to go by.
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("imageproc: %w", err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("imageproc: %s has more than the limit of %d bytes; make the picture smaller first, or raise the limit", short(path), limit)
	}
	return data, nil
}

// ParseDataURL returns the bytes in a URL of the form data:image/TYPE;base64,DATA (RFC
// 2397). The media type must be image/…, but which one is not looked at: the bytes
// decide. The base64 must be whole and standard, line breaks apart, where the
// reference skips over what does not belong. At most lim.Bytes bytes are decoded.
func ParseDataURL(s string, lim Limits) ([]byte, error) {
	const form = "want data:image/TYPE;base64,DATA"
	header, _, found := strings.Cut(s[:min(len(s), 256)], ",")
	if !found {
		return nil, fmt.Errorf("imageproc: data URL: no comma in %s; %s", short(s), form)
	}
	scheme, media, _ := strings.Cut(header, ":")
	if !strings.EqualFold(scheme, "data") {
		return nil, fmt.Errorf("imageproc: data URL: scheme %q; %s", scheme, form)
	}
	params := strings.Split(media, ";")
	if kind, subtype, _ := strings.Cut(params[0], "/"); !strings.EqualFold(kind, "image") || !isToken(subtype) {
		return nil, fmt.Errorf("imageproc: data URL: media type %q; %s", params[0], form)
	}
	if len(params) < 2 || !strings.EqualFold(params[len(params)-1], "base64") {
		return nil, fmt.Errorf("imageproc: data URL: %q is not in base64; %s", header, form)
	}
	for _, p := range params[1 : len(params)-1] {
		if key, value, ok := strings.Cut(p, "="); !ok || !isToken(key) || !isToken(value) {
			return nil, fmt.Errorf("imageproc: data URL: parameter %q; %s", p, form)
		}
	}
	return decodeBase64(s[len(header)+1:], lim)
}

// isToken says whether s is a token of RFC 2045.
func isToken(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?=`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

func decodeBase64(s string, lim Limits) ([]byte, error) {
	limit := lim.complete().Bytes
	if n := base64.StdEncoding.DecodedLen(len(s)); n > limit+2 {
		return nil, fmt.Errorf("imageproc: base64 of %d characters holds more than the limit of %d bytes; make the picture smaller first, or raise the limit", len(s), limit)
	}
	data, err := base64.StdEncoding.DecodeString(s)
	var at base64.CorruptInputError
	switch {
	case errors.As(err, &at):
		// Where padding is missing, it points at the start of the last four.
		if int(at) >= len(s) || isAlphabet(s[at]) {
			return nil, fmt.Errorf("imageproc: base64 of %d characters ends early, or has characters after its padding; the data are damaged", len(s))
		}
		return nil, fmt.Errorf("imageproc: base64: character %d of %d, %q, does not belong there; send standard base64 with padding", int64(at), len(s), s[at])
	case err != nil:
		return nil, fmt.Errorf("imageproc: base64: %w", err)
	case len(data) == 0:
		return nil, errors.New("imageproc: base64: no data; want the bytes of a picture")
	case len(data) > limit:
		return nil, fmt.Errorf("imageproc: %d bytes in base64, more than the limit of %d; make the picture smaller first, or raise the limit", len(data), limit)
	}
	return data, nil
}

func isAlphabet(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '+' || c == '/'
}

// bareBase64 decodes s where that gives a picture that Decode knows, be it to refuse it.
func bareBase64(s string, lim Limits) ([]byte, bool) {
	data, err := decodeBase64(strings.TrimSpace(s), lim)
	if err != nil {
		return nil, false
	}
	for _, f := range formats {
		if f.magic(data) {
			return data, true
		}
	}
	kind, _ := refused(data)
	return data, kind != ""
}

// short quotes a string for a message, its beginning where it is long.
func short(s string) string {
	const most = 80
	if len(s) > most {
		return fmt.Sprintf("%q… (%d characters)", s[:most], len(s))
	}
	return fmt.Sprintf("%q", s)
}
