package preview

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html/template"
	"image/jpeg"
	"image/png"
	"io"

	"idefics2/feed"
	"idefics2/imageproc"
	"idefics2/processor"
)

// HTML writes a page with the examples: one file, without scripts, that loads nothing. What
// examples hold is text in it, whatever it is.
func HTML(w io.Writer, title string, p *processor.Processor, examples []*feed.Prepared) error {
	view := struct {
		Title    string
		Examples []htmlExample
		Tokens   int
		Targets  int
		Images   int
	}{Title: title}
	for _, e := range examples {
		all := pieces(p.Tokenizer(), p.ImageID(), e.IDs, e.Labels)
		c := count(e, all)
		h := htmlExample{
			Number: e.Draw.Number, Part: e.Draw.Part, Origin: e.Origin, Tokens: c.tokens, Targets: c.targets,
			Images: c.images, Crops: c.crops, Places: c.places, Split: e.Split,
		}
		if c.tokens > 0 {
			h.Share = 100 * float64(c.targets) / float64(c.tokens)
		}
		for _, piece := range all {
			h.Pieces = append(h.Pieces, htmlPiece{piece.text, piece.tokens, class(piece)})
		}
		for i := range e.Images {
			shown, err := htmlImage(&e.Images[i])
			if err != nil {
				return fmt.Errorf("preview: %s: %w", e.Origin, err)
			}
			h.Pictures = append(h.Pictures, shown)
		}
		view.Examples = append(view.Examples, h)
		view.Tokens, view.Targets, view.Images = view.Tokens+c.tokens, view.Targets+c.targets, view.Images+c.images
	}
	if err := page.Execute(w, view); err != nil {
		return fmt.Errorf("preview: %w", err)
	}
	return nil
}

type htmlExample struct {
	Number                                 int64
	Part, Origin                           string
	Tokens, Targets, Images, Crops, Places int
	Share                                  float64
	Split                                  bool
	Pictures                               []htmlPicture
	Pieces                                 []htmlPiece
}

type htmlPicture struct {
	Name          string
	Width, Height int // as decoded
	Tokens        int
	Crops         []htmlCrop
}

type htmlCrop struct {
	URL           template.URL
	Width, Height int
	Rows, Columns int
}

type htmlPiece struct {
	Text   string
	Tokens int
	Class  string
}

func class(p piece) string {
	name := [...]string{plain: "", special: "special", images: "places"}[p.kind]
	if p.loss {
		name += " loss"
	}
	return name
}

func htmlImage(image *processor.Image) (htmlPicture, error) {
	name := image.Name
	if len(name) > 80 { // a data URL
		name = name[:77] + "…"
	}
	h := htmlPicture{Name: name, Width: image.RGB.Width, Height: image.RGB.Height, Tokens: image.Tokens}
	for _, c := range image.Crops {
		url, err := dataURL(c.RGB)
		if err != nil {
			return h, err
		}
		h.Crops = append(h.Crops, htmlCrop{url, c.RGB.Width, c.RGB.Height, c.Rows, c.Columns})
	}
	return h, nil
}

// dataURL writes a picture out: exactly where it is small, else as JPEG, or a page of a few
// examples would have a hundred megabytes.
func dataURL(rgb *imageproc.RGB) (template.URL, error) {
	var b bytes.Buffer
	kind, err := "png", error(nil)
	if rgb.Width*rgb.Height <= 1<<16 {
		err = png.Encode(&b, picture(rgb))
	} else {
		kind, err = "jpeg", jpeg.Encode(&b, picture(rgb), &jpeg.Options{Quality: 90})
	}
	return template.URL("data:image/" + kind + ";base64," + base64.StdEncoding.EncodeToString(b.Bytes())), err
}

var page = template.Must(template.New("preview").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{{.Title}}</title>
<style>
:root { color-scheme: light dark;
  --back: #f6f7f9; --card: #fff; --ink: #1c2430; --faint: #667085; --line: #d9dee7; --token: #eef1f5;
  --loss: #c9f0d3; --loss-ink: #0b4a20; --loss-line: #2f9e55; --special: #5b3cc4; --place: #e4ecfb; --place-ink: #1d4ea8; }
@media (prefers-color-scheme: dark) { :root {
  --back: #12161c; --card: #1a2029; --ink: #dfe5ee; --faint: #93a0b4; --line: #313a48; --token: #232b37;
  --loss: #143d25; --loss-ink: #a9ecc0; --loss-line: #3fb56c; --special: #b6a2ff; --place: #1d2c49; --place-ink: #a8c6ff; } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem; background: var(--back); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
h1 { font-size: 1.35rem; margin: 0 0 .25rem }
h2 { font-size: 1rem; margin: 0; overflow-wrap: anywhere }
p { margin: .15rem 0 }
.faint { color: var(--faint) }
article { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1rem 1.15rem; margin: 1.15rem 0 }
.bar { height: 5px; border-radius: 3px; background: var(--token); margin: .6rem 0 .9rem; overflow: hidden }
.bar i { display: block; height: 100%; background: var(--loss-line) }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem; margin-bottom: .9rem }
figure { margin: 0 }
figcaption { color: var(--faint); font-size: .8rem; overflow-wrap: anywhere; max-width: 24rem }
.crops { display: flex; flex-wrap: wrap; gap: 4px; align-items: flex-start }
img { display: block; max-width: min(100%, 24rem); max-height: 20rem; border-radius: 6px; border: 1px solid var(--line); background: var(--token) }
.crops img + img, .split img { max-height: 9rem }
.text { font: 14px/1.95 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; white-space: pre-wrap; overflow-wrap: anywhere }
.text span { background: var(--token); border-radius: 3px; padding: .12em 0; box-shadow: inset -1px 0 0 var(--card) }
.text .special { color: var(--special) }
.text .places { background: var(--place); color: var(--place-ink); padding: .12em .4em }
.text .loss { background: var(--loss); color: var(--loss-ink); border-bottom: 2px solid var(--loss-line) }
.key span { padding: .1em .45em; border-radius: 3px; margin-right: .35em; font-size: .85rem }
</style>
</head>
<body>
<header>
<h1>{{.Title}}</h1>
<p class="faint">{{len .Examples}} examples · {{.Tokens}} tokens, {{.Targets}} of them carry loss · {{.Images}} pictures</p>
<p class="key text"><span class="loss">carries loss</span><span>is read only</span><span class="special">&lt;control token&gt;</span><span class="places">places of a picture</span></p>
</header>
{{range .Examples}}<article>
<h2>{{.Part}} <span class="faint">draw {{.Number}}{{with .Origin}} · {{.}}{{end}}</span></h2>
<p class="faint">{{.Tokens}} tokens · {{.Targets}} carry loss · pictures: {{.Images}}{{if .Images}} · crops: {{.Crops}}, which take {{.Places}} tokens{{end}}{{if .Split}} · split{{end}}</p>
<div class="bar"><i style="width: {{printf "%.2f" .Share}}%"></i></div>
{{with .Pictures}}<div class="pictures">{{range .}}<figure><div class="crops{{if gt (len .Crops) 1}} split{{end}}">{{range .Crops}}<img src="{{.URL}}" width="{{.Width}}" height="{{.Height}}" style="height: auto" alt="">{{end}}</div>
<figcaption>{{with .Name}}{{.}} · {{end}}{{.Width}}×{{.Height}}, read at {{range $i, $c := .Crops}}{{if $i}}, {{end}}{{.Width}}×{{.Height}} ({{.Columns}}×{{.Rows}} patches){{end}} · {{.Tokens}} tokens</figcaption></figure>{{end}}</div>
{{end}}<div class="text">{{range .Pieces}}<span class="{{.Class}}">{{.Text}}{{if gt .Tokens 1}}{{if eq .Class "places"}} × {{.Tokens}}{{end}}{{end}}</span>{{end}}</div>
</article>
{{end}}</body>
</html>
`))
