package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/settings"
)

type configCommand struct {
	Check   configCheckCommand   `cmd:"" help:"Report every mistake in a settings file."`
	Example configExampleCommand `cmd:"" help:"Print a complete settings file with the manual of every key."`
}

type configCheckCommand struct {
	File string `arg:"" optional:"" help:"Settings file; default --config."`
	jsonOutput
}

// Run prints the problems, one per line, and fails when there is one.
func (c *configCheckCommand) Run(p *process) error {
	path := c.File
	if path == "" {
		path = p.ConfigFile
	}
	if path == "" {
		return usagef("name the settings file: gatehouse config check FILE")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	_, problems := settings.Decode(data)
	for _, problem := range problems {
		if c.JSON {
			err = printJSON(p.stdout, problem)
		} else {
			_, err = fmt.Fprintf(p.stdout, "%s:%s\n", path, problem)
		}
		if err != nil {
			return err
		}
	}
	switch len(problems) {
	case 0:
		if !c.JSON {
			fmt.Fprintf(p.stdout, "%s is fine\n", path)
		}
		return nil
	case 1:
		return errors.New("1 problem in the settings; correct the line above")
	}
	return fmt.Errorf("%d problems in the settings; correct the lines above", len(problems))
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
