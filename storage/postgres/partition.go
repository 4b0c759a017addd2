package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// partition is one UTC day of one of the tables partitioned by expires_at. It
// is told by its name, so that one that lost its parent on the way out is
// still found.
type partition struct {
	table string
	day   time.Time // its midnight
	state string    // attached, detaching or detached
}

const (
	dayLayout = "20060102"

	attached  = "attached"
	detaching = "detaching" // half way: see dropPartition
)

func dayOf(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

func (p partition) next() time.Time { return p.day.AddDate(0, 0, 1) }

func (p partition) String() string { return p.table + "_" + p.day.Format(dayLayout) }

// Maintain implements [storage.Store]. A partition that cannot be dropped now,
// because others hold it, is dropped the next time.
func (s *Store) Maintain(ctx context.Context, now time.Time, horizon time.Duration) error {
	present, err := s.partitions(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, table := range []string{"access_token", "event"} {
		last := dayOf(now.Add(horizon))
		for p := (partition{table: table, day: dayOf(now)}); !p.day.After(last); p.day = p.next() {
			if _, ok := present[p.String()]; !ok {
				errs = append(errs, s.do(ctx, "create partition "+p.String(), func(ctx context.Context) error {
					return s.createPartition(ctx, p)
				}))
			}
		}
	}
	for _, p := range present {
		if !p.next().After(now) {
			errs = append(errs, s.dropPartition(ctx, p))
		}
	}
	return errors.Join(append(errs, s.deleteExpired(ctx, now))...)
}

// partitions lists all partitions by name.
func (s *Store) partitions(ctx context.Context) (map[string]partition, error) {
	const sql = `
		SELECT c.relname,
			CASE WHEN i.inhrelid IS NULL THEN 'detached' WHEN i.inhdetachpending THEN 'detaching' ELSE 'attached' END
		FROM pg_class c
		JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = current_schema()
		LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
		WHERE c.relkind = 'r' AND c.relname ~ '^(access_token|event)_[0-9]{8}$'`
	found := map[string]partition{}
	err := s.do(ctx, "list partitions", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, sql)
		if err != nil {
			return err
		}
		var name, state string
		_, err = pgx.ForEachRow(rows, []any{&name, &state}, func() error {
			cut := strings.LastIndexByte(name, '_')
			if day, err := time.Parse(dayLayout, name[cut+1:]); err == nil {
				found[name] = partition{table: name[:cut], day: day, state: state}
			}
			return nil
		})
		return err
	})
	return found, err
}

// makePartitions makes what rows of table that expire at expires need, but for
// days that no name tells: the rows stay without, and are refused.
func (s *Store) makePartitions(ctx context.Context, table string, expires []time.Time) error {
	made := map[time.Time]bool{}
	for _, at := range expires {
		p := partition{table: table, day: dayOf(at)}
		if y := p.day.Year(); y < 1 || y > 9999 || made[p.day] {
			continue
		}
		made[p.day] = true
		if err := s.createPartition(ctx, p); err != nil {
			return err
		}
	}
	s.log.InfoContext(ctx, "made partitions for rows beyond the prepared days", "table", table, "days", len(made))
	return nil
}

// createPartition makes p, unless it is there. The table is made apart and
// then attached, in one implicit transaction and one round trip: so the parent
// is locked against other changes of its schema only, not against rows.
func (s *Store) createPartition(ctx context.Context, p partition) error {
	const layout = "2006-01-02 15:04:05+00"
	sql := fmt.Sprintf(`
		CREATE TABLE %[1]s (LIKE %[2]s INCLUDING ALL);
		ALTER TABLE %[2]s ATTACH PARTITION %[1]s FOR VALUES FROM ('%[3]s') TO ('%[4]s')`,
		p, p.table, p.day.Format(layout), p.next().Format(layout))
	_, err := s.pool.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
	switch sqlstate(err) {
	case duplicateTable, duplicateObject, uniqueViolation: // another replica made it, before or meanwhile
		return nil
	}
	return err
}

// dropPartition takes p off its parent, which keeps its rows usable all the
// while, and then drops it. Detaching concurrently has two halves; when the
// first alone has happened the next call does the second.
func (s *Store) dropPartition(ctx context.Context, p partition) error {
	var statements []string
	switch p.state {
	case attached:
		statements = append(statements, fmt.Sprintf("ALTER TABLE %s DETACH PARTITION %s CONCURRENTLY", p.table, p))
	case detaching:
		statements = append(statements, fmt.Sprintf("ALTER TABLE %s DETACH PARTITION %s FINALIZE", p.table, p))
	}
	for _, sql := range append(statements, fmt.Sprintf("DROP TABLE IF EXISTS %s", p)) {
		err := s.do(ctx, "drop partition "+p.String(), func(ctx context.Context) error {
			_, err := s.pool.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
			return err
		})
		if contended(err) {
			s.log.InfoContext(ctx, "left an expired partition for the next time", "partition", p.String(), "error", err)
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// contended says that a partition is being dropped by another replica, or is
// held by somebody who reads for long.
func contended(err error) bool {
	f, ok := errors.AsType[*failure](err)
	if !ok {
		return false
	}
	switch f.code {
	case undefinedTable, wrongObjectState, lockNotAvailable, queryCanceled, concurrentlyUpdate:
		return true
	}
	return false
}
