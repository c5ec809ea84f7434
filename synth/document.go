package synth

import (
	"fmt"

	"idefics2/chat"
	"idefics2/imageproc"
)

// document makes texts with images between them: each image is told about by the text
// that follows it.
func (d *draft) document() *Example {
	e := &Example{Category: "document"}
	write := func(s string) { e.Document = append(e.Document, chat.Text(s)) }
	write(capital(d.heading()) + ".")
	for range d.between(2, 3) {
		var m *imageproc.RGB
		var text string
		switch d.IntN(4) {
		case 0:
			line := d.line(24)
			m, text = d.textPicture(line, 16, 32, 0.3, 0.3), pick(d.random, "It says: ", "The note reads ", "Here stands ")+line
		case 1:
			images, ask := drawScene(d)
			m, text = images[0], pick(d.random, "The sign says ", "On the wall one reads ", "The words are ")+ask().Answers[0]
		case 2:
			images, ask := drawCount(d)
			t := ask()
			m, text = images[0], pick(d.random, "Question: ", "Somebody asks: ", "")+t.Question+pick(d.random, " Answer: ", " ")+t.Answers[0]
		default:
			images, ask := drawPie(d)
			t := ask()
			m, text = images[0], t.Question+" "+t.Answers[0]
		}
		e.Images = append(e.Images, m)
		e.Document = append(e.Document, chat.Image(""), chat.Text(text+"."))
		if d.chance(0.6) {
			write(d.sentence())
		}
	}
	if d.chance(0.3) {
		write(fmt.Sprintf("%s, %s.", d.fullName(), d.date()))
	}
	return e
}
