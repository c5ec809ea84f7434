package recipe

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"idefics2/internal/spelling"
)

// Bounds of a file.
const (
	maxFile  = 1 << 20
	maxDepth = 32
)

// Load reads a recipe from a file.
func Load(path string) (*Recipe, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("recipe: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("recipe: %w", err)
	}
	r, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// Parse reads a recipe of at most 1 MiB, fills in what it does not say, and checks it.
func Parse(data []byte) (r *Recipe, err error) {
	defer func() {
		if p := recover(); p != nil { // the library's
			r, err = nil, fmt.Errorf("recipe: the file cannot be read: %v", p)
		}
	}()
	if err := checkTokens(data); err != nil {
		return nil, err
	}
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, fmt.Errorf("recipe: %w", explain(err))
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return nil, errors.New("recipe: the file is empty, or holds several documents; want one")
	}
	out := defaults()
	if err := yaml.NewDecoder(bytes.NewReader(data), yaml.DisallowUnknownField()).Decode(&out); err != nil {
		return nil, fmt.Errorf("recipe: %w", explain(err))
	}
	out.fill()
	if err := out.check(); err != nil {
		return nil, fmt.Errorf("recipe: %w", err.at(file))
	}
	return &out, nil
}

// checkTokens refuses what a recipe has no use for and a parser could be harmed by: aliases,
// which multiply, and brackets within brackets.
func checkTokens(data []byte) error {
	if len(data) > maxFile {
		return fmt.Errorf("recipe: more than %d bytes", maxFile)
	}
	depth := 0
	for _, t := range lexer.Tokenize(string(data)) {
		switch t.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType, token.TagType:
			return fmt.Errorf("recipe: line %d: %q: anchors, aliases and tags are not for recipes; write the value out", t.Position.Line, clip(t.Value))
		case token.SequenceStartType, token.MappingStartType:
			depth++
		case token.SequenceEndType, token.MappingEndType:
			depth--
		}
		if depth > maxDepth || t.Position != nil && t.Position.IndentNum > 10*maxDepth {
			return fmt.Errorf("recipe: line %d: nested too deep", t.Position.Line)
		}
	}
	return nil
}

// explain says where an error of the library is, and which key was meant.
func explain(err error) error {
	var unknown *yaml.UnknownFieldError
	if errors.As(err, &unknown) && unknown.Token != nil {
		return fmt.Errorf("line %d: there is no key %q here%s", unknown.Token.Position.Line, clip(unknown.Token.Value), nearest(unknown.Token.Value))
	}
	var e yaml.Error
	if errors.As(err, &e) && e.GetToken() != nil && e.GetToken().Position != nil {
		return fmt.Errorf("line %d: %s", e.GetToken().Position.Line, e.GetMessage())
	}
	return err
}

func clip(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}

// nearest names the key that is most like a word, if one is like it.
func nearest(word string) string {
	key := spelling.Nearest(word, keys())
	if key == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", key)
}

// keys returns every key that a recipe may have, sorted.
func keys() (all []string) {
	var walk func(t reflect.Type)
	walk = func(t reflect.Type) {
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Array:
			walk(t.Elem())
		case reflect.Struct:
			for i := range t.NumField() {
				all = append(all, t.Field(i).Tag.Get("yaml"))
				walk(t.Field(i).Type)
			}
		}
	}
	walk(reflect.TypeFor[Recipe]())
	slices.Sort(all)
	return slices.Compact(all)
}

// fault is something wrong with a value, and the path to it: $.stages[0].length.
type fault struct {
	path    string
	message string
}

func faultf(path, format string, args ...any) *fault {
	return &fault{path, fmt.Sprintf(format, args...)}
}

// at adds the line of the value, or of the nearest thing around it that is written.
func (f *fault) at(file *ast.File) error {
	name := strings.TrimPrefix(f.path, "$.")
	for path := f.path; path != "$" && path != ""; path = path[:strings.LastIndexAny(path, ".[")] {
		p, err := yaml.PathString(path)
		if err != nil {
			continue
		}
		node, err := p.FilterFile(file)
		if err != nil || node == nil || node.GetToken() == nil || node.GetToken().Position == nil {
			continue
		}
		return fmt.Errorf("line %d: %s: %s", node.GetToken().Position.Line, name, f.message)
	}
	return fmt.Errorf("%s: %s", name, f.message)
}
