package imageproc

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseDataURL(t *testing.T) {
	tests := []struct {
		name, url, want string // what the error holds, or the data
		ok              bool
	}{
		{"plain", "data:image/png;base64,aGk=", "hi", true},
		{"any image type: the bytes decide", "data:image/x-anything;base64,aGk=", "hi", true},
		{"case", "DATA:IMAGE/PNG;BASE64,aGk=", "hi", true},
		{"parameter", "data:image/svg+xml;charset=utf-8;base64,aGk=", "hi", true},
		{"line breaks", "data:image/png;base64,aG\r\nk=\n", "hi", true},
		{"no comma", "data:image/png;base64", "no comma", false},
		{"comma far away", "data:image/png;" + strings.Repeat("x", 300) + ";base64,aGk=", "no comma", false},
		{"other scheme", "blob:image/png;base64,aGk=", `scheme "blob"`, false},
		{"text", "data:text/plain;base64,aGk=", `media type "text/plain"`, false},
		{"no type", "data:;base64,aGk=", `media type ""`, false},
		{"no subtype", "data:image/;base64,aGk=", `media type "image/"`, false},
		{"not base64", "data:image/png,hi", "not in base64", false},
		{"parameter without value", "data:image/png;charset;base64,aGk=", `parameter "charset"`, false},
		{"bad character", "data:image/png;base64,aG*=", "character 2 of 4, '*', does not belong", false},
		{"URL alphabet", "data:image/png;base64,_-__", "character 0 of 4", false},
		{"no padding", "data:image/png;base64,aGk", "ends early", false},
		{"after the padding", "data:image/png;base64,aGk=aGk=", "character", false},
		{"empty", "data:image/png;base64,", "no data", false},
		{"too long", "data:image/png;base64," + strings.Repeat("A", 4000), "limit of 2000 bytes", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseDataURL(tt.url, Limits{Bytes: 2000})
			switch {
			case tt.ok && (err != nil || string(got) != tt.want):
				t.Errorf("%q, %v, want %q", got, err, tt.want)
			case !tt.ok && (err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "imageproc: ")):
				t.Errorf("%q, error %v, want one with %q", got, err, tt.want)
			}
		})
	}
}

func TestReadSource(t *testing.T) {
	path := filepath.Join("testdata", "src", "png_rgb8.png")
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := base64.StdEncoding.EncodeToString(want)
	for name, source := range map[string]string{"path": path, "data URL": "data:image/png;base64," + text, "base64": text, "base64 with line ends": text[:76] + "\n" + text[76:] + "\n"} {
		if got, err := ReadSource(source, Limits{}); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	for _, tt := range []struct{ name, source, want string }{
		{"address", "https://example.org/cat.png", "is an address; fetch it first"},
		{"missing file", "missing", "no such file or directory; give the path of a picture"}, // also base64 of five bytes
		{"folder", "testdata", "is a folder"},
		{"long nonsense", strings.Repeat("x", 5000), "(5000 characters)"},
		{"empty", "", "give the path of a picture"},
		{"too many bytes", path, "more than the limit of 100"},
		{"too much base64", "data:image/png;base64," + text, "more than the limit of 100"},
	} {
		if _, err := ReadSource(tt.source, Limits{Bytes: 100}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want one with %q", tt.name, err, tt.want)
		} else if len(err.Error()) > 400 {
			t.Errorf("%s: an error of %d characters", tt.name, len(err.Error()))
		}
	}
}

func FuzzDataURL(f *testing.F) {
	f.Add("data:image/png;base64,aGk=")
	f.Add("data:image/svg+xml;charset=utf-8;base64,aGk=")
	f.Add("data:image/png;base64,aG\n k")
	f.Add("data:,")
	f.Fuzz(func(t *testing.T, url string) {
		const most = 1000
		got, err := ParseDataURL(url, Limits{Bytes: most})
		if err != nil {
			if !strings.HasPrefix(err.Error(), "imageproc: ") || len(err.Error()) > 1500 {
				t.Errorf("error %q", err)
			}
			return
		}
		if len(got) < 1 || len(got) > most {
			t.Fatalf("%d bytes", len(got))
		}
		// What was read is all there was, line breaks apart.
		_, payload, _ := strings.Cut(url, ",")
		payload = strings.NewReplacer("\r", "", "\n", "").Replace(payload)
		again, err := ParseDataURL("data:image/png;base64,"+base64.StdEncoding.EncodeToString(got), Limits{Bytes: most})
		if err != nil || !bytes.Equal(again, got) || base64.StdEncoding.DecodedLen(len(payload)) > len(got)+2 {
			t.Errorf("%q from %q", got, url)
		}
	})
}
