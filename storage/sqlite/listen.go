package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"
)

// lookAround is how often a listener looks for events of other processes.
const lookAround = 100 * time.Millisecond

// Listen implements [storage.Events]. An event of this store wakes at once,
// one of another store on the same file within 100 ms: SQLite notifies nobody,
// so every listener looks at the highest sequence number handed out.
func (s *Store) Listen(ctx context.Context, wake func()) error {
	look := time.NewTicker(lookAround)
	defer look.Stop()
	for known := int64(-1); ; {
		rung := s.appended.next() // taken before looking: no ring is lost in between
		newest, err := s.newestSeq(ctx)
		if err != nil {
			return err
		}
		if newest != known {
			known = newest
			wake()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-rung:
		case <-look.C:
		}
	}
}

// newestSeq returns the highest sequence number ever handed out.
func (s *Store) newestSeq(ctx context.Context) (seq int64, err error) {
	err = s.read(ctx, "look for events", func(db *sql.DB) error {
		err := db.QueryRowContext(ctx, `SELECT seq FROM sqlite_sequence WHERE name = 'event'`).Scan(&seq)
		if errors.Is(err, sql.ErrNoRows) {
			return nil // none yet
		}
		return err
	})
	return seq, err
}

// bell wakes everyone who waits for its next ring.
type bell struct {
	mu   sync.Mutex
	rung chan struct{} // closed by the next ring; never nil
}

// next returns a channel that the next ring closes.
func (b *bell) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rung
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.rung)
	b.rung = make(chan struct{})
}
