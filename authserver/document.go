package authserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/cimd"
	"github.com/gatehouse-mcp/gatehouse/authserver/internal/clientmetadata"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

const (
	// documentRetry is how long a document that could not be had is not asked
	// for again, so that nobody hammers its host through us.
	documentRetry = 10 * time.Second
	refusedSize   = 10_000
	// documentStale is for how long the last good copy serves while the host
	// does not answer with a better one: sessions must not lose their client
	// because somebody else's web server is down.
	documentStale = 7 * 24 * time.Hour
)

// documents finds clients whose client_id is the address of a metadata
// document (draft-ietf-oauth-client-id-metadata-document). The last good copy
// of each is in the store, where all replicas share it; failures are only
// remembered here, and only for a moment.
type documents struct {
	cfg     ClientDocuments
	unused  time.Duration // how long a client that nobody allowed is kept
	store   storage.Clients
	fetcher *cimd.Fetcher
	slots   *slots
	quota   *addressQuota // of documents that are not known yet
	refused *otter.Cache[string, dated[error]]
	logger  *slog.Logger
}

func newFetcher(cfg ClientDocuments) *cimd.Fetcher {
	return cimd.New(cimd.Config{
		AllowedHosts: cfg.AllowedHosts, DeniedHosts: cfg.DeniedHosts, AllowLoopback: cfg.AllowLoopback, RootCAs: cfg.RootCAs,
	})
}

func newDocuments(cfg Config, fetcher *cimd.Fetcher) *documents {
	return &documents{
		cfg: cfg.Registration.Documents, unused: cfg.Registration.Dynamic.UnusedLifetime,
		store: cfg.Store, fetcher: fetcher, slots: newSlots(), logger: cfg.Logger,
		quota:   newAddressQuota(cfg.RateLimits.DocumentsPerHour, time.Hour, cfg.RateLimits.DocumentsPerHour),
		refused: otter.Must(&otter.Options[string, dated[error]]{MaximumSize: refusedSize}),
	}
}

// dated is a value of some time ago. Caches of such, bounded by their size
// alone, need nobody who goes through them.
type dated[V any] struct {
	value V
	at    time.Time
}

func (d dated[V]) younger(than time.Duration) bool { return time.Since(d.at) < than }

// noDocument says why a client_id that is a URL is that of no client; it is
// storage.ErrNotFound.
type noDocument struct{ cause error }

func (e noDocument) Error() string        { return e.cause.Error() }
func (e noDocument) Unwrap() error        { return e.cause }
func (e noDocument) Is(target error) bool { return target == storage.ErrNotFound }

// owns reports whether a client_id is the address of a document. No client of
// another kind may have such a one.
func (d *documents) owns(id string) bool {
	return strings.HasPrefix(id, "https://") || (d.cfg.AllowLoopback && strings.HasPrefix(id, "http://"))
}

// client returns the client of a document: the copy in the store while it is
// fresh, else what the host says now, else the copy if it is not too old. The
// caller sees to it that one id is looked for once at a time.
func (d *documents) client(ctx context.Context, id string) (storage.Client, error) {
	if !d.cfg.Enabled {
		return storage.Client{}, noDocument{errors.New("client ID metadata documents are off")}
	}
	if err := d.fetcher.CheckID(id); err != nil {
		return storage.Client{}, noDocument{err}
	}
	now := time.Now()
	known, err := d.store.Client(ctx, id)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		known = storage.Client{CreatedAt: now, ExpiresAt: now.Add(d.unused)}
	case err != nil:
		return storage.Client{}, err
	case known.Registration != storage.RegisteredByDocument:
		return storage.Client{}, noDocument{errors.New("the client_id is a URL, but the client is no document")}
	case known.Disabled || now.Before(known.FreshUntil):
		return known, nil
	}
	fetched, err := d.fetch(ctx, id, known)
	if err == nil {
		return d.store.SaveDocument(ctx, fetched)
	}
	if now.Sub(known.FetchedAt) < documentStale {
		d.logger.WarnContext(ctx, "client's document could not be fetched; the last copy serves", "client_id", id, "fetched_at", known.FetchedAt, "error", err)
		return known, nil
	}
	return storage.Client{}, err
}

// fetch returns the client as its host describes it now. What took too long says
// nothing about the client, so it is not remembered, and an answer of 503.
func (d *documents) fetch(ctx context.Context, id string, known storage.Client) (storage.Client, error) {
	if last, refused := d.refused.GetIfPresent(id); refused && last.younger(documentRetry) {
		return storage.Client{}, last.value
	}
	if known.ID == "" {
		entry := entryFrom(ctx)
		if wait := d.quota.charge(subscriber(entry.peer), entry.start); wait > 0 {
			return storage.Client{}, tooMany(wait, "document", "Too many clients that are not known yet were named from this address. Try again later.")
		}
	}
	at, err := url.Parse(id)
	if err != nil {
		return storage.Client{}, noDocument{err}
	}
	release, err := d.slots.take(ctx, strings.ToLower(at.Hostname()))
	if err != nil {
		return storage.Client{}, err
	}
	defer release()
	ctx, cancel := context.WithTimeout(ctx, cimd.Timeout)
	defer cancel()
	metadata, freshFor, err := d.fetcher.Document(ctx, id)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return storage.Client{}, unavailable(fmt.Errorf("client's document: %w", err))
	}
	if err != nil {
		d.refused.Set(id, dated[error]{noDocument{err}, time.Now()})
		return storage.Client{}, noDocument{err}
	}
	record := described(metadata)
	record.ID, record.Registration = id, storage.RegisteredByDocument
	record.GrantTypes = documentGrants(metadata.GrantTypes)
	record.RedirectURIs = metadata.RedirectURIs
	now := time.Now()
	record.FetchedAt, record.FreshUntil, record.UpdatedAt = now, now.Add(freshFor), now
	record.CreatedAt, record.ExpiresAt = known.CreatedAt, known.ExpiresAt
	return record, nil
}

// described returns the part of a record that every client may decide for
// itself. The scope that it names is what it gets when it asks for nothing, and
// no limit: it names the scope of the day on which it was registered, and asks
// for more when a tool needs it.
func described(m clientmetadata.Metadata) storage.Client {
	record := storage.Client{
		Name: m.Name, AuthMethod: m.AuthMethod, DefaultScopes: m.Scope,
		ApplicationType: m.ApplicationType, ClientURI: m.ClientURI, LogoURI: m.LogoURI, PolicyURI: m.PolicyURI, TOSURI: m.TOSURI,
		Contacts: m.Contacts, SoftwareID: m.SoftwareID, SoftwareVersion: m.SoftwareVersion,
	}
	if m.AuthMethod == methodPrivateKeyJWT {
		record.JWKS, record.JWKSURI = m.JWKS, m.JWKSURI
	}
	return record
}

// userGrants are the grant types in which a person decides what a client gets;
// so any client may have them.
func userGrants() []string {
	return []string{grantAuthorizationCode, grantRefreshToken, grantDeviceCode}
}

// documentGrants are the grant types of a document, those of RFC 7591 §2 and
// refresh when it names none, without those that are not for everybody.
func documentGrants(named []string) []string {
	if len(named) == 0 {
		return []string{grantAuthorizationCode, grantRefreshToken}
	}
	return slices.DeleteFunc(userGrants(), func(grant string) bool { return !slices.Contains(named, grant) })
}
