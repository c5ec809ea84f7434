package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"idefics2/internal/terminal"
	"idefics2/tokenizer"
)

var tokenizeCmd = command{
	name: "tokenize",
	args: "[-model M] [-decode] [-jsonl] [FLAGS] < TEXT",
	help: "turn text into token ids, or back",
	more: `Text is all of standard input, to its last byte, and ids are printed on one line; with -decode ids
come in, separated by spaces, commas or brackets. With -jsonl each line is one text, a
JSON string, and each answer a JSON array of ids, or with -decode the other way.`,
	examples: []example{
		{"ids of a text", `printf 'Hello world' | idefics2 tokenize -model DIR`},
		{"each token and what it is spelled like", `printf 'Hello world' | idefics2 tokenize -model DIR -v`},
		{"and back", `echo 1 22557 1526 | idefics2 tokenize -model DIR -decode`},
	},
	new: func(f *flags) runFunc {
		var t tokenize
		m := new(modelFlags)
		f.group("Tokens", func() {
			f.StringVar(&m.model, "model", "", "`MODEL`: a folder, or a name in the local Hugging Face cache")
			f.BoolVar(&t.decode, "decode", false, "ids to text")
			f.BoolVar(&t.raw, "raw", false, "recognize special tokens in the text, as the reference does")
			f.BoolVar(&t.keep, "keep-special", false, "keep special tokens in decoded text")
		})
		f.group("Input and output", func() {
			f.BoolVar(&t.jsonl, "jsonl", false, "a JSON string or array a line")
			f.BoolVar(&t.verbose, "v", false, "print each id and its token, a line each")
		})
		return func(ctx context.Context, std stdio, args []string) error {
			if len(args) > 0 {
				return misused("tokenize reads standard input and takes no arguments", f.hint())
			}
			p, err := m.processor(std)
			if err != nil {
				return err
			}
			t.tokenizer = p.Tokenizer()
			out := bufio.NewWriter(std.out)
			if t.jsonl {
				err = t.lines(ctx, std.in, out)
			} else {
				err = t.whole(std.in, out, terminal.Is(std.out))
			}
			return errors.Join(err, out.Flush())
		}
	},
}

type tokenize struct {
	tokenizer                         *tokenizer.Tokenizer
	decode, raw, keep, jsonl, verbose bool
}

// maxText bounds one text, or one line of them.
const maxText = 64 << 20

// whole treats all of standard input as one text, or one list of ids.
func (t *tokenize) whole(in io.Reader, out io.Writer, screen bool) error {
	data, err := io.ReadAll(io.LimitReader(in, maxText+1))
	if err != nil {
		return err
	}
	if len(data) > maxText {
		return fmt.Errorf("text of more than %d MiB; -jsonl takes any number of texts, a line each", maxText>>20)
	}
	w := &printer{w: out}
	if t.decode {
		ids, err := looseIDs(string(data))
		if err != nil {
			return err
		}
		text, err := t.text(ids)
		if err != nil {
			return err
		}
		if screen {
			text = terminal.Clean(text)
		}
		w.printf("%s\n", text)
		return w.err
	}
	ids := t.ids(string(data))
	if !t.verbose {
		for i, id := range ids {
			if i > 0 {
				w.printf(" ")
			}
			w.printf("%d", id)
		}
		w.printf("\n")
		return w.err
	}
	for _, id := range ids {
		piece, _ := t.tokenizer.Token(id)
		w.printf("%d\t%q\n", id, piece)
	}
	return w.err
}

// lines treats each line as one.
func (t *tokenize) lines(ctx context.Context, in io.Reader, out *bufio.Writer) error {
	lines := bufio.NewReaderSize(in, 1<<16)
	for at := 1; ; at++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		line, err := readLine(lines, maxText)
		if err == io.EOF {
			return nil
		}
		if err == nil {
			if len(line) == 0 {
				continue
			}
			err = t.line(line, out)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", at, err)
		}
		if lines.Buffered() == 0 { // somebody may be waiting for it
			if err := out.Flush(); err != nil {
				return err
			}
		}
	}
}

func (t *tokenize) line(line []byte, out io.Writer) error {
	if t.decode {
		var ids []int32
		if err := json.Unmarshal(line, &ids); err != nil {
			return fmt.Errorf("want a JSON array of ids: %w", err)
		}
		text, err := t.text(ids)
		if err != nil {
			return err
		}
		return writeJSON(out, text)
	}
	var text string
	if err := json.Unmarshal(line, &text); err != nil {
		return fmt.Errorf("want a JSON string: %w", err)
	}
	ids := t.ids(text)
	if ids == nil {
		ids = []int32{}
	}
	return writeJSON(out, ids)
}

func (t *tokenize) ids(text string) []int32 {
	if t.raw {
		return t.tokenizer.EncodeRaw(text)
	}
	return t.tokenizer.Encode(text)
}

func (t *tokenize) text(ids []int32) (string, error) {
	for i, id := range ids {
		if _, ok := t.tokenizer.Token(id); !ok {
			return "", fmt.Errorf("id %d at place %d: this tokenizer has ids 0 to %d", id, i, t.tokenizer.Size()-1)
		}
	}
	return t.tokenizer.Decode(ids, t.keep), nil
}

// looseIDs reads ids however they are separated.
func looseIDs(text string) (ids []int32, err error) {
	fields := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n,;[]", r) })
	for _, field := range fields {
		one, err := parseIDs(field)
		if err != nil {
			return nil, fmt.Errorf("%.40q: want token ids", field)
		}
		ids = append(ids, one...)
	}
	return ids, nil
}
