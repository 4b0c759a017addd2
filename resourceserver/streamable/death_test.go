package streamable

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"

	"github.com/gatehouse-mcp/gatehouse/resourceserver"
	"github.com/gatehouse-mcp/gatehouse/resourceserver/rstest"
)

// ends are the two ways in which a token can end while it is in use.
var ends = map[string]func(*rstest.Issuer) (claims rstest.Claims, end func()){
	"revoked": func(i *rstest.Issuer) (rstest.Claims, func()) {
		return rstest.Claims{"jti": "doomed"}, func() { i.RevokeToken("doomed") }
	},
	"expired": func(*rstest.Issuer) (rstest.Claims, func()) {
		return rstest.Claims{"exp": time.Now().Add(2 * time.Second).Unix()}, func() {}
	},
}

func noSkew(c *resourceserver.Config) { c.ClockSkew = -1 }

// A stream that has begun ends, whole and well formed, when its token does.
func TestStreams_RS23_EndWithTheToken(t *testing.T) {
	t.Parallel()
	for how, doom := range ends {
		for kind, open := range map[string]func(context.Context, *server, *client) *http.Response{
			"the standalone stream": func(ctx context.Context, _ *server, c *client) *http.Response {
				c.initialize()
				return c.do(ctx, http.MethodGet, "", headerVersion, "2025-11-25")
			},
			"a call in a session": func(ctx context.Context, s *server, c *client) *http.Response {
				c.initialize()
				defer await(t, s.started)
				return c.do(ctx, http.MethodPost, request("tools/call", `"name":"slow"`), headerVersion, "2025-11-25")
			},
			"a subscription": func(ctx context.Context, _ *server, c *client) *http.Response {
				return c.do(ctx, http.MethodPost, modernBody("subscriptions/listen", `"notifications":{"toolsListChanged":true}`), modernHeader("subscriptions/listen", "")...)
			},
		} {
			t.Run(how+"/"+kind, func(t *testing.T) {
				t.Parallel()
				s := newServer(t)
				c, _, issuer := gated(t, s, nil, noSkew)
				claims, end := doom(issuer)
				c.t, c.token = t, issuer.Token(all, claims)
				ctx, cancel := context.WithTimeout(t.Context(), deadline)
				defer cancel()
				resp := open(ctx, s, c)
				stream := bufio.NewReader(resp.Body)
				if first, err := stream.ReadString('\n'); err != nil || resp.StatusCode != http.StatusOK {
					t.Fatalf("%s: %q, %v", resp.Status, first, err)
				}
				end()
				if rest, err := io.ReadAll(stream); err != nil || strings.Contains(string(rest), "slow result") {
					t.Errorf("%v: %s", err, rest)
				}
				if a := c.send(http.MethodPost, request("ping", "")); a.status != http.StatusUnauthorized {
					t.Errorf("afterwards: %d %s", a.status, a.body)
				}
			})
		}
	}
}

// Where nothing has been answered yet, the answer is the one for a bad token.
func TestStreams_RS23_CallsUnderWayAreRefused(t *testing.T) {
	t.Parallel()
	for how, doom := range ends {
		for era, open := range map[string]func(context.Context, *client) *http.Response{
			"legacy": func(ctx context.Context, c *client) *http.Response {
				c.initialize()
				return c.do(ctx, http.MethodPost, request("tools/call", `"name":"slow"`), headerVersion, "2025-06-18")
			},
			"modern": func(ctx context.Context, c *client) *http.Response {
				return c.do(ctx, http.MethodPost, modernBody("tools/call", `"name":"slow"`), modernHeader("tools/call", "slow")...)
			},
		} {
			t.Run(how+"/"+era, func(t *testing.T) {
				t.Parallel()
				s := newServer(t)
				c, _, issuer := gated(t, s, nil, noSkew)
				claims, end := doom(issuer)
				c.t, c.token = t, issuer.Token(all, claims)
				go func() {
					<-s.started
					end()
				}()
				ctx, cancel := context.WithTimeout(t.Context(), deadline)
				defer cancel()
				resp := open(ctx, c)
				body, err := io.ReadAll(resp.Body)
				if err != nil || resp.StatusCode != http.StatusUnauthorized || !strings.Contains(resp.Header.Get("WWW-Authenticate"), `error="invalid_token"`) || !strings.Contains(string(body), `"id":7`) {
					t.Errorf("%s %v: %v: %s", resp.Status, resp.Header, err, body)
				}
			})
		}
	}
}

// What a revoked token has set in motion in a session does not go on.
func TestSeed_S29_HandlersEndWithTheirSession(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c, e, issuer := gated(t, s, nil)
	c.initialize()
	e2 := c.as(issuer.Token(all, rstest.Claims{"sub": "bob"}))
	e2.session = ""
	e2.initialize()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	go func() {
		c.do(ctx, http.MethodPost, request("tools/call", `"name":"slow"`), headerVersion, "2025-11-25")
	}()
	await(t, s.started)
	if n := e.CloseSessions(func(info *auth.TokenInfo) bool {
		token, ok := resourceserver.TokenFromInfo(info)
		return ok && token.Subject == "alice"
	}); n != 1 {
		t.Errorf("%d sessions closed", n)
	}
	if err := await(t, s.done); err == nil {
		t.Error("the tool was not cancelled")
	}
	if a := e2.send(http.MethodPost, request("ping", "")); a.status != http.StatusOK {
		t.Errorf("bob: %d %s", a.status, a.body)
	}
}
