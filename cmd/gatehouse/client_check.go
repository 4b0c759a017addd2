package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatehouse-mcp/gatehouse/authserver"
	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/settings"
	"github.com/gatehouse-mcp/gatehouse/scopes"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

const (
	grantClientCredentials = "client_credentials"
	grantAuthorizationCode = "authorization_code"
	grantRefreshToken      = "refresh_token"
	grantDeviceCode        = "urn:ietf:params:oauth:grant-type:device_code" // RFC 8628

	methodBasic         = "client_secret_basic"
	methodPost          = "client_secret_post"
	methodPrivateKeyJWT = "private_key_jwt"
	methodNone          = "none"

	maxClientID = 256 // bytes
)

func sharedSecret(method string) bool { return method == methodBasic || method == methodPost }

// checkClient refuses a registration that could not work or would be unsafe,
// and says how it would be right. The error is one of usage.
func checkClient(c storage.Client, s settings.Settings) error {
	for _, check := range []func(storage.Client, settings.Settings) error{
		checkClientID, checkAuthMethod, checkGrants, checkClientScopes, checkClientResources, checkRedirects,
	} {
		if err := check(c, s); err != nil {
			return usageError{err}
		}
	}
	return nil
}

// checkClientID keeps identifiers apart from client metadata documents, whose
// client_id is an https URL, and inside the grammar of RFC 6749 Appendix A.1.
func checkClientID(c storage.Client, _ settings.Settings) error {
	printable := !strings.ContainsFunc(c.ID, func(r rune) bool { return r <= ' ' || r > '~' })
	switch {
	case strings.Contains(c.ID, "://"):
		return errors.New("--id must not be a URL; such names belong to client metadata documents")
	case !printable || len(c.ID) > maxClientID:
		return fmt.Errorf("--id must be at most %d printable ASCII characters without space", maxClientID)
	}
	return nil
}

func checkAuthMethod(c storage.Client, _ settings.Settings) error {
	if err := oneOf("--auth-method", c.AuthMethod, methodBasic, methodPost, methodPrivateKeyJWT, methodNone); err != nil {
		return err
	}
	switch {
	case c.AuthMethod == methodPrivateKeyJWT && c.JWKS == nil:
		return errors.New("private_key_jwt needs --jwks FILE with the client's public keys")
	case c.AuthMethod != methodPrivateKeyJWT && c.JWKS != nil:
		return errors.New("--jwks is for --auth-method private_key_jwt only")
	case c.AuthMethod == methodNone && c.Introspect:
		return errors.New("a client without authentication cannot introspect; choose another --auth-method")
	}
	return nil
}

func checkGrants(c storage.Client, _ settings.Settings) error {
	for _, grant := range c.GrantTypes {
		if err := oneOf("--grant", grant, grantClientCredentials, grantAuthorizationCode, grantRefreshToken, grantDeviceCode); err != nil {
			return err
		}
	}
	code := slices.Contains(c.GrantTypes, grantAuthorizationCode)
	switch {
	case c.AuthMethod == methodNone && slices.Contains(c.GrantTypes, grantClientCredentials):
		return errors.New("client_credentials needs a client that authenticates; choose another --auth-method than none")
	case code && len(c.RedirectURIs) == 0:
		return errors.New("authorization_code needs at least one --redirect-uri")
	case !code && len(c.RedirectURIs) > 0:
		return errors.New("--redirect-uri is for --grant authorization_code")
	case !code && !slices.Contains(c.GrantTypes, grantDeviceCode) && slices.Contains(c.GrantTypes, grantRefreshToken):
		return errors.New("refresh_token goes with --grant authorization_code; client_credentials needs none")
	case c.AccessTokenLifetime < 0 || c.AccessTokenLifetime > authserver.MaxAccessTokenLifetime:
		return fmt.Errorf("--access-token-lifetime must be between 0 and %s", authserver.MaxAccessTokenLifetime)
	case len(c.GrantTypes) == 0 && !c.Introspect:
		return errors.New("the client could do nothing; give it a --grant or --introspect")
	}
	return oneOfFormats(c.TokenFormat)
}

func oneOfFormats(format storage.TokenFormat) error {
	if format == "" {
		return nil
	}
	return oneOf("--token-format", string(format), string(storage.FormatJWT), string(storage.FormatOpaque))
}

func checkClientScopes(c storage.Client, s settings.Settings) error {
	catalog, err := s.Catalog()
	if err != nil {
		return err
	}
	for _, scope := range c.Scopes {
		if !scopes.ValidToken(scope) {
			return fmt.Errorf("--scope %q is no scope (RFC 6749 section 3.3)", scope)
		}
		if _, known := catalog.Lookup(scope); !known && scope != authserver.AdminScope {
			return fmt.Errorf("scope %q is not in the catalog%s; the catalog has %s, and the settings file adds to it",
				scope, settings.Suggest(scope, catalog.Names()), strings.Join(catalog.Names(), " "))
		}
	}
	if slices.Contains(c.Scopes, authserver.AdminScope) && !slices.Contains(c.GrantTypes, grantClientCredentials) {
		return fmt.Errorf("scope %q is not for people to grant; use --grant client_credentials", authserver.AdminScope)
	}
	if extra := scopes.Of(c.DefaultScopes...).Minus(scopes.Of(c.Scopes...)); len(extra) > 0 {
		return fmt.Errorf("--default-scope has %q, which is not in --scope", extra)
	}
	if len(c.Scopes) == 0 && len(c.GrantTypes) > 0 {
		return fmt.Errorf("--scope is missing: the client could ask for nothing; the catalog has %s", strings.Join(catalog.Names(), " "))
	}
	return nil
}

// checkClientResources holds resources to what is configured; without a
// settings file any canonical URI will do (RFC 8707 §2).
func checkClientResources(c storage.Client, s settings.Settings) error {
	if len(c.Resources) == 0 {
		return errors.New("--resource is missing: tokens are issued for a resource, such as http://localhost:3001/mcp")
	}
	var known []string
	for _, r := range s.Resources {
		known = append(known, r.Identifier)
	}
	if admin := authserver.AdminResource(s.Issuer); len(known) > 0 && slices.Contains(c.Scopes, authserver.AdminScope) {
		if !slices.Contains(c.Resources, admin) {
			return fmt.Errorf("scope %q means nothing without --resource %s", authserver.AdminScope, admin)
		}
		known = append(known, admin)
	}
	for _, resource := range c.Resources {
		if len(known) > 0 && !slices.Contains(known, resource) {
			return fmt.Errorf("resource %q is not in the settings%s", resource, settings.Suggest(resource, known))
		}
		if err := settings.CheckURL(resource); err != nil {
			return fmt.Errorf("--resource %q: %w", resource, err)
		}
	}
	if c.DefaultResource != "" && !slices.Contains(c.Resources, c.DefaultResource) {
		return fmt.Errorf("--default-resource %q is not one of --resource", c.DefaultResource)
	}
	return nil
}

// checkRedirects enforces https, or http on loopback (RFC 8252 §7.3), and no
// fragment (RFC 6749 §3.1.2).
func checkRedirects(c storage.Client, _ settings.Settings) error {
	for _, redirect := range c.RedirectURIs {
		u, err := url.Parse(redirect)
		switch {
		case err != nil || u.Host == "" || u.Opaque != "":
			return fmt.Errorf("--redirect-uri %q is not an absolute URL", redirect)
		case strings.Contains(redirect, "#"):
			return fmt.Errorf("--redirect-uri %q must not have a fragment", redirect)
		case u.User != nil:
			return fmt.Errorf("--redirect-uri %q must not have a user", redirect)
		case u.Scheme == "http" && !settings.IsLoopback(u.Hostname()):
			return fmt.Errorf("--redirect-uri %q must be https; http is for loopback only", redirect)
		case u.Scheme != "http" && u.Scheme != "https":
			return fmt.Errorf("--redirect-uri %q must be https, or http on loopback", redirect)
		}
	}
	return nil
}

// publicKeys checks a JWK set and returns it with nothing but public keys of
// the supported algorithms in it.
func publicKeys(data []byte) ([]byte, error) {
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, usagef("--jwks is not a JWK set: %w", err)
	}
	if len(set.Keys) == 0 {
		return nil, usagef(`--jwks has no keys; it looks like {"keys":[...]}`)
	}
	for _, key := range set.Keys {
		if !key.IsPublic() {
			return nil, usagef("--jwks has a private or symmetric key; register public keys only")
		}
		if !key.Valid() {
			return nil, usagef("--jwks has the invalid key %q", key.KeyID)
		}
	}
	return json.Marshal(set)
}

func oneOf(flag, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("%s %q is not one of %s%s", flag, value, strings.Join(allowed, ", "), settings.Suggest(value, allowed))
}
