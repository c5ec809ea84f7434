package synth

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"idefics2/chat"
	"idefics2/imageproc"
	"idefics2/synth/typeface"
)

func newTest(t testing.TB, o Options) *Generator {
	g, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// sum is the hash of all that an example is.
func sum(e *Example) string {
	h := sha256.New()
	for _, m := range e.Images {
		binary.Write(h, binary.LittleEndian, [2]uint32{uint32(m.Width), uint32(m.Height)})
		h.Write(m.Pix)
	}
	said, _ := json.Marshal([]any{e.Category, e.Turns, e.Document})
	h.Write(said)
	return hex.EncodeToString(h.Sum(nil))
}

// TestDeterministic: an example depends on (seed, index) alone, whoever else is drawn.
func TestDeterministic(t *testing.T) {
	const n = 24
	o := Options{Seed: 3, MaxSide: 448, Questions: 2}
	alone := make([]string, n)
	for i := range alone {
		alone[i] = sum(newTest(t, o).Example(uint64(i)))
	}
	g := newTest(t, o)
	together := make([]string, n)
	var wait sync.WaitGroup
	for i := range together {
		wait.Go(func() { together[n-1-i] = sum(g.Example(uint64(n - 1 - i))) })
	}
	wait.Wait()
	if !slices.Equal(alone, together) {
		t.Error("examples differ when they are drawn together")
	}
	for _, other := range []Options{{Seed: 4, MaxSide: 448, Questions: 2}, {Seed: 3, Split: HeldOut, MaxSide: 448, Questions: 2}} {
		if sum(newTest(t, other).Example(0)) == alone[0] {
			t.Errorf("%+v draws the same", other)
		}
	}
	seen := slices.Clone(alone)
	slices.Sort(seen)
	if len(slices.Compact(seen)) != n {
		t.Error("two examples are the same")
	}
}

// questions are those of the reading evaluation, by category and kind.
var questions = map[string][]string{
	"line read":            {`What does the text say\?`, `Read the text in this image\.`, `What is written here\?`, `Transcribe this line\.`},
	"paragraph read":       {`Read all the text in this image\.`, `Transcribe the paragraph\.`, `What does this passage say\? Give every word\.`},
	"form field":           {`What is the value of ".+"\?`, `What is written next to ".+"\?`, `Which value does the form give for ".+"\?`, `[^"]+\?`},
	"receipt total":        {`What is the total\?`, `What is the total amount on this receipt\?`, `How much does everything cost together\?`},
	"receipt price":        {`How much does the [^A-Z]+ cost\?`, `What is the price of ".+"\?`, `Give the price of the [^A-Z]+\.`},
	"receipt date":         {`What is the date on the receipt\?`, `On which date was this bought\?`},
	"receipt shop":         {`What is the name of the shop\?`, `Which shop is this receipt from\?`},
	"table cell":           {`What is in row ".+" and column ".+"\?`, `What is the [^A-Z]+ of .+\?`, `In the table, what does .+ have under .+\?`},
	"table row":            {`Which [^A-Z]+ has .+ under .+\?`, `In which row is ".+" in the column .+\?`},
	"bar value":            {`What is the value of .+\?`, `Read the value of the bar .+\.`, `Which value does the chart show for .+\?`},
	"bar largest":          {`Which category has the largest value\?`, `What is the label of the longest bar\?`},
	"bar smallest":         {`Which category has the smallest value\?`, `What is the label of the shortest bar\?`},
	"bar difference":       {`What is the difference between .+ and .+\?`, `How much more does .+ have than .+\?`},
	"linechart value":      {`What is the value of .+ in .+\?`, `Which value does .+ have in .+\?`},
	"linechart largest":    {`When is .+ the highest\?`, `At which point of the axis does .+ reach its largest value\?`},
	"linechart smallest":   {`When is .+ the lowest\?`, `At which point of the axis does .+ reach its smallest value\?`},
	"linechart difference": {`What is the difference of .+ between .+ and .+\?`, `By how much do .+ and .+ differ for .+\?`},
	"pie value":            {`What percentage is .+\?`, `How large is the share of .+, in per cent\?`},
	"pie largest":          {`Which slice is the largest\?`, `What has the largest share\?`},
	"pie smallest":         {`Which slice is the smallest\?`, `What has the smallest share\?`},
	"pie difference":       {`What is the difference between .+ and .+, in percentage points\?`, `By how many percentage points is .+ larger than .+\?`},
	"count shape":          {`How many SHAPES are there\?`, `Count the SHAPES\.`, `How many SHAPES do you see\?`},
	"count colour":         {`How many shapes are COLOUR\?`, `Count the COLOUR shapes\.`},
	"count both":           {`How many COLOUR SHAPES are there\?`, `Count the COLOUR SHAPES\.`},
	"count all":            {`How many shapes are there\?`, `Count all the shapes\.`},
	"colour shape":         {`What colour is the SHAPE\?`, `What is the color of the SHAPE\?`, `Which colour does the SHAPE have\?`},
	"colour background":    {`What colour is the background\?`, `What is the color of the background\?`},
	"colour which":         {`Which shape is COLOUR\?`, `What is the shape of the COLOUR object\?`},
	"position place":       {`Which shape is PLACE\?`, `What shape do you see PLACE\?`},
	"position yesno":       {`Is the SHAPE RELATION the SHAPE\?`, `Can the SHAPE be found RELATION the SHAPE\? Answer yes or no\.`},
	"position where":       {`Where is the SHAPE, seen from the SHAPE: left, right, above or below\?`, `Is the SHAPE to the left, to the right, above or below the SHAPE\?`},
	"position next":        {`Which shape comes directly after the SHAPE, from left to right\?`, `What is the right-hand neighbour of the SHAPE\?`},
	"compare more":         {`Which image has more SHAPES, the first or the second\?`, `Are there more SHAPES in the first or in the second image\?`},
	"compare text":         {`Do the two images show the same text\?`, `Is the text in both images the same\? Answer yes or no\.`},
	"compare shape":        {`Do both images show the same shape\?`, `Is the shape in the first image the same as in the second\?`},
	"sum result":           {`What is the result\?`, `Solve the sum in the image\.`, `Work this out and give only the number\.`},
	"web heading":          {`What is the main heading of this page\?`, `What does the largest heading say\?`},
	"web button":           {`What is the text on the button\?`, `What does the button say\?`},
	"web menu":             {`What is the first entry of the menu at the top\?`, `Which link comes first in the navigation bar\?`},
	"html write":           {`Write the HTML of this page\.`, `Which HTML makes this page\? Write only what goes inside the body\.`, `Turn this screenshot into HTML\.`},
	"scene read":           {`What does the sign say\?`, `Read the words in the picture\.`, `What text can you see\?`},
	"columns read":         {`Read all the text in this image\.`, `What does this passage say\? Give every word\.`},
}

// answerForms are what answers look like, where that is more than a text.
var answerForms = map[string]string{
	"receipt total": `[$€£]?\d+\.\d\d`, "receipt price": `[$€£]?\d+\.\d\d`,
	"bar value": `\d+(\.\d+)?`, "bar difference": `\d+(\.\d+)?`, "linechart value": `\d+(\.\d+)?`, "linechart difference": `\d+(\.\d+)?`,
	"pie value": `\d\d?`, "pie difference": `\d\d?`, "sum result": `\d+`,
	"count shape": `\d`, "count colour": `\d`, "count both": `\d`, "count all": `\d`,
	"colour shape": `COLOUR`, "colour background": `COLOUR`, "colour which": `SHAPE`,
	"position place": `SHAPE`, "position next": `SHAPE`, "position yesno": `yes|no`, "position where": `left|right|above|below`,
	"compare more": `first|second`, "compare text": `yes|no`, "compare shape": `yes|no`,
	"html write": `<h1>[^<>]+</h1>(<h2>[^<>]+</h2>|<p>[^<>]+</p>|<p><a>[^<>]+</a></p>|<ul>(<li>[^<>]+</li>)+</ul>|<ol>(<li>[^<>]+</li>)+</ol>|<table>(<tr>(<td>[^<>]+</td>)+</tr>)+</table>|<button>[^<>]+</button>)*`,
}

// whole compiles a pattern for a whole text, with the words of shapes filled in.
var whole = func() func(pattern string) *regexp.Regexp {
	var many []string
	for _, s := range shapeNames {
		many = append(many, shapes(s))
	}
	fill := strings.NewReplacer("SHAPES", "("+strings.Join(many, "|")+")", "SHAPE", "("+strings.Join(shapeNames, "|")+")", "COLOUR", "("+strings.Join(colourNames, "|")+")",
		"PLACE", "(in the (top|bottom) (left|right) corner|in the middle)", "RELATION", "(to the left of|to the right of|above|below)")
	return func(pattern string) *regexp.Regexp { return regexp.MustCompile("^(?:" + fill.Replace(pattern) + ")$") }
}()

// TestQuestions: every question is one of the evaluation's, every one of those is asked,
// and answers have its form.
func TestQuestions(t *testing.T) {
	patterns := map[string][]*regexp.Regexp{}
	for key, list := range questions {
		for _, p := range list {
			patterns[key] = append(patterns[key], whole(p))
		}
	}
	asked := map[string]int{}
	for _, c := range Categories() {
		if c == "document" {
			continue
		}
		g := newTest(t, Options{Seed: 5, Categories: []string{c}, MaxSide: 448, Questions: 8})
		for i := range uint64(16) {
			e := g.Example(i)
			if want := map[bool]int{true: 2, false: 1}[c == "compare"]; len(e.Images) != want || len(e.Turns) == 0 {
				t.Fatalf("%s: %d images and %d questions", c, len(e.Images), len(e.Turns))
			}
			for _, m := range e.Images {
				if m.Width > 448 || m.Height > 448 || m.Width < 20 || m.Height < 20 {
					t.Errorf("%s %d: %d×%d pixels", c, i, m.Width, m.Height)
				}
			}
			for _, turn := range e.Turns {
				key := c + " " + turn.Kind
				found := false
				for _, p := range patterns[key] {
					if p.MatchString(turn.Question) {
						asked[p.String()+key]++
						found = true
						break
					}
				}
				if !found {
					t.Errorf("%s: %q is no question of the evaluation", key, turn.Question)
				}
				if form, ok := answerForms[key]; ok && !whole(form).MatchString(turn.Answers[0]) {
					t.Errorf("%s: %q is no answer to %q", key, turn.Answers[0], turn.Question)
				}
				for _, a := range turn.Answers {
					if a == "" || a != strings.Join(strings.Fields(a), " ") {
						t.Errorf("%s: answer %q to %q", key, a, turn.Question)
					}
				}
			}
		}
	}
	// A few are rare; more examples would show them.
	missing := 0
	for key, list := range patterns {
		for _, p := range list {
			if asked[p.String()+key] == 0 && !strings.HasPrefix(p.String(), "^(?:[^") {
				missing++
				t.Logf("never asked: %s %s", key, p)
			}
		}
	}
	if missing > 12 {
		t.Errorf("%d questions were never asked", missing)
	}
}

// TestPublicCases: the patterns above hold for the public examples of the evaluation,
// which lie beside the repository where there is one.
func TestPublicCases(t *testing.T) {
	data, err := os.ReadFile("../../shared/golden/reading/cases.jsonl")
	if err != nil {
		data = []byte(`{"category":"sum","kind":"result","question":"What is the result?","answers":["3"],"metric":"exact"}`)
	}
	for line := range bytes.Lines(data) {
		var c struct {
			ID, Category, Kind, Question, Metric string
			Answers                              []string
		}
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		key := c.Category + " " + c.Kind
		if !slices.ContainsFunc(questions[key], func(p string) bool { return whole(p).MatchString(c.Question) }) {
			t.Errorf("%s: no pattern for %q", c.ID, c.Question)
		}
		if form, ok := answerForms[key]; ok && !whole(form).MatchString(c.Answers[0]) {
			t.Errorf("%s: no form for %q", c.ID, c.Answers[0])
		}
		if m := Metric(c.Category, c.Kind); m != c.Metric {
			t.Errorf("%s: metric %s, want %s", c.ID, m, c.Metric)
		}
	}
}

// TestExercise works the exercises out from how they are printed.
func TestExercise(t *testing.T) {
	form := regexp.MustCompile(`^(\d+) ?([-–+×]) ?(\d+)( ?=)?( ?\?)?$`)
	r := newRandom(2)
	for range 500 {
		text, result := r.exercise()
		m := form.FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("exercise %q", text)
		}
		a, _ := strconv.Atoi(m[1])
		b, _ := strconv.Atoi(m[3])
		want := map[string]int{"+": a + b, "-": a - b, "–": a - b, "×": a * b}[m[2]]
		if result != want || result < 0 || max(a, b) > 50 || m[2] == "×" && max(a, b) > 10 {
			t.Errorf("%q is %d", text, result)
		}
	}
}

// TestSplits: the splits have no typeface in common.
func TestSplits(t *testing.T) {
	train, held := newTest(t, Options{}), newTest(t, Options{Split: HeldOut})
	for class, families := range held.families {
		for _, f := range families {
			if slices.Contains(train.families[class], f) {
				t.Errorf("%s is in both splits", f.Name)
			}
		}
	}
	if len(train.families[typeface.Sans]) < 20 || len(held.families[typeface.Sans]) == 0 {
		t.Error("typefaces are missing")
	}
}

// TestCurriculum: bounds on the pictures and on the answers hold.
func TestCurriculum(t *testing.T) {
	g := newTest(t, Options{Seed: 9, MaxSide: 224, MaxText: 24})
	long := 0
	for i := range uint64(60) {
		e := g.Example(i)
		if e.longest() > 224 {
			t.Errorf("%s: a side of %d pixels", e.Category, e.longest())
		}
		if e.letters() > 24 {
			long++
		}
	}
	if long > 3 { // a page has no shorter HTML
		t.Errorf("%d of 60 answers are too long", long)
	}
}

func TestRefuses(t *testing.T) {
	for _, o := range []Options{
		{Split: "test"}, {Categories: []string{"poem"}}, {MaxSide: 20}, {MaxText: -1}, {Questions: -1},
		{Weights: map[string]float64{"poem": 1}}, {Weights: map[string]float64{"line": -1}}, {Weights: map[string]float64{}},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

// TestWriteFolder reads back what was written, in both forms.
func TestWriteFolder(t *testing.T) {
	g := newTest(t, Options{Seed: 1, Categories: []string{"sum", "compare", "document"}, MaxSide: 300})
	dir := t.TempDir()
	if err := g.WriteFolder(t.Context(), dir, 8, Messages, nil); err != nil {
		t.Fatal(err)
	}
	if err := g.WriteFolder(t.Context(), dir, 8, Messages, nil); err == nil {
		t.Error("examples are written over")
	}
	data, err := os.ReadFile(filepath.Join(dir, "examples.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	i := uint64(0)
	for line := range bytes.Lines(data) {
		e := g.Example(i)
		i++
		if e.Document != nil {
			if !bytes.Contains(line, []byte(`"document":[{"type":"text"`)) {
				t.Errorf("document as %s", line)
			}
			continue
		}
		r, err := chat.ParseRequest(line)
		if err != nil || len(r.Messages) != 2 {
			t.Fatalf("%v in %s", err, line)
		}
		for k, name := range chat.Images(r.Messages) {
			file, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			m, _, err := imageproc.Decode(file, imageproc.Limits{})
			if err != nil || !bytes.Equal(m.Pix, e.Images[k].Pix) {
				t.Errorf("%s is another picture (%v)", name, err)
			}
		}
	}
	if i != 8 {
		t.Errorf("%d lines, want 8", i)
	}
	if err := g.WriteFolder(t.Context(), dir, 3, Reading, nil); err != nil {
		t.Fatal(err)
	}
	if err := g.WriteFolder(t.Context(), t.TempDir(), 3, "poem", nil); err == nil {
		t.Error("an unknown form is taken")
	}
}

func TestPreview(t *testing.T) {
	g := newTest(t, Options{MaxSide: 300})
	sheet := Preview([]*Example{g.Example(0), g.Example(1), g.Example(2)}, 2)
	if b := sheet.Bounds(); b.Dx() != 2*308+8 || b.Dy() != 2*354+8 {
		t.Errorf("a sheet of %v", b)
	}
}

// TestWords: codes hold neither I nor O, and lines have their length.
func TestWords(t *testing.T) {
	r := newRandom(1)
	for range 2000 {
		if s := r.capitals(8); strings.ContainsAny(s, "IO") {
			t.Fatalf("capitals %q", s)
		}
		if s := r.line(20); len([]rune(s)) > 20 || len(s) < 4 || strings.Contains(s, "%!") {
			t.Fatalf("line %q", s)
		}
		if s := r.sentence(); strings.Contains(s, "%!") || strings.Contains(s, "  ") {
			t.Fatalf("sentence %q", s)
		}
	}
}

func BenchmarkExample(b *testing.B) {
	for _, c := range Categories() {
		b.Run(c, func(b *testing.B) {
			g := newTest(b, Options{Categories: []string{c}})
			for i := range b.N {
				g.Example(uint64(i))
			}
		})
	}
	b.Run("mixture", func(b *testing.B) {
		g := newTest(b, Options{})
		for i := range b.N {
			g.Example(uint64(i))
		}
	})
}

func TestBMP(t *testing.T) {
	m := newTest(t, Options{Categories: []string{"line"}, MaxSide: 448}).Example(0).Images[0]
	got, info, err := imageproc.Decode(BMP(m), imageproc.Limits{})
	if err != nil || info.Format != "BMP" || got.Width != m.Width || !bytes.Equal(got.Pix, m.Pix) {
		t.Errorf("another picture (%+v, %v)", info, err)
	}
}
