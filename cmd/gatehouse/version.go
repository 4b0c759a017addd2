package main

import (
	"fmt"
	"runtime/debug"
)

type versionCommand struct {
	jsonOutput
}

// buildInformation is what the linker knows.
type buildInformation struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	Revision string `json:"revision,omitempty"`
	Time     string `json:"time,omitempty"`
	Modified bool   `json:"modified,omitempty"`
}

// Run prints the version.
func (c *versionCommand) Run(p *process) error {
	b := build()
	if c.JSON {
		return printJSON(p.stdout, b)
	}
	line := fmt.Sprintf("gatehouse %s %s", b.Version, b.Go)
	if b.Revision != "" {
		line += " " + b.Revision
	}
	if b.Modified {
		line += " (modified)"
	}
	_, err := fmt.Fprintln(p.stdout, line)
	return err
}

func version() string { return build().Version }

func build() buildInformation {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return buildInformation{Version: "unknown"}
	}
	b := buildInformation{Version: info.Main.Version, Go: info.GoVersion}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}
