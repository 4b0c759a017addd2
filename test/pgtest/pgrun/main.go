// Command pgrun runs a command with a throw-away Postgres server:
//
//	go run ./test/pgtest/pgrun -- go test ./...
//
// The command finds the server in TEST_DATABASE_URL, as package pgtest
// expects. Interrupt and termination signals go to the command; the server
// stops when it has ended, and pgrun exits with its code. When
// TEST_DATABASE_URL is set already, pgrun only runs the command.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/gatehouse-mcp/gatehouse/test/pgtest"
)

const usage = 2

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		fmt.Fprintln(os.Stderr, "usage: pgrun -- command [argument…]")
		return usage
	}
	// Before the server starts, so that a signal never misses it.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)

	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if os.Getenv("TEST_DATABASE_URL") != "" {
		return wait(cmd, signals)
	}
	server, err := pgtest.Launch(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	cmd.Env = append(os.Environ(), "TEST_DATABASE_URL="+server.URL(""))
	code := wait(cmd, signals)
	if err := server.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}

// wait runs cmd, hands it the signals, and returns its exit code; 128 plus the
// signal's number, as shells do, when a signal ended it.
func wait(cmd *exec.Cmd, signals <-chan os.Signal) int {
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "pgrun:", err)
		return 127
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			_ = cmd.Process.Signal(s) // it may have ended this moment
		case err := <-ended:
			return exitCode(err)
		}
	}
}

func exitCode(err error) int {
	if err == nil {
		return 0
	}
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		fmt.Fprintln(os.Stderr, "pgrun:", err)
		return 1
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return exit.ExitCode()
}
