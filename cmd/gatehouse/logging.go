package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/settings"
)

// logger writes to stderr: JSON, or text when a person reads it.
func (p *process) logger(forPeople bool) *slog.Logger {
	return slog.New(p.stderrHandler(forPeople, settings.LogLevel(p.LogLevel)))
}

func (p *process) stderrHandler(forPeople bool, level slog.Level) slog.Handler {
	options := &slog.HandlerOptions{Level: level}
	if forPeople && isTerminal(p.stderr) {
		return slog.NewTextHandler(p.stderr, options)
	}
	return slog.NewJSONHandler(p.stderr, options)
}

// securityLogger writes where the settings say; the file, when there is one,
// is the caller's to close. What goes to stderr has the form of the other
// messages there, and is never chattier than --log-level.
func (p *process) securityLogger(s settings.SecurityLog, forPeople bool) (*slog.Logger, io.Closer, error) {
	level := settings.LogLevel(s.Level)
	if s.File == "" {
		handler := p.stderrHandler(forPeople, max(level, settings.LogLevel(p.LogLevel)))
		return slog.New(handler).With("log", "security"), io.NopCloser(nil), nil
	}
	file, err := os.OpenFile(s.File, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("security_log.file: %w", err)
	}
	handler := slog.NewJSONHandler(file, &slog.HandlerOptions{Level: level})
	return slog.New(handler).With("log", "security"), file, nil
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// atLeast raises the least level of a logger whose owner talks too much.
func atLeast(level slog.Level, log *slog.Logger) *slog.Logger {
	return slog.New(leveled{log.Handler(), level})
}

type leveled struct {
	slog.Handler
	least slog.Level
}

// Enabled implements slog.Handler.
func (h leveled) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= h.least && h.Handler.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (h leveled) WithAttrs(attrs []slog.Attr) slog.Handler {
	return leveled{h.Handler.WithAttrs(attrs), h.least}
}

// WithGroup implements slog.Handler.
func (h leveled) WithGroup(name string) slog.Handler {
	return leveled{h.Handler.WithGroup(name), h.least}
}

// authserverEvents leaves failed authentication out of the security log when
// the settings say so; all other events of the authorization server stay.
func authserverEvents(log *slog.Logger, s settings.SecurityLog) *slog.Logger {
	if s.LogFailedAuth {
		return log
	}
	return slog.New(unheard{log.Handler()})
}

// unheard drops the events of failed authentication.
type unheard struct{ slog.Handler }

// Handle implements slog.Handler.
func (h unheard) Handle(ctx context.Context, record slog.Record) error {
	switch record.Message {
	case "client authentication failed", "sign-in failed", "second factor failed":
		return nil
	}
	return h.Handler.Handle(ctx, record)
}

// WithAttrs implements slog.Handler.
func (h unheard) WithAttrs(attrs []slog.Attr) slog.Handler {
	return unheard{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h unheard) WithGroup(name string) slog.Handler { return unheard{h.Handler.WithGroup(name)} }
