package typeface

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"golang.org/x/image/font/sfnt"
)

// TestFiles compares the files with the hashes that were written down when they came.
func TestFiles(t *testing.T) {
	list, err := os.Open("faces.sha256")
	if err != nil {
		t.Fatal(err)
	}
	defer list.Close()
	n := 0
	for lines := bufio.NewScanner(list); lines.Scan(); n++ {
		want, name, _ := strings.Cut(lines.Text(), "  ")
		data, err := files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s is not the file that was checked in", name)
		}
	}
	if all, err := files.ReadDir("faces"); err != nil || len(all) != n {
		t.Errorf("%d files and %d hashes (%v)", len(all), n, err)
	}
}

// TestFamilies reads every face, which must hold what every picture may print.
func TestFamilies(t *testing.T) {
	heldOut := map[Class]int{}
	for _, f := range Families() {
		if f.HeldOut {
			heldOut[f.Class]++
		}
		if !strings.Contains(Licences, f.Name) {
			t.Errorf("%s has no notice in LICENCES.txt", f.Name)
		}
		for _, face := range f.Faces() {
			const all = " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]_abcdefghijklmnopqrstuvwxyz£×àéèêëïíóôöøüúñçßåÅÖÜÉ–’“”"
			for _, r := range all {
				if !face.Covers(string(r)) {
					t.Errorf("%s %s lacks %q", f.Name, face.Style, r)
				}
			}
			if x, c := face.XHeight(), face.CapHeight(); x <= 0.2 || c < x || c > 1.2 {
				t.Errorf("%s %s: x-height %g, capitals %g", f.Name, face.Style, x, c)
			}
			if w := face.Width(Set{Size: 10}, "Handgloves"); w < 25 || w > 90 {
				t.Errorf("%s %s: width %g", f.Name, face.Style, w)
			}
		}
	}
	for _, c := range []Class{Sans, Serif, Mono, Display} {
		if heldOut[c] == 0 {
			t.Errorf("no family of class %s is held out", c)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	data, err := files.ReadFile("faces/vt323-latin-400-normal.woff")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:200])
	f.Add([]byte("wOFF"))
	f.Fuzz(func(t *testing.T, data []byte) {
		font, err := unpack(data)
		if err == nil && bytes.Equal(data, font) {
			t.Error("a WOFF file is no font")
		}
		if err == nil {
			sfnt.Parse(font) // may refuse
		}
	})
}
