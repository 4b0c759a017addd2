package streamable

import (
	"context"
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"

	"github.com/gatehouse-mcp/gatehouse/resourceserver/rstest"
)

const initializeBody = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`

func TestSeed_S20_SessionsAreBounded(t *testing.T) {
	t.Parallel()
	c, e := start(t, newServer(t), &Options{MaxSessions: 2})
	bob := c.as("bob,mcp:admin")
	for range 2 {
		c.session = ""
		c.initialize()
	}
	again := c.as(c.token)
	again.session = ""
	a := again.initialize()
	if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" || !strings.HasPrefix(a.rpc.Error.Message, "rate_limited: 2 sessions") {
		t.Errorf("the third: %d %s", a.status, a.body)
	}
	if a := bob.initialize(); a.status != http.StatusOK {
		t.Errorf("another principal: %d %s", a.status, a.body)
	}
	c.send(http.MethodDelete, "")
	if a := again.initialize(); a.status != http.StatusOK || e.sessions.count() != 3 {
		t.Errorf("after one has ended: %d %s", a.status, a.body)
	}
}

func TestSeed_S20_TheOldestMakesRoom(t *testing.T) {
	t.Parallel()
	c, e := start(t, newServer(t), &Options{MaxSessions: 2, EvictOldest: true})
	var all []string
	for range 3 {
		c.session = ""
		c.initialize()
		all = append(all, c.session)
	}
	if n := e.sessions.count(); n != 2 {
		t.Errorf("%d sessions", n)
	}
	ended := c.as(c.token)
	ended.session = all[0]
	eventually(t, func() bool { return ended.send(http.MethodPost, request("ping", "")).status == http.StatusNotFound })
	for _, id := range all[1:] {
		c.session = id
		if a := c.send(http.MethodPost, request("ping", "")); a.status != http.StatusOK {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}

// However many ask at once, no principal gets one session too many, nor one too
// few.
func TestSeed_S20_TheLimitHoldsInARace(t *testing.T) {
	t.Parallel()
	c, e, issuer := gated(t, newServer(t), nil)
	var opened, refused atomic.Int64
	var clients sync.WaitGroup
	for n := range 40 {
		one := c.as(issuer.Token(all, rstest.Claims{"sub": "user" + strconv.Itoa(n%2)}))
		clients.Go(func() {
			switch a := one.send(http.MethodPost, initializeBody); a.status {
			case http.StatusOK:
				opened.Add(1)
			case http.StatusTooManyRequests:
				refused.Add(1)
			default:
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	clients.Wait()
	if opened.Load() != 10 || refused.Load() != 30 || e.sessions.count() != 10 {
		t.Errorf("%d opened, %d refused, %d there", opened.Load(), refused.Load(), e.sessions.count())
	}
}

func TestSeed_S20_IdleSessionsEnd(t *testing.T) {
	t.Parallel()
	c, e := start(t, newServer(t), &Options{SessionTimeout: time.Hour, CleanupInterval: time.Hour})
	for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
		c.session = ""
		c.initialize()
		e.sessions.age(c.session, time.Hour-time.Minute)
		if a := c.send(http.MethodPost, request("ping", "")); a.status != http.StatusOK {
			t.Errorf("before its time: %d %s", a.status, a.body)
		}
		eventually(t, func() bool { return e.sessions.running(c.session) == 0 })
		e.sessions.age(c.session, time.Hour)
		// Nobody has cleaned up, and the session is over all the same.
		if a := c.send(method, request("ping", "")); a.status != http.StatusNotFound {
			t.Errorf("%s: %d %s", method, a.status, a.body)
		}
		if n := e.sessions.count(); n != 0 {
			t.Errorf("%s: %d sessions", method, n)
		}
	}
}

// age makes a session look unused for that long.
func (s *sessions) age(id string, unused time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byID[id].used = time.Now().Add(-unused)
}

// running returns how many requests a session has.
func (s *sessions) running(id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byID[id].running
}

func TestSeed_S20_ARunningRequestKeepsItsSession(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c, e := start(t, s, nil)
	c.initialize()
	ctx, hangUp := context.WithTimeout(t.Context(), deadline)
	defer hangUp()
	for kind, run := range map[string]func() (stop func()){
		"a stream": func() func() {
			stream, end := context.WithCancel(ctx)
			c.do(stream, http.MethodGet, "")
			return end
		},
		"a call": func() func() {
			go c.do(ctx, http.MethodPost, request("tools/call", `"name":"slow"`))
			await(t, s.started)
			return func() { s.release <- struct{}{} }
		},
	} {
		stop := run()
		e.sessions.age(c.session, 24*time.Hour)
		if n := e.sessions.count(); n != 1 {
			t.Fatalf("%s does not keep the session: %d", kind, n)
		}
		stop()
		eventually(t, func() bool { return e.sessions.running(c.session) == 0 })
		if a := c.send(http.MethodPost, request("ping", "")); a.status != http.StatusOK {
			t.Errorf("just after %s: %d %s", kind, a.status, a.body)
		}
	}
}

// The cleanup touches only what has timed out, and does not run while there is
// nothing to clean up.
func TestSeed_S20_CleanupInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := &Options{SessionTimeout: 10 * time.Minute, CleanupInterval: time.Minute}
		o.setDefaults()
		s := newSessions(o)
		open := func(user string) *session {
			one := s.admit(&auth.TokenInfo{UserID: user})
			s.mu.Lock()
			defer s.mu.Unlock()
			one.id = user
			s.byID[user] = one
			return one
		}
		over := func(one *session) bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return one.gone && one.over.Err() != nil && s.byID[one.id] == nil
		}
		idle, busy := open("idle"), open("busy")
		s.leave(idle)
		<-time.After(9*time.Minute + 30*time.Second)
		fresh := open("fresh")
		s.leave(fresh)
		if over(idle) || over(busy) {
			t.Error("too early")
		}
		<-time.After(time.Minute)
		if !over(idle) || over(busy) || over(fresh) {
			t.Errorf("idle %v, busy %v, fresh %v", over(idle), over(busy), over(fresh))
		}
		<-time.After(30 * time.Minute)
		if over(busy) || !over(fresh) {
			t.Errorf("busy %v, fresh %v", over(busy), over(fresh))
		}
		s.leave(busy)
		<-time.After(12 * time.Minute)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.timer != nil || len(s.byID)+len(s.byPrincipal)+s.order.Len() != 0 {
			t.Errorf("left: %v %v %d", s.byID, s.byPrincipal, s.order.Len())
		}
	})
}

func TestSeed_S20_SessionIDsHave256Bits(t *testing.T) {
	t.Parallel()
	c, _, _ := gated(t, newServer(t), nil)
	c.initialize()
	if id, err := base64.RawURLEncoding.DecodeString(c.session); err != nil || len(id)*8 != 256 {
		t.Errorf("%q: %d bits, %v", c.session, len(id)*8, err)
	}
}

// A session that could not be opened does not count.
func TestSeed_S20_AFailedInitializeTakesNoPlace(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c, _ := start(t, s, &Options{MaxSessions: 1})
	for range 3 {
		if a := c.send(http.MethodPost, `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":7}}`); a.rpc.Error == nil {
			t.Errorf("%d %s", a.status, a.body)
		}
		eventually(t, func() bool { return len(slices.Collect(s.Sessions())) == 0 })
	}
	if a := c.initialize(); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// A client that leaves before it is answered, again and again, does not pile up
// work; nor do subscriptions.
func TestSeed_S20_WhatIsUnderWayIsBounded(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c, e := start(t, s, nil)
	c.initialize()
	for n := range maxHandlers {
		ctx, hangUp := context.WithCancel(t.Context())
		c.do(ctx, http.MethodPost, strings.Replace(request("tools/call", `"name":"slow"`), `"id":7`, `"id":"`+strconv.Itoa(n)+`"`, 1), headerVersion, "2025-11-25")
		await(t, s.started)
		hangUp()
	}
	if a := c.send(http.MethodPost, request("tools/call", `"name":"read"`)); a.code() != codeRefused || !strings.HasPrefix(a.rpc.Error.Message, "rate_limited: ") {
		t.Errorf("one more request: %d %s", a.status, a.body)
	}
	close(s.release)
	for range maxHandlers {
		await(t, s.done)
	}
	eventually(t, func() bool { return c.send(http.MethodPost, request("tools/call", `"name":"read"`)).code() == 0 })

	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	const all = `"notifications":{"toolsListChanged":true}`
	for range maxListeners {
		c.do(ctx, http.MethodPost, modernBody("subscriptions/listen", all), modernHeader("subscriptions/listen", "")...)
	}
	if a := c.modern("subscriptions/listen", all, ""); a.code() != codeRefused || !strings.HasPrefix(a.rpc.Error.Message, "rate_limited: ") {
		t.Errorf("one more subscription: %d %s", a.status, a.body)
	}
	if a := c.as("bob,mcp:admin").modern("subscriptions/listen", `"notifications":{}`, ""); a.code() != 0 {
		t.Errorf("another principal: %d %s", a.status, a.body)
	}
	cancel()
	eventually(t, func() bool {
		e.sessions.mu.Lock()
		defer e.sessions.mu.Unlock()
		return len(e.sessions.listening) == 0
	})
}

// A session is its principal's: issuer, subject and client, whatever the verb,
// and nobody learns of it that it exists.
func TestSeed_S20_SessionsBelongToIssuerSubjectAndClient(t *testing.T) {
	t.Parallel()
	c, _, issuer := gated(t, newServer(t), nil)
	c.initialize()
	a := c.send(http.MethodPost, request("tools/call", `"name":"read"`), headerVersion, "2025-11-25")
	_, event, _ := strings.Cut(a.body, "id: ")
	event, _, _ = strings.Cut(event, "\n")
	for _, claims := range []rstest.Claims{{"sub": "bob"}, {"client_id": "other"}, {"sub": "client", "client_id": "alice"}} {
		other := c.as(issuer.Token(all, claims))
		nowhere := c.as(other.token)
		nowhere.session = SessionID(32)()
		for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
			for _, header := range [][]string{nil, {headerLastEventID, event}} {
				a, b := other.send(method, request("ping", ""), header...), nowhere.send(method, request("ping", ""), header...)
				if a.status != http.StatusNotFound || a.body != b.body || method == http.MethodPost && string(a.rpc.ID) != "7" {
					t.Errorf("%v, %s %q: %d %s", claims, method, header, a.status, a.body)
				}
			}
		}
	}
	if a := c.as(issuer.Token(all)).send(http.MethodPost, request("ping", "")); a.status != http.StatusOK {
		t.Errorf("the owner with another token: %d %s", a.status, a.body)
	}
}
