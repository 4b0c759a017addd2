package keys

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// key is a stored key with what it needs to sign and verify.
type key struct {
	redacted
	storage.Key

	// private and jwk are set unless the key is withdrawn or dead: such keys
	// are kept for the timeline only.
	private crypto.Signer
	jwk     []byte // public JWK (RFC 7517 §4)

	// end is when the last token it signed has expired; zero while no
	// younger key is to take over.
	end time.Time
}

// create generates a key of alg and returns its record with the private key
// sealed. The caller sets its generation and times. People type the kid of a
// key as an argument of a command, so one that looks like a flag is not taken.
func create(alg string, s sealer) (storage.Key, error) {
	for {
		k, err := createAny(alg, s)
		if err != nil || !strings.HasPrefix(k.KID, "-") {
			return k, err
		}
	}
}

func createAny(alg string, s sealer) (storage.Key, error) {
	private, err := generate(alg)
	if err != nil {
		return storage.Key{}, err
	}
	kid, public, err := publish(alg, private)
	if err != nil {
		return storage.Key{}, err
	}
	plain, err := json.Marshal(jose.JSONWebKey{Key: private, KeyID: kid, Algorithm: alg, Use: "sig"})
	if err != nil {
		return storage.Key{}, err
	}
	return storage.Key{KID: kid, Alg: alg, Public: public, Sealed: s.seal(kid, plain)}, nil
}

// publish returns the kid, which is the thumbprint (RFC 7638), and the public
// JWK of private.
func publish(alg string, private crypto.Signer) (kid string, jwk []byte, err error) {
	public := jose.JSONWebKey{Key: private.Public(), Algorithm: alg, Use: "sig"}
	thumbprint, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", nil, err
	}
	public.KeyID = base64.RawURLEncoding.EncodeToString(thumbprint)
	jwk, err = json.Marshal(public)
	return public.KeyID, jwk, err
}

// open unseals k. Everything that matters comes from the sealed key; the
// columns beside it must agree.
func (k *key) open(s sealer) error {
	plain, err := s.open(k.KID, k.Sealed)
	if err != nil {
		return err
	}
	var sealed jose.JSONWebKey
	if err := json.Unmarshal(plain, &sealed); err != nil {
		return errors.New("its sealed private key is not a JWK")
	}
	private, ok := sealed.Key.(crypto.Signer)
	if !ok || !fits(k.Alg, sealed.Key) || sealed.Algorithm != k.Alg {
		return fmt.Errorf("its sealed private key is not one for %q", k.Alg)
	}
	kid, jwk, err := publish(k.Alg, private)
	if err != nil {
		return err
	}
	if kid != k.KID {
		return errors.New("its sealed private key has another kid")
	}
	k.private, k.jwk = private, jwk
	return nil
}

// retired reports whether the key was withdrawn. The clock is not asked:
// what another replica has withdrawn is withdrawn.
func (k *key) retired() bool { return !k.RetiredAt.IsZero() }

// served reports whether the key takes, or took, its turn: it was not
// withdrawn before.
func (k *key) served() bool { return !k.retired() || k.RetiredAt.After(k.ActivateAt) }

// dead reports whether no token signed by the key can be alive.
func (k *key) dead(now time.Time) bool { return !k.end.IsZero() && !now.Before(k.end) }

// published reports whether the key is in the JWK Set and verifies.
func (k *key) published(now time.Time) bool { return !k.retired() && !k.dead(now) }
