package parquet

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// read returns the rows of a column of all row groups, as text.
func read(f *File, first, last string) ([]string, error) {
	c, err := f.Column(first, last)
	if err != nil {
		return nil, err
	}
	var rows []string
	for g := range f.Groups() {
		v, err := f.Read(g, c)
		if err != nil {
			return nil, err
		}
		for range f.Rows(g) {
			row, err := v.Row()
			if err != nil {
				return nil, err
			}
			var cells []string
			for _, cell := range row {
				if cell == nil {
					cells = append(cells, "null")
				} else if len(cell) > 40 {
					cells = append(cells, fmt.Sprint(len(cell), " bytes"))
				} else {
					cells = append(cells, string(cell))
				}
			}
			rows = append(rows, strings.Join(cells, "|"))
		}
		if _, err := v.Row(); err != io.EOF {
			return nil, fmt.Errorf("behind the last row: %v, want the end", err)
		}
		if err := v.Close(); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// Files of pyarrow 26, whose list levels are called element or item, in several codecs and
// both page versions.
func TestListsOfAllWriters(t *testing.T) {
	for _, name := range []string{"element.parquet", "item.parquet", "gzip.parquet"} {
		t.Run(name, func(t *testing.T) {
			f, err := Open(filepath.Join("testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			for column, want := range map[[2]string]string{
				{"images", "path"}: ";1.png;2.png|2.png;;/fsx/x.jpg;5.png|5.png;;7.png;8.png|8.png;",
				{"texts", "user"}:  "Question 0.0?;Question 1.0?|Question 1.1?;Question 2.0?;Question 3.0?|Question 3.1?;Question 4.0?;Question 5.0?|Question 5.1?;Question 6.0?;Question 7.0?|Question 7.1?;Question 8.0?;Question 9.0?|Question 9.1?",
			} {
				rows, err := read(f, column[0], column[1])
				if err != nil {
					t.Fatal(err)
				}
				if got := strings.Join(rows, ";"); got != want {
					t.Errorf("%v:\n%s\nwant\n%s", column, got, want)
				}
			}
			rows, err := read(f, "images", "bytes")
			if err != nil || rows[0] != "" || rows[4] != "null" || rows[2] != rows[1]+"|"+rows[1] || !strings.HasSuffix(rows[1], " bytes") {
				t.Errorf("images: %q, %v", rows, err)
			}
		})
	}
}

func TestFlatColumns(t *testing.T) {
	f, err := Open("testdata/metadata.parquet")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	names, err := read(f, "file_name", "file_name")
	if err != nil || strings.Join(names, ";") != "a.png;b.png;null" {
		t.Errorf("%q, %v", names, err)
	}
}

func TestRefused(t *testing.T) {
	whole, err := os.ReadFile("testdata/element.parquet")
	if err != nil {
		t.Fatal(err)
	}
	brotli, err := os.ReadFile("testdata/brotli.parquet")
	if err != nil {
		t.Fatal(err)
	}
	long := bytes.Clone(whole)
	copy(long[len(long)-8:], []byte{0xff, 0xff, 0xff, 0x7f})
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "no parquet file"},
		{"cut", whole[:len(whole)-100], "want PAR1 at both ends"},
		{"long footer", long, "at most"},
		{"codec", brotli, "want none, snappy, gzip or zstd"},
		{"a list of four thousand million in the footer", append(append([]byte("PAR1"), 0x29, 0xf8, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 8, 0, 0, 0), "PAR1"...), "footer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := New(bytes.NewReader(tt.data), int64(len(tt.data)))
			if err == nil {
				_, err = read(f, "texts", "user")
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
	f, err := New(bytes.NewReader(whole), int64(len(whole)))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{{"pictures", "bytes"}, {"images", "pixels"}} {
		if _, err := f.Column(c[0], c[1]); err == nil || !strings.Contains(err.Error(), c[0]) {
			t.Errorf("column %v: %v", c, err)
		}
	}
}

// A page that claims to unpack to gigabytes is refused before it is unpacked.
func TestPagesAreHeldAgainstTheFile(t *testing.T) {
	whole, err := os.ReadFile("testdata/element.parquet")
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for at := 4; at < len(whole)-8; at += 11 { // every place takes too long
		data := bytes.Clone(whole)
		copy(data[at:], []byte{0xfe, 0xff, 0xff, 0xff, 0x0f}) // a varint of two thousand million
		f, err := New(bytes.NewReader(data), int64(len(data)))
		if err == nil {
			for _, c := range [][2]string{{"images", "bytes"}, {"images", "path"}, {"texts", "user"}, {"texts", "assistant"}} {
				if _, e := read(f, c[0], c[1]); e != nil {
					err = e
				}
			}
		}
		if err != nil {
			refused++
		}
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
}

func FuzzFile(f *testing.F) {
	for _, name := range []string{"element.parquet", "item.parquet", "gzip.parquet", "metadata.parquet"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := New(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		for _, c := range [][2]string{{"images", "bytes"}, {"texts", "user"}, {"text", "text"}} {
			if c, err := file.Column(c[0], c[1]); err == nil {
				for g := range min(file.Groups(), 4) {
					v, err := file.Read(g, c)
					if err != nil {
						continue
					}
					for range 1000 {
						if _, err := v.Row(); err != nil {
							break
						}
					}
					v.Close()
				}
			}
		}
	})
}

func ExampleFile() {
	f, err := Open("testdata/element.parquet")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	answers, err := f.Column("texts", "assistant")
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := f.Read(0, answers)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer v.Close()
	row, err := v.Row()
	fmt.Printf("%s %v\n", row, err)
	// Output: [Answer 0.0.] <nil>
}
