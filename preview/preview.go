// Package preview shows examples as the model sees them in training: the pictures at the
// size they are read at, the text token by token, and which tokens carry loss. In a page of
// HTML, and in the terminal.
package preview

import (
	"image"
	"strings"

	"idefics2/feed"
	"idefics2/imageproc"
	"idefics2/input"
	"idefics2/tokenizer"
)

// kind is what a piece of an example's text is.
type kind uint8

const (
	plain   kind = iota
	special      // a control token
	images       // places of a picture
)

// piece is a token, or several that are shown as one.
type piece struct {
	text   string
	kind   kind
	tokens int
	loss   bool
}

// pieces takes an example apart. Bytes that are one character are one piece, and so are the
// places of a picture, which are hundreds.
func pieces(t *tokenizer.Tokenizer, image int32, ids, labels []int32) (all []piece) {
	for i := 0; i < len(ids); {
		loss := labels[i] != input.Ignore
		same := func(of func(id int32) bool) (n int) {
			for i+n < len(ids) && of(ids[i+n]) && (labels[i+n] != input.Ignore) == loss {
				n++
			}
			return n
		}
		n, p := 1, piece{loss: loss}
		token, ok := t.Token(ids[i])
		switch {
		case ids[i] == image:
			n = same(func(id int32) bool { return id == image })
			p.kind, p.text = images, token
		case !ok || t.IsSpecial(ids[i]):
			p.kind, p.text = special, token
		case isByte(t, ids[i]):
			n = same(func(id int32) bool { return isByte(t, id) })
			p.text = strings.Map(visible, t.Decode(ids[i:i+n], false))
		default:
			p.text = strings.Map(visible, strings.ReplaceAll(token, "▁", " "))
		}
		p.tokens = n
		all = append(all, p)
		i += n
	}
	return all
}

// visible returns Unicode's picture of a control character: ␛ for the escape.
func visible(r rune) rune {
	switch {
	case r == '\n' || r == '\t':
		return r
	case r < 0x20:
		return 0x2400 + r
	case r >= 0x7f && r <= 0x9f:
		return 0x2421
	}
	return r
}

// isByte reports whether a token is a byte of a character: <0x0A>.
func isByte(t *tokenizer.Tokenizer, id int32) bool {
	token, _ := t.Token(id)
	return len(token) == 6 && strings.HasPrefix(token, "<0x") && token[5] == '>'
}

// counts are the numbers of an example.
type counts struct {
	tokens, targets, images, crops, places int
}

func count(e *feed.Prepared, all []piece) (c counts) {
	c = counts{tokens: len(e.IDs), targets: e.Targets(), images: len(e.Images), crops: e.Crops()}
	for _, p := range all {
		if p.kind == images {
			c.places += p.tokens
		}
	}
	return c
}

// picture returns rgb as the standard library's encoders and the terminal take it.
func picture(rgb *imageproc.RGB) *image.RGBA {
	out := image.NewRGBA(image.Rect(0, 0, rgb.Width, rgb.Height))
	for i := range rgb.Width * rgb.Height {
		copy(out.Pix[4*i:], rgb.Pix[3*i:3*i+3])
		out.Pix[4*i+3] = 0xff
	}
	return out
}
