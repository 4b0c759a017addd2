package main

import (
	"fmt"

	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/settings"
)

type configCommand struct {
	Check   configCheckCommand   `cmd:"" help:"Report every mistake in a settings file."`
	Example configExampleCommand `cmd:"" help:"Print a complete settings file with the manual of every key."`
}

type configExampleCommand struct{}

// Run prints the example.
func (configExampleCommand) Run(p *process) error {
	text, err := settings.Example()
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(p.stdout, text)
	return err
}
