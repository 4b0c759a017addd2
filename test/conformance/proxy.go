package conformance

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
)

// maxBody bounds what the proxy holds of a request.
const maxBody = 8 << 20

// WithToken returns a proxy to target that adds a bearer token to every
// request and changes nothing else: Host and Origin stay as the client sent
// them, event streams are passed on as they come.
//
// It reads the body first. A reverse proxy loses answers that begin before
// the request has ended, and a refusal does.
func WithToken(target *url.URL, token func() string) http.Handler {
	proxy := &httputil.ReverseProxy{
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
			r.Out.Header.Set("Authorization", "Bearer "+token())
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			http.Error(w, "the body cannot be read", http.StatusRequestEntityTooLarge)
			return
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		if len(body) == 0 {
			r.Body = http.NoBody
		}
		proxy.ServeHTTP(w, r)
	})
}
