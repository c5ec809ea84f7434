package preview

import (
	"fmt"
	"io"
	"strings"

	"idefics2/feed"
	"idefics2/internal/terminal"
	"idefics2/processor"
)

// Terminal writes one example to a terminal: its pictures where the terminal can show them,
// and its text, with what carries loss in green and underlined. Without colours it stands
// between ⟦ and ⟧.
func Terminal(w io.Writer, p *processor.Processor, e *feed.Prepared, graphics terminal.Graphics, colours bool, columns int) error {
	all := pieces(p.Tokenizer(), p.ImageID(), e.IDs, e.Labels)
	c := count(e, all)
	var b strings.Builder
	paint := func(sgr, text string) string {
		if !colours {
			return text
		}
		return "\x1b[" + sgr + "m" + text + "\x1b[0m"
	}
	fmt.Fprintf(&b, "%s  %s\n", paint("1", terminal.Clean(fmt.Sprintf("%s, draw %d", e.Draw.Part, e.Draw.Number))), paint("2", oneLine(e.Origin)))
	fmt.Fprintf(&b, "%s\n", paint("2", fmt.Sprintf("%d tokens, %d carry loss; %d pictures in %d crops take %d tokens", c.tokens, c.targets, c.images, c.crops, c.places)))
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("preview: %w", err)
	}
	for i := range e.Images {
		crops := e.Images[i].Crops
		last := crops[len(crops)-1] // the whole, where it was split
		if err := terminal.Draw(w, graphics, picture(last.RGB), min(columns, 60), 16); err != nil {
			return fmt.Errorf("preview: %w", err)
		}
		line := fmt.Sprintf("picture %d: %d×%d, read as", i+1, e.Images[i].RGB.Width, e.Images[i].RGB.Height)
		for _, crop := range crops {
			line += fmt.Sprintf(" %d×%d", crop.RGB.Width, crop.RGB.Height)
		}
		if _, err := fmt.Fprintln(w, paint("2", line)); err != nil {
			return fmt.Errorf("preview: %w", err)
		}
	}
	b.Reset()
	loss := false
	for _, piece := range all {
		text := terminal.Clean(piece.text)
		if piece.kind == images {
			text = fmt.Sprintf("[%s × %d]", text, piece.tokens)
		}
		if !colours && piece.loss != loss {
			b.WriteString(map[bool]string{true: "⟦", false: "⟧"}[piece.loss])
			loss = piece.loss
		}
		switch {
		case piece.loss:
			text = strings.ReplaceAll(text, "\n", "↵\n") // an underlined newline cannot be seen
			b.WriteString(paint("4;32", text))
		case piece.kind != plain:
			b.WriteString(paint("36", text))
		default:
			b.WriteString(text)
		}
	}
	if loss {
		b.WriteString("⟧")
	}
	b.WriteString("\n\n")
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("preview: %w", err)
	}
	return nil
}

// oneLine makes a name harmless and short.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(terminal.Clean(s)), " ")
	if r := []rune(s); len(r) > 100 {
		s = string(r[:100]) + "…"
	}
	return s
}
