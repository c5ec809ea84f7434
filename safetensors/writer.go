package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"idefics2/internal/sections"
)

// Writer writes one file, whose sections are its tensors: whatever happens on the way, a
// full disk included, no half file is ever found under the final name.
type Writer struct{ *sections.Writer }

// Create begins a file at path of the declared tensors. They are laid out as the
// reference's writer does: wide types first, then by name, after a header padded to a
// multiple of 8 bytes. Metadata may be nil; transformers writes {"format": "pt"}.
// Write each tensor, then Commit; Abort gives up.
func Create(path string, entries []Entry, metadata map[string]string) (*Writer, error) {
	l, err := Layout(entries, metadata)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %s: %w", path, err)
	}
	w, err := sections.Create("safetensors", path, l)
	if err != nil {
		return nil, err
	}
	return &Writer{w}, nil
}

// Layout gives every entry its place behind the header, for a writer of another kind than
// Create's.
func Layout(entries []Entry, metadata map[string]string) (l sections.Layout, err error) {
	l.Places = make(map[string]sections.Place, len(entries))
	entries = slices.Clone(entries)
	slices.SortFunc(entries, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(b.DType.Bits(), a.DType.Bits()), cmp.Compare(a.Name, b.Name))
	})
	var text bytes.Buffer
	text.WriteByte('{')
	if len(metadata) > 0 {
		text.WriteString(`"__metadata__":`)
		appendJSON(&text, metadata) // sorted by key
	}
	at := int64(0)
	for _, e := range entries {
		if e.Name == "__metadata__" || len(e.Name) > maxName || !utf8.ValidString(e.Name) || e.DType.Bits() == 0 || len(e.Shape) > maxRank {
			return l, fmt.Errorf("%.100q: %v of %d dimensions cannot be stored under that name", e.Name, e.DType, len(e.Shape))
		}
		if _, ok := l.Places[e.Name]; ok {
			return l, fmt.Errorf("%q declared twice", e.Name)
		}
		size, err := e.size()
		if err != nil {
			return l, err
		}
		if at+int64(size) < at {
			return l, errors.New("the sum of all sizes overflows")
		}
		l.Places[e.Name] = sections.Place{Offset: at, Size: int64(size)}
		if text.Len() > 1 {
			text.WriteByte(',')
		}
		appendJSON(&text, e.Name)
		fmt.Fprintf(&text, `:{"dtype":"%v","shape":[`, e.DType)
		for i, d := range e.Shape {
			if i > 0 {
				text.WriteByte(',')
			}
			fmt.Fprint(&text, d)
		}
		fmt.Fprintf(&text, `],"data_offsets":[%d,%d]}`, at, at+int64(size))
		at += int64(size)
	}
	text.WriteByte('}')
	for text.Len()%8 != 0 {
		text.WriteByte(' ')
	}
	if text.Len() > maxHeader || len(entries) > maxTensors {
		return l, fmt.Errorf("header of %d bytes for %d tensors, want at most %d for %d", text.Len(), len(entries), maxHeader, maxTensors)
	}
	l.Header = binary.LittleEndian.AppendUint64(nil, uint64(text.Len()))
	l.Header = append(l.Header, text.Bytes()...)
	for name, place := range l.Places {
		place.Offset += int64(len(l.Header))
		l.Places[name] = place
	}
	l.Size = int64(len(l.Header)) + at
	return l, nil
}

// appendJSON writes text as JSON without the escapes that HTML needs, as the reference does.
func appendJSON(to *bytes.Buffer, v any) {
	e := json.NewEncoder(to)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("safetensors: " + err.Error()) // strings and maps of strings always encode
	}
	to.Truncate(to.Len() - 1) // the newline
}
