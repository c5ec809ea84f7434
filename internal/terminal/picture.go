package terminal

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"strings"

	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/ansi/iterm2"
	"github.com/charmbracelet/x/ansi/kitty"
	"github.com/charmbracelet/x/ansi/sixel"
	"golang.org/x/image/draw"
)

// Graphics is a way to show a picture between lines of text.
type Graphics uint8

// The ways, by what they ask of a terminal.
const (
	None   Graphics = iota // no pictures
	Blocks                 // two pixels a character cell, as coloured half blocks
	Sixel                  // DEC's, in xterm, foot, mlterm, Windows Terminal
	ITerm2                 // iTerm2, WezTerm, mintty, VS Code
	Kitty                  // kitty, Ghostty, Konsole
)

// String returns the name that the -pictures flag takes.
func (g Graphics) String() string {
	return [...]string{"none", "blocks", "sixel", "iterm2", "kitty"}[g]
}

// ParseGraphics returns the way called name, and false where there is none.
func ParseGraphics(name string) (Graphics, bool) {
	for g := None; g <= Kitty; g++ {
		if g.String() == name {
			return g, true
		}
	}
	return None, false
}

// DetectGraphics chooses a way from the environment. Terminals could be asked, but an
// answer that comes late, or not at all over a slow line, ends up in what the user
// types; the variables that they set are enough. Colours are the least a terminal
// must have: TERM=dumb and NO_COLOR give None.
func DetectGraphics(getenv func(string) string) Graphics {
	term, program := getenv("TERM"), getenv("TERM_PROGRAM")
	switch {
	case term == "" || term == "dumb" || getenv("NO_COLOR") != "":
		return None
	case getenv("TMUX") != "" || strings.HasPrefix(term, "screen"):
		return Blocks // a multiplexer swallows the protocols unless it is told not to
	case getenv("KITTY_WINDOW_ID") != "" || strings.Contains(term, "kitty") ||
		program == "ghostty" || strings.Contains(term, "ghostty") || getenv("KONSOLE_VERSION") != "":
		return Kitty
	case program == "iTerm.app" || program == "WezTerm" || program == "mintty" || program == "vscode" ||
		getenv("LC_TERMINAL") == "iTerm2":
		return ITerm2
	case strings.HasPrefix(term, "foot") || strings.HasPrefix(term, "mlterm") || strings.Contains(term, "sixel") ||
		getenv("WT_SESSION") != "":
		return Sixel
	case strings.Contains(term, "linux"):
		return None // the console has neither the half block nor the colours
	}
	return Blocks
}

// A cell is taken to be cellWidth by cellHeight pixels. Terminals differ, and a picture
// that comes out somewhat larger or smaller is no harm.
const (
	cellWidth  = 10
	cellHeight = 20
)

// Draw writes img to out, at most columns wide and rows high, in character cells, and
// leaves the cursor on the line after it. The picture keeps its aspect and is never
// enlarged beyond its own pixels.
func Draw(out io.Writer, g Graphics, img image.Image, columns, rows int) error {
	size := img.Bounds().Size()
	if g == None || size.X == 0 || size.Y == 0 || columns < 1 || rows < 1 {
		return nil
	}
	w, h := cellWidth, cellHeight
	if g == Blocks {
		w, h = 1, 2
	}
	img = shrink(img, columns*w, rows*h)
	var text string
	switch g {
	case Blocks:
		text = halfBlocks(img)
	case Sixel:
		var b bytes.Buffer
		if err := new(sixel.Encoder).Encode(&b, img); err != nil {
			return fmt.Errorf("terminal: sixel: %w", err)
		}
		text = ansi.SixelGraphics(0, 1, 0, b.Bytes()) + "\n"
	case ITerm2:
		data, err := pngBase64(img)
		if err != nil {
			return err
		}
		text = ansi.ITerm2(iterm2.File{Inline: true, Size: int64(base64.StdEncoding.DecodedLen(len(data))), Content: data}) + "\n"
	case Kitty:
		data, err := pngBase64(img)
		if err != nil {
			return err
		}
		text = kittyChunks(data) + "\n"
	}
	_, err := io.WriteString(out, text)
	return err
}

// shrink returns img no wider than w and no higher than h.
func shrink(img image.Image, w, h int) image.Image {
	size := img.Bounds().Size()
	scale := min(1, float64(w)/float64(size.X), float64(h)/float64(size.Y))
	to := image.Rect(0, 0, max(1, int(float64(size.X)*scale)), max(1, int(float64(size.Y)*scale)))
	small := image.NewRGBA(to)
	draw.CatmullRom.Scale(small, to, img, img.Bounds(), draw.Src, nil)
	return small
}

// halfBlocks draws two pixels a cell: the upper as the colour of ▀, the lower as its
// background.
func halfBlocks(img image.Image) string {
	var b strings.Builder
	r := img.Bounds()
	for y := r.Min.Y; y < r.Max.Y; y += 2 {
		for x := r.Min.X; x < r.Max.X; x++ {
			top := color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA)
			fmt.Fprintf(&b, "\x1b[38;2;%d;%d;%dm", top.R, top.G, top.B)
			if y+1 < r.Max.Y {
				low := color.NRGBAModel.Convert(img.At(x, y+1)).(color.NRGBA)
				fmt.Fprintf(&b, "\x1b[48;2;%d;%d;%dm", low.R, low.G, low.B)
			}
			b.WriteString("▀")
		}
		b.WriteString("\x1b[0m\n")
	}
	return b.String()
}

func pngBase64(img image.Image) ([]byte, error) {
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	return base64.StdEncoding.AppendEncode(nil, b.Bytes()), nil
}

// kittyChunks sends base64 in pieces of at most 4096 bytes, as that protocol wants.
// Quiet 2 asks the terminal not to answer: the answer would be read as typed.
func kittyChunks(data []byte) string {
	var b strings.Builder
	first := &kitty.Options{Action: kitty.TransmitAndPut, Format: kitty.PNG, Quiet: 2}
	options := first.Options()
	for {
		n := min(len(data), kitty.MaxChunkSize)
		more := "m=0"
		if n < len(data) {
			more = "m=1"
		}
		b.WriteString(ansi.KittyGraphics(data[:n], append(options, more)...))
		if data = data[n:]; len(data) == 0 {
			return b.String()
		}
		options = nil // the rest carry nothing but m
	}
}
