package storagetest

import (
	"context"
	"errors"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// contractErrors are all errors that an engine may answer with.
func contractErrors() []error {
	return []error{
		storage.ErrNotFound, storage.ErrExists, storage.ErrConflict, storage.ErrSpent,
		storage.ErrScope, storage.ErrResource,
		storage.ErrPending, storage.ErrSlowDown, storage.ErrDenied, storage.ErrExpired,
		storage.ErrUnavailable, storage.ErrSchema, context.Canceled, context.DeadlineExceeded,
	}
}

// wantErr fails unless err is want and none of the contract's other errors.
func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want %v", err, want)
	}
	for _, other := range contractErrors() {
		if !errors.Is(want, other) && errors.Is(err, other) {
			t.Fatalf("error %v is %v and also %v", err, want, other)
		}
	}
}

// wantStopped fails unless err is what a call whose context ended answers.
func wantStopped(t *testing.T, err error) {
	t.Helper()
	if !stopped(err) {
		t.Fatalf("error is %v, want a context error or ErrUnavailable", err)
	}
}

func stopped(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, storage.ErrUnavailable)
}

func isConflict(err error) bool { return errors.Is(err, storage.ErrConflict) }
