package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"idefics2/internal/strictjson"
	"idefics2/safetensors"
)

const (
	singleFile = "model.safetensors"
	indexFile  = singleFile + ".index.json"
	maxShards  = 4096
)

// index is model.safetensors.index.json: the file that each tensor is in.
type index map[string]string

// parseIndex reads an index, whose file names must be plain: an index from elsewhere
// must not lead out of its folder.
func parseIndex(data []byte) (index, error) {
	x := index{}
	hasMap := false
	s := strictjson.New(data)
	err := s.Object(func(key string) error {
		if key != "weight_map" {
			return s.Skip()
		}
		hasMap = true
		return s.Object(func(name string) (err error) {
			if x[name], err = s.String(); err != nil {
				return err
			}
			if err := checkShardName(x[name]); err != nil {
				return fmt.Errorf("weight_map: %q: %w", name, err)
			}
			return nil
		})
	})
	switch {
	case err != nil:
		return nil, err
	case !hasMap:
		return nil, errors.New("no weight_map")
	case len(x.files()) > maxShards:
		return nil, fmt.Errorf("weight_map names %d files, want at most %d", len(x.files()), maxShards)
	}
	return x, s.End()
}

func checkShardName(name string) error {
	if !strings.HasSuffix(name, ".safetensors") || strings.HasPrefix(name, ".") ||
		strings.ContainsAny(name, "/\\:\x00") || !filepath.IsLocal(name) {
		return fmt.Errorf("file name %.100q, want a plain name that ends in .safetensors", name)
	}
	return nil
}

// files returns the shards, sorted.
func (x index) files() []string {
	set := map[string]bool{}
	for _, file := range x {
		set[file] = true
	}
	return slices.Sorted(maps.Keys(set))
}

// weightFiles finds the files of a folder's weights; of one that has both a single
// file and shards, the single file, as the reference does. The index is nil for it.
func weightFiles(dir string) ([]string, index, error) {
	if exists(dir, singleFile) {
		return []string{singleFile}, nil, nil
	}
	if !exists(dir, indexFile) {
		return nil, nil, noWeights(dir)
	}
	data, err := readBounded(filepath.Join(dir, indexFile))
	if err != nil {
		return nil, nil, err
	}
	x, err := parseIndex(data)
	if err != nil {
		return nil, nil, fmt.Errorf("checkpoint: %s: %w", filepath.Join(dir, indexFile), err)
	}
	files := x.files()
	var missing []string
	for _, file := range files {
		if !exists(dir, file) {
			missing = append(missing, file)
		}
	}
	if len(missing) > 0 {
		return nil, nil, fmt.Errorf("checkpoint: %s: %d of the %d files that %s names are missing: %s; fetch the folder again",
			dir, len(missing), len(files), indexFile, some(missing))
	}
	return files, x, nil
}

// weights maps the files of the folder and looks for what its index does not say.
func (dir folder) weights(Config) (w opened, err error) {
	files, index, err := weightFiles(string(dir))
	if err != nil {
		return w, err
	}
	var all []*safetensors.File
	for _, file := range files {
		f, err := safetensors.Open(dir.at(file))
		if err != nil {
			return w, fmt.Errorf("checkpoint: %w", err)
		}
		all = append(all, f)
		w.mapped = append(w.mapped, f)
	}
	if w.tensors, err = named(files, all, index); err != nil {
		return w, fmt.Errorf("checkpoint: %s: %w", dir, err)
	}
	return w, nil
}

// named returns the tensors of all files under today's names.
func named(files []string, all []*safetensors.File, index index) (tensors []namedTensor, err error) {
	headlessName, hasHead := "", false
	for i, f := range all {
		for _, name := range f.Names() {
			view, _ := f.View(name)
			t := stored{View: view, file: files[i], name: name}
			if want, ok := index[name]; ok && want != t.file {
				return nil, fmt.Errorf("%v: %s says that it is in %s", t, indexFile, want)
			}
			if headless(name) {
				headlessName = name
			}
			if key := today(name); key != "" {
				hasHead = hasHead || key == lmHead
				tensors = append(tensors, namedTensor{key, t})
			}
		}
	}
	for _, name := range sortedKeys(index) {
		if !slices.ContainsFunc(all, func(f *safetensors.File) bool { _, ok := f.View(name); return ok }) {
			return nil, fmt.Errorf("%q is not in %s, where %s says it is", name, index[name], indexFile)
		}
	}
	if headlessName != "" && hasHead {
		return nil, fmt.Errorf("corrupted: %q lacks the leading \"model.\" of a model with a head, and lm_head.weight is there", headlessName)
	}
	return tensors, nil
}

// noWeights says what is there instead, and what to do about it.
func noWeights(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	for _, e := range entries {
		name := e.Name()
		switch {
		case strings.HasPrefix(name, "pytorch_model") && (strings.HasSuffix(name, ".bin") || strings.HasSuffix(name, ".bin.index.json")):
			return fmt.Errorf("checkpoint: %s: found %s, want %s: pickled weights can run code and are never opened; convert them with the reference: "+
				`python -c "import transformers as t; t.AutoModelForImageTextToText.from_pretrained('%s', dtype='auto').save_pretrained('NEW')"`,
				dir, name, singleFile, dir)
		case name == "adapter_config.json" || name == "adapter_model.safetensors":
			return fmt.Errorf("checkpoint: %s: found %s, want %s: this is an adapter, not a model; merge it into its model first", dir, name, singleFile)
		case IsFile(name):
			return fmt.Errorf("checkpoint: %s: found %s, want %s: name the GGUF file itself as the model", dir, name, singleFile)
		case strings.HasSuffix(name, ".safetensors"):
			return fmt.Errorf("checkpoint: %s: found %s, but neither %s nor %s; fetch the folder again", dir, name, singleFile, indexFile)
		}
	}
	return fmt.Errorf("checkpoint: %s: no weights: want %s, or shards and %s", dir, singleFile, indexFile)
}

// exists reports a name of the folder, also a link that leads nowhere: opening it
// then says so.
func exists(dir, name string) bool {
	_, err := os.Lstat(filepath.Join(dir, name))
	return !errors.Is(err, fs.ErrNotExist)
}

// some joins names for an error message: twenty, and then their number.
func some(names []string) string {
	const most = 20
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
