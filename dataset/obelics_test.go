package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

type obelicsRow struct {
	Images []*string `parquet:"images,list,optional"`
	Texts  []*string `parquet:"texts,list,optional"`
}

func writeObelics(t *testing.T, rows ...obelicsRow) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "part.parquet")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := parquet.NewGenericWriter[obelicsRow](f)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestObelics(t *testing.T) {
	text := func(s string) *string { return &s }
	url, file := text("https://example.com/a.png"), text("b.png")
	path := writeObelics(t,
		obelicsRow{Images: []*string{nil, url, nil, file}, Texts: []*string{text("before"), nil, text("between"), nil}},
		obelicsRow{Images: []*string{url, nil}, Texts: []*string{text("both"), text("x")}},
		obelicsRow{Images: []*string{nil}, Texts: []*string{nil}},
		obelicsRow{Images: []*string{nil, nil}, Texts: []*string{text("one")}},
		obelicsRow{},
		obelicsRow{Images: []*string{nil}, Texts: []*string{text("last")}})
	s, err := Open(path, "obelics", "")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Len() != 6 {
		t.Errorf("%d rows", s.Len())
	}
	for _, skip := range []int{0, 1, 5} {
		r, err := s.(Sharded).Open(context.Background(), 0, skip)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for {
			e, err := r.Next()
			if err == io.EOF {
				break
			}
			var bad *BadError
			switch {
			case errors.As(err, &bad):
				got = append(got, bad.Err.Error())
			case err != nil:
				t.Fatal(err)
			default:
				got = append(got, fmt.Sprint(e.Document))
			}
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		want := []string{
			fmt.Sprintf("[{text before } {image  https://example.com/a.png} {text between } {image  %s}]", filepath.Join(filepath.Dir(path), "b.png")),
			"place 0 has a text and an image", "place 0 has a text and an image, or neither", "1 texts and 2 images", "the document is empty", "[{text last }]",
		}[skip:]
		if len(got) != len(want) {
			t.Fatalf("%q", got)
		}
		for i := range want {
			if !strings.Contains(got[i], want[i]) {
				t.Errorf("row %d: %s, want %s", skip+i, got[i], want[i])
			}
		}
	}
	if _, err := Open("../parquet/testdata/metadata.parquet", "obelics", ""); err == nil || !strings.Contains(err.Error(), "want OBELICS' schema") {
		t.Errorf("another schema: %v", err)
	}
}
