package resourceserver

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"
	"unicode"
)

// How much of a name that somebody else chose, and of an error's text, stands
// in the log; in bytes of what was sent.
const (
	maxLoggedName  = 128
	maxLoggedCause = 512
)

// log writes the event of the request, and to the security log what was
// decided about it. No field ever holds a credential.
func (s *Server) log(x *exchange, r *http.Request) {
	level, outcome := slog.LevelInfo, "passed"
	switch {
	case x.open && x.refusal == nil:
		level = slog.LevelDebug // probes come all the time, and 503 is an answer
	case x.status >= 500:
		level = slog.LevelError
	}
	attrs := make([]slog.Attr, 0, 16)
	attrs = append(attrs, slog.String("request_id", x.id), slog.String("verb", clip(r.Method, maxLoggedName)))
	if len(x.ops) > 0 && x.ops[0].Method != "" {
		attrs = append(attrs, slog.String("method", clip(x.ops[0].Method, maxLoggedName)))
		if name := x.ops[0].Name; name != "" {
			attrs = append(attrs, slog.String("name", clip(name, maxLoggedName)))
		}
	}
	if x.token != nil {
		attrs = append(attrs, slog.String("subject", clip(x.token.Subject, maxLoggedName)), slog.String("client_id", clip(x.token.ClientID, maxLoggedName)))
	}
	switch {
	case x.refusal != nil && (x.passed || x.refusal.Code == CodeServerError):
		outcome = "failed"
	case x.refusal != nil:
		outcome = "refused"
	case x.open:
		outcome = "exempt"
	case !x.passed:
		outcome = "preflight"
	}
	if x.refusal != nil {
		attrs = append(attrs, slog.String("reason", x.refusal.label()))
		if x.refusal.cause != nil {
			attrs = append(attrs, slog.String("cause", clip(x.refusal.cause.Error(), maxLoggedCause)))
		}
	}
	attrs = append(attrs, slog.String("outcome", outcome), slog.Int("status", x.status))
	s.cfg.Logger.LogAttrs(r.Context(), level, "request", append(attrs, slog.Duration("duration", time.Since(x.began)))...)
	s.secure(r.Context(), x, append(attrs, slog.String("remote_addr", x.address(r))))
}

// address returns whom the request is from as far as that is known.
func (x *exchange) address(r *http.Request) string {
	if x.client.IsValid() {
		return x.client.String()
	}
	return clip(r.RemoteAddr, maxLoggedName)
}

// secure writes the security log, as Config.SecurityEvents selects: a warning
// for a refusal, except for the first request of a client that has no token
// yet. Who was refused for want of scopes, what was needed and what was held
// tell later which elevation a request was the reason for: the next token of
// that subject and client has more.
func (s *Server) secure(ctx context.Context, x *exchange, attrs []slog.Attr) {
	level, event, wanted := slog.LevelWarn, "authentication failed", !s.cfg.SecurityEvents.NoFailedAuth
	switch {
	case x.passed:
		level, event, wanted = slog.LevelInfo, "authentication succeeded", x.token != nil && s.cfg.SecurityEvents.SuccessfulAuth
	case x.refusal == nil || x.open && x.refusal.Code == CodeServerError:
		return // a preflight, or nothing that was to be decided
	case x.refusal.anonymous:
		level = slog.LevelInfo
	case x.refusal.Code == CodeInsufficientScope:
		event, wanted = "authorization failed", !s.cfg.SecurityEvents.NoAuthorizationFailures
		attrs = append(attrs, slog.String("scope_needed", clip(x.refusal.Scope.String(), maxLoggedCause)))
		if x.token != nil {
			attrs = append(attrs, slog.String("scope_held", clip(x.token.Scopes.String(), maxLoggedCause)))
		}
	case x.refusal.Code != CodeInvalidToken && x.refusal.Code != CodeTemporarilyUnavailable && x.refusal.Code != CodeServerError:
		event = "request refused"
	}
	if wanted {
		s.cfg.SecurityLog.LogAttrs(ctx, level, event, attrs...) //nolint:sloglint // one of the four above
	}
}

// clip bounds what others can write into the log: so many bytes, on one line,
// nothing that a terminal obeys.
func clip(s string, limit int) string {
	return strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return unicode.ReplacementChar
		}
		return c
	}, s[:min(len(s), limit)])
}
