// Package chat turns messages into the one prompt that the model reads.
//
// A conversation is a list of [Message]: who speaks, and texts and images in order.
// [ParseRequest] reads one from JSON, in Hugging Face's form or OpenAI's. A [Template],
// the checkpoint's own, renders it: templates are written in Jinja, and [ParseTemplate]
// interprets the subset that chat templates use, set up as Hugging Face's transformers
// sets jinja2 up (sandbox without mutation, trim_blocks, lstrip_blocks, loop controls,
// generation blocks, raise_exception, strftime_now and its own tojson).
//
// Templates come from strangers. They have no access to files, run within [Limits] of
// steps, memory and output, and every fault is an [Error] with line and column.
package chat

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// DefaultTemplate is the chat template that the released Idefics2 checkpoints carry:
// data of the model, here for folders that lack it.
const DefaultTemplate = "{% for message in messages %}{{message['role'].capitalize()}}" +
	"{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}" +
	"{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}" +
	"{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n" +
	"{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"

// maxSource bounds the size of a template in bytes; the largest in the wild have 20 kB.
const maxSource = 1 << 20

// Template is a parsed chat template. It is safe for use from many goroutines.
type Template struct {
	// Now is the clock of strftime_now; nil is time.Now.
	Now func() time.Time

	src  string
	body []stmt
}

// Limits bound what one rendering may use, so that a hostile template stops early. The
// zero value of each field is its default.
type Limits struct {
	Steps  int // expressions, statements and items handled, 256 bytes of text count as one; 2 million
	Output int // bytes of the prompt; 64 MiB
	Memory int // bytes of strings and lists made on the way, summed up; 512 MiB
	Depth  int // macros, recursive loops and nested values within one another; 200
}

func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		field *int
		value int
	}{{&l.Steps, 2_000_000}, {&l.Output, 64 << 20}, {&l.Memory, 512 << 20}, {&l.Depth, 200}} {
		if *f.field <= 0 {
			*f.field = f.value
		}
	}
	return l
}

// Kind sorts the faults of templates.
type Kind string

// The kinds of [Error]. The reference raises TemplateSyntaxError, UndefinedError,
// SecurityError, TypeError, TemplateError (raise_exception) and other Python errors.
const (
	KindSyntax      Kind = "syntax error"
	KindUnsupported Kind = "unsupported"
	KindUndefined   Kind = "undefined"
	KindSecurity    Kind = "forbidden"
	KindType        Kind = "type error"
	KindRuntime     Kind = "error"
	KindRaised      Kind = "the template refuses" // by raise_exception: the messages do not suit it
	KindBudget      Kind = "over budget"
)

// Error is a fault in a template or of its rendering.
type Error struct {
	Kind         Kind
	Line, Column int // in the template's source, from 1; columns count code points
	Message      string
}

func (e *Error) Error() string {
	return fmt.Sprintf("chat: template line %d, column %d: %s: %s", e.Line, e.Column, e.Kind, e.Message)
}

// ParseTemplate reads a chat template. Errors are of type *Error.
func ParseTemplate(src string) (t *Template, err error) {
	if len(src) > maxSource {
		return nil, &Error{KindBudget, 1, 1, fmt.Sprintf("template of %d bytes, at most %d", len(src), maxSource)}
	}
	if !utf8.ValidString(src) {
		return nil, &Error{KindSyntax, 1, 1, "the template is not valid UTF-8"}
	}
	// As jinja2: all newlines become \n, and one at the very end is dropped.
	src = strings.ReplaceAll(strings.ReplaceAll(src, "\r\n", "\n"), "\r", "\n")
	src = strings.TrimSuffix(src, "\n")
	defer catch(&err)
	return &Template{src: src, body: parse(src)}, nil
}

// Render runs the template over vars, whose values are as [Value] says. The usual
// names are messages, add_generation_prompt, bos_token, eos_token, tools and documents;
// a missing one is undefined. Errors are of type *Error.
func (t *Template) Render(vars map[string]Value, limits Limits) (prompt string, err error) {
	s := &state{src: t.src, limits: limits.withDefaults(), now: t.Now}
	s.root = &scope{vars: make(map[string]Value, len(vars)), parent: &scope{vars: vars, parent: globals}}
	s.out = new(strings.Builder)
	defer catch(&err)
	s.run(t.body, s.root)
	return s.out.String(), nil
}

// Parser and interpreter report errors by panicking with a *Error, as text/template
// does: nearly every function of them can fail, and none can go on. Other panics are
// bugs of ours and pass.
func catch(err *error) {
	switch e := recover().(type) {
	case nil:
	case *Error:
		*err = e
	default:
		panic(e)
	}
}

// position returns line and column of the byte at offset in src, from 1.
func position(src string, offset int) (line, column int) {
	before := src[:min(offset, len(src))]
	line = 1 + strings.Count(before, "\n")
	return line, 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
}

// IsRaised reports whether err is the template's own refusal of the messages
// (raise_exception), and returns its words.
func IsRaised(err error) (message string, ok bool) {
	var e *Error
	if errors.As(err, &e) && e.Kind == KindRaised {
		return e.Message, true
	}
	return "", false
}

// maxMessage bounds the words of an error in bytes: they may quote the user's.
const maxMessage = 2000

// valueSize is what one Value takes in a list, in bytes.
const valueSize = 16

// state is one rendering under way.
type state struct {
	src    string
	limits Limits
	now    func() time.Time
	root   *scope           // what the template sets at its top level
	out    *strings.Builder // where output goes now: the prompt, or what a macro returns
	at     int              // offset in src of what is being evaluated

	steps, memory, depth, frames int
}

func (s *state) fail(kind Kind, format string, args ...any) {
	line, column := position(s.src, s.at)
	message := fmt.Sprintf(format, args...)
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + "…"
	}
	panic(&Error{kind, line, column, message})
}

// step counts one unit of work.
func (s *state) step() {
	s.steps++
	if s.steps > s.limits.Steps {
		s.fail(KindBudget, "more than %d steps", s.limits.Steps)
	}
}

// charge counts the work of going over n bytes.
func (s *state) charge(n int) {
	s.steps += n / 256
	s.step()
}

// alloc asks for n bytes before they are taken.
func (s *state) alloc(n int) {
	s.charge(n)
	if n > s.limits.Memory-s.memory {
		s.fail(KindBudget, "more than %d bytes of strings and lists", s.limits.Memory)
	}
	s.memory += n
}

// allocMany asks for count pieces of n bytes, a product that may overflow.
func (s *state) allocMany(n int, count int64) {
	if n > 0 && count > int64(s.limits.Memory/n) {
		s.fail(KindBudget, "more than %d bytes of strings and lists", s.limits.Memory)
	}
	s.alloc(n * int(count))
}

// enter goes one level deeper and returns what comes back up.
func (s *state) enter() func() {
	s.depth++
	if s.depth > s.limits.Depth {
		s.fail(KindBudget, "recursion deeper than %d levels", s.limits.Depth)
	}
	return func() { s.depth-- }
}

// print appends to the output.
func (s *state) print(text string) {
	s.charge(len(text))
	if len(text) > s.limits.Output-s.out.Len() {
		s.fail(KindBudget, "more than %d bytes of output", s.limits.Output)
	}
	s.out.WriteString(text)
}

// capture returns what f prints.
func (s *state) capture(f func()) string {
	outer := s.out
	s.out = new(strings.Builder)
	f()
	text := s.out.String()
	s.out = outer
	s.alloc(len(text))
	return text
}
