package main

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
)

var versionCmd = command{
	name:     "version",
	args:     "[-json]",
	help:     "print the version of this program",
	examples: []example{{"for a bug report, doctor tells more", "idefics2 version"}},
	new: func(f *flags) runFunc {
		var asJSON bool
		f.group("Output", func() { f.BoolVar(&asJSON, "json", false, "print one JSON object") })
		return func(_ context.Context, std stdio, args []string) error {
			if len(args) > 0 {
				return misused("version takes no arguments", f.hint())
			}
			b := readBuild()
			if asJSON {
				return json.NewEncoder(std.out).Encode(b)
			}
			_, err := fmt.Fprintln(std.out, b)
			return err
		}
	},
}

// build says which program this is.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"` // built from a tree with changes
	Time     string `json:"time,omitempty"`     // of the revision
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Tags     string `json:"tags,omitempty"`
}

func readBuild() build {
	b := build{Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		case "vcs.time":
			b.Time = s.Value
		case "-tags":
			b.Tags = s.Value
		}
	}
	return b
}

func (b build) String() string {
	s := "idefics2 " + b.Version
	if b.Revision != "" {
		s += " " + b.Revision[:min(12, len(b.Revision))]
	}
	if b.Modified {
		s += " (modified)"
	}
	s += " " + b.Go + " " + b.Platform
	if b.Tags != "" {
		s += " tags " + b.Tags
	}
	return s
}
