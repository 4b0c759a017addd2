package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/alecthomas/kong"
)

// commandLine is the grammar of the command line; each command is a struct of
// its own file with a method Run(ctx, process) error.
type commandLine struct {
	globals

	Dev        devCommand        `cmd:"" help:"Run both servers on this machine with demo clients."`
	Serve      serveCommand      `cmd:"" help:"Run the authorization server, the resource server or both."`
	Demo       demoCommand       `cmd:"" help:"Show the whole life of a token, step by step, and check each step."`
	Migrate    migrateCommand    `cmd:"" help:"Bring the database schema up to date, or back."`
	Client     clientCommand     `cmd:"" help:"Register, show and change OAuth clients."`
	User       userCommand       `cmd:"" help:"Make, show and disable people's accounts."`
	Token      tokenCommand      `cmd:"" help:"Get an access token with client credentials."`
	Introspect introspectCommand `cmd:"" help:"Ask the authorization server about a token (RFC 7662)."`
	Revoke     revokeCommand     `cmd:"" help:"Revoke tokens now, on every server."`
	Call       callCommand       `cmd:"" help:"Call an MCP method, with discovery and a bearer token."`
	Keys       keysCommand       `cmd:"" help:"List, rotate and retire signing keys."`
	Config     configCommand     `cmd:"" help:"Check a settings file, or print a complete one."`
	Health     healthCommand     `cmd:"" help:"Exit with 0 if the URL answers with success (for container health checks)."`
	Completion completionCommand `cmd:"" help:"Print a completion script for a shell."`
	Version    versionCommand    `cmd:"" help:"Print the version."`
}

// process is what a command may touch of the world.
type process struct {
	globals
	getenv         func(string) string
	stdin          io.Reader
	stdout, stderr io.Writer
}

// run parses args and runs the command they name. It is the whole program but
// for signals and the exit code, and touches nothing global.
func run(ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) error {
	var line commandLine
	helped := false
	parser, err := kong.New(&line,
		kong.Name("gatehouse"),
		kong.Description("OAuth 2.1 authorization server and protected MCP resource server."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(int) { helped = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
		kong.ValueFormatter(helpText),
		kong.Resolvers(environment(getenv)),
	)
	if err == nil {
		err = claimEnvironment(parser)
	}
	if err != nil {
		return err
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	switch {
	case helped:
		return nil
	case err != nil:
		return usageError{fmt.Errorf("%w; see gatehouse %s--help", err, commandPath(err))}
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	return parsed.Run(&process{globals: line.globals, getenv: getenv, stdin: stdin, stdout: stdout, stderr: stderr})
}

// claimEnvironment takes the look-up of variables away from kong, which would
// ask the operating system, so that one getenv governs all of it. Flags keep
// their list of names for [environment] and for the help.
func claimEnvironment(k *kong.Kong) error {
	return kong.Visit(k.Model, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok {
			flag.Tag.Envs = nil
		}
		return next(nil)
	})
}

// environment resolves flags that are not on the command line; an empty
// variable is one that is not set.
func environment(getenv func(string) string) kong.Resolver {
	return kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		for _, name := range flag.Envs {
			if value := getenv(name); value != "" {
				return value, nil
			}
		}
		return nil, nil
	})
}

func helpText(v *kong.Value) string {
	if v.Flag == nil || len(v.Flag.Envs) == 0 {
		return v.Help
	}
	return fmt.Sprintf("%s ($%s)", v.Help, strings.Join(v.Flag.Envs, ", $"))
}

// commandPath names the command that a usage error is about, with a space
// behind it, or nothing.
func commandPath(err error) string {
	parse, ok := errors.AsType[*kong.ParseError](err)
	if !ok || parse.Context == nil || parse.Context.Selected() == nil {
		return ""
	}
	return strings.TrimPrefix(parse.Context.Selected().Path(), "gatehouse ") + " "
}

// usageError is an error of the person who typed the command.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// report prints err on one line and returns the exit code. Parts of it may be
// what a server said, so that nothing but printable text reaches the terminal.
func report(stderr io.Writer, err error) int {
	if err == nil {
		return 0
	}
	printable := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, err.Error())
	fmt.Fprintln(stderr, "gatehouse:", strings.Join(strings.Fields(printable), " "))
	if _, usage := errors.AsType[usageError](err); usage {
		return 2
	}
	return 1
}
