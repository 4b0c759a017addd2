package world

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
)

// Browser is a person at a browser without scripts: it keeps cookies, follows
// redirects as long as they stay with the authorization server, and fills in
// the forms of its pages. It is for one goroutine at a time.
type Browser struct {
	Username, Password string

	// Asked is what the last consent page offered to allow, by scope; nil when
	// nobody was asked since the last visit began.
	Asked []string

	issuer string // origin and path
	client http.Client
}

// Browser opens one in which nobody is signed in; the person will sign in with
// this username and password.
func (w *World) Browser(username, password string) *Browser {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return &Browser{Username: username, Password: password, issuer: w.Issuer, client: http.Client{
		Transport: w.HTTP.Transport, Timeout: w.HTTP.Timeout, Jar: jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// SignInAndAllow opens an authorization request, signs in if asked, ticks every
// scope of the consent page but those of without, allows, and returns the
// address at the client that the browser is sent to. That is not visited.
func (b *Browser) SignInAndAllow(ctx context.Context, authorizeURL string, without ...string) (*url.URL, error) {
	return b.visit(ctx, authorizeURL, "allow", without)
}

// SignInAndDeny is [Browser.SignInAndAllow] with the other button.
func (b *Browser) SignInAndDeny(ctx context.Context, authorizeURL string) (*url.URL, error) {
	return b.visit(ctx, authorizeURL, "deny", nil)
}

// maxPages is more than any visit has.
const maxPages = 4

func (b *Browser) visit(ctx context.Context, address, decision string, without []string) (*url.URL, error) {
	b.Asked = nil
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	for range maxPages {
		p, left, err := b.follow(request)
		if err != nil || left != nil {
			return left, err
		}
		if request, err = b.fillIn(ctx, p, decision, without); err != nil {
			return nil, err
		}
	}
	return nil, errors.New("the pages do not end")
}

// fillIn returns the request with the page's form.
func (b *Browser) fillIn(ctx context.Context, p page, decision string, without []string) (*http.Request, error) {
	if p.status != http.StatusOK {
		return nil, fmt.Errorf("%s answers %d: %s", p.address, p.status, p.text)
	}
	if signIn, found := p.with("password"); found {
		signIn.fields.Set("username", b.Username)
		signIn.fields.Set("password", b.Password)
		return submission(ctx, p, signIn)
	}
	consent, found := p.asking()
	if !found {
		return nil, fmt.Errorf("%s asks for neither sign-in nor consent: %s", p.address, p.text)
	}
	b.Asked = append(slices.Clone(consent.boxes), consent.fields["scope"]...)
	slices.Sort(b.Asked)
	b.Asked = slices.Compact(b.Asked)
	if consent.fields.Set("decision", decision); decision == "allow" {
		consent.fields["scope"] = slices.DeleteFunc(slices.Clone(b.Asked), func(scope string) bool { return slices.Contains(without, scope) })
	}
	return submission(ctx, p, consent)
}

// submission is the request that a browser sends for a form.
func submission(ctx context.Context, p page, f form) (*http.Request, error) {
	to, err := p.address.Parse(f.action)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), strings.NewReader(f.fields.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", p.address.Scheme+"://"+p.address.Host)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r, nil
}

// follow sends a request and follows redirects to a page, or out of the
// authorization server to the address that left is.
func (b *Browser) follow(r *http.Request) (p page, left *url.URL, err error) {
	for range 10 {
		response, err := b.client.Do(r)
		if err != nil {
			return p, nil, err
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil {
			return p, nil, err
		}
		if response.StatusCode != http.StatusSeeOther {
			text := string(body)
			return page{address: r.URL, status: response.StatusCode, text: text, forms: readForms(text)}, nil, nil
		}
		to, err := response.Location()
		if err != nil {
			return p, nil, err
		}
		if !strings.HasPrefix(to.String(), b.issuer+"/") {
			return p, to, nil
		}
		if r, err = http.NewRequestWithContext(r.Context(), http.MethodGet, to.String(), nil); err != nil {
			return p, nil, err
		}
	}
	return p, nil, errors.New("redirected in a circle")
}
