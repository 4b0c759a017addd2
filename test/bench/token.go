package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"

	"github.com/gatehouse-mcp/gatehouse/test/bench/load"
)

// clientCredentials is what every token request sends.
func clientCredentials() url.Values { return url.Values{"grant_type": {"client_credentials"}} }

// send sends what is not measured.
func (s *stage) send(r *http.Request) (status int, body []byte, header http.Header, err error) {
	response, err := s.http.Do(r)
	if err != nil {
		return 0, nil, nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	return response.StatusCode, body, response.Header, err
}

// token gets one from the first replica, without the network.
func (s *stage) token(ctx context.Context, client string) (string, error) {
	r, err := s.form(ctx, s.issuer+"/oauth/token", client, clientCredentials())
	if err != nil {
		return "", err
	}
	w := httptest.NewRecorder()
	s.first.ServeHTTP(w, r)
	var answer bareAnswer
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.AccessToken == "" {
		return "", errors.Join(fmt.Errorf("no token: %d %.300s", w.Code, w.Body), err)
	}
	return answer.AccessToken, nil
}

// tokens gets n of them at once.
func (s *stage) tokens(ctx context.Context, client string, n int) ([]string, error) {
	const makers = 8
	list, errs := make([]string, n), make([]error, makers)
	var made sync.WaitGroup
	for maker := range makers {
		made.Go(func() {
			for i := maker; i < n && errs[maker] == nil; i += makers {
				list[i], errs[maker] = s.token(ctx, client)
			}
		})
	}
	made.Wait()
	return list, errors.Join(errs...)
}

// issuing is P1 and P2.
func (b *bench) issuing(ctx context.Context, client string, f figure, limit http.Handler) (row, error) {
	s := b.stage
	at, err := s.serveLimit(ctx, limit)
	if err != nil {
		return row{}, err
	}
	request, err := wire(s.form(ctx, s.issuer+"/oauth/token", client, clientCredentials()))
	if err != nil {
		return row{}, err
	}
	const want = `"token_type":"Bearer"`
	f.ours = side{address: hostOf(s.issuer), want: want, request: request}
	f.limit = side{address: at, want: want, request: request}
	return b.duel(ctx, f)
}

func (b *bench) issuingJWT(ctx context.Context) ([]row, error) {
	limit, err := signingLimit()
	if err != nil {
		return nil, err
	}
	r, err := b.issuing(ctx, jwtClient, figure{id: "P1", name: "client credentials, JWT ES256", file: "p1-jwt", bar: 0.65}, limit)
	return []row{r}, err
}

func (b *bench) issuingOpaque(ctx context.Context) ([]row, error) {
	limit, err := newInsertingLimit(ctx, b.stage.pool)
	if err != nil {
		return nil, err
	}
	f := figure{id: "P2", name: "client credentials, opaque", file: "p2-opaque", bar: 0.5, note: b.stage.db.settings}
	r, err := b.issuing(ctx, opaqueClient, f, limit.handler())
	return []row{r}, err
}

// introspecting is P3: of one token that the server has seen.
func (b *bench) introspecting(ctx context.Context) ([]row, error) {
	s := b.stage
	at, err := s.serveLimit(ctx, echoLimit())
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, client := range []string{jwtClient, opaqueClient} {
		token, err := s.token(ctx, client)
		if err != nil {
			return nil, err
		}
		request, err := wire(s.form(ctx, s.issuer+"/oauth/introspect", ownClient, url.Values{"token": {token}}))
		if err != nil {
			return nil, err
		}
		r, err := b.duel(ctx, figure{
			id: "P3", name: "introspection, warm, " + client, file: "p3-" + client, bar: 0.5,
			ours:  side{address: hostOf(s.issuer), want: `"active":true`, request: request},
			limit: side{address: at, want: "token=", request: request},
		})
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// wire returns a request as it is sent.
func wire(r *http.Request, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return load.Bytes(r)
}
