package postgres_test

import (
	neturl "net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-mcp/gatehouse/storage/postgres"
	"github.com/gatehouse-mcp/gatehouse/test/pgtest"
)

// crowd fills every table that grows with people, so that reading one of them
// from end to end would cost.
//
//nolint:dupword // columns of one row may be alike
const crowd = `
	INSERT INTO client (client_id, client_name, grant_types, redirect_uris, scopes, default_scopes, resources, default_resource,
		introspect, disabled, revision, created_at, updated_at, fingerprint, expires_at)
		SELECT 'x' || i, '', '{}', '{}', '{}', '{}', '{}', '', false, false, 1, now(), now(), i::text::bytea, '2040-01-01'
		FROM generate_series(1, 20000) AS i;
	INSERT INTO users SELECT 'x' || i, 'x' || i, '', '', false, '', NULL, '{}', false, 1, now(), now() FROM generate_series(1, 20000) AS i;
	INSERT INTO user_identity SELECT 'x', 'x' || i, 'x' || i FROM generate_series(1, 20000) AS i;
	INSERT INTO passkey SELECT i::text::bytea, 'x' || i, '', '', '', '{}', 0, NULL, 0, now(), NULL FROM generate_series(1, 20000) AS i;
	INSERT INTO session SELECT sha256(i::text::bytea), 'x' || i, '{}', now(), now(), now(), '2040-01-01', '', ''
		FROM generate_series(1, 20000) AS i;
	INSERT INTO failure_counter SELECT sha256(i::text::bytea), 1, now(), '2040-01-01' FROM generate_series(1, 20000) AS i;
	INSERT INTO pushed_request SELECT sha256(i::text::bytea), 'x', '', '2040-01-01' FROM generate_series(1, 20000) AS i;
	INSERT INTO assertion_jti SELECT sha256(i::text::bytea), '2040-01-01' FROM generate_series(1, 20000) AS i;
	INSERT INTO interaction SELECT h, h, 'x', '', '', '', '{}', '', '', NULL, '', '{}', NULL, '', NULL, NULL, NULL, now(), '2040-01-01'
		FROM (SELECT sha256(i::text::bytea) FROM generate_series(1, 20000) AS i) AS hashed (h);
	INSERT INTO token_grant (grant_id, client_id, user_id, scopes, resource, audience, methods, nonce, device, refresh, code_hash,
		secret, created_at, last_used_at, expires_at)
		SELECT 'x' || i, 'x' || i % 10, 'x' || i, '{}', '', '', '{}', '', '', true, h, h, now(), now(), '2040-01-01'
		FROM (SELECT i, sha256(i::text::bytea) FROM generate_series(1, 20000) AS i) AS hashed (i, h);
	INSERT INTO device_authorization (device_code, user_code, client_id, scopes, resource, audience, device, refresh, poll_interval,
		created_at, expires_at)
		SELECT h, h, 'x', '{}', '', '', '', true, '5 s', now(), '2040-01-01'
		FROM (SELECT sha256(i::text::bytea) FROM generate_series(1, 20000) AS i) AS hashed (h);
	ANALYZE`

// TestStatements_ReadNoTableFromEndToEnd, with the plans that a connection has
// when it is no longer new and knows no parameter beforehand.
func TestStatements_ReadNoTableFromEndToEnd(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	conn := session(t, url)
	execute(t, conn, crowd)
	before := rowsRead(t, conn)
	s := open(t, postgres.Config{URL: withParameter(t, url, "plan_cache_mode", "force_generic_plan")})
	must(t, s.Maintain(t.Context(), noon, 48*time.Hour))
	for _, step := range steps() {
		if err := step.run(t.Context(), s); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
	}
	must(t, s.Maintain(t.Context(), noon.Add(2*time.Hour), 0))
	must(t, s.Close())
	for table, n := range rowsRead(t, conn) {
		if n -= before[table]; n != 0 {
			t.Errorf("%s: %d rows read without an index", table, n)
		}
	}
}

// rowsRead returns how many rows of each crowded table were read in the
// table's own order. A connection is sure to have reported that when it ended.
func rowsRead(t *testing.T, conn *pgx.Conn) map[string]int {
	t.Helper()
	const connections = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'gatehouse'"
	eventually(t, "no store is connected", func() bool { return value[int](t, conn, connections) == 0 })
	execute(t, conn, "SELECT pg_stat_clear_snapshot()")
	rows, err := conn.Query(t.Context(), `SELECT relname::text, seq_tup_read::int FROM pg_stat_user_tables
		WHERE relname IN ('client', 'users', 'user_identity', 'passkey', 'session', 'failure_counter', 'pushed_request',
			'assertion_jti', 'interaction', 'token_grant', 'device_authorization')`)
	must(t, err)
	read := map[string]int{}
	var table string
	var n int
	_, err = pgx.ForEachRow(rows, []any{&table, &n}, func() error {
		read[table] = n
		return nil
	})
	must(t, err)
	return read
}

func withParameter(t *testing.T, url, name, setting string) string {
	t.Helper()
	u, err := neturl.Parse(url)
	must(t, err)
	query := u.Query()
	query.Set(name, setting)
	u.RawQuery = query.Encode()
	return u.String()
}
