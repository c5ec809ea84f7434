// Package imports holds the rule of who may import whom: deps.txt. Data goes one way; the
// model never sees text or files, the processor never sees weights.
package imports

import (
	"bufio"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "idefics2"

// rules reads deps.txt: for every package, all that it may import.
func rules(t *testing.T) map[string]map[string]bool {
	t.Helper()
	f, err := os.Open("deps.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	may := map[string]map[string]bool{}
	know := func(name string) map[string]bool {
		if may[name] == nil {
			may[name] = map[string]bool{}
		}
		return may[name]
	}
	for s := bufio.NewScanner(f); s.Scan(); {
		line, _, _ := strings.Cut(s.Text(), "#")
		lower, upper, ok := strings.Cut(line, "<")
		if !ok {
			if strings.TrimSpace(line) != "" {
				t.Fatalf("deps.txt: %q has no <", s.Text())
			}
			continue
		}
		for _, used := range strings.Fields(lower) {
			know(used)
		}
		for _, user := range strings.Fields(upper) {
			for _, used := range strings.Fields(lower) {
				know(user)[used] = true
				for deeper := range know(used) {
					know(user)[deeper] = true
				}
			}
		}
	}
	return may
}

func TestImports(t *testing.T) {
	may := rules(t)
	root := filepath.Join("..", "..")
	seen := map[string]bool{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if file != root && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata") {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(file, "go.mod")); err == nil && file != root {
				return filepath.SkipDir // a module of its own
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		rel, err := filepath.Rel(root, filepath.Dir(file))
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(rel)
		if may[pkg] == nil && !seen[pkg] {
			t.Errorf("%s is not in deps.txt", pkg)
		}
		seen[pkg] = true
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range parsed.Imports {
			used, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if used != module && !strings.HasPrefix(used, module+"/") {
				continue
			}
			used = path.Clean("." + strings.TrimPrefix(used, module))
			if !may[pkg][used] {
				t.Errorf("%s imports %s, which deps.txt does not allow", file, used)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
