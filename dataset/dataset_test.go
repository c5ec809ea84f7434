package dataset

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"idefics2/chat"
)

// write makes a file of a test's folder and returns its path.
func write(t testing.TB, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// shown writes an example in one line.
func shown(e Example, err error) string {
	if err != nil {
		return "error: " + err.Error()
	}
	var b strings.Builder
	for _, m := range e.Messages {
		fmt.Fprintf(&b, "%s:%s ", m.Role, parts(m.Content))
	}
	if e.Document != nil {
		fmt.Fprintf(&b, "document:%s ", parts(e.Document))
	}
	for _, image := range e.Images {
		fmt.Fprintf(&b, "{%s %d}", filepath.Base(image.Name), len(image.Data))
	}
	return strings.TrimSpace(b.String())
}

func parts(list []chat.Part) (s string) {
	for _, p := range list {
		if p.Type == chat.TypeImage {
			s += "<" + filepath.Base("/"+p.Image) + ">"
		} else {
			s += p.Text
		}
	}
	return strings.ReplaceAll(s, "</>", "<>")
}

// all reads a source in its order.
func all(t *testing.T, s Source) (examples []string) {
	t.Helper()
	ctx := t.Context()
	switch s := s.(type) {
	case Indexed:
		for i := range s.Len() {
			examples = append(examples, shown(s.At(ctx, i)))
		}
	case Sharded:
		for shard := range s.Shards() {
			r, err := s.Open(ctx, shard, 0)
			if err != nil {
				examples = append(examples, "error: "+err.Error())
				continue
			}
			for {
				e, err := r.Next()
				if err == io.EOF {
					break
				}
				examples = append(examples, shown(e, err))
				if err != nil && !errors.As(err, new(*BadError)) {
					break
				}
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	return examples
}

func compare(t *testing.T, got []string, want ...string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		g, w := "nothing", "nothing"
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w && (!strings.HasPrefix(w, "error: ") || !strings.HasPrefix(g, "error: ") || !strings.Contains(g, w[len("error: "):])) {
			t.Errorf("example %d: %s\nwant %s", i, g, w)
		}
	}
}

func TestJSONL(t *testing.T) {
	path := write(t, t.TempDir(), "train.jsonl", strings.Join([]string{
		`{"messages":[{"role":"user","content":[{"type":"image"},"What?"]},{"role":"assistant","content":"A cat."}],"images":["cat.jpg"],"source":"made"}`,
		``,
		`[{"role":"user","content":[{"type":"image","image":"https://x/dog.png"}]},{"role":"assistant","content":"A dog."}]`,
		`{"document":[{"type":"image","image":"a.png"},"A boat.",{"type":"image"}],"images":["b.png"]}`,
		`{"prompt":"User: hi"}`,
		`{"mesages":[]}`,
		`{"messages":[{"role":"user","content":"a"}`,
		`  {"messages":[{"role":"user","content":"last, without a newline"}]}`,
	}, "\n"))
	s, err := Open(path, "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Len() != 7 {
		t.Errorf("%d examples, want 7", s.Len())
	}
	compare(t, all(t, s),
		"user:<>What? assistant:A cat. {cat.jpg 0}",
		"user:<dog.png> assistant:A dog.",
		"document:<a.png>A boat.<>",
		"error: train.jsonl:5: a prompt has no answer",
		"error: train.jsonl:6: chat: neither messages nor prompt",
		"error: train.jsonl:7: ",
		"user:last, without a newline")
	e, err := s.(Indexed).At(t.Context(), 0)
	if err != nil || e.Images[0].Name != filepath.Join(filepath.Dir(path), "cat.jpg") {
		t.Errorf("%v, %v: want a path relative to the file", e.Images, err)
	}
}

func TestFolder(t *testing.T) {
	tests := []struct {
		name, file, content, question string
		want                          []string
	}{
		{"jsonl", "metadata.jsonl", `{"file_name":"a.png","text":"A boat"}
{"file_names":["a.png","b.png"],"messages":[{"role":"user","content":"Which?"},{"role":"assistant","content":"The first."}]}
{"file_name":"../../secret.png","text":"x"}
{"file_name":"c.png"}
{"text":"x"}`, "", []string{
			"document:<>A boat {a.png 0}", "user:<><>Which? assistant:The first. {a.png 0}{b.png 0}",
			"error: metadata.jsonl:3: file_name \"../../secret.png\" leads out", "error: metadata.jsonl:4: neither text nor messages", "error: metadata.jsonl:5: no file_name"}},
		{"csv", "metadata.csv", "file_name,text\na.png,\"A boat,\nat sea\"\nb.png,\n", "What is it?", []string{
			"user:<>What is it? assistant:A boat,\nat sea {a.png 0}", "error: metadata.csv:4: neither text nor messages"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, tt.file, tt.content)
			s, err := Open(dir, "", tt.question)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			compare(t, all(t, s), tt.want...)
		})
	}
	t.Run("parquet", func(t *testing.T) {
		dir := t.TempDir()
		data, err := os.ReadFile("../parquet/testdata/metadata.parquet")
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, "metadata.parquet", string(data))
		s, err := OpenFolder(dir)
		if err != nil {
			t.Fatal(err)
		}
		compare(t, all(t, s), "document:<>A boat {a.png 0}", "document:<>Zwei Häuser {b.png 0}", "error: no file_name")
	})
}

func TestCauldron(t *testing.T) {
	for _, name := range []string{"element", "item", "gzip"} {
		s, err := Open("../parquet/testdata/"+name+".parquet", "", "")
		if err != nil {
			t.Fatal(err)
		}
		got := all(t, s)
		if len(got) != 10 || s.Len() != 10 {
			t.Fatalf("%d examples, Len %d, want 10", len(got), s.Len())
		}
		compare(t, []string{got[0], got[1][:strings.Index(got[1], "{")], got[4]},
			"user:Question 0.0? assistant:Answer 0.0.",
			"user:<>Question 1.0? assistant:Answer 1.0. user:Question 1.1? assistant:Answer 1.1. ",
			"error: image 0 has no bytes, and its path \"/fsx/x.jpg\"")
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := OpenCauldron("../parquet/testdata/metadata.parquet"); err == nil || !strings.Contains(err.Error(), "want The Cauldron's schema") {
		t.Errorf("a file of another schema: %v", err)
	}
}

// makeTar makes a tar of names and contents.
func makeTar(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: files[i], Size: int64(len(files[i+1])), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func samples(t testing.TB) []byte {
	return makeTar(t,
		"a/0001.jpg", "JPEG", "a/0001.txt", "A boat\n",
		"a/0002.json", `{"messages":[{"role":"user","content":[{"type":"image","image":"0002.right.png"},{"type":"image"},"Which?"]},{"role":"assistant","content":"Left."}]}`,
		"a/0002.left.png", "L", "a/0002.right.png", "RR",
		"a/0003.jpg", "JPEG", "a/0003.json", `{"texts":[{"user":"Q?","assistant":"A."}]}`,
		"a/0004.jpg", "JPEG",
		"a/0005.0.text.txt", "First", "a/0005.1.image.jpeg", "I", "a/0005.2.text.txt", "Then", "a/0005.metadata.txt", "x",
		"a/0006.0.image.jpeg", "I", "a/0006.0.text.txt", `{"user":"Q?","assistant":"A.","source":"s"}`,
		"a/0007.png", "P", "a/0007.json", `{"messages":[{"role":"user","content":[{"type":"image","image":"/etc/passwd"},"?"]},{"role":"assistant","content":"x"}]}`,
		"a/0008.png", "P", "a/0008.json", `{"caption":"A sea"}`,
	)
}

var sampleTexts = []string{
	"document:<>A boat {jpg 4}",
	"user:<><>Which? assistant:Left. {right.png 2}{left.png 1}",
	"user:<>Q? assistant:A. {jpg 4}",
	"error: x.tar/a/0004: neither .json nor .txt",
	"document:First<>Then {1.image.jpeg 1}",
	"user:<>Q? assistant:A. {0.image.jpeg 1}",
	"error: a picture \"/etc/passwd\", which is not among the example's files",
	"document:<>A sea {png 1}",
}

func TestWebDataset(t *testing.T) {
	plain := samples(t)
	var zipped, zstded bytes.Buffer
	g := gzip.NewWriter(&zipped)
	z, err := zstd.NewWriter(&zstded)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []io.WriteCloser{g, z} {
		if _, err := w.Write(plain); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, data := range [][]byte{plain, zipped.Bytes(), zstded.Bytes()} {
		dir := t.TempDir()
		write(t, dir, "x.tar", string(data))
		s, err := Open(dir, "", "")
		if err != nil {
			t.Fatal(err)
		}
		compare(t, all(t, s), sampleTexts...)
		r, err := s.(Sharded).Open(t.Context(), 0, 4)
		if err != nil {
			t.Fatal(err)
		}
		compare(t, []string{shown(r.Next())}, sampleTexts[4])
		r.Close()
	}
	dir := t.TempDir()
	s, err := OpenWebDataset(write(t, dir, "x.tar", string(plain[:len(plain)-2600])))
	if err != nil {
		t.Fatal(err)
	}
	got := all(t, s)
	if last := got[len(got)-1]; !strings.Contains(last, "the tar is damaged behind") {
		t.Errorf("a tar that is cut off ends with %s", last)
	}
}

func TestUnknownFiles(t *testing.T) {
	dir := t.TempDir()
	for name, want := range map[string]string{
		filepath.Join(dir, "nowhere"):            "no such file",
		dir:                                      "want .jsonl, .parquet, .tar",
		write(t, t.TempDir(), "x.parquet", "no"): "no parquet file",
	} {
		if s, err := Open(name, "", ""); err == nil || s != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", name, err, want)
		}
	}
	if _, err := Open(dir, "laion", ""); err == nil || !strings.Contains(err.Error(), "want one of jsonl") {
		t.Errorf("an unknown kind: %v", err)
	}
}

func FuzzJSONL(f *testing.F) {
	f.Add([]byte(`{"messages":[{"role":"user","content":"a"}],"images":["b"]}`))
	f.Add([]byte(`{"document":["a",{"type":"image"}]}`))
	f.Add([]byte(`{"document":"a"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := parseExample(data, "dir")
		if err == nil && e.Messages == nil && e.Document == nil {
			t.Error("neither messages nor a document, and no error")
		}
	})
}

func FuzzTar(f *testing.F) {
	f.Add(samples(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := newTarReader(bytes.NewReader(data), "x.tar", "")
		if err != nil {
			return
		}
		defer r.Close()
		for range 100 {
			if _, err := r.Next(); err != nil && !errors.As(err, new(*BadError)) {
				return
			}
		}
	})
}

func FuzzCSV(f *testing.F) {
	f.Add([]byte("file_name,text\na,b\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		rows, err := readCSV(bytes.NewReader(data), "x.csv")
		if err == nil {
			for i := range rows {
				(&Folder{rows: rows}).At(t.Context(), i)
			}
		}
	})
}

// counted is an indexed source of so many examples.
func counted(name string, n int) *Func {
	return &Func{Title: name, Count: n, Make: func(_ context.Context, i int) (Example, error) {
		return Example{Document: []chat.Part{chat.Text(fmt.Sprint(i))}}, nil
	}}
}

// sharded is a source of shards of so many examples each.
type sharded struct {
	name   string
	shards []int
	known  bool
}

func (s *sharded) Name() string { return s.name }
func (s *sharded) Len() int {
	if !s.known {
		return -1
	}
	n := 0
	for _, k := range s.shards {
		n += k
	}
	return n
}
func (s *sharded) Close() error { return nil }
func (s *sharded) Shards() int  { return len(s.shards) }
func (s *sharded) Open(_ context.Context, shard, skip int) (Reader, error) {
	return &shardReader{s, shard, skip}, nil
}

type shardReader struct {
	*sharded
	shard, at int
}

func (r *shardReader) Next() (Example, error) {
	if r.at == r.shards[r.shard] {
		return Example{}, io.EOF
	}
	r.at++
	name := fmt.Sprintf("%d.%d", r.shard, r.at-1)
	return Example{Origin: name, Document: []chat.Part{chat.Text(name)}}, nil
}

func draws(t *testing.T, m *Mixture, n int) (texts []string) {
	t.Helper()
	for range n {
		d, err := m.Next(t.Context())
		if err == io.EOF {
			return texts
		}
		if err != nil {
			t.Fatal(err)
		}
		e, err := d.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, d.Part+" "+e.Document[0].Text)
	}
	return texts
}

func TestPermuted(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7, 64, 1000} {
		seen := make([]bool, n)
		same := 0
		for i := range n {
			at := permuted(42, i, n)
			if seen[at] {
				t.Fatalf("n %d: %d twice", n, at)
			}
			seen[at] = true
			if at == i {
				same++
			}
		}
		if n == 1000 && same > 10 {
			t.Errorf("%d of 1000 stay where they are", same)
		}
	}
	if a, b := permuted(1, 5, 1000), permuted(2, 5, 1000); a == b {
		t.Errorf("two keys send 5 to %d", a)
	}
}

// Without weights every example comes once an epoch, in an order of its own.
func TestEpochs(t *testing.T) {
	mixture := func() *Mixture {
		m, err := NewMixture([]Part{{Name: "a", Source: counted("a", 30)}, {Name: "b", Source: counted("b", 7)},
			{Name: "c", Source: &sharded{"c", []int{5, 0, 8}, true}}}, MixtureOptions{Seed: 1, Epochs: 2, Window: 4})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	got := draws(t, mixture(), 1000)
	if len(got) != 100 {
		t.Fatalf("%d draws, want 100", len(got))
	}
	first, second := slices.Clone(got[:50]), slices.Clone(got[50:])
	if slices.Equal(first, second) || slices.IsSorted(first) {
		t.Error("not shuffled anew")
	}
	slices.Sort(first)
	slices.Sort(second)
	if !slices.Equal(first, second) || len(slices.Compact(first)) != 50 {
		t.Error("an epoch is not every example once")
	}
	if again := draws(t, mixture(), 1000); !slices.Equal(again, got) {
		t.Error("drawn again, the order differs")
	}
}

// A cursor, through JSON, goes on exactly: at every place of a mixture of all kinds.
func TestCursorGoesOn(t *testing.T) {
	mixture := func() *Mixture {
		m, err := NewMixture([]Part{{"a", counted("a", 10), 2}, {"b", &sharded{"b", []int{3, 9, 0, 4}, false}, 1}, {"c", counted("c", 1000), 0.5}},
			MixtureOptions{Seed: 7, Window: 5})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	const n = 200
	whole := mixture()
	var cursors []Cursor
	var want []string
	for range n {
		cursors = append(cursors, whole.Cursor())
		want = append(want, draws(t, whole, 1)...)
	}
	for i := range n {
		data, err := json.Marshal(cursors[i])
		if err != nil {
			t.Fatal(err)
		}
		c, err := ParseCursor(data)
		if err != nil {
			t.Fatal(err)
		}
		m := mixture()
		if err := m.Seek(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if got := draws(t, m, n-i); !slices.Equal(got, want[i:]) {
			t.Fatalf("from draw %d: %v\nwant %v", i, got, want[i:])
		}
	}
}

func TestWeights(t *testing.T) {
	m, err := NewMixture([]Part{{"a", counted("a", 10), 0.7}, {"b", counted("b", 10), 0.2}, {"c", counted("c", 10), 0.1}}, MixtureOptions{})
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, text := range draws(t, m, 10000) {
		count[text[:1]]++
	}
	for name, want := range map[string]int{"a": 7000, "b": 2000, "c": 1000} {
		if got := count[name]; got < want-150 || got > want+150 {
			t.Errorf("%s was drawn %d times of 10000, want about %d", name, got, want)
		}
	}
}

func TestRefusedMixtures(t *testing.T) {
	unknown := &sharded{name: "u", shards: []int{1}}
	tests := []struct {
		name  string
		parts []Part
		o     MixtureOptions
		want  string
	}{
		{"nothing", nil, MixtureOptions{}, "a mixture of nothing"},
		{"empty", []Part{{Name: "a", Source: counted("a", 0)}}, MixtureOptions{}, "a has no examples"},
		{"twice", []Part{{Name: "a", Source: counted("a", 1)}, {Name: "a", Source: counted("a", 1)}}, MixtureOptions{}, `called "a"`},
		{"some weights", []Part{{"a", counted("a", 1), 1}, {"b", counted("b", 1), 0}}, MixtureOptions{}, "1 of 2 parts have a weight"},
		{"negative", []Part{{"a", counted("a", 1), -1}}, MixtureOptions{}, "want a number above 0"},
		{"epochs of the unknown", []Part{{Name: "u", Source: unknown}}, MixtureOptions{Epochs: 1}, "u has is not known"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := NewMixture(tt.parts, tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
	m, err := NewMixture([]Part{{Name: "u", Source: &sharded{name: "u", shards: []int{0, 0}}}}, MixtureOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Next(t.Context()); err == nil || !strings.Contains(err.Error(), "no examples") {
		t.Errorf("a source of empty shards: %v", err)
	}
}

func TestCursorOfOtherData(t *testing.T) {
	of := func(seed uint64, n int) *Mixture {
		m, err := NewMixture([]Part{{Name: "a", Source: counted("a", n)}}, MixtureOptions{Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	c := of(1, 5).Cursor()
	for want, m := range map[string]*Mixture{"seed 1, and this one has 2": of(2, 5), "the data changed since": of(1, 6)} {
		if err := m.Seek(t.Context(), c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// Prepared on however many goroutines, examples come in the order of their draws, the bad
// ones are told, and a cursor goes on behind the last.
func TestPrefetch(t *testing.T) {
	odd := &Func{Title: "odd", Count: 40, Make: func(_ context.Context, i int) (Example, error) {
		if i%10 == 3 {
			return Example{}, errors.New("three")
		}
		return Example{Document: []chat.Part{chat.Text(fmt.Sprint(i))}}, nil
	}}
	run := func(workers int, from *Cursor, n int) (texts []string, skips []Skip, c Cursor) {
		m, err := NewMixture([]Part{{Name: "odd", Source: odd}}, MixtureOptions{Seed: 3})
		if err != nil {
			t.Fatal(err)
		}
		if from != nil {
			if err := m.Seek(t.Context(), *from); err != nil {
				t.Fatal(err)
			}
		}
		p := Prefetch(t.Context(), m, PrefetchOptions{Workers: workers, OnSkip: func(s Skip) error { skips = append(skips, s); return nil }, MaxSkips: 0.5},
			func(_ context.Context, d Draw, e Example) (string, error) {
				if e.Document[0].Text == "7" {
					return "", errors.New("seven")
				}
				return fmt.Sprint(d.Number, ":", e.Document[0].Text), nil
			})
		defer p.Close()
		for range n {
			text, err := p.Next()
			if err != nil {
				t.Fatal(err)
			}
			texts = append(texts, text)
		}
		return texts, skips, p.Cursor()
	}
	want, skips, _ := run(1, nil, 100)
	if got, again, _ := run(5, nil, 100); !slices.Equal(got, want) || !slices.Equal(again, skips) {
		t.Error("five workers give another order")
	}
	if len(skips) < 10 || !strings.Contains(fmt.Sprint(skips), "seven") || !strings.Contains(fmt.Sprint(skips), "three") {
		t.Errorf("skips %v", skips)
	}
	first, _, c := run(3, nil, 33)
	rest, _, _ := run(3, &c, 67)
	if got := append(first, rest...); !slices.Equal(got, want) {
		t.Errorf("interrupted: %v\nwant %v", got, want)
	}
}

func TestTooManyBadExamples(t *testing.T) {
	m, err := NewMixture([]Part{{Name: "bad", Source: &Func{Title: "bad", Count: 10, Make: func(context.Context, int) (Example, error) {
		return Example{}, errors.New("the picture is damaged")
	}}}}, MixtureOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p := Prefetch(t.Context(), m, PrefetchOptions{FreeSkips: 4}, func(context.Context, Draw, Example) (int, error) { return 0, nil })
	defer p.Close()
	if _, err := p.Next(); err == nil || !strings.Contains(err.Error(), "5 examples could not be used by draw 5, more than the 1 % allowed") || !strings.Contains(err.Error(), "the picture is damaged") {
		t.Errorf("error %v", err)
	}
}

func TestPrefetchEnds(t *testing.T) {
	m, err := NewMixture([]Part{{Name: "a", Source: counted("a", 3)}}, MixtureOptions{Epochs: 1})
	if err != nil {
		t.Fatal(err)
	}
	p := Prefetch(t.Context(), m, PrefetchOptions{}, func(_ context.Context, d Draw, _ Example) (int64, error) { return d.Number, nil })
	defer p.Close()
	for want := range int64(3) {
		if got, err := p.Next(); err != nil || got != want {
			t.Errorf("%d, %v, want %d", got, err, want)
		}
	}
	if _, err := p.Next(); err != io.EOF {
		t.Errorf("%v, want the end", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	m, err = NewMixture([]Part{{Name: "a", Source: counted("a", 3)}}, MixtureOptions{})
	if err != nil {
		t.Fatal(err)
	}
	q := Prefetch(ctx, m, PrefetchOptions{}, func(ctx context.Context, _ Draw, _ Example) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
	cancel()
	if _, err := q.Next(); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the cancellation, not a bad example", err)
	}
	q.Close()
}
