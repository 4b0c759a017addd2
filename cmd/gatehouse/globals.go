package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/settings"
)

// globals are the flags of every command.
type globals struct {
	ConfigFile  string `name:"config" env:"GATEHOUSE_CONFIG" placeholder:"FILE" help:"Settings file; see gatehouse config example."`
	Data        string `env:"GATEHOUSE_DATA" default:"./.gatehouse" placeholder:"DIR" help:"Directory of the embedded store."`
	DatabaseURL string `name:"database-url" env:"DATABASE_URL" placeholder:"URL" help:"Store to use instead: postgres://... or sqlite:FILE."`
	LogLevel    string `env:"GATEHOUSE_LOG_LEVEL" enum:"debug,info,warn,error" default:"info" help:"Least level of messages on stderr: debug, info, warn or error."`
}

// jsonOutput is embedded by the commands that list or create.
type jsonOutput struct {
	JSON bool `name:"json" help:"Print JSON: one object, or one per line."`
}

// settings reads the settings file, or returns those of gatehouse dev when
// there is none.
func (g globals) settings() (settings.Settings, error) {
	if g.ConfigFile == "" {
		return devSettings(), nil
	}
	data, err := os.ReadFile(g.ConfigFile)
	if err != nil {
		return settings.Settings{}, fmt.Errorf("cannot read the settings: %w", err)
	}
	s, problems := settings.Decode(data)
	if len(problems) > 0 {
		return s, fmt.Errorf("%s:%s%s", g.ConfigFile, problems[0], andMore(len(problems)-1))
	}
	return s, nil
}

func andMore(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" (and %d more; see gatehouse config check)", n)
}

// place is where a store lives: the path of an SQLite file or a Postgres URL.
type place struct {
	sqlite   string
	postgres string
	maxConns int
}

// place decides which store is meant: the flag or variable first, then the
// settings file, then the data directory.
func (g globals) place(s settings.Settings) (place, error) {
	url := g.DatabaseURL
	path, isSQLite := strings.CutPrefix(url, "sqlite:")
	switch {
	case isSQLite && path != "":
		return place{sqlite: path}, nil
	case strings.HasPrefix(url, "postgres://"), strings.HasPrefix(url, "postgresql://"):
		return place{postgres: url, maxConns: s.Database.MaxConns}, nil
	case url != "":
		return place{}, usagef("--database-url must begin with postgres:// or sqlite:")
	case s.Database.Postgres != "":
		return place{postgres: s.Database.Postgres, maxConns: s.Database.MaxConns}, nil
	case s.Database.SQLite != "":
		return place{sqlite: s.Database.SQLite}, nil
	}
	return place{sqlite: filepath.Join(g.Data, "gatehouse.db")}, nil
}
