package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCommand struct {
	Shell string `arg:"" enum:"bash" help:"bash; zsh reads it too after bashcompinit."`
}

// Help is the detailed help.
func (completionCommand) Help() string { return `Try it with: source <(gatehouse completion bash)` }

// Run prints the script: for each command, the words that may follow it.
func (completionCommand) Run(p *process, app *kong.Kong) error {
	var cases strings.Builder
	words("gatehouse", app.Model.Node, nil, &cases)
	_, err := fmt.Fprintf(p.stdout, `_gatehouse() {
  local line=gatehouse word follow
  for word in "${COMP_WORDS[@]:1:$((COMP_CWORD - 1))}"; do
    [[ $word == -* ]] || line+=" $word"
  done
  while :; do
    case "$line" in
%s    esac
    [[ -n $follow || $line != *" "* ]] && break
    line=${line%% *}
  done
  COMPREPLY=($(compgen -W "$follow" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _gatehouse gatehouse
`, cases.String())
	return err
}

// words writes one case per command below node.
func words(path string, node *kong.Node, inherited []string, cases *strings.Builder) {
	flags := slices.Clone(inherited)
	for _, flag := range node.Flags {
		if !flag.Hidden {
			flags = append(flags, "--"+flag.Name)
		}
	}
	next := slices.Clone(flags)
	for _, child := range node.Children {
		if !child.Hidden {
			next = append(next, child.Name)
		}
	}
	fmt.Fprintf(cases, "      %q) follow=%q;;\n", path, strings.Join(next, " "))
	for _, child := range node.Children {
		words(path+" "+child.Name, child, flags, cases)
	}
}
