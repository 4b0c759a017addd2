package cimd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/clientmetadata"
)

// Document fetches and checks the document of a client_id. freshFor is how long
// it need not be fetched again. An error says what is wrong with the client_id,
// its host or its document.
func (f *Fetcher) Document(ctx context.Context, id string) (m clientmetadata.Metadata, freshFor time.Duration, err error) {
	if err := f.CheckID(id); err != nil {
		return m, 0, err
	}
	got, err := f.getJSON(ctx, id, "application/json", maxDocument)
	if err != nil {
		return m, 0, fmt.Errorf("fetching the client's document: %w", err)
	}
	if m, err = f.parse(id, got.body); err != nil {
		return m, 0, fmt.Errorf("the client's document: %w", err)
	}
	return m, got.freshFor, nil
}

// parse reads a document that was fetched from id (draft §4): it says that it
// is of id, byte for byte, names itself and its redirect URIs, and holds no
// secret, for it could not keep one.
func (f *Fetcher) parse(id string, body []byte) (clientmetadata.Metadata, error) {
	m, err := f.metadata.Parse(body)
	if err != nil {
		return m, err
	}
	switch {
	case m.ClientID != id:
		return m, errors.New("client_id is not the URL that it was fetched from")
	case m.Name == "":
		return m, errors.New("client_name is missing")
	case len(m.RedirectURIs) == 0:
		return m, errors.New("redirect_uris are missing")
	case m.Secret:
		return m, errors.New("a secret that everybody can read is none")
	case len(m.ResponseTypes) > 0 && !slices.Contains(m.ResponseTypes, "code"):
		return m, errors.New("response_types lack code")
	}
	m.AuthMethod, err = method(m)
	return m, err
}

// Client authentication methods that a document may declare.
const (
	methodNone          = "none"
	methodPrivateKeyJWT = "private_key_jwt"
)

// method chooses how the client authenticates. A client that declares
// private_key_jwt, as its method or as one of several (OpenID Connect RP
// Metadata Choices), always has to: otherwise whoever borrows its client_id
// would simply not. None of several is for servers that do not offer it, and we
// do.
func method(m clientmetadata.Metadata) (string, error) {
	hasKeys := m.JWKSURI != "" || m.JWKS != nil
	declared := append([]string{m.AuthMethod}, m.AuthMethods...)
	switch {
	case slices.ContainsFunc(declared, symmetric):
		return "", errors.New("a method with a shared secret is declared")
	case m.AuthMethod == methodPrivateKeyJWT && !hasKeys:
		return "", errors.New("private_key_jwt is declared without jwks_uri or jwks")
	case hasKeys && slices.Contains(declared, methodPrivateKeyJWT):
		return methodPrivateKeyJWT, nil
	case m.AuthMethod == "" && (len(m.AuthMethods) == 0 || slices.Contains(m.AuthMethods, methodNone)), m.AuthMethod == methodNone:
		return methodNone, nil
	}
	return "", errors.New("no authentication method is declared that this server supports")
}

// symmetric reports whether a method is built on a shared secret.
func symmetric(method string) bool { return strings.HasPrefix(method, "client_secret_") }

// KeySet fetches a JSON Web Key Set (RFC 7517 §8.5.2).
func (f *Fetcher) KeySet(ctx context.Context, uri string) (set []byte, freshFor time.Duration, err error) {
	got, err := f.getJSON(ctx, uri, "application/jwk-set+json, application/json", maxKeySet)
	if err != nil {
		return nil, 0, fmt.Errorf("fetching the client's keys: %w", err)
	}
	return got.body, got.freshFor, nil
}

// Logo fetches a picture and returns it with the type that it has, which is
// PNG, JPEG or WebP; what else there is can hold scripts or is not a picture.
func (f *Fetcher) Logo(ctx context.Context, uri string) (picture []byte, mediaType string, err error) {
	got, err := f.get(ctx, uri, "image/png, image/jpeg, image/webp", maxLogo)
	if err != nil {
		return nil, "", fmt.Errorf("fetching the client's logo: %w", err)
	}
	switch mediaType := http.DetectContentType(got.body); mediaType {
	case "image/png", "image/jpeg", "image/webp":
		return got.body, mediaType, nil
	}
	return nil, "", errors.New("the client's logo is neither PNG nor JPEG nor WebP")
}
