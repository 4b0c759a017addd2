package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// bareAnswer is an answer as long as ours.
type bareAnswer struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int    `json:"expires_in"`
	Scope       string `json:"scope"`
}

func answerBare(w http.ResponseWriter, token string) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(bareAnswer{token, "Bearer", 3600, "mcp:read mcp:tools"}); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// parses runs next when the request has a form with a grant type.
func parses(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil || r.PostForm.Get("grant_type") == "" {
			http.Error(w, "no form", http.StatusBadRequest)
			return
		}
		next(w, r)
	})
}

// signingLimit parses a form and makes one ES256 signature.
func signingLimit() (http.Handler, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	claims := make([]byte, 300) // as many as ours
	rand.Read(claims)
	signed := base64.RawURLEncoding.EncodeToString(claims)
	return parses(func(w http.ResponseWriter, _ *http.Request) {
		digest := sha256.Sum256([]byte(signed))
		r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil {
			http.Error(w, "no signature", http.StatusInternalServerError)
			return
		}
		signature := r.FillBytes(make([]byte, 64))
		s.FillBytes(signature[32:])
		answerBare(w, signed+"."+base64.RawURLEncoding.EncodeToString(signature))
	}), nil
}

// echoLimit answers a POST with its body.
func echoLimit() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, "no body", http.StatusBadRequest)
			return
		}
		_, _ = w.Write(body) // the generator sees what is missing
	})
}

// insertingLimit parses a form and stores the hash of a fresh token, together
// with those of all requests that arrive while the last ones are written.
type insertingLimit struct {
	pool *pgxpool.Pool

	mu      sync.Mutex
	waiting []pending
	writing bool
}

type pending struct {
	hash [sha256.Size]byte
	done chan error
}

// newInsertingLimit makes a plain table with the columns of an access token.
func newInsertingLimit(ctx context.Context, pool *pgxpool.Pool) (*insertingLimit, error) {
	_, err := pool.Exec(ctx, `CREATE TABLE bench_token (
		token_hash bytea PRIMARY KEY, expires_at timestamptz NOT NULL, client_id text NOT NULL, subject text NOT NULL,
		grant_id text NOT NULL, scopes text[] NOT NULL, audience text[] NOT NULL, issued_at timestamptz NOT NULL)`)
	return &insertingLimit{pool: pool}, err
}

func (l *insertingLimit) handler() http.Handler {
	return parses(func(w http.ResponseWriter, r *http.Request) {
		token := rand.Text() + rand.Text()
		mine := pending{sha256.Sum256([]byte(token)), make(chan error, 1)}
		l.mu.Lock()
		l.waiting = append(l.waiting, mine)
		if !l.writing {
			l.writing = true
			go l.drain(context.WithoutCancel(r.Context()))
		}
		l.mu.Unlock()
		if err := <-mine.done; err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answerBare(w, token)
	})
}

// drain writes until nobody waits.
func (l *insertingLimit) drain(ctx context.Context) {
	for {
		l.mu.Lock()
		batch := l.waiting
		l.waiting, l.writing = nil, len(batch) > 0
		l.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		err := l.write(ctx, batch)
		for _, one := range batch {
			one.done <- err
		}
	}
}

func (l *insertingLimit) write(ctx context.Context, batch []pending) error {
	const sql = `
		INSERT INTO bench_token
		SELECT hash, $2::timestamptz, 'app', 'app', '', '{mcp:read,mcp:tools}'::text[], '{http://127.0.0.1/mcp}'::text[], $3::timestamptz
		FROM unnest($1::bytea[]) AS t (hash)`
	hashes := make([][]byte, len(batch))
	for i, one := range batch {
		hashes[i] = one.hash[:]
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	now := time.Now()
	_, err := l.pool.Exec(ctx, sql, hashes, now.Add(time.Hour), now)
	return err
}
