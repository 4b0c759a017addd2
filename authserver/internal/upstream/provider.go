package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"
)

var (
	// ErrUnavailable says that the provider could not be reached, or answered
	// what no provider answers. Trying again later may help.
	ErrUnavailable = errors.New("upstream: provider unavailable")

	// ErrDenied says that the provider or the person there said no.
	ErrDenied = errors.New("upstream: denied by the provider")

	// ErrAnswer says that the answer is not one to this request, or that its ID
	// token is not good.
	ErrAnswer = errors.New("upstream: answer refused")
)

const (
	timeout     = 5 * time.Second // of a sign-in's half, with all its requests
	freshFor    = time.Hour       // how long a discovery document is not asked for again
	maxDocument = 1 << 20         // bytes of an answer
)

// Config is what a [Provider] needs; all but the secret and the scopes are
// required.
type Config struct {
	Issuer       string // issuer identifier (OpenID Connect Discovery §2)
	ClientID     string
	ClientSecret string   // empty for a public client
	Scopes       []string // besides openid
	RedirectURL  string
}

// Provider is an OpenID provider. It is safe for concurrent use.
type Provider struct {
	cfg    Config
	client *http.Client
	known  atomic.Pointer[known]
	flight singleflight.Group
}

// known is a provider that has been discovered.
type known struct {
	oauth2.Config
	provider *oidc.Provider
	verifier *oidc.IDTokenVerifier
	issues   bool // sends iss with its answers (RFC 9207 §3)
	since    time.Time
}

// metadata is what go-oidc does not read (OpenID Connect Discovery §3).
type metadata struct {
	AuthURL     string   `json:"authorization_endpoint"`
	TokenURL    string   `json:"token_endpoint"`
	JWKSURL     string   `json:"jwks_uri"`
	UserInfoURL string   `json:"userinfo_endpoint"`
	Methods     []string `json:"token_endpoint_auth_methods_supported"`
	IssuesISS   bool     `json:"authorization_response_iss_parameter_supported"`
}

// New returns a provider that is not asked for anything yet.
func New(cfg Config) (*Provider, error) {
	if !trusted(cfg.Issuer) {
		return nil, fmt.Errorf("upstream: issuer %q must be an https URL, or an http one on loopback", cfg.Issuer)
	}
	if cfg.ClientID == "" || cfg.RedirectURL == "" {
		return nil, errors.New("upstream: a client id and a redirect URL are required")
	}
	return &Provider{cfg: cfg, client: &http.Client{
		Timeout:   timeout,
		Transport: bounded{http.DefaultTransport},
		// Nothing is sent, least of all a secret, where another server points to.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// trusted reports whether what is asked at an address cannot be changed on the
// way.
func trusted(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

// bounded cuts answers that never end.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		answer.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(answer.Body, maxDocument), answer.Body}
	}
	return answer, err
}

// discover returns the provider's metadata: one request at a time, whoever
// asks; an old document serves as long as there is no new one.
func (p *Provider) discover(ctx context.Context) (*known, error) {
	old := p.known.Load()
	if old != nil && time.Since(old.since) < freshFor {
		return old, nil
	}
	result := p.flight.DoChan("", func() (any, error) { return p.fetch(context.WithoutCancel(ctx)) })
	select {
	case <-ctx.Done():
		if old != nil {
			return old, nil
		}
		return nil, fmt.Errorf("%w: discovery: %w", ErrUnavailable, ctx.Err())
	case found := <-result:
		switch fresh, ok := found.Val.(*known); {
		case found.Err == nil && ok:
			return fresh, nil
		case old != nil:
			return old, nil
		}
		return nil, fmt.Errorf("%w: discovery: %w", ErrUnavailable, found.Err)
	}
}

func (p *Provider) fetch(ctx context.Context) (*known, error) {
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, p.client), timeout)
	defer cancel()
	provider, err := oidc.NewProvider(ctx, p.cfg.Issuer)
	if err != nil {
		return nil, err
	}
	var m metadata
	if err := provider.Claims(&m); err != nil {
		return nil, err
	}
	for _, address := range []string{m.AuthURL, m.TokenURL, m.JWKSURL} {
		if !trusted(address) {
			return nil, errors.New("an endpoint is missing or not https")
		}
	}
	if m.UserInfoURL != "" && !trusted(m.UserInfoURL) {
		return nil, errors.New("the userinfo endpoint is not https")
	}
	found := &known{
		Config: oauth2.Config{
			ClientID: p.cfg.ClientID, ClientSecret: p.cfg.ClientSecret, RedirectURL: p.cfg.RedirectURL,
			Endpoint: oauth2.Endpoint{AuthURL: m.AuthURL, TokenURL: m.TokenURL, AuthStyle: m.style(p.cfg.ClientSecret)},
			Scopes:   slices.Concat([]string{oidc.ScopeOpenID}, p.cfg.Scopes),
		},
		provider: provider, verifier: provider.Verifier(&oidc.Config{ClientID: p.cfg.ClientID}),
		issues: m.IssuesISS, since: time.Now(),
	}
	p.known.Store(found)
	return found, nil
}

// style is how the client authenticates (OpenID Connect Core §9): never by
// trying, because a failed try may cost the code.
func (m metadata) style(secret string) oauth2.AuthStyle {
	basic := len(m.Methods) == 0 || slices.Contains(m.Methods, "client_secret_basic")
	if secret == "" || !basic {
		return oauth2.AuthStyleInParams
	}
	return oauth2.AuthStyleInHeader
}

// clip bounds a text of the provider that goes into a log.
func clip(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), 128)], "")
}
