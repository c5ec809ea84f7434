package watch

import (
	"fmt"
	"html/template"
	"io"
)

// SamplesPage writes the answers of all evaluations as a page without scripts: a table for each sample,
// the newest answer first. What questions and answers hold is text in it, whatever it is.
func SamplesPage(w io.Writer, steps []Step) error {
	type answer struct {
		Step  int64
		Given string
		Right bool
	}
	type sample struct {
		Sample
		Answers []answer
	}
	var all []*sample
	at := map[[3]string]*sample{}
	for i := len(steps) - 1; i >= 0; i-- {
		for _, s := range steps[i].Samples {
			key := [3]string{s.Source, s.Origin, s.Question}
			if at[key] == nil {
				at[key] = &sample{Sample: s}
				all = append(all, at[key])
			}
			at[key].Answers = append(at[key].Answers, answer{steps[i].Step, s.Given, s.Given == s.Wanted})
		}
	}
	if err := samplesPage.Execute(w, all); err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	return nil
}

var samplesPage = template.Must(template.New("samples").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Answers during training</title>
<style>
body { font: 15px/1.4 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em }
h2 { font-size: 1em; margin: 2em 0 .3em; white-space: pre-wrap }
.from { color: #777; font-weight: normal }
td { padding: .15em .8em .15em 0; vertical-align: top; white-space: pre-wrap }
td:first-child { color: #777; text-align: right }
.right { color: #060 }
</style></head><body>
<h1>Answers during training</h1>
{{range .}}<h2>{{.Question}} <span class="from">{{.Source}}, {{.Origin}}</span></h2>
<p>wanted: {{.Wanted}}</p>
<table>{{range .Answers}}<tr><td>{{.Step}}</td><td{{if .Right}} class="right"{{end}}>{{.Given}}</td></tr>
{{end}}</table>
{{end}}</body></html>
`))
