package streamable

import (
	"bufio"
	"context"
	"encoding/base64"
	"net/http"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/prometheus/client_golang/prometheus"
)

func TestSessions_TL01_IDsAreUnguessable(t *testing.T) {
	t.Parallel()
	c, _ := start(t, newServer(t), nil)
	seen := map[string]bool{}
	for range 3 {
		c.session = ""
		c.initialize()
		if id, err := base64.RawURLEncoding.DecodeString(c.session); err != nil || len(id) != sessionIDBytes || seen[c.session] {
			t.Errorf("%q: %d bytes, %v", c.session, len(id), err)
		}
		seen[c.session] = true
	}
	if id := SessionID(1)(); len(id) < 22 {
		t.Errorf("%q has less than 128 bits", id)
	}
}

func TestSessions_TL02_MissingID(t *testing.T) {
	t.Parallel()
	c, _ := start(t, newServer(t), nil)
	for _, body := range []string{
		request("tools/list", ""), request("ping", ""), `{"jsonrpc":"2.0","method":"notifications/initialized"}`,
		`{"jsonrpc":"2.0","id":1,"result":{}}`, "[" + request("tools/list", "") + "]",
	} {
		if a := c.send(http.MethodPost, body); a.status != http.StatusBadRequest || a.code() != -32600 {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		if a := c.send(method, ""); a.status != http.StatusBadRequest || a.code() != -32600 {
			t.Errorf("%s: %d %s", method, a.status, a.body)
		}
	}
}

func TestSessions_TL03_TL04_EndedSessionsAreGone(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	c, _ := start(t, newServer(t), &Options{Metrics: registry})
	active := func() int {
		families, err := registry.Gather()
		if err != nil || len(families) != 1 || families[0].GetName() != "mcp_sessions_active" {
			t.Fatalf("%v, %v", families, err)
		}
		return int(families[0].GetMetric()[0].GetGauge().GetValue())
	}
	c.initialize()
	if n := active(); n != 1 {
		t.Errorf("%d sessions after initialize", n)
	}
	if a := c.modern("tools/list", "", ""); a.status != http.StatusOK || active() != 1 {
		t.Errorf("a modern request counts as a session: %d, %d", a.status, active())
	}
	if a := c.send(http.MethodDelete, ""); a.status != http.StatusNoContent {
		t.Errorf("DELETE: %d %s", a.status, a.body)
	}
	if n := active(); n != 0 {
		t.Errorf("%d sessions after DELETE", n)
	}
	for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
		if a := c.send(method, request("tools/list", "")); a.status != http.StatusNotFound {
			t.Errorf("%s after the end: %d %s", method, a.status, a.body)
		}
	}
}

func TestSessions_RS17_BelongToThePrincipal(t *testing.T) {
	t.Parallel()
	c, _ := start(t, newServer(t), nil)
	c.initialize()
	thief := c.as("mallory,mcp:admin")
	for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
		if a := thief.send(method, request("tools/list", "")); a.status != http.StatusNotFound {
			t.Errorf("%s: %d %s", method, a.status, a.body)
		}
	}
	if a := c.send(http.MethodPost, request("ping", "")); a.status != http.StatusOK {
		t.Errorf("the owner afterwards: %d %s", a.status, a.body)
	}
}

func TestSeed_S29_SessionsAreCleared(t *testing.T) {
	t.Parallel()
	c, e := start(t, newServer(t), nil)
	bob := c.as("bob,mcp:admin")
	c.initialize()
	bob.initialize()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	stream := c.do(ctx, http.MethodGet, "")
	if n := e.CloseSessions(func(info *auth.TokenInfo) bool { return info.UserID == "alice" }); n != 1 {
		t.Errorf("%d closed", n)
	}
	if _, err := bufio.NewReader(stream.Body).ReadString(0); err == nil || ctx.Err() != nil {
		t.Errorf("the stream goes on: %v, %v", err, ctx.Err())
	}
	eventually(t, func() bool { return c.send(http.MethodPost, request("ping", "")).status == http.StatusNotFound })
	if a := bob.send(http.MethodPost, request("ping", "")); a.status != http.StatusOK {
		t.Errorf("bob: %d %s", a.status, a.body)
	}
	if n := e.CloseSessions(nil); n != 1 || e.CloseSessions(nil) != 0 {
		t.Errorf("%d closed", n)
	}
}

// eventually polls until ok holds.
func eventually(t testing.TB, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); !ok(); {
		if time.Now().After(end) {
			t.Fatal("it did not happen")
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}
