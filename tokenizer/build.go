package tokenizer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// build puts the parts together.
func (f *file) build() (*Tokenizer, error) {
	t := &Tokenizer{ids: f.vocab, tokens: f.tokens, normalizer: f.normalizer, metaspace: f.metaspace}
	pieces := len(f.tokens) // ids below are the model's own
	if err := t.addTokens(f.added); err != nil {
		return nil, err
	}
	var err error
	if t.prefix, err = t.affix(f.prefix, f.templates); err != nil {
		return nil, err
	}
	if t.suffix, err = t.affix(f.suffix, f.templates); err != nil {
		return nil, err
	}
	if t.raw, err = f.newBPE(t, pieces, f.rules, nil); err != nil {
		return nil, err
	}
	t.plain = t.raw
	// In a sound file no special token can be spelled by characters and merges.
	// Where one can, plain text must not reach it.
	reaches := func(r rule) bool { return t.special[r.to] }
	rules := slices.DeleteFunc(slices.Clone(f.rules), reaches)
	if len(rules) < len(f.rules) || slices.ContainsFunc(t.tokens[:pieces], func(token string) bool {
		return t.special[t.ids[token]] && (f.whole || utf8.RuneCountInString(token) == 1)
	}) {
		if t.plain, err = f.newBPE(t, pieces, rules, t.special); err != nil {
			return nil, err
		}
	}
	t.decoder = f.newDecoder(t.tokens)
	return t, nil
}

// addTokens gives the added tokens their ids, as tokenizers would: those of the
// vocabulary for tokens that are in it, the next free one for others.
func (t *Tokenizer) addTokens(added []addedToken) error {
	t.special = make([]bool, len(t.tokens), len(t.tokens)+len(added))
	t.marked = make(map[rune]bool)
	seen := make(map[int32]bool, len(added))
	for _, a := range added {
		id, known := t.ids[a.content]
		if !known {
			id = int32(len(t.tokens))
			t.ids[a.content] = id
			t.tokens = append(t.tokens, a.content)
			t.special = append(t.special, false)
		}
		switch {
		case seen[id]:
			return fmt.Errorf("added token %.60q is there twice", a.content)
		case a.id != id && known:
			return fmt.Errorf("added token %.60q has id %d, and %d in the vocabulary", a.content, a.id, id)
		case a.id != id:
			return fmt.Errorf("added token %.60q has id %d, want %d, the next one: added tokens follow the vocabulary in order and without holes", a.content, a.id, id)
		}
		seen[id] = true
		t.special[id] = a.special
		content := a.content
		if a.normalized {
			for _, r := range t.normalizer {
				content = string(r.append(nil, []byte(content)))
			}
			if content == "" {
				return fmt.Errorf("added token %.60q is empty after normalization", a.content)
			}
			t.normalized.add(content, a)
		} else {
			t.added.add(content, a)
		}
		for _, s := range []string{a.content, content} {
			first, _ := utf8.DecodeRuneInString(s)
			last, _ := utf8.DecodeLastRuneInString(s)
			t.marked[first], t.marked[last] = true, true
		}
	}
	return nil
}

// affix returns the ids of a template's tokens.
func (t *Tokenizer) affix(names []string, ids map[string][]int32) (all []int32, err error) {
	for _, name := range names {
		of, ok := ids[name]
		if !ok {
			return nil, fmt.Errorf("the template has the token %.60q, which its special_tokens do not explain", name)
		}
		for _, id := range of {
			if int(id) >= len(t.tokens) {
				return nil, fmt.Errorf("the template's token %.60q has id %d, want one of the vocabulary, 0 to %d", name, id, len(t.tokens)-1)
			}
		}
		if all = append(all, of...); len(all) > maxAdded {
			return nil, fmt.Errorf("the template has more than %d tokens", maxAdded)
		}
	}
	return all, nil
}

// newBPE makes the model of the first tokens, those of except left out.
func (f *file) newBPE(t *Tokenizer, pieces int, rules []rule, except []bool) (*bpe, error) {
	b := &bpe{unknown: none, fuse: f.fuse, merges: newMergeTable(rules)}
	if f.whole {
		b.whole = make(map[string]int32)
	}
	for i, token := range t.tokens[:pieces] {
		if except != nil && except[i] {
			continue
		}
		if r, n := utf8.DecodeRuneInString(token); n > 0 && n == len(token) {
			b.chars.set(r, int32(i))
		}
		if f.whole {
			b.whole[token] = int32(i)
		}
	}
	b.joins = newJoinSet(rules, t.tokens, &b.chars)
	odd := make(map[int32]bool) // symbols that are not characters
	all := true
	for i := range b.bytes {
		b.bytes[i] = none
		id, ok := t.ids[fmt.Sprintf("<0x%02X>", i)]
		if ok = ok && int(id) < pieces && f.fallback; ok {
			b.bytes[i] = id
			odd[id] = true
		}
		all = all && ok
	}
	switch id, ok := t.ids[f.unknown]; {
	case f.unknown != "" && (!ok || int(id) >= pieces):
		return nil, fmt.Errorf("the unknown token %.60q is not in the vocabulary", f.unknown)
	case f.unknown != "":
		b.unknown = id
		odd[id] = true
	case !all:
		return nil, fmt.Errorf("there is no unk_token, nor byte_fallback with all of <0x00> to <0xFF>: some texts would have no ids")
	}
	// Where merges deal with such symbols, characters do not tell what may meet.
	b.joins.all = slices.ContainsFunc(rules, func(r rule) bool { return odd[r.left] || odd[r.right] || odd[r.to] })
	return b, nil
}

// newDecoder applies to each token what the decoder does to tokens one by one.
func (f *file) newDecoder(tokens []string) decoder {
	d := f.decoder
	d.texts = make([]string, len(tokens))
	if d.bytes != nil {
		d.bytes = make([]int16, len(tokens))
	}
	for id, text := range tokens {
		for _, r := range f.replace {
			text = strings.ReplaceAll(text, r.old, r.new)
		}
		d.texts[id] = text
		if d.bytes != nil {
			d.bytes[id] = byteToken(text)
		}
	}
	return d
}

// byteToken returns the byte of a token <0x41>, or none. The digits may be of either case.
func byteToken(token string) int16 {
	if len(token) != 6 || !strings.HasPrefix(token, "<0x") || token[5] != '>' {
		return none
	}
	n, err := strconv.ParseUint(token[3:5], 16, 8)
	if err != nil {
		return none
	}
	return int16(n)
}
