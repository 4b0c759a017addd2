package resourceserver

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// maxCalls is how many calls of the hook run at a time: a flood of tokens must
// not become one of whatever stands behind it.
const maxCalls = 64

// hook asks Config.Validate about tokens. It fails closed.
type hook struct {
	rules
	validate func(ctx context.Context, token string) (*AccessToken, error)
	calls    chan struct{} // one for each that runs
	logger   *slog.Logger
}

// What the hook can do wrong.
var (
	errNoAnswer  = errors.New("the hook returned neither a token nor an error")
	errNotStatic = errors.New("the hook returned the issuer of static tokens")
	errPanic     = errors.New("the hook panicked")
	errBusy      = errors.New("all calls of the hook are under way")
)

// accessToken asks about token, whose SHA-256 is key. The error is a
// [*Refusal]. It runs in a goroutine that many requests wait for, so that a
// panic must not leave it.
func (h *hook) accessToken(ctx context.Context, token string, key [sha256.Size]byte, now time.Time) (e *verified, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	defer func() {
		if crash := recover(); crash != nil {
			e, err = nil, failed(h.report(ctx, redact(fmt.Sprint(crash), token)))
		}
	}()
	select {
	case h.calls <- struct{}{}:
		defer func() { <-h.calls }()
	case <-ctx.Done():
		return nil, unavailable(errBusy)
	}
	answer, err := h.validate(ctx, token)
	if err != nil {
		return nil, hookRefusal(err, token)
	}
	if e, err = h.judge(answer, now); err != nil {
		return nil, invalidToken(err)
	}
	e.checked, e.event = now, base64.RawURLEncoding.EncodeToString(key[:])
	return e, nil
}

// report logs a panic where it can still be seen.
func (h *hook) report(ctx context.Context, text string) error {
	h.logger.LogAttrs(ctx, slog.LevelError, "panic", slog.String("panic", text), slog.String("stack", string(debug.Stack())))
	return errPanic
}

// judge takes the hook's word for everything but what it cannot mean: a token
// of nobody, for another resource, without end, or with scopes that are none.
func (h *hook) judge(answer *AccessToken, now time.Time) (*verified, error) {
	if answer == nil {
		return nil, errNoAnswer
	}
	t := *answer // the hook may keep its own
	setDefault(&t.Subject, t.ClientID)
	switch {
	case t.Issuer == StaticIssuer:
		return nil, errNotStatic
	case t.Subject == "" || t.ExpiresAt.IsZero():
		return nil, errIncomplete
	case len(t.Audience) > 0 && !h.forUs(t.Audience):
		return nil, errAudience
	case !now.Before(t.ExpiresAt):
		return nil, errExpired
	}
	for _, scope := range t.Scopes {
		if !scopes.ValidToken(scope) {
			return nil, scopes.ErrSyntax
		}
	}
	t.Audience, t.Scopes = slices.Clone(t.Audience), scopes.Of(t.Scopes...)
	e := newVerified(t, h.catalog, 0)
	e.foreign = t.Issuer != "" && t.Issuer != h.issuer
	return e, nil
}

// hookRefusal makes a refusal of what the hook says: its own one as it is, any
// other error a token that is not valid. Of the error only the text is kept,
// without the token that it may quote.
func hookRefusal(err error, token string) *Refusal {
	text := errors.New(redact(err.Error(), token))
	own, ok := errors.AsType[*Refusal](err)
	if !ok || own == nil {
		return invalidToken(text)
	}
	if own.Status < 400 || own.Status > 599 {
		return failed(text)
	}
	refusal := *own
	refusal.cause = text
	refusal.challenge = own.Status <= http.StatusForbidden
	switch own.Code {
	case CodeInvalidRequest, CodeInvalidToken, CodeInsufficientScope, CodeTemporarilyUnavailable, CodeServerError:
	default:
		refusal.reason = "other" // values of a label are bounded
	}
	return &refusal
}

// redact takes the token out of a text for the log.
func redact(text, token string) string { return strings.ReplaceAll(text, token, "[redacted]") }
