package tokenizer

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
)

// file is a tokenizer.json as it is read, before its parts have met.
type file struct {
	added      []addedToken
	normalizer []replacement
	metaspace  *metaspace
	prefix     []string // tokens of the post-processor
	suffix     []string
	templates  map[string][]int32 // what those tokens are
	decoder    decoder
	replace    []replacement // of the decoder

	vocab    map[string]int32
	tokens   []string // by id
	rules    []rule
	merge    []byte // the pieces of the merge being read
	unknown  string
	fuse     bool
	fallback bool
	whole    bool
	model    bool // was there
}

// Parse reads a tokenizer.json of at most 64 MiB. Supported is what tokenizers of
// SentencePiece's kind are made of, and anything else is refused by name:
//
//   - model: BPE, with or without byte_fallback, fuse_unk and ignore_merges; merges
//     as ["a", "b"] or "a b"; without dropout, prefix and suffix
//   - normalizer: none, Prepend, Replace of a string, and Sequences of them
//   - pre_tokenizer: none, or Metaspace in all its schemes
//   - post_processor: none, or TemplateProcessing (of which the single form is used)
//   - decoder: Sequence of Replace, ByteFallback, Fuse and Strip in this order, each optional; or Metaspace
//   - added_tokens with all their flags
//
// Truncation and padding are not applied, as transformers overrules both. Ids
// have to be 0 to n-1 without a hole, as tokenizers would count them. An error names
// the place in the file, what was found there and what was wanted.
func Parse(data []byte) (*Tokenizer, error) {
	if len(data) > maxFile {
		return nil, fmt.Errorf("tokenizer: the file has more than %d bytes: a tokenizer.json is smaller", maxFile)
	}
	f := new(file)
	r := &reader{data: data}
	f.read(r)
	r.end()
	if r.err != nil {
		return nil, fmt.Errorf("tokenizer: %w", r.err)
	}
	t, err := f.build()
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	return t, nil
}

func (f *file) read(r *reader) {
	decoder := false
	r.fields("the file", map[string]func(){
		"version": func() {
			if v := r.str(); v != "1.0" {
				r.failf("version %.40q, want \"1.0\"", v)
			}
		},
		"truncation":     r.skip,
		"padding":        r.skip,
		"added_tokens":   func() { r.array(func(int) { f.readAdded(r) }) },
		"normalizer":     func() { f.readNormalizer(r) },
		"pre_tokenizer":  func() { f.readPreTokenizer(r) },
		"post_processor": func() { f.readPostProcessor(r) },
		"decoder":        func() { decoder = true; f.readDecoder(r) },
		"model":          func() { f.model = true; f.readModel(r) },
	})
	switch {
	case !f.model:
		r.failf("there is no model, want one of type BPE: is this a tokenizer.json?")
	case !decoder:
		r.failf("there is no decoder, want %s", decoders)
	}
}

func (f *file) readAdded(r *reader) {
	var t addedToken
	var hasID bool
	r.fields("an added token", map[string]func(){
		"id":          func() { t.id, hasID = int32(r.int(maxFile)), true },
		"content":     func() { t.content = r.str() },
		"single_word": func() { t.singleWord = r.bool() },
		"lstrip":      func() { t.lstrip = r.bool() },
		"rstrip":      func() { t.rstrip = r.bool() },
		"normalized":  func() { t.normalized = r.bool() },
		"special":     func() { t.special = r.bool() },
	})
	switch {
	case !hasID:
		r.failf("added token %.40q has no id", t.content)
	case t.content == "" || len(t.content) > maxAdded:
		r.failf("added token %d has a content of %d bytes, want 1 to %d", t.id, len(t.content), maxAdded)
	}
	f.added = append(f.added, t)
}

func (f *file) readModel(r *reader) {
	var merges int // where they begin
	none := func(name string) func() {
		return func() {
			if start := r.peek(); start == 'n' {
				r.null()
			} else if start != '"' || r.str() != "" {
				r.failf("the model has a %s, which is not supported, want null", name)
			}
		}
	}
	fields := map[string]func(){
		"dropout":                   func() { f.readDropout(r) },
		"unk_token":                 func() { f.readUnknown(r) },
		"continuing_subword_prefix": none("continuing_subword_prefix"),
		"end_of_word_suffix":        none("end_of_word_suffix"),
		"fuse_unk":                  func() { f.fuse = r.bool() },
		"byte_fallback":             func() { f.fallback = r.bool() },
		"ignore_merges":             func() { f.whole = r.bool() },
		"vocab":                     func() { f.readVocab(r) },
		"merges":                    func() { r.peek(); merges = r.pos; r.skip() }, // read below, when the vocabulary is known
	}
	r.component("model", "BPE", map[string]map[string]func(){"BPE": fields, "": fields}) // the oldest files have no type
	if r.err == nil && merges == 0 {
		r.failf("the model has no merges")
	}
	if f.orderVocab(r); r.err != nil {
		return
	}
	end := r.pos
	r.pos = merges
	r.array(func(int) { f.readMerge(r) })
	if r.err == nil {
		r.pos = end
	}
}

func (f *file) readDropout(r *reader) {
	if r.null() {
		return
	}
	if p, err := strconv.ParseFloat(r.number(), 64); r.err == nil && (err != nil || p != 0) {
		r.failf("the model has dropout %g, which would make ids random, want null", p)
	}
}

func (f *file) readUnknown(r *reader) {
	if !r.null() {
		f.unknown = r.str()
	}
}

func (f *file) readVocab(r *reader) {
	f.vocab = make(map[string]int32)
	r.object(func(key []byte) {
		if _, ok := f.vocab[string(key)]; ok {
			r.failf("the vocabulary has the token %.60q twice", key)
			return
		}
		token := string(key)
		f.vocab[token] = int32(r.int(maxFile)) // a file of that size cannot hold more
	})
}

// orderVocab lists the tokens by id.
func (f *file) orderVocab(r *reader) {
	if r.err != nil {
		return
	}
	if len(f.vocab) == 0 {
		r.failf("the vocabulary is empty")
		return
	}
	f.tokens = make([]string, len(f.vocab))
	seen := make([]bool, len(f.vocab))
	for token, id := range f.vocab {
		if int(id) < len(seen) && (!seen[id] || token < f.tokens[id]) { // maps have no order, and errors should not vary
			seen[id], f.tokens[id] = true, token
		}
	}
	hole := slices.Index(seen, false)
	if hole < 0 {
		return
	}
	// Of n tokens without the id of a hole, two share one or one has n or more.
	wrong := ""
	for token, id := range f.vocab {
		w := ""
		if int(id) >= len(seen) {
			w = fmt.Sprintf("%.60q has id %d", token, id)
		} else if f.tokens[id] != token {
			w = fmt.Sprintf("%.60q and %.60q have id %d", f.tokens[id], token, id)
		}
		if w != "" && (wrong == "" || w < wrong) {
			wrong = w
		}
	}
	r.failf("no token of the vocabulary has id %d, and %s: want ids 0 to %d, each once", hole, wrong, len(seen)-1)
}

// readMerge reads ["a", "b"], or "a b" as files before tokenizers 0.20 have it.
func (f *file) readMerge(r *reader) {
	// Both pieces go into one buffer, as there are many merges and each piece is
	// looked up by its bytes alone.
	both, cut, pieces := f.merge[:0], 0, 0
	if r.peek() == '"' {
		both = append(both, r.bytes()...)
		if bytes.HasPrefix(both, []byte("#version")) { // left from a merges.txt, and skipped by the reference
			return
		}
		pieces = 1 + bytes.Count(both, []byte(" "))
		if cut = bytes.IndexByte(both, ' '); cut >= 0 {
			both = slices.Delete(both, cut, cut+1)
		}
	} else {
		r.array(func(int) {
			if pieces++; pieces == 2 {
				cut = len(both)
			}
			both = append(both, r.bytes()...)
		})
	}
	f.merge = both
	if r.err != nil {
		return
	}
	if pieces != 2 {
		r.failf("merge %d has %d pieces, want 2", len(f.rules), pieces)
		return
	}
	left, right := both[:cut], both[cut:]
	if len(left) == 0 || len(right) == 0 {
		r.failf("merge %d of %.60q and %.60q gives one of the two again and would never end", len(f.rules), left, right)
		return
	}
	ids := [3]int32{}
	for i, piece := range [3][]byte{left, right, both} {
		id, ok := f.vocab[string(piece)]
		if !ok {
			r.failf("merge %d of %.60q and %.60q: %.60q is not in the vocabulary", len(f.rules), left, right, piece)
			return
		}
		ids[i] = id
	}
	f.rules = append(f.rules, rule{ids[0], ids[1], ids[2]})
}
