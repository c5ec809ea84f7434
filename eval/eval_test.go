package eval

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestMetrics(t *testing.T) {
	for _, c := range []struct {
		metric, answer string
		accepted       []string
		want           float64
	}{
		{"cer", "Old Town Bakery", []string{"Old Town Bakery"}, 1},
		{"cer", "  Old\n Town  Bakery ", []string{"Old Town Bakery"}, 1},
		{"cer", "old Town Bakery", []string{"Old Town Bakery"}, 1 - 1.0/15},
		{"cer", "", []string{"abcd"}, 0},
		{"cer", "something much longer than it", []string{"abcd"}, 0},
		{"cer", "Zoe", []string{"Zoë"}, 1 - 1.0/3},
		{"exact", "YES.", []string{"yes"}, 1},
		{"exact", "yes..", []string{"yes"}, 0},
		{"exact", "the first", []string{"first", "the first"}, 1},
		{"exact", "The answer is 5", []string{"5"}, 0},
		{"exact", "05", []string{"5"}, 0},
		{"anls", "sunrise grocery", []string{"Sunrise Grocery"}, 1},
		{"anls", "Sunrise Grocer", []string{"Sunrise Grocery"}, 1 - 1.0/15},
		{"anls", "ab", []string{"abcd"}, 0.5},
		{"anls", "a", []string{"abcd"}, 0},
		{"relaxed5", "105", []string{"100"}, 1},
		{"relaxed5", "105.1", []string{"100"}, 0},
		{"relaxed5", "2.1", []string{"2"}, 1},
		{"relaxed5", "1,000", []string{"1000"}, 1},
		{"relaxed5", "$ 9.60.", []string{"10"}, 1},
		{"relaxed5", "36 %", []string{"36"}, 1},
		{"relaxed5", "36 units", []string{"36"}, 0},
		{"relaxed5", "1e2", []string{"100"}, 0},
		{"relaxed5", "0", []string{"0"}, 1},
		{"relaxed5", "0.001", []string{"0"}, 0},
		{"relaxed5", "", []string{"5"}, 0},
		{"html", "<h1>A</h1><p>b</p>", []string{"<h1>A</h1><p>b</p>"}, 1},
		{"html", "<H1 class=\"x>y\">A</H1>\n<P>b</P>", []string{"<h1>A</h1><p>b</p>"}, 1},
		{"html", "<!doctype html><html><head><title>no</title></head><body><!-- <p> --><h1>A</h1><style>p{}</style><p>b</p></body></html>", []string{"<h1>A</h1><p>b</p>"}, 1},
		{"html", "<table><tbody><tr><td>1 &lt; 2</td></tr></tbody></table>", []string{"<table><tr><td>1 &#60; 2</td></tr></table>"}, 1},
		{"html", "<h1>A</h1>", []string{"<h1>A</h1><p>b</p>"}, (0.5 + 1 - 2.0/3) / 2},
		{"html", "A b", []string{"<h1>A</h1><p>b</p>"}, 0.5},
		{"html", "", []string{"<h1>A</h1>"}, 0},
	} {
		if got := mark(c.metric, c.answer, c.accepted).Score; math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: %q against %q: %g, want %g", c.metric, c.answer, c.accepted, got, c.want)
		}
	}
}

func TestParts(t *testing.T) {
	tags, text := parts("<ul><li>Tea<br/></li><li>1 < 2 &amp; 3</li></ul><p")
	if want := []string{"ul", "li", "br", "/li", "li", "/li", "/ul"}; !reflect.DeepEqual(tags, want) {
		t.Errorf("tags %q, want %q", tags, want)
	}
	if want := "Tea 1 < 2 & 3 < p"; text != want {
		t.Errorf("text %q, want %q", text, want)
	}
}

// fake answers from a list, by the question.
type fake map[string]string

func (f fake) Answer(_ context.Context, images []string, question string) (string, error) {
	if a, ok := f[question]; ok {
		return a, nil
	}
	return "", fmt.Errorf("no picture %q", images)
}

const caseLines = `{"id":"a-0","category":"sum","kind":"result","images":["a.png"],"question":"1+1?","answers":["2"],"metric":"exact","tags":[]}
{"id":"a-1","category":"sum","kind":"result","images":["b.png"],"question":"2+2?","answers":["4"],"metric":"exact"}

{"id":"b-0","category":"line","kind":"read","images":["c.png","d.png"],"question":"Read.","answers":["abcd"],"metric":"cer"}
`

func writeCases(t *testing.T) string {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "cases.jsonl"), []byte(caseLines), 0o666); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestRun(t *testing.T) {
	cases, err := ReadCases(writeCases(t))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	m := fake{"1+1?": "2.", "Read.": "abce"}
	records, err := Run(t.Context(), cases, m, Options{Out: &out, Parallel: 2})
	if err != nil {
		t.Fatal(err)
	}
	var got []float64
	for _, r := range records {
		got = append(got, r.Score)
	}
	if want := []float64{1, 0, 0.75}; !reflect.DeepEqual(got, want) {
		t.Errorf("scores %v, want %v", got, want)
	}
	if !strings.Contains(records[1].Error, "b.png") {
		t.Errorf("error %q does not name the picture", records[1].Error)
	}

	// The first line and a half of the file: the run goes on behind the first.
	half := out.Bytes()[:bytes.IndexByte(out.Bytes(), '\n')+20]
	done, whole, err := ParseRecords(half)
	if err != nil || len(done) != 1 || whole != bytes.IndexByte(half, '\n')+1 {
		t.Fatalf("%d results in %d bytes (%v)", len(done), whole, err)
	}
	rest := bytes.NewBuffer(bytes.Clone(half[:whole]))
	again, err := Run(t.Context(), cases, fake{"Read.": "abce"}, Options{Out: rest, Done: done})
	if err != nil || !reflect.DeepEqual(again, records) || rest.String() != out.String() {
		t.Errorf("going on gives something else (%v)\n%s", err, rest)
	}

	a, b := Summarize(records, 7), Summarize(records, 7)
	if !reflect.DeepEqual(a, b) {
		t.Error("the same records give two reports")
	}
	if a.Categories[0].Category != "line" || *a.Categories[0].ErrorRate != 0.25 || a.Mean.Score != 0.625 || a.Failed != 1 {
		t.Errorf("%+v", a)
	}
	if sum := a.Categories[1]; sum.Low != 0 || sum.High != 1 || sum.Score != 0.5 {
		t.Errorf("interval of one right and one wrong: %+v", sum.Interval)
	}
	var table strings.Builder
	if err := a.WriteTable(&table); err != nil || !strings.Contains(table.String(), "mean                      3   62.50") {
		t.Errorf("%v\n%s", err, table.String())
	}
}

// TestRunEnds: a cancelled context ends the run with what there is.
func TestRunEnds(t *testing.T) {
	cases, err := ReadCases(writeCases(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stop := Options{Parallel: 1, Progress: func(done, total int) { cancel() }}
	records, err := Run(ctx, cases, fake{"1+1?": "2"}, stop)
	if !errors.Is(err, context.Canceled) || len(records) != 1 {
		t.Errorf("%d records, %v", len(records), err)
	}
	if _, err := Run(t.Context(), cases, fake{}, Options{Done: []Record{{ID: "z"}}}); err == nil {
		t.Error("results of other cases are taken")
	}
}

func TestReadCasesRefuses(t *testing.T) {
	good := `"category":"x","question":"q","answers":["a"],"metric":"exact"`
	for name, text := range map[string]string{
		"no JSON":        "{",
		"no id":          `{` + good + `}`,
		"an id twice":    `{"id":"1",` + good + `}` + "\n" + `{"id":"1",` + good + `}`,
		"unknown metric": `{"id":"1","category":"x","question":"q","answers":["a"],"metric":"bleu"}`,
		"no answers":     `{"id":"1","category":"x","question":"q","answers":[],"metric":"cer"}`,
		"outside":        `{"id":"1","images":["../x.png"],` + good + `}`,
		"nothing":        "\n",
	} {
		path := filepath.Join(t.TempDir(), "cases.jsonl")
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadCases(path); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// TestGolden marks the public examples' own answers: all are right. The folder lies
// beside the repository where there is one.
func TestGolden(t *testing.T) {
	dir := "../../shared/golden/reading"
	if _, err := os.Stat(dir); err != nil {
		dir = writeCases(t)
	}
	cases, err := ReadCases(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		for _, a := range c.Answers {
			if got := mark(c.Metric, a, c.Answers).Score; got != 1 {
				t.Errorf("%s: %q is marked %g", c.ID, a, got)
			}
		}
	}
}

func FuzzParseCases(f *testing.F) {
	f.Add(caseLines)
	f.Fuzz(func(t *testing.T, text string) {
		cases, err := parseCases(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, c := range cases {
			if got := mark(c.Metric, c.Answers[0], c.Answers); got.Score < 0 || got.Score > 1 {
				t.Errorf("mark %g", got.Score)
			}
		}
	})
}

func FuzzHTML(f *testing.F) {
	f.Add("<h1 a='>'>x</h1><!-- c --><p>y &amp; z", "<h1>x</h1>")
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a)+len(b) > 2000 {
			return
		}
		if s := mark("html", a, []string{b}).Score; s < 0 || s > 1 {
			t.Errorf("mark %g", s)
		}
		if s := mark("html", a, []string{a}).Score; s != 1 {
			t.Errorf("%q is like itself by %g", a, s)
		}
	})
}

func FuzzParseRecords(f *testing.F) {
	f.Add([]byte("{\"id\":\"a\"}\n{\"id\""))
	f.Fuzz(func(t *testing.T, data []byte) {
		if records, whole, err := ParseRecords(data); err == nil && (whole > len(data) || len(records) > whole) {
			t.Errorf("%d records in %d of %d bytes", len(records), whole, len(data))
		}
	})
}
