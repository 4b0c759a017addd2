package resourceserver

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"
)

// edge holds the rules that stand before the token, compiled.
type edge struct {
	*network
	*addresses

	cors         *cors
	headers      *securityHeaders
	perAddress   *limit[netip.Addr]
	perPrincipal *limit[string] // applied after the token
	exempt       []string       // paths that need none

	isHTTPS      func(*http.Request) bool // nil for the usual rule
	requireHTTPS bool
	loopbackHTTP bool
	maxHeaders   int
}

// newEdge checks what cfg says about the network.
func newEdge(cfg Config, resource *url.URL) (*edge, error) {
	e := &edge{
		exempt: slices.Clone(cfg.AuthExemptPaths), isHTTPS: cfg.IsHTTPS,
		requireHTTPS: cfg.RequireHTTPS, loopbackHTTP: cfg.LoopbackHTTP, maxHeaders: cfg.MaxHeaders,
	}
	if err := checkExempt(cfg.AuthExemptPaths, resource); err != nil {
		return nil, err
	}
	var err error
	if e.network, err = newNetwork(resource, cfg.AllowedHosts, cfg.AllowedOrigins); err != nil {
		return nil, err
	}
	if e.addresses, err = newAddresses(cfg); err != nil {
		return nil, err
	}
	if e.cors, err = newCORS(cfg.CORS, cfg.AuthHeaderName); err != nil {
		return nil, err
	}
	if e.headers, err = newSecurityHeaders(cfg.SecurityHeaders); err != nil {
		return nil, err
	}
	if e.perAddress, err = newLimit[netip.Addr](cfg.RateLimits.PerAddress); err != nil {
		return nil, err
	}
	e.perPrincipal, err = newLimit[string](cfg.RateLimits.PerPrincipal)
	return e, err
}

// checkExempt refuses paths that no request has, and that of the resource in
// whatever case a router may compare it.
func checkExempt(paths []string, resource *url.URL) error {
	own := "/" + strings.Trim(resource.EscapedPath(), "/")
	for _, exempt := range paths {
		switch {
		case !path.IsAbs(exempt) || path.Clean(exempt) != exempt || (&url.URL{Path: exempt}).EscapedPath() != exempt:
			return fmt.Errorf("exempt path %q: not a clean absolute path", exempt)
		case strings.EqualFold(exempt, own):
			return fmt.Errorf("exempt path %q: that is the resource", exempt)
		}
	}
	return nil
}

// isExempt compares the path as it was sent, byte for byte: whatever a router
// behind would make of another spelling, it needs a token.
func (e *edge) isExempt(r *http.Request) bool {
	return len(e.exempt) > 0 && slices.Contains(e.exempt, r.URL.EscapedPath())
}

// admit applies the rules about whom a request is from and how it came, which
// hold for everything there is.
func (e *edge) admit(x *exchange, r *http.Request) *Refusal {
	from, err := e.sender(r)
	x.client = from.client
	https := e.https(r, from)
	if https {
		e.headers.setHTTPS(x.Header())
	}
	switch {
	case e.tooMany(r.Header):
		return tooManyHeaders()
	case err != nil:
		return contradiction(err)
	case !e.may(from.client):
		return ipNotAllowed()
	case e.requireHTTPS && !https && (!e.loopbackHTTP || !from.client.IsLoopback()):
		return httpsRequired()
	}
	return nil
}

// https reports whether r came by https: where a trusted proxy says how it was
// reached, that is the leg that counts.
func (e *edge) https(r *http.Request, from sender) bool {
	switch {
	case e.isHTTPS != nil:
		return e.isHTTPS(r)
	case from.proto != "":
		return from.proto == "https"
	}
	return r.TLS != nil
}

// tooMany counts header fields; one with several values is that many.
func (e *edge) tooMany(h http.Header) bool {
	n := 0
	for _, values := range h {
		n += len(values)
	}
	return n > e.maxHeaders
}

// page applies the rules about browsers, and answers a preflight.
func (e *edge) page(x *exchange, r *http.Request) (done bool, refusal *Refusal) {
	if !e.cors.off {
		x.Header()["Vary"] = e.cors.vary
	}
	if !e.host(r.Host) && (!x.open || !isLiteral(r.Host)) {
		return false, originNotAllowed()
	}
	values := r.Header["Origin"]
	if len(values) == 0 { // no browser, or one that asks for its own page
		return false, nil
	}
	from, ok := e.origin(values, r.Host)
	if !ok {
		return false, originNotAllowed()
	}
	return e.cors.apply(x, r, from), nil
}

// limit counts the request for its address.
func (e *edge) limit(x *exchange) *Refusal {
	if wait := e.perAddress.charge(neighbourhood(x.client), x.began); wait > 0 {
		return rateLimited(wait)
	}
	return nil
}
