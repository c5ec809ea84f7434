package tokenizer

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"idefics2/internal/golden"
)

// released returns the tokenizer of the released model, 32,003 tokens.
func released(t testing.TB) *Tokenizer {
	t.Helper()
	tok, err := parseReleased()
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

var parseReleased = sync.OnceValues(func() (*Tokenizer, error) {
	data, err := readGzip("released.json.gz")
	if err != nil {
		return nil, err
	}
	return Parse(data)
})

// tiny returns that of the goldens' small checkpoints, 616 tokens.
func tiny(t testing.TB) *Tokenizer {
	t.Helper()
	return load(t, filepath.Join("testdata", "tiny.json"))
}

func load(t testing.TB, path string) *Tokenizer {
	t.Helper()
	tok, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func parse(t testing.TB, data []byte) *Tokenizer {
	t.Helper()
	tok, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func gunzip(t testing.TB, name string) []byte {
	t.Helper()
	data, err := readGzip(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func readGzip(name string) ([]byte, error) {
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// textCase is a recording of tokenizers 0.22.
type textCase struct {
	Text    string  `json:"text"`
	IDs     []int32 `json:"ids"`
	Kept    string  `json:"decoded"`
	Skipped string  `json:"decoded_skip_special"`
}

func (c textCase) check(t *testing.T, tok *Tokenizer) {
	t.Helper()
	if got := tok.EncodeRaw(c.Text); !slices.Equal(got, c.IDs) {
		t.Errorf("EncodeRaw(%q) = %v, want %v", c.Text, got, c.IDs)
	}
	c.checkDecode(t, tok)
}

func (c textCase) checkDecode(t *testing.T, tok *Tokenizer) {
	t.Helper()
	if got := tok.Decode(c.IDs, true); got != c.Kept {
		t.Errorf("Decode(%v, true) = %q, want %q", c.IDs, got, c.Kept)
	}
	if got := tok.Decode(c.IDs, false); got != c.Skipped {
		t.Errorf("Decode(%v, false) = %q, want %q", c.IDs, got, c.Skipped)
	}
}

// lines reads a file of JSON lines and returns how many there were.
func lines[T any](t testing.TB, data []byte, each func(T)) int {
	t.Helper()
	n := 0
	in := bufio.NewScanner(bytes.NewReader(data))
	in.Buffer(nil, 1<<24)
	for in.Scan() {
		var v T
		if err := json.Unmarshal(in.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		each(v)
		n++
	}
	if err := in.Err(); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestReference(t *testing.T) {
	tok := released(t)
	if n := lines(t, gunzip(t, "released.jsonl.gz"), func(c textCase) { c.check(t, tok) }); n < 600 {
		t.Errorf("%d cases, want at least 600", n)
	}
}

// TestReferenceAll holds the whole recording, of which TestReference has a part.
func TestReferenceAll(t *testing.T) {
	dir, ok := golden.Shared(t, "tokenizer")
	if !ok {
		return
	}
	tok := load(t, filepath.Join(dir, "tokenizer.json"))
	if tok.Size() != 32003 {
		t.Errorf("Size() = %d, want 32003", tok.Size())
	}
	if n := lines(t, read(t, filepath.Join(dir, "cases.jsonl")), func(c textCase) { c.check(t, tok) }); n != 3600 {
		t.Errorf("%d cases, want 3600", n)
	}
}

// TestVariants compares other files of the family with tokenizers 0.22.2: the small
// vocabulary with other normalizers, pre-tokenizers, decoders, flags and merges.
func TestVariants(t *testing.T) {
	type variant struct {
		Name  string
		Patch map[string]json.RawMessage
		Texts []textCase
		IDs   []textCase // without a text
	}
	base := read(t, filepath.Join("testdata", "tiny.json"))
	lines(t, gunzip(t, "variants.jsonl.gz"), func(v variant) {
		t.Run(v.Name, func(t *testing.T) {
			tok := parse(t, patch(t, base, v.Patch))
			for _, c := range v.Texts {
				c.check(t, tok)
			}
			for _, c := range v.IDs {
				c.checkDecode(t, tok)
			}
		})
	})
}

// patch returns a tokenizer.json with other top-level values, the model's merged with those there are.
func patch(t testing.TB, base []byte, with map[string]json.RawMessage) []byte {
	t.Helper()
	var file, model map[string]json.RawMessage
	if err := json.Unmarshal(base, &file); err != nil {
		t.Fatal(err)
	}
	for key, value := range with {
		if key == "model" {
			if err := json.Unmarshal(file[key], &model); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(value, &model); err != nil {
				t.Fatal(err)
			}
			value, _ = json.Marshal(model)
		}
		file[key] = value
	}
	data, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestReferenceChats encodes the prompts of the recorded conversations.
func TestReferenceChats(t *testing.T) {
	dir, ok := golden.Shared(t, "chat")
	if !ok {
		return
	}
	tok := released(t)
	type chat struct {
		Prompt   string
		IDs      []int32 `json:"ids"`
		Split    string  `json:"prompt_split"`
		SplitIDs []int32 `json:"ids_split"`
	}
	lines(t, read(t, filepath.Join(dir, "cases.jsonl")), func(c chat) {
		if c.IDs == nil { // the reference refuses it
			return
		}
		for prompt, want := range map[string][]int32{c.Prompt: c.IDs, c.Split: c.SplitIDs} {
			if got := tok.EncodeRaw(prompt); !slices.Equal(got, want) {
				t.Errorf("EncodeRaw(%q) = %v, want %v", prompt, got, want)
			}
			if got := tok.EncodePrompt(prompt, '\uFDD0'); !slices.Equal(got, want) {
				t.Errorf("EncodePrompt(%q) = %v, want %v", prompt, got, want)
			}
		}
	})
}

// TestReferenceAnswers encodes the prompts of every recorded checkpoint, and decodes its
// answers at once and as a stream.
func TestReferenceAnswers(t *testing.T) {
	dir, ok := golden.Shared(t, "model")
	if !ok {
		return
	}
	type answer struct {
		IDs  []int32 `json:"ids"`
		Text string
		Raw  *string `json:"raw_text"`
	}
	type recording struct {
		Requests map[string]struct {
			Prompt string  `json:"expanded_prompt"`
			IDs    []int32 `json:"input_ids"`
			Greedy answer
			Beams  []struct{ Sequences []answer }
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", "checkpoint", "tokenizer.json"))
	if err != nil || len(files) < 15 {
		t.Fatalf("found %v, %v, want at least 15 checkpoints", files, err)
	}
	for _, file := range files {
		folder := filepath.Dir(filepath.Dir(file))
		t.Run(filepath.Base(folder), func(t *testing.T) {
			tok := load(t, file)
			var r recording
			if err := json.Unmarshal(read(t, filepath.Join(folder, "expect.json")), &r); err != nil {
				t.Fatal(err)
			}
			for name, c := range r.Requests {
				if got := tok.EncodeRaw(c.Prompt); c.Prompt != "" && !slices.Equal(got, c.IDs) {
					t.Errorf("%s: EncodeRaw(%q) = %v, want %v", name, c.Prompt, got, c.IDs)
				}
				answers := []answer{c.Greedy}
				for _, beam := range c.Beams {
					answers = append(answers, beam.Sequences...)
				}
				for _, a := range answers {
					if got := tok.Decode(a.IDs, false); got != a.Text {
						t.Errorf("%s: Decode(%v, false) = %q, want %q", name, a.IDs, got, a.Text)
					}
					if got := join(tok.Stream(false), a.IDs); got != a.Text {
						t.Errorf("%s: stream of %v = %q, want %q", name, a.IDs, got, a.Text)
					}
					if a.Raw != nil {
						if got := tok.Decode(a.IDs, true); got != *a.Raw {
							t.Errorf("%s: Decode(%v, true) = %q, want %q", name, a.IDs, got, *a.Raw)
						}
					}
				}
			}
		})
	}
}

// join returns all that a stream gives for ids.
func join(s *Stream, ids []int32) string {
	var b strings.Builder
	for _, id := range ids {
		b.WriteString(s.Push(id))
	}
	return b.String() + s.Flush()
}
