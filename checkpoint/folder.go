package checkpoint

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"idefics2/internal/strictjson"
)

// Folder is what a model says beside its tensors: the small files of its folder, which a
// GGUF file carries inside.
type Folder struct {
	Path         string // of the folder, or of the GGUF file
	Config       Config
	Generation   Generation
	Preprocessor Preprocessor
	ImageSeqLen  int // tokens that an image takes: Config.Perceiver.Latents

	// ChatTemplate is the Jinja source that makes a prompt of messages, and
	// ChatTemplateFile the file it was found in. Both are empty where there is none.
	ChatTemplate     string
	ChatTemplateFile string

	// Special tokens as the tokenizer's configuration writes them, "" for none.
	BOSToken, EOSToken, PadToken, UnkToken string

	source source
}

// File returns a file of the model by its plain name, such as tokenizer.json, of at most
// 64 MiB. The error is fs.ErrNotExist where the model has none of that name.
func (f *Folder) File(name string) ([]byte, error) {
	if f.source == nil {
		return nil, fs.ErrNotExist
	}
	return f.source.file(name)
}

// ReadFolder reads everything of a model but its weights and its tokenizer. Path is that of
// a folder or of a GGUF file.
// config.json must be there; of the others, a missing one takes its defaults:
//
//   - generation_config.json: the ids of config.json (spec/generation.md §1.2)
//   - preprocessor_config.json: those of DefaultPreprocessor
//   - processor_config.json: an image of as many tokens as the resampler has latents
//   - tokenizer_config.json: <s>, </s> and <unk>
//   - a chat template, in this order: chat_template.jinja, chat_template.json,
//     tokenizer_config.json, processor_config.json: none
func ReadFolder(path string) (*Folder, error) {
	source, err := sourceOf(path)
	if err != nil {
		return nil, err
	}
	return readFolder(path, source)
}

// ReadFolderFS is ReadFolder of a model whose files lie at the root of fsys. The name stands for its path.
func ReadFolderFS(name string, fsys fs.FS) (*Folder, error) {
	return readFolder(name, packed{name, fsys})
}

func readFolder(path string, source source) (*Folder, error) {
	f := &Folder{Path: path, source: source}
	data, err := f.File("config.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("checkpoint: %s: no config.json: not a model folder", path)
	}
	if err != nil {
		return nil, err
	}
	if f.Config, err = parseConfig(data); err != nil {
		return nil, fmt.Errorf("checkpoint: %s: %w", source.at("config.json"), err)
	}
	if err := f.readOthers(); err != nil {
		return nil, err
	}
	return f, f.checkImageTokens()
}

func (f *Folder) readOthers() error {
	f.Generation = DefaultGeneration(f.Config)
	err := f.read("generation_config.json", func(o object) { f.Generation = parseGeneration(o, f.Config) })
	if err != nil {
		return err
	}

	f.ImageSeqLen = f.Config.Perceiver.Latents
	f.Preprocessor = DefaultPreprocessor()
	templates := map[string]string{} // by file
	err = f.read("processor_config.json", func(o object) {
		f.ImageSeqLen = o.int("image_seq_len", 64, 1, maxLatents)
		templates["processor_config.json"] = parseTemplate(o)
		if images, ok := o.object("image_processor"); ok { // where version 5 of the reference puts it
			f.Preprocessor = parsePreprocessor(images)
		}
	})
	if err != nil {
		return err
	}
	err = f.read("preprocessor_config.json", func(o object) { f.Preprocessor = parsePreprocessor(o) })
	if err != nil {
		return err
	}

	f.BOSToken, f.EOSToken, f.UnkToken = "<s>", "</s>", "<unk>"
	err = f.read("tokenizer_config.json", func(o object) {
		f.BOSToken, f.EOSToken = parseToken(o, "bos_token"), parseToken(o, "eos_token")
		f.PadToken, f.UnkToken = parseToken(o, "pad_token"), parseToken(o, "unk_token")
		templates["tokenizer_config.json"] = parseTemplate(o)
	})
	if err != nil {
		return err
	}
	err = f.read("chat_template.json", func(o object) { templates["chat_template.json"] = parseTemplate(o) })
	if err != nil {
		return err
	}
	return f.chooseTemplate(templates)
}

// read parses one file, if it is there, and reports all fields that are wrong.
func (f *Folder) read(name string, parse func(object)) error {
	data, err := f.File(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := parseFile(data, parse); err != nil {
		return fmt.Errorf("checkpoint: %s: %w", f.source.at(name), err)
	}
	return nil
}

func parseFile(data []byte, parse func(object)) error {
	o, err := parseObject(data)
	if err != nil {
		return err
	}
	parse(o)
	return o.err()
}

func (f *Folder) chooseTemplate(templates map[string]string) error {
	const jinja = "chat_template.jinja"
	data, err := f.File(jinja)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	templates[jinja] = string(data)
	for _, name := range []string{jinja, "chat_template.json", "tokenizer_config.json", "processor_config.json"} {
		if t := templates[name]; t != "" {
			f.ChatTemplate, f.ChatTemplateFile = t, name
			return nil
		}
	}
	return nil
}

// checkImageTokens checks that the processor writes as many places for an image as
// the model fills.
func (f *Folder) checkImageTokens() error {
	if latents := f.Config.Perceiver.Latents; f.ImageSeqLen != latents {
		return fmt.Errorf("checkpoint: %s: processor_config.json: image_seq_len: found %d, want %d, the resampler_n_latents of config.json",
			f.Path, f.ImageSeqLen, latents)
	}
	return nil
}

// parseTemplate reads a chat_template: a text, or a list of named ones of which
// "default" is taken, or the only one.
func parseTemplate(o object) string {
	const key = "chat_template"
	if o.kind(key) != strictjson.Array {
		return o.string(key, "")
	}
	named := map[string]string{}
	o.array(key, func(raw []byte) error {
		entry, err := parseObject(raw)
		if err != nil {
			return err
		}
		named[entry.string("name", "")] = entry.string("template", "")
		return entry.err()
	})
	if len(named) == 1 {
		for _, only := range named {
			return only
		}
	}
	if t, ok := named["default"]; ok || len(named) == 0 {
		return t
	}
	o.fail(key, "found templates named %q, want one named \"default\"", slices.Sorted(maps.Keys(named)))
	return ""
}

// parseToken reads a special token: a text, or an object with the text as content.
func parseToken(o object, key string) string {
	if o.kind(key) == strictjson.Object {
		token, _ := o.object(key)
		return token.string("content", "")
	}
	return o.string(key, "")
}

func sortedKeys[V any, K cmp.Ordered](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
