package terminal

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi/sixel"
)

func TestIs(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "plain"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, f := range []any{file, new(bytes.Buffer), nil} {
		if Is(f) {
			t.Errorf("Is(%T) = true", f)
		}
		if got := Columns(f); got != defaultColumns {
			t.Errorf("Columns(%T) = %d, want %d", f, got, defaultColumns)
		}
	}
}

func TestClean(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"plain text", "naïve 価格 🚂\n\ttab", "naïve 価格 🚂\n\ttab"},
		{"colour", "a\x1b[31;1mred\x1b[0mb", "aredb"},
		{"cursor up and erase", "42\x1b[1A\x1b[2K43", "4243"},
		{"carriage return cannot overwrite a line", "42\r43\r\n", "4243\n"},
		{"backspace, bell, delete", "a\bb\ac\x7fd", "abcd"},
		{"title, ended by bell", "x\x1b]0;title\ay", "xy"},
		{"clipboard, ended by ST", "x\x1b]52;c;aGk=\x1b\\y", "xy"},
		{"eight-bit CSI", "x\u009b31my", "xy"},
		{"eight-bit OSC and ST", "x\u009d0;title\u009cy", "xy"},
		{"device control", "x\x1bP1;0qdata\x1b\\y", "xy"},
		{"character set", "x\x1b(By", "xy"},
		{"reset", "x\x1bcy", "xy"},
		{"escape twice", "x\x1b\x1b[31my", "xy"},
		{"an opening without an end loses its line and no more", "x\x1b]0;lost\nnext", "x\nnext"},
		{"byte that is no UTF-8", "x\x9b31my", "x\ufffd31my"},
		{"escape at the end", "x\x1b", "x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Clean(tt.in); got != tt.want {
				t.Errorf("Clean(%q) = %q, want %q", tt.in, got, tt.want)
			}
			var b strings.Builder // the same, a character at a time
			c := NewCleaner(&b)
			for rest := tt.in; rest != ""; {
				_, size := utf8.DecodeRuneInString(rest)
				c.WriteString(rest[:size])
				rest = rest[size:]
			}
			if b.String() != tt.want {
				t.Errorf("in pieces: %q, want %q", b.String(), tt.want)
			}
		})
	}
}

// An escape sequence without an end must not swallow an answer however long.
func TestCleanBounded(t *testing.T) {
	got := Clean("\x1b]0;" + strings.Repeat("a", 3*maxSequence))
	if len(got) < maxSequence {
		t.Errorf("%d characters left of %d", len(got), 3*maxSequence)
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a\x1b[31mb")
	f.Add("\x1b]0;t\a\u009b1m\x1bPq\x1b\\")
	f.Fuzz(func(t *testing.T, s string) {
		got := Clean(s)
		for _, r := range got {
			if r < 0x20 && r != '\n' && r != '\t' || r >= 0x7F && r <= 0x9F {
				t.Fatalf("Clean(%q) = %q holds %U", s, got, r)
			}
		}
		if again := Clean(got); again != got {
			t.Fatalf("Clean is not idempotent: %q, then %q", got, again)
		}
	})
}

// On a fake clock: a bar is drawn only for a stage that outlasts Delay.
func TestProgress(t *testing.T) {
	steps := func(p *Progress, name string, n int, each time.Duration) {
		for i := range n {
			p.Count(name, int64(i), int64(n))
			time.Sleep(each)
		}
		p.Count(name, int64(n), int64(n))
	}
	tests := []struct {
		name string
		tty  bool
		work func(p *Progress)
		want []string // stages that appeared
	}{
		{"short work is silent", true, func(p *Progress) { steps(p, "load", 4, 100*time.Millisecond) }, nil},
		{"long work is shown", true, func(p *Progress) { steps(p, "load", 10, 100*time.Millisecond) }, []string{"load"}},
		{"each stage has its own clock", true, func(p *Progress) {
			steps(p, "load", 4, 100*time.Millisecond)
			steps(p, "prefill", 4, 100*time.Millisecond)
		}, nil},
		{"a stage that reports once is shown too", true, func(p *Progress) { steps(p, "image", 1, 2*time.Second) }, []string{"image"}},
		{"a stage may run again", true, func(p *Progress) {
			steps(p, "prefill", 2, time.Second)
			p.Close()
			steps(p, "prefill", 2, time.Second)
		}, []string{"prefill"}},
		{"two at once", true, func(p *Progress) {
			p.Count("image", 0, 2)
			p.Bytes("load", 0, 1<<20)
			time.Sleep(time.Second)
			p.Bytes("load", 1<<19, 1<<20)
			time.Sleep(time.Second)
		}, []string{"image", "load"}},
		{"nothing where there is no terminal", false, func(p *Progress) { steps(p, "load", 10, time.Second) }, nil},
		{"nothing to do", true, func(p *Progress) { p.Count("load", 0, 0) }, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				p := newProgress(&out, tt.tty)
				tt.work(p)
				p.Close()
				text := out.String()
				if len(tt.want) == 0 && text != "" {
					t.Errorf("drew %q, want nothing", text)
				}
				for _, name := range tt.want {
					if !strings.Contains(text, name) {
						t.Errorf("no bar called %s in %q", name, text)
					}
				}
			})
		})
	}
}

func TestDetectGraphics(t *testing.T) {
	tests := []struct {
		name string
		env  map[string]string
		want Graphics
	}{
		{"nothing known", nil, None},
		{"dumb", map[string]string{"TERM": "dumb"}, None},
		{"no colour wanted", map[string]string{"TERM": "xterm-kitty", "NO_COLOR": "1"}, None},
		{"linux console", map[string]string{"TERM": "linux"}, None},
		{"any other", map[string]string{"TERM": "xterm-256color"}, Blocks},
		{"kitty", map[string]string{"TERM": "xterm-kitty"}, Kitty},
		{"ghostty", map[string]string{"TERM": "xterm-ghostty"}, Kitty},
		{"konsole", map[string]string{"TERM": "xterm-256color", "KONSOLE_VERSION": "230804"}, Kitty},
		{"iTerm2", map[string]string{"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, ITerm2},
		{"iTerm2 over ssh", map[string]string{"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, ITerm2},
		{"WezTerm", map[string]string{"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, ITerm2},
		{"foot", map[string]string{"TERM": "foot"}, Sixel},
		{"Windows Terminal", map[string]string{"TERM": "xterm-256color", "WT_SESSION": "x"}, Sixel},
		{"kitty under tmux", map[string]string{"TERM": "tmux-256color", "TMUX": "x", "KITTY_WINDOW_ID": "1"}, Blocks},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := DetectGraphics(func(k string) string { return tt.env[k] }); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
	for g := None; g <= Kitty; g++ {
		if got, ok := ParseGraphics(g.String()); !ok || got != g {
			t.Errorf("ParseGraphics(%q) = %v, %v", g.String(), got, ok)
		}
	}
	if _, ok := ParseGraphics("ascii"); ok {
		t.Error("ParseGraphics accepts ascii")
	}
}

// gradient is a picture whose every pixel differs from its neighbours.
func gradient(w, h int) image.Image {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.Set(x, y, color.RGBA{uint8(x * 5), uint8(y * 7), uint8(x * y), 255})
		}
	}
	return m
}

func drawn(t *testing.T, g Graphics, img image.Image, columns, rows int) string {
	t.Helper()
	var b strings.Builder
	if err := Draw(&b, g, img, columns, rows); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Each protocol is decoded again by its own rules, and must hold the picture.
func TestDraw(t *testing.T) {
	img := gradient(40, 30)
	t.Run("none", func(t *testing.T) {
		if got := drawn(t, None, img, 80, 20); got != "" {
			t.Errorf("drew %q", got)
		}
	})
	t.Run("kitty", func(t *testing.T) {
		big := image.NewRGBA(image.Rect(0, 0, 200, 200))
		noise := rand.New(rand.NewPCG(1, 2)) // does not compress
		for i := range big.Pix {
			big.Pix[i] = byte(noise.Uint32())
			if i%4 == 3 {
				big.Pix[i] = 255
			}
		}
		chunk := regexp.MustCompile(`\x1b_G([^;]*);([^\x1b]*)\x1b\\`)
		chunks := chunk.FindAllStringSubmatch(drawn(t, Kitty, big, 80, 20), -1)
		if len(chunks) < 2 {
			t.Fatalf("%d chunks of a large picture", len(chunks))
		}
		var data string
		for i, c := range chunks {
			if len(c[2]) > 4096 {
				t.Errorf("chunk %d has %d bytes, more than 4096", i, len(c[2]))
			}
			if last := i == len(chunks)-1; strings.Contains(c[1], "m=1") == last {
				t.Errorf("chunk %d of %d says %q", i, len(chunks), c[1])
			}
			data += c[2]
		}
		if head := chunks[0][1]; !strings.Contains(head, "f=100") || !strings.Contains(head, "a=T") || !strings.Contains(head, "q=2") {
			t.Errorf("first chunk says %q", head)
		}
		same(t, decodePNG(t, data), big)
	})
	t.Run("iterm2", func(t *testing.T) {
		got := drawn(t, ITerm2, img, 80, 20)
		m := regexp.MustCompile(`^\x1b\]1337;File=size=\d+;inline=1:([^\a]*)\a\n$`).FindStringSubmatch(got)
		if m == nil {
			t.Fatalf("%.80q", got)
		}
		same(t, decodePNG(t, m[1]), img)
	})
	t.Run("sixel", func(t *testing.T) {
		got := drawn(t, Sixel, img, 80, 20)
		body, ok := strings.CutPrefix(got, "\x1bP0;1q")
		if !ok || !strings.HasSuffix(body, "\x1b\\\n") {
			t.Fatalf("%.40q", got)
		}
		back, err := new(sixel.Decoder).Decode(strings.NewReader(strings.TrimSuffix(body, "\x1b\\\n")))
		if err != nil {
			t.Fatal(err)
		}
		if size := back.Bounds().Size(); size != image.Pt(40, 30) {
			t.Errorf("size %v", size)
		}
	})
	t.Run("blocks", func(t *testing.T) {
		two := image.NewRGBA(image.Rect(0, 0, 1, 3))
		two.Set(0, 0, color.RGBA{1, 2, 3, 255})
		two.Set(0, 1, color.RGBA{4, 5, 6, 255})
		two.Set(0, 2, color.RGBA{7, 8, 9, 255})
		want := "\x1b[38;2;1;2;3m\x1b[48;2;4;5;6m▀\x1b[0m\n\x1b[38;2;7;8;9m▀\x1b[0m\n"
		if got := drawn(t, Blocks, two, 10, 10); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestDrawFits(t *testing.T) {
	tests := []struct {
		w, h, columns, rows int
		cells               image.Point // of half blocks
	}{
		{100, 100, 40, 10, image.Pt(20, 10)},
		{1000, 10, 40, 10, image.Pt(40, 1)},
		{10, 1000, 40, 10, image.Pt(1, 10)},
		{5, 4, 40, 10, image.Pt(5, 2)},
		{3000, 1, 40, 10, image.Pt(40, 1)},
	}
	for _, tt := range tests {
		lines := strings.Split(strings.TrimSuffix(drawn(t, Blocks, gradient(tt.w, tt.h), tt.columns, tt.rows), "\n"), "\n")
		got := image.Pt(strings.Count(lines[0], "▀"), len(lines))
		if got != tt.cells {
			t.Errorf("%dx%d in %dx%d: %v cells, want %v", tt.w, tt.h, tt.columns, tt.rows, got, tt.cells)
		}
	}
}

func decodePNG(t *testing.T, text string) image.Image {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func same(t *testing.T, got, want image.Image) {
	t.Helper()
	if got.Bounds() != want.Bounds() {
		t.Fatalf("bounds %v, want %v", got.Bounds(), want.Bounds())
	}
	r := want.Bounds()
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			gr, gg, gb, _ := got.At(x, y).RGBA()
			wr, wg, wb, _ := want.At(x, y).RGBA()
			if gr != wr || gg != wg || gb != wb {
				t.Fatalf("pixel %d,%d: %v, want %v", x, y, got.At(x, y), want.At(x, y))
			}
		}
	}
}

func ExampleClean() {
	fmt.Println(Clean("The total is \x1b[31m42\x1b[0m.\x1b]0;gotcha\a"))
	// Output: The total is 42.
}

func ExampleDetectGraphics() {
	env := map[string]string{"TERM": "xterm-kitty"}
	fmt.Println(DetectGraphics(func(name string) string { return env[name] }))
	// Output: kitty
}
