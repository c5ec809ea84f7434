package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"
)

var completionCmd = command{
	name:  "completion",
	args:  "bash|zsh|fish|powershell",
	help:  "print a script that completes commands, flags and file names in a shell",
	words: []string{"bash", "zsh", "fish", "powershell"},
	examples: []example{
		{"bash, for this session", "source <(idefics2 completion bash)"},
		{"zsh, for all", `idefics2 completion zsh > "${fpath[1]}/_idefics2"`},
		{"fish, for all", "idefics2 completion fish > ~/.config/fish/completions/idefics2.fish"},
	},
	new: func(f *flags) runFunc {
		return func(_ context.Context, std stdio, args []string) error {
			if len(args) != 1 {
				return misused("completion wants the name of one shell", "one of bash, zsh, fish, powershell")
			}
			write, ok := map[string]func(io.Writer, []completed){
				"bash": completeBash, "zsh": completeZsh, "fish": completeFish, "powershell": completePowerShell,
			}[args[0]]
			if !ok {
				return misused(fmt.Sprintf("no completion for %q", args[0]), "one of bash, zsh, fish, powershell")
			}
			write(std.out, completions())
			return nil
		}
	},
}

// completed is what a shell needs to know of a command.
type completed struct {
	name, help string
	files      bool // its arguments name files
	words      []string
	flags      []completedFlag
}

type completedFlag struct {
	name, help string
	value      bool     // takes one
	words      []string // the values, where they are few
	files      bool     // the value names a file or folder
}

// completions reads the command table.
func completions() []completed {
	all := []completed{{name: "help", help: "list the commands, or explain one"}}
	for _, c := range commands {
		f := newFlags(c)
		c.new(f)
		done := completed{name: c.name, help: c.help, files: c.files, words: c.words}
		f.VisitAll(func(x *flag.Flag) {
			value, usage := flag.UnquoteUsage(x)
			cf := completedFlag{name: x.Name, help: strings.TrimPrefix(usage, value+": "), value: value != ""}
			if strings.Contains(value, "|") {
				cf.words = strings.Split(value, "|")
			}
			cf.files = strings.Contains(value, "FILE") || strings.Contains(value, "DIR") || strings.Contains(value, "MODEL")
			done.flags = append(done.flags, cf)
		})
		all = append(all, done)
		all[0].words = append(all[0].words, c.name)
	}
	return all
}

func (c completed) flagNames() (names []string) {
	for _, f := range c.flags {
		names = append(names, "-"+f.name)
	}
	return names
}

func names(all []completed) (names []string) {
	for _, c := range all {
		names = append(names, c.name)
	}
	return names
}

func completeBash(w io.Writer, all []completed) {
	fmt.Fprint(w, `# bash completion for idefics2
_idefics2() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} words="" files=""
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W "`+strings.Join(names(all), " ")+`" -- "$current"))
    return
  fi
  case "${COMP_WORDS[1]}" in
`)
	for _, c := range all {
		fmt.Fprintf(w, "  %s)\n    case \"$previous\" in\n", c.name)
		for _, f := range c.flags {
			if !f.value {
				continue
			}
			fmt.Fprintf(w, "    -%s|--%s) words=%q files=%s ;;\n", f.name, f.name, strings.Join(f.words, " "), yes(f.files))
		}
		fmt.Fprintf(w, "    *)\n      words=%q files=%s\n      [[ $current == -* ]] && words=%q files=\n    esac ;;\n",
			strings.Join(c.words, " "), yes(c.files), strings.Join(c.flagNames(), " "))
	}
	fmt.Fprint(w, `  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  if [[ -n $files ]]; then
    local IFS=$'\n' # names may hold spaces
    compopt -o filenames 2>/dev/null
    COMPREPLY+=($(compgen -f -- "$current"))
  fi
}
complete -F _idefics2 idefics2
`)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

func completeZsh(w io.Writer, all []completed) {
	// Quotes end the shell's string, a colon ends a description, brackets delimit it.
	escape := strings.NewReplacer("'", "’", ":", "\\:", "[", "(", "]", ")")
	fmt.Fprint(w, "#compdef idefics2\n_idefics2() {\n  local -a commands\n  commands=(\n")
	for _, c := range all {
		fmt.Fprintf(w, "    '%s:%s'\n", c.name, escape.Replace(c.help))
	}
	fmt.Fprint(w, "  )\n  if ((CURRENT == 2)); then\n    _describe command commands\n    return\n  fi\n  local command=$words[2]\n  shift words\n  ((CURRENT--))\n  case $command in\n")
	for _, c := range all {
		fmt.Fprintf(w, "  %s)\n    _arguments", c.name)
		for _, f := range c.flags {
			fmt.Fprintf(w, " \\\n      '*-%s[%s]%s'", f.name, escape.Replace(f.help), zshValue(f))
		}
		switch {
		case len(c.words) > 0:
			fmt.Fprintf(w, " \\\n      '*:argument:(%s)'", strings.Join(c.words, " "))
		case c.files:
			fmt.Fprint(w, " \\\n      '*:file:_files'")
		}
		fmt.Fprint(w, " ;;\n")
	}
	fmt.Fprint(w, "  esac\n}\nif [ \"$funcstack[1]\" = _idefics2 ]; then\n  _idefics2 \"$@\"\nelse\n  compdef _idefics2 idefics2\nfi\n")
}

func zshValue(f completedFlag) string {
	switch {
	case !f.value:
		return ""
	case len(f.words) > 0:
		return ":value:(" + strings.Join(f.words, " ") + ")"
	case f.files:
		return ":file:_files"
	}
	return ":value: "
}

func completeFish(w io.Writer, all []completed) {
	quote := func(s string) string {
		return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
	}
	fmt.Fprint(w, "# fish completion for idefics2\ncomplete -c idefics2 -f\n")
	for _, c := range all {
		fmt.Fprintf(w, "complete -c idefics2 -n __fish_use_subcommand -a %s -d %s\n", c.name, quote(c.help))
		seen := "-n '__fish_seen_subcommand_from " + c.name + "'"
		for _, f := range c.flags {
			line := "complete -c idefics2 " + seen + " -o " + f.name + " -l " + f.name + " -d " + quote(f.help)
			switch {
			case len(f.words) > 0:
				line += " -x -a " + quote(strings.Join(f.words, " "))
			case f.files:
				line += " -r -F"
			case f.value:
				line += " -x"
			}
			fmt.Fprintln(w, line)
		}
		if len(c.words) > 0 {
			fmt.Fprintf(w, "complete -c idefics2 %s -a %s\n", seen, quote(strings.Join(c.words, " ")))
		}
		if c.files {
			fmt.Fprintf(w, "complete -c idefics2 %s -F\n", seen)
		}
	}
}

func completePowerShell(w io.Writer, all []completed) {
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	list := func(words []string) string {
		quoted := make([]string, len(words))
		for i, word := range words {
			quoted[i] = quote(word)
		}
		return "@(" + strings.Join(quoted, ", ") + ")"
	}
	fmt.Fprint(w, "# PowerShell completion for idefics2; where nothing fits, PowerShell completes file names itself\n"+
		"Register-ArgumentCompleter -Native -CommandName idefics2 -ScriptBlock {\n  param($word, $ast, $position)\n"+
		"  $line = @($ast.CommandElements | ForEach-Object { $_.ToString() })\n"+
		"  $before = if ($word) { $line[-2] } else { $line[-1] }\n  $words = @()\n"+
		"  if ($line.Count -lt 2 -or ($line.Count -eq 2 -and $word)) {\n    $words = "+list(names(all))+"\n  } else {\n    switch ($line[1]) {\n")
	for _, c := range all {
		fmt.Fprintf(w, "      %s {\n        switch ($before) {\n", quote(c.name))
		for _, f := range c.flags {
			if f.value {
				fmt.Fprintf(w, "          %s { $words = %s }\n", quote("-"+f.name), list(f.words))
			}
		}
		fmt.Fprintf(w, "          default { $words = if ($word -like '-*') { %s } else { %s } }\n        }\n      }\n",
			list(c.flagNames()), list(c.words))
	}
	fmt.Fprint(w, "    }\n  }\n  $words | Where-Object { $_ -like \"$word*\" } |\n"+
		"    ForEach-Object { [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_) }\n}\n")
}
