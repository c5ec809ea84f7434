package dataset

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Kinds are the kinds of source that Open knows.
var Kinds = []string{"jsonl", "cauldron", "obelics", "folder", "webdataset"}

// Open opens a source of files of the named kind, or of the kind that its name tells where
// none is given: a .jsonl file, .parquet files or a folder of them, a folder with metadata,
// tars or a folder of them. The question is what texts without one answer.
func Open(path, kind, question string) (Source, error) {
	if kind == "" {
		var err error
		if kind, err = guess(path); err != nil {
			return nil, err
		}
	}
	switch kind {
	case "jsonl":
		return opened(OpenJSONL(path))
	case "cauldron":
		return opened(OpenCauldron(path))
	case "obelics":
		return opened(OpenObelics(path))
	case "folder":
		f, err := OpenFolder(path)
		if err != nil {
			return nil, err
		}
		f.Question = question
		return f, nil
	case "webdataset":
		w, err := OpenWebDataset(path)
		if err != nil {
			return nil, err
		}
		w.Question = question
		return w, nil
	}
	return nil, fmt.Errorf("dataset: kind %q, want one of %s", kind, strings.Join(Kinds, ", "))
}

// opened keeps a nil pointer from becoming a source that is not nil.
func opened[S Source](s S, err error) (Source, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

func guess(path string) (string, error) {
	switch {
	case isTar(path):
		return "webdataset", nil
	case strings.HasSuffix(path, ".jsonl"):
		return "jsonl", nil
	case strings.HasSuffix(path, ".parquet"):
		return "cauldron", nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("dataset: %w", err)
	}
	if info.IsDir() {
		for _, m := range metadata {
			if _, err := os.Stat(filepath.Join(path, m.name)); err == nil {
				return "folder", nil
			}
		}
		entries, err := os.ReadDir(path)
		if err != nil {
			return "", fmt.Errorf("dataset: %w", err)
		}
		for _, e := range entries {
			switch {
			case isTar(e.Name()):
				return "webdataset", nil
			case strings.HasSuffix(e.Name(), ".parquet"):
				return "cauldron", nil
			}
		}
	}
	return "", fmt.Errorf("dataset: %s: its name does not tell what it is; want .jsonl, .parquet, .tar, or a folder of them or with metadata.jsonl; or say which kind it is", path)
}
