package resourceserver

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4/json"
)

// Limits of requests to the issuer.
const (
	fetchTimeout  = 5 * time.Second
	maxDocument   = 1 << 20 // bytes of metadata, keys or an introspection answer
	maxEvents     = 8 << 20 // bytes of an answer of the events endpoint
	maxConnection = 64      // connections to the issuer at a time
)

// issuerClient makes every request to the issuer: bounded in time and size,
// never following a redirect (it would carry credentials elsewhere).
type issuerClient struct{ http http.Client }

func newIssuerClient(given *http.Client) *issuerClient {
	c := &issuerClient{}
	if given != nil {
		c.http = *given
	} else if transport, ok := http.DefaultTransport.(*http.Transport); ok {
		transport = transport.Clone()
		transport.MaxConnsPerHost, transport.MaxIdleConnsPerHost = maxConnection, maxConnection
		c.http.Transport = transport
	}
	c.http.Timeout = 0 // each request has its own
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

// statusError is an answer other than 200.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("the issuer answered %d", int(e)) }

// get decodes the JSON document at url into v.
func (c *issuerClient) get(ctx context.Context, url string, v any) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	return c.do(r, maxDocument, v)
}

// do sends r and decodes the answer, of at most limit bytes, into v. Names are
// case sensitive and must not occur twice, as in JOSE.
func (c *issuerClient) do(r *http.Request, limit int64, v any) error {
	r.Header.Set("Accept", "application/json")
	resp, err := c.http.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil:
		return err
	case resp.StatusCode != http.StatusOK:
		return statusError(resp.StatusCode)
	case int64(len(body)) > limit:
		return fmt.Errorf("the issuer's answer is longer than %d bytes", limit)
	}
	return json.Unmarshal(body, v)
}

// pause waits for d or until ctx ends; it reports whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
