package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"reflect"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// RegisterClient implements [storage.Clients].
func (s *Store) RegisterClient(ctx context.Context, c storage.Client) (registered storage.Client, err error) {
	err = s.change(ctx, "register client", func(ctx context.Context, tx *sql.Tx) error {
		// Equal to nothing when there is no fingerprint: NULL never is.
		registered, err = scanClient(tx.QueryRowContext(ctx, `
			UPDATE client SET expires_at = CASE WHEN expires_at IS NULL THEN NULL ELSE $2 END
			WHERE fingerprint = $1 RETURNING `+clientRow,
			orNull(c.Fingerprint), orNull(c.ExpiresAt)))
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err := insertClient(ctx, tx, c); err != nil {
			return err
		}
		registered, err = clientByID(ctx, tx, c.ID)
		return err
	})
	if err != nil {
		return storage.Client{}, err
	}
	return registered, nil
}

// SaveDocument implements [storage.Clients]. A client of another kind is never
// replaced by a document: [storage.ErrExists].
func (s *Store) SaveDocument(ctx context.Context, c storage.Client) (saved storage.Client, err error) {
	c.Registration = storage.RegisteredByDocument
	changed := false
	err = s.change(ctx, "save document", func(ctx context.Context, tx *sql.Tx) error {
		older, err := clientByID(ctx, tx, c.ID)
		if errors.Is(err, sql.ErrNoRows) {
			if err := insertClient(ctx, tx, c); err != nil {
				return err
			}
			saved, err = clientByID(ctx, tx, c.ID)
			return err
		}
		if err != nil {
			return err
		}
		if older.Registration != storage.RegisteredByDocument {
			return storage.ErrExists
		}
		c.Disabled, c.Revision = older.Disabled, older.Revision
		if older.ExpiresAt.IsZero() {
			c.ExpiresAt = time.Time{}
		}
		if saved, err = updateClient(ctx, tx, c); err != nil {
			return err
		}
		if changed = !sameDocument(saved, older); changed {
			return appendChange(ctx, tx, storage.EventClientChanged, c.ID, c.UpdatedAt)
		}
		saved.Revision = older.Revision
		_, err = tx.ExecContext(ctx, `UPDATE client SET revision = $2 WHERE client_id = $1`, c.ID, older.Revision)
		return err
	})
	if err != nil {
		return storage.Client{}, err
	}
	if changed {
		s.appended.ring()
	}
	return saved, nil
}

// sameDocument compares two copies as they were stored, but for when they were
// fetched.
func sameDocument(a, b storage.Client) bool {
	a.ExpiresAt, a.FetchedAt, a.FreshUntil, a.UpdatedAt, a.Revision = b.ExpiresAt, b.FetchedAt, b.FreshUntil, b.UpdatedAt, b.Revision
	return reflect.DeepEqual(a, b)
}
