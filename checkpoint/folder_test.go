package checkpoint

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// folderOf makes a folder of the given files, and a config.json of two latents.
func folderOf(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), indent(micro().Config), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A folder of config.json alone has defaults for everything else.
func TestReadFolderDefaults(t *testing.T) {
	dir := folderOf(t, nil)
	f, err := ReadFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := Folder{
		Path: dir, Config: micro().Config,
		Generation:   Generation{BOS: 1, PAD: 0, EOS: []int{2}},
		Preprocessor: DefaultPreprocessor(), ImageSeqLen: 2,
		BOSToken: "<s>", EOSToken: "</s>", UnkToken: "<unk>",
		source: folder(dir),
	}
	if !reflect.DeepEqual(*f, want) {
		t.Errorf("got  %+v\nwant %+v", *f, want)
	}
}

// The first of four places that has a template wins.
func TestChatTemplate(t *testing.T) {
	const jinja, own, tokenizer, processor = "chat_template.jinja", "chat_template.json", "tokenizer_config.json", "processor_config.json"
	all := map[string]string{
		jinja:     "J",
		own:       `{"chat_template":"C"}`,
		tokenizer: `{"chat_template":"T"}`,
		processor: `{"image_seq_len":2,"chat_template":"P"}`,
	}
	for _, want := range []struct{ file, text string }{{jinja, "J"}, {own, "C"}, {tokenizer, "T"}, {processor, "P"}, {"", ""}} {
		f, err := ReadFolder(folderOf(t, all))
		if err != nil || f.ChatTemplate != want.text || f.ChatTemplateFile != want.file {
			t.Fatalf("template %q of %q, %v, want %q of %q", f.ChatTemplate, f.ChatTemplateFile, err, want.text, want.file)
		}
		delete(all, want.file)
	}
	for list, want := range map[string]string{
		`[{"name":"rag","template":"R"},{"name":"default","template":"D"}]`: "D",
		`[{"name":"only","template":"O"}]`:                                  "O",
		`[]`:                                                                "",
		`null`:                                                              "",
	} {
		f, err := ReadFolder(folderOf(t, map[string]string{tokenizer: `{"chat_template":` + list + `}`}))
		if err != nil || f.ChatTemplate != want {
			t.Errorf("%s: %+v, %v, want %q", list, f, err, want)
		}
	}
}

func TestReadFolderFiles(t *testing.T) {
	f, err := ReadFolder(folderOf(t, map[string]string{
		"tokenizer_config.json": `{"bos_token":{"content":"<b>","special":true},"eos_token":"<e>","pad_token":null}`,
		"processor_config.json": `{"image_seq_len":2,"image_processor":{"do_image_splitting":true,"size":{"longest_edge":90}}}`,
	}))
	if err != nil {
		t.Fatal(err)
	}
	if f.BOSToken != "<b>" || f.EOSToken != "<e>" || f.PadToken != "" || f.UnkToken != "" {
		t.Errorf("tokens %q %q %q %q", f.BOSToken, f.EOSToken, f.PadToken, f.UnkToken)
	}
	if !f.Preprocessor.Split || f.Preprocessor.LongestEdge != 90 || f.Preprocessor.ShortestEdge != 378 {
		t.Errorf("preprocessor inside processor_config.json: %+v", f.Preprocessor)
	}
}

func TestReadFolderRefuses(t *testing.T) {
	for file, texts := range map[string][]string{
		"config.json":              {`{`, `{"model_type":"x"}`},
		"generation_config.json":   {``, `{"eos_token_id":"x"}`},
		"preprocessor_config.json": {`[]`, `{"size":{"longest_edge":-1}}`},
		"processor_config.json":    {`{"image_seq_len":0}`, `{"image_seq_len":3}`, `{"image_seq_len":2,"image_processor":{"image_std":0}}`},
		"tokenizer_config.json": {`{"bos_token":7}`, `{"bos_token":{"content":7}}`, `{"chat_template":7}`, `{"chat_template":[7]}`,
			`{"chat_template":[{"name":"a","template":"A"},{"name":"b","template":"B"}]}`},
		"chat_template.json": {`"text"`, `{"chat_template":"A","chat_template":"B"}`},
	} {
		for _, text := range texts {
			_, err := ReadFolder(folderOf(t, map[string]string{file: text}))
			if err == nil || !strings.Contains(err.Error(), file) || !strings.HasPrefix(err.Error(), "checkpoint: ") {
				t.Errorf("%s %s: %v", file, text, err)
			}
		}
	}
	file := filepath.Join(folderOf(t, nil), "config.json")
	if _, err := ReadFolder(file); err == nil || !strings.Contains(err.Error(), "not a folder") {
		t.Errorf("a file: %v", err)
	}
}

func TestLoadBlueprint(t *testing.T) {
	for _, preset := range Presets() {
		b, err := LoadBlueprint(preset[0])
		if err != nil || preset[1] == "" {
			t.Errorf("%s: %v", preset[0], err)
			continue
		}
		text := indent(b.Config)
		if _, err := ParseConfig(text); err != nil {
			t.Errorf("%s: %v", preset[0], err)
		}
		for _, ids := range append(b.Generation.BadWords, b.Generation.EOS, []int{b.Config.ImageTokenID}) {
			for _, id := range ids {
				if id >= b.Config.Text.VocabSize {
					t.Errorf("%s: id %d in a vocabulary of %d", preset[0], id, b.Config.Text.VocabSize)
				}
			}
		}
	}
	dir := folderOf(t, map[string]string{
		"generation_config.json":   `{"eos_token_id":[2,5]}`,
		"preprocessor_config.json": `{"size":{"longest_edge":90,"shortest_edge":42}}`,
		"chat_template.jinja":      "{{ messages }}",
	})
	for _, path := range []string{dir, filepath.Join(dir, "config.json")} {
		b, err := LoadBlueprint(path)
		if err != nil || !reflect.DeepEqual(b.Config, micro().Config) || len(b.Generation.EOS) != 2 || b.Preprocessor.LongestEdge != 90 || b.ChatTemplate != "{{ messages }}" {
			t.Errorf("%s: %+v, %v", path, b, err)
		}
	}
	alone := filepath.Join(dir, "other.json")
	if err := os.Rename(filepath.Join(dir, "config.json"), alone); err != nil {
		t.Fatal(err)
	}
	if b, err := LoadBlueprint(alone); err != nil || len(b.Generation.EOS) != 1 || b.Preprocessor.LongestEdge != 980 {
		t.Errorf("%s: %+v, %v", alone, b, err)
	}
	if _, err := LoadBlueprint("idefics3"); err == nil || !strings.Contains(err.Error(), "idefics2-8b, idefics2-8b-base, small, tiny") {
		t.Errorf("an unknown name: %v", err)
	}
}
