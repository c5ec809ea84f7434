package tokenizer

import (
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"
)

// typeOf returns the field type of the object that comes next, or "". It may stand
// behind others, so this looks ahead.
func (r *reader) typeOf() (kind string) {
	r.peek()
	start, depth := r.pos, r.depth
	r.object(func(key []byte) {
		if string(key) == "type" {
			kind = r.str()
		} else {
			r.skip()
		}
	})
	if r.err == nil {
		r.pos, r.depth = start, depth
	}
	return kind
}

// component reads an object whose type decides which fields it may have.
func (r *reader) component(part, supported string, kinds map[string]map[string]func()) (kind string) {
	kind = r.typeOf()
	fields, ok := kinds[kind]
	if !ok {
		r.failf("the %s %.60q is not supported, want %s", part, kind, supported)
		return kind
	}
	all := map[string]func(){"type": r.skip}
	maps.Copy(all, fields)
	r.fields("the "+part+" "+kind, all)
	return kind
}

const normalizers = "none, or Prepend, Replace of a string, or a Sequence of those"

func (f *file) readNormalizer(r *reader) {
	if r.null() {
		return
	}
	if r.depth > maxSteps { // each level is read twice
		r.failf("the normalizer is nested deeper than %d", maxSteps)
		return
	}
	var prepend string
	var replace replacement
	kind := r.component("normalizer", normalizers, map[string]map[string]func(){
		"Sequence": {"normalizers": func() { r.array(func(int) { f.readNormalizer(r) }) }},
		"Prepend":  {"prepend": func() { prepend = r.str() }},
		"Replace":  replace.fields(r),
	})
	switch {
	case kind == "Prepend":
		f.normalizer = append(f.normalizer, replacement{"", prepend})
	case kind == "Replace":
		replace.check(r)
		f.normalizer = append(f.normalizer, replace)
	}
	checkSteps(r, "normalizer", f.normalizer)
}

// The steps of a normalizer or a decoder each may make a text longer. These bound
// by how much all of them do: ▁ for a space makes three bytes of one.
const (
	maxSteps  = 16
	maxBefore = 64 // bytes of a Prepend
	maxGrowth = 8
)

func checkSteps(r *reader, part string, steps []replacement) {
	growth := 1
	for _, s := range steps {
		switch {
		case s.old != "":
			growth *= max(1, min(maxGrowth+1, (len(s.new)+len(s.old)-1)/len(s.old)))
		case len(s.new) > maxBefore:
			r.failf("the %s has a Prepend of %d bytes, want at most %d", part, len(s.new), maxBefore)
		}
		if growth > maxGrowth {
			r.failf("the %s makes a text more than %d times as long", part, maxGrowth)
		}
	}
	if len(steps) > maxSteps {
		r.failf("the %s has more than %d steps", part, maxSteps)
	}
}

// fields reads a Replace.
func (p *replacement) fields(r *reader) map[string]func() {
	return map[string]func(){
		"pattern": func() {
			r.object(func(key []byte) {
				if string(key) != "String" {
					r.failf("Replace of a %.40s is not supported, want a String", key)
				}
				p.old = r.str()
			})
		},
		"content": func() { p.new = r.str() },
	}
}

func (p *replacement) check(r *reader) {
	if p.old == "" {
		r.failf("Replace of an empty pattern, want at least one character")
	}
}

func (f *file) readPreTokenizer(r *reader) {
	if r.null() {
		return
	}
	f.metaspace = r.metaspace("pre_tokenizer", "none, or Metaspace")
}

// metaspace reads the object of that name, a pre-tokenizer and a decoder.
func (r *reader) metaspace(part, supported string) *metaspace {
	m := &metaspace{split: true}
	scheme, prefix := "always", true
	r.component(part, supported, map[string]map[string]func(){"Metaspace": {
		"replacement":      func() { m.mark = r.str() },
		"prepend_scheme":   func() { scheme = r.str() },
		"add_prefix_space": func() { prefix = r.bool() }, // of older files
		"split":            func() { m.split = r.bool() },
		"str_rep":          r.skip, // of older files: the replacement again
	}})
	m.always, m.first = scheme == "always", scheme == "first"
	switch {
	case utf8.RuneCountInString(m.mark) != 1:
		r.failf("Metaspace has the replacement %.40q, want one character", m.mark)
	case !m.always && !m.first && scheme != "never":
		r.failf("Metaspace has the prepend_scheme %.40q, want always, first or never", scheme)
	case !prefix && scheme != "never":
		r.failf("Metaspace has add_prefix_space false with the prepend_scheme %q, want never", scheme)
	}
	return m
}

func (f *file) readPostProcessor(r *reader) {
	if r.null() {
		return
	}
	f.templates = make(map[string][]int32)
	bodies := 0
	r.component("post_processor", "none, or TemplateProcessing", map[string]map[string]func(){"TemplateProcessing": {
		"single": func() {
			r.array(func(int) {
				token, body := r.templatePart()
				switch {
				case body:
					bodies++
				case bodies == 0:
					f.prefix = append(f.prefix, token)
				default:
					f.suffix = append(f.suffix, token)
				}
			})
		},
		"pair": r.skip,
		"special_tokens": func() {
			r.object(func(key []byte) { f.readTemplateToken(r, string(key)) })
		},
	}})
	if bodies != 1 {
		r.failf("the single template has the text %d times, want once", bodies)
	}
}

// templatePart reads {"SpecialToken": {"id": "<s>", "type_id": 0}}, or the same with Sequence and A.
func (r *reader) templatePart() (token string, body bool) {
	of := func(id *string) func() {
		return func() {
			r.fields("a part of the template", map[string]func(){"id": func() { *id = r.str() }, "type_id": r.skip})
		}
	}
	var sequence string
	r.fields("a part of the template", map[string]func(){"SpecialToken": of(&token), "Sequence": of(&sequence)})
	if (token == "") == (sequence == "") || sequence != "" && sequence != "A" {
		r.failf("the single template has a part that is neither a SpecialToken nor the Sequence A")
	}
	return token, sequence != ""
}

func (f *file) readTemplateToken(r *reader, name string) {
	ids := []int32{}
	r.fields("special token "+strconv.Quote(name), map[string]func(){
		"id":     r.skip,
		"ids":    func() { r.array(func(int) { ids = append(ids, int32(r.int(maxFile))) }) },
		"tokens": r.skip,
	})
	f.templates[name] = ids
}

const decoders = "a Sequence of Replace, ByteFallback, Fuse and Strip in this order, or Metaspace"

func (f *file) readDecoder(r *reader) {
	if r.peek() != '{' {
		r.failf("the decoder is %s, want %s", r.kind(), decoders)
		return
	}
	if r.typeOf() == "Metaspace" {
		m := r.metaspace("decoder", decoders)
		f.replace = []replacement{{m.mark, " "}}
		if m.always || m.first {
			f.decoder.drop = m.mark
		}
		return
	}
	place := 0 // how far in the order of steps the decoder has come
	r.component("decoder", decoders, map[string]map[string]func(){"Sequence": {
		"decoders": func() { r.array(func(int) { f.readStep(r, &place) }) },
	}})
}

// readStep reads one decoder of a Sequence.
func (f *file) readStep(r *reader, place *int) {
	var replace replacement
	var strip struct {
		content     string
		start, stop int
	}
	kind := r.component("decoder", decoders, map[string]map[string]func(){
		"Replace":      replace.fields(r),
		"ByteFallback": {},
		"Fuse":         {},
		"Strip": {
			"content": func() { strip.content = r.str() },
			"start":   func() { strip.start = r.int(maxFile) },
			"stop":    func() { strip.stop = r.int(maxFile) },
		},
	})
	if r.err != nil {
		return
	}
	was := *place
	*place = slices.Index([]string{"Replace", "ByteFallback", "Fuse", "Strip"}, kind)
	switch {
	case *place < was || *place == was && kind == "Strip":
		r.failf("the decoder has %s too late, want %s", kind, decoders)
	case kind == "Replace":
		replace.check(r)
		f.replace = append(f.replace, replace)
		checkSteps(r, "decoder", f.replace)
	case kind == "ByteFallback":
		f.decoder.bytes = []int16{}
	case kind == "Strip" && (was != 2 || strip.stop != 0 || utf8.RuneCountInString(strip.content) != 1):
		r.failf("Strip of %.40q, stop %d, is not supported, want one character, stop 0, after Fuse", strip.content, strip.stop)
	case kind == "Strip":
		f.decoder.strip, f.decoder.times = strip.content, strip.start
	}
}
