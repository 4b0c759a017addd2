package integration

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-mcp/gatehouse/test/world"
)

// counter counts the statements of requests, as Postgres would see them. What
// the servers do in the background (following the event log) is not a
// request's, and is told by its table.
type counter struct {
	mu         sync.Mutex // guards statements
	statements []string
}

func (c *counter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, query pgx.TraceQueryStartData) context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if background := strings.Contains(query.SQL, "FROM event") || strings.HasPrefix(strings.ToUpper(query.SQL), "LISTEN"); !background {
		c.statements = append(c.statements, query.SQL)
	}
	return ctx
}

func (c *counter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// take returns what was counted since the last call.
func (c *counter) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.statements
	c.statements = nil
	return taken
}

// Client credentials for a JWT cost no statement warm, for an opaque token one;
// introspection one cold and none warm; revocation at most two (PERFORMANCE P9).
func TestStatements_PerRequest(t *testing.T) {
	t.Parallel()
	counted := &counter{}
	w := world.Start(t, world.Postgres(t, counted))
	secrets := map[string]string{"jwt": w.Client("jwt"), "opaque": w.Client("opaque", world.Opaque)}
	expect := func(what string, most int, request func() int) {
		t.Helper()
		counted.take()
		status := request()
		if got := counted.take(); len(got) > most {
			t.Errorf("%s: %d statements, at most %d:\n%s", what, len(got), most, strings.Join(got, "\n"))
		}
		if status != http.StatusOK {
			t.Errorf("%s: status %d", what, status)
		}
	}
	token := func(id string) (string, int) {
		status, answer := post(t, w, "/oauth/token", id, secrets[id], url.Values{"grant_type": {"client_credentials"}})
		issued, _ := answer["access_token"].(string)
		return issued, status
	}
	introspect := func(token string) int {
		status, answer := post(t, w, "/oauth/introspect", w.IntrospectID, w.IntrospectSecret, url.Values{"token": {token}})
		if answer["active"] != true {
			t.Errorf("inactive: %v", answer)
		}
		return status
	}
	for id, most := range map[string]int{"jwt": 0, "opaque": 1} {
		issued, _ := token(id) // warms the caches
		expect(id+" token, warm", most, func() (status int) { issued, status = token(id); return status })
		expect(id+" introspection, cold", 1, func() int { return introspect(issued) })
		expect(id+" introspection, warm", 0, func() int { return introspect(issued) })
		expect(id+" MCP call", 1, func() int { return call(t, w, issued) })
		expect(id+" MCP call, warm", 0, func() int { return call(t, w, issued) })
		revoke := func(token string) func() int {
			return func() int {
				status, _ := post(t, w, "/oauth/revoke", id, secrets[id], url.Values{"token": {token}})
				return status
			}
		}
		expect(id+" revocation, warm", 1, revoke(issued))
		unseen, _ := token(id)
		expect(id+" revocation, cold", 2, revoke(unseen))
	}
}

func post(t *testing.T, w *world.World, path, id, secret string, form url.Values) (int, map[string]any) {
	t.Helper()
	status, body, err := w.Post(t.Context(), path, id, secret, form)
	if err != nil {
		t.Fatal(err)
	}
	var answer map[string]any
	if len(body) > 0 && json.Unmarshal(body, &answer) != nil {
		t.Fatalf("%s: %s", path, body)
	}
	return status, answer
}

func call(t *testing.T, w *world.World, token string) int {
	t.Helper()
	status, body, err := w.Call(t.Context(), token, "tools/call", "list_notes", `"name":"list_notes","arguments":{}`)
	if err != nil {
		t.Fatal(err)
	}
	if status != http.StatusOK {
		t.Logf("MCP call: %d %s", status, body)
	}
	return status
}
