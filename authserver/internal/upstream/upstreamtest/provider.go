// Package upstreamtest is an OpenID provider for tests: everything of OpenID
// Connect Core §3.1 that a relying party sees, for one person who never has to
// be asked, and every way to do it wrong.
package upstreamtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// The client that the provider knows.
const (
	ClientID     = "gatehouse"
	ClientSecret = "upstream-secret"
)

// Provider is an OpenID provider. Its exported fields may be changed between
// requests.
type Provider struct {
	// Issuer is its identifier; the server it runs in must answer there.
	Issuer string
	// Claims of the ID token, over the right ones; nil removes one.
	Claims map[string]any
	// UserInfo, when not nil, is what its userinfo endpoint says.
	UserInfo map[string]any
	// Metadata of the discovery document, over the right one.
	Metadata map[string]any
	// Refuse is the error it answers authorization requests with.
	Refuse string
	// Foreign signs with a key that is not published.
	Foreign bool
	// Down answers nothing but 500.
	Down bool

	mu     sync.Mutex // guards codes and counts
	codes  map[string]url.Values
	counts map[string]int
	key    *ecdsa.PrivateKey
}

// New returns a provider without an issuer yet.
func New() (*Provider, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return &Provider{codes: map[string]url.Values{}, counts: map[string]int{}, key: key}, err
}

// Count is how often a path was asked for.
func (p *Provider) Count(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts[path]
}

// ServeHTTP implements http.Handler.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.counts[r.URL.Path]++
	p.mu.Unlock()
	switch {
	case p.Down:
		http.Error(w, "down", http.StatusInternalServerError)
	case r.URL.Path == "/.well-known/openid-configuration":
		p.discovery(w)
	case r.URL.Path == "/keys":
		write(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: p.key.Public(), KeyID: "1", Algorithm: string(jose.ES256), Use: "sig"}}})
	case r.URL.Path == "/authorize":
		p.authorize(w, r)
	case r.URL.Path == "/token":
		p.token(w, r)
	case r.URL.Path == "/userinfo" && p.UserInfo != nil:
		write(w, p.UserInfo)
	default:
		http.NotFound(w, r)
	}
}

func (p *Provider) discovery(w http.ResponseWriter) {
	document := map[string]any{
		"issuer": p.Issuer, "authorization_endpoint": p.Issuer + "/authorize", "token_endpoint": p.Issuer + "/token",
		"jwks_uri": p.Issuer + "/keys", "id_token_signing_alg_values_supported": []string{"ES256"},
		"authorization_response_iss_parameter_supported": true,
	}
	if p.UserInfo != nil {
		document["userinfo_endpoint"] = p.Issuer + "/userinfo"
	}
	maps.Copy(document, p.Metadata)
	write(w, document)
}

// authorize answers at once.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	asked, code := r.URL.Query(), rand.Text()
	p.mu.Lock()
	p.codes[code] = asked
	p.mu.Unlock()
	answer := url.Values{"state": {asked.Get("state")}, "code": {code}, "iss": {p.Issuer}}
	if p.Refuse != "" {
		answer.Del("code")
		answer.Set("error", p.Refuse)
	}
	http.Redirect(w, r, asked.Get("redirect_uri")+"?"+answer.Encode(), http.StatusFound) //nolint:gosec // tests only: whoever asks is who is tested
}

// token redeems a code: once, for the client, with the verifier.
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	p.mu.Lock()
	asked, found := p.codes[r.PostFormValue("code")]
	delete(p.codes, r.PostFormValue("code"))
	p.mu.Unlock()
	challenge := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !found || id != ClientID || secret != ClientSecret || asked.Get("code_challenge_method") != "S256" ||
		asked.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(challenge[:]) || asked.Get("redirect_uri") != r.PostFormValue("redirect_uri") {
		w.WriteHeader(http.StatusBadRequest)
		write(w, map[string]string{"error": "invalid_grant"})
		return
	}
	token, err := p.idToken(asked.Get("nonce"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	write(w, map[string]any{"access_token": "opaque", "token_type": "Bearer", "expires_in": 60, "id_token": token})
}

func (p *Provider) idToken(nonce string) (string, error) {
	claims := map[string]any{
		"iss": p.Issuer, "sub": "person-1", "aud": ClientID, "exp": time.Now().Add(time.Minute).Unix(), "iat": time.Now().Unix(),
		"nonce": nonce, "preferred_username": "ada", "name": "Ada", "email": "ada@example.org", "email_verified": true,
	}
	maps.Copy(claims, p.Claims)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	key := p.key
	if p.Foreign {
		var err error
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return "", err
		}
	}
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", "1")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, options)
	if err != nil {
		return "", err
	}
	return jwt.Signed(signer).Claims(claims).Serialize()
}

func write(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body) //nolint:errchkjson // the client may be gone, or a test gave what has no JSON form and sees an empty body
}
