// Package defaultmodel carries the model that answers where none is named: a small one of exactly this
// architecture, which "idefics2 train" made from pictures that "idefics2 data synth" draws.
// recipe.yaml beside this file is how; docs/default-model.md says what it can do, measured.
package defaultmodel

import (
	"embed"
	"io/fs"
	"os"
)

// Name is what the model is called where names are asked for.
const Name = "default"

// About is the line for whoever gets it without having asked for it.
const About = "this is the small default model, which reads simple printed pictures at best; " +
	"\"idefics2 pull HuggingFaceM4/idefics2-8b\" fetches the released one, and -model names it"

// Means reports whether the name of a model means this one: none does, and Name where nothing in the
// working directory is called so.
func Means(name string) bool {
	if name != Name {
		return name == ""
	}
	_, err := os.Stat(Name)
	return err != nil
}

//go:embed model
var folder embed.FS

//go:embed recorded
var recorded embed.FS

// Files returns the model's folder, as transformers reads it.
func Files() fs.FS { return sub(folder, "model") }

// Recorded returns what the reference computed with the model: a case as Verify takes it, but for the
// checkpoint, which is Files.
func Recorded() fs.FS { return sub(recorded, "recorded") }

func sub(f embed.FS, dir string) fs.FS {
	s, err := fs.Sub(f, dir)
	if err != nil {
		panic(err) // a name that is written above
	}
	return s
}
