package authserver

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// logEntry is the one event that a request leaves in the log: endpoints fill
// it as they learn, the edge writes it at the end. It never holds a
// credential.
type logEntry struct {
	start     time.Time // the request's idea of now
	requestID string
	peer      string // whom it is from
	endpoint  string
	routine   bool // happens all the time even when nobody does anything

	grantType string
	clientID  string
	subject   string
	grantID   string
	jti       string

	failure *oauthError
}

// maxMethod bounds what is logged of a method; the longest registered one fits.
const maxMethod = 24

type logEntryKey struct{}

func withEntry(ctx context.Context, entry *logEntry) context.Context {
	return context.WithValue(ctx, logEntryKey{}, entry)
}

// entryFrom returns the request's entry; code that fosite calls back with only
// a context finds it here.
func entryFrom(ctx context.Context) *logEntry {
	if entry, ok := ctx.Value(logEntryKey{}).(*logEntry); ok {
		return entry
	}
	return &logEntry{start: time.Now()}
}

// write logs the entry: errors of ours loudly, answers to clients, and the
// lack of one to a client that has left, quietly.
func (e *logEntry) write(ctx context.Context, logger *slog.Logger, r *http.Request, status int) {
	level := slog.LevelInfo
	switch {
	case status >= http.StatusInternalServerError && ctx.Err() == nil:
		level = slog.LevelError
	case status < http.StatusBadRequest && e.routine:
		level = slog.LevelDebug
	}
	if !logger.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 14)
	attrs = append(attrs,
		slog.String("request_id", e.requestID), slog.String("endpoint", e.endpoint), slog.String("verb", r.Method[:min(len(r.Method), maxMethod)]),
		slog.Int("status", status), slog.Duration("duration", time.Since(e.start)), slog.String("remote_addr", r.RemoteAddr))
	for _, known := range [...]struct{ name, value string }{
		{"grant_type", e.grantType}, {"client_id", e.clientID}, {"subject", e.subject}, {"grant", e.grantID}, {"jti", e.jti},
	} {
		if known.value != "" {
			attrs = append(attrs, slog.String(known.name, known.value))
		}
	}
	if e.failure != nil {
		attrs = append(attrs, slog.String("error", e.failure.code), slog.String("cause", e.failure.logged()))
	}
	logger.LogAttrs(ctx, level, "request", attrs...)
}
