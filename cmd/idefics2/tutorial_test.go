package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// Every command of docs/fine-tuning.md runs as it stands, with its recipes, but on fewer examples and beside a
// small model of random weights. The loss must fall.
func TestFineTuning(t *testing.T) {
	data, err := os.ReadFile("../../docs/fine-tuning.md")
	if err != nil {
		t.Fatal(err)
	}
	less := strings.NewReplacer("-n 500 ", "-n 20 ", "-n 50 ", "-n 4 ", "-n 200 ", "-n 3 ", "epochs: 12", "epochs: 4", "every: 50", "every: 5", "examples: 50", "examples: 4", "warmup: 10", "warmup: 1")
	script, recipes := `exec idefics2 data vocabulary -categories display -n 60 -size 400 -o tokenizer.json
exists tokenizer_config.json
exec idefics2 train new.yaml -o new
mv new/model default
`, `-- new.yaml --
model: {config: tiny, tokenizer: .}
data: {drawn: {generate: display, count: 5, max_side: 192}}
stages: [{name: only, steps: 1, data: {drawn: 1}, length: 512}]
`
	names := []string{"display.yaml", "adapter.yaml"}
	for _, block := range regexp.MustCompile("(?s)```(sh|yaml)\n(.*?)```").FindAllStringSubmatch(string(data), -1) {
		text := less.Replace(block[2])
		if block[1] == "yaml" {
			if len(names) == 0 {
				t.Fatal("a recipe that has no name here")
			}
			recipes += fmt.Sprintf("-- %s --\n%s", names[0], text)
			names = names[1:]
			continue
		}
		for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
			script += "exec " + strings.ReplaceAll(line, `"`, "'") + "\n"
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tutorial.txtar"), []byte(script+"falls display/log.jsonl\n"+recipes), 0o666); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{Dir: dir, Cmds: map[string]func(*testscript.TestScript, bool, []string){"falls": falls}})
}

// falls wants the last loss of a log to be clearly below the first.
func falls(ts *testscript.TestScript, _ bool, args []string) {
	losses := regexp.MustCompile(`"loss":([0-9.]+)`).FindAllStringSubmatch(ts.ReadFile(args[0]), -1)
	var first, last float64
	if _, err := fmt.Sscan(losses[0][1]+" "+losses[len(losses)-1][1], &first, &last); err != nil {
		ts.Fatalf("%v", err)
	}
	if last > 0.9*first {
		ts.Fatalf("the loss went from %v to %v", first, last)
	}
}
