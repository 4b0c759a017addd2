package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/settings"
	"github.com/gatehouse-mcp/gatehouse/resourceserver/policy"
)

type configCheckCommand struct {
	File       string `arg:"" optional:"" help:"Settings file; default --config. With --explain: the tool, prompt or resource."`
	Production bool   `xor:"what" help:"Walk the checklist for production: each item is ok, warn or fail."`
	Explain    string `xor:"what" placeholder:"METHOD" help:"Say which scopes METHOD needs, and by which rule: --explain tools/call write_note."`
	jsonOutput
}

// Run checks, walks the checklist, or explains.
func (c *configCheckCommand) Run(p *process) error {
	if c.Explain != "" {
		s, err := p.settings()
		if err != nil {
			return err
		}
		answer, err := explain(s, c.Explain, c.File)
		if err != nil {
			return err
		}
		return answer.print(p, c.JSON)
	}
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
	s, problems := checkSettings(data)
	if err := c.report(p, path, problems); err != nil {
		return err
	}
	if c.Production {
		return c.production(p, path, s)
	}
	if !c.JSON {
		fmt.Fprintf(p.stdout, "%s is fine\n", path)
	}
	return nil
}

// checkSettings also puts the rules of the file together with those of the
// notebook.
func checkSettings(data []byte) (settings.Settings, settings.Problems) {
	s, problems := settings.Decode(data)
	if len(problems) > 0 {
		return s, problems
	}
	if _, err := policy.New(notebookPolicy(s.ResourceServer)); err != nil {
		problems = append(problems, settings.Problem{Line: 1, Column: 1, Key: "resource_server", Message: "with the rules of the notebook: " + err.Error()})
	}
	return s, problems
}

// report prints the problems, one per line, and fails when there is one.
func (c *configCheckCommand) report(p *process, path string, problems settings.Problems) (err error) {
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
		return nil
	case 1:
		return errors.New("1 problem in the settings; correct the line above")
	}
	return fmt.Errorf("%d problems in the settings; correct the lines above", len(problems))
}

// production prints the checklist, one item per line, and fails when an item
// does.
func (c *configCheckCommand) production(p *process, path string, s settings.Settings) (err error) {
	items, failed := p.checklist(path, s), 0
	for _, item := range items {
		if item.Status == itemFails {
			failed++
		}
		if c.JSON {
			err = printJSON(p.stdout, item)
		} else {
			_, err = fmt.Fprintln(p.stdout, item)
		}
		if err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d items of the checklist fail; correct them before production", failed, len(items))
	}
	return nil
}
