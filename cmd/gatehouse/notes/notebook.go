package notes

import (
	"context"
	"log/slog"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/gatehouse-mcp/gatehouse/resourceserver"
	"github.com/gatehouse-mcp/gatehouse/resourceserver/policy"
	"github.com/gatehouse-mcp/gatehouse/resourceserver/streamable"
	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// Config of the server; the zero Config keeps the notes in memory.
type Config struct {
	// File keeps the notes, with mode 0600; its directory must exist. Empty
	// keeps them in memory.
	File string
	// Policy and Catalog decide what a token sees of the server; default those
	// of [Policy] and [Scopes]. Give the gate the same ones.
	Policy  *policy.Policy
	Catalog *scopes.Catalog
	// Version of the implementation that clients are told; default "dev".
	Version string
	// SessionID makes the ids of sessions; nil means [streamable.ServerOptions]'
	// own.
	SessionID func() string
	// Logger gets the SDK's messages and what could not be saved; nil
	// discards.
	Logger *slog.Logger
}

// notebook is what the server's tools share.
type notebook struct {
	book    book
	server  *mcp.Server
	started time.Time
	log     *slog.Logger
}

// New returns the server, for streamable.Handler. The error says why the file
// cannot be used.
func New(cfg Config) (*mcp.Server, error) {
	notes, err := load(cfg.File)
	if err != nil {
		return nil, err
	}
	if cfg.Policy == nil {
		if cfg.Policy, err = policy.New(Policy()); err != nil {
			return nil, err
		}
	}
	if cfg.Catalog == nil {
		if cfg.Catalog, err = scopes.NewCatalog(Scopes()...); err != nil {
			return nil, err
		}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Version == "" {
		cfg.Version = "dev"
	}
	n := &notebook{book: book{file: cfg.File, notes: notes}, started: time.Now(), log: cfg.Logger}
	n.server = mcp.NewServer(
		&mcp.Implementation{Name: "gatehouse-notes", Title: "Notebook", Version: cfg.Version},
		streamable.ServerOptions(mcp.ServerOptions{
			Instructions:       "A shared notebook. list_notes finds notes, read_note shows one, write_note creates or changes one, delete_note removes one for good.",
			Logger:             cfg.Logger,
			GetSessionID:       cfg.SessionID,
			CompletionHandler:  n.complete,
			SubscribeHandler:   func(_ context.Context, req *mcp.SubscribeRequest) error { return n.watchable(req.Params.URI) },
			UnsubscribeHandler: func(context.Context, *mcp.UnsubscribeRequest) error { return nil },
		}))
	n.addTools()
	n.addResources()
	n.addPrompt()
	if err := n.addAdmin(); err != nil {
		return nil, err
	}
	n.server.AddReceivingMiddleware(streamable.FilterLists(cfg.Policy, cfg.Catalog))
	return n.server, nil
}

// author names who wrote, for people; empty without a token.
func author(extra *mcp.RequestExtra) string {
	if extra == nil {
		return ""
	}
	token, ok := resourceserver.TokenFromInfo(extra.TokenInfo)
	if !ok {
		return ""
	}
	return token.Subject
}

// changed tells those who watch the note or the list. It does not wait: a
// client that does not read must not hold up the one that writes.
func (n *notebook) changed(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	go func() {
		defer cancel()
		for _, uri := range []string{uriAll, noteURI(id)} {
			if err := n.server.ResourceUpdated(ctx, &mcp.ResourceUpdatedNotificationParams{URI: uri}); err != nil {
				n.log.WarnContext(ctx, "a change was not announced", "error", err)
			}
		}
	}()
}
