package authserver

import (
	"context"
	"fmt"
	"time"

	"github.com/ory/fosite"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// newProvider returns fosite's provider with our handlers and nothing else.
// The strategies that fosite would fill in lazily are set, because that is a
// data race; they are the exact ones in case a default should ever be asked.
func (s *Server) newProvider(handlers ...fosite.TokenEndpointHandler) fosite.OAuth2Provider {
	return fosite.NewOAuth2Provider(fositeStore{s.clients}, &fosite.Config{
		ClientAuthenticationStrategy: s.fositeClientAuthentication,
		ClientSecretsHasher:          refuseHashing{},
		TokenEndpointHandlers:        handlers,
		ScopeStrategy:                fosite.ExactScopeStrategy,
		AudienceMatchingStrategy:     fosite.ExactAudienceMatchingStrategy,
		EnforcePKCE:                  true,
	})
}

// tokenSession carries what a grant decided from its Handle to its Populate.
// It is never stored; grants make their own storage call.
type tokenSession struct {
	fosite.DefaultSession
	issued *issuedToken

	// The rest is for the grants of people.
	grant        storage.Grant
	user         storage.User
	refreshToken string
	idToken      string
}

// Clone implements fosite.Session; a session is not shared.
func (t *tokenSession) Clone() fosite.Session {
	c := *t
	return &c
}

// grantRequest returns our client and session of fosite's request.
func grantRequest(request fosite.AccessRequester) (*client, *tokenSession, error) {
	c, ours := request.GetClient().(*client)
	session, too := request.GetSession().(*tokenSession)
	if !ours || !too {
		return nil, nil, fmt.Errorf("request with client %T and session %T", request.GetClient(), request.GetSession())
	}
	return c, session, nil
}

// fositeStore is the part of a store that fosite's skeleton asks for.
type fositeStore struct{ clients *clients }

var _ fosite.ClientManager = fositeStore{}

func (f fositeStore) GetClient(ctx context.Context, id string) (fosite.Client, error) {
	c, err := f.clients.get(ctx, id)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// ClientAssertionJWTValid and SetClientAssertionJWT belong to fosite's own
// client authentication, which is replaced; they refuse.
func (fositeStore) ClientAssertionJWTValid(context.Context, string) error {
	return storage.ErrSpent
}

func (fositeStore) SetClientAssertionJWT(context.Context, string, time.Time) error {
	return storage.ErrSpent
}

// refuseHashing stands where fosite would put bcrypt. Nothing compares secrets
// through fosite.
type refuseHashing struct{}

func (refuseHashing) Compare(context.Context, []byte, []byte) error { return fosite.ErrInvalidClient }
func (refuseHashing) Hash(context.Context, []byte) ([]byte, error) {
	return nil, fosite.ErrServerError
}
